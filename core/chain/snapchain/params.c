#include "core/chain/snapchain/params.h"

#include <cjson/cJSON.h>
#include <math.h>

#include "core/base/json.h"
#include "core/base/sign.h"

#define KEYS_MAX       1000  /* validators of one entry */
#define VALIDATORS_MAX 10000 /* entries */
#define NUMBER_MAX     (UINT64_C(1) << 53) /* whole numbers that JSON's doubles hold exactly */

/* snapchain-replay.md 8.1, in the order of SC_STORE_LIMITS. */
static const uint32_t limits_default[SC_UNIT_TYPES][SC_STORE_LIMITS] = {
	{ 5000, 2500, 2500, 50, 5, 25, 1 },
	{ 2000, 1000, 1000, 50, 5, 25, 1 },
	{ 100, 200, 200, 25, 2, 5, 1 },
};

/* Who signs fname transfers unless the network is configured otherwise (snapchain-replay.md 10). */
static const uint8_t fname_signer_default[20] = {
	0xbc, 0x52, 0x74, 0xef, 0xc2, 0x66, 0x31, 0x10, 0x15, 0x79,
	0x3d, 0x89, 0xe9, 0xb5, 0x91, 0xfa, 0x46, 0x29, 0x47, 0x41,
};

const struct sc_validators *sc_validators_at(const struct chain_params *p, uint32_t shard,
					     uint64_t height)
{
	const struct sc_validators *current = p->validators;

	if (p->validators_count == 0)
		return NULL;
	/* Entry 0 also holds for shards that it does not list (snapchain.md 2.3). */
	for (size_t i = 0; i < p->validators_count; i++) {
		const struct sc_validators *v = &p->validators[i];

		if ((v->shard_bits >> shard & 1) && v->effective_at <= height &&
		    v->effective_at > current->effective_at)
			current = v;
	}
	return current;
}

/* ---- reading ---- */

static void json_freep(cJSON **j)
{
	cJSON_Delete(*j);
}

static int get_number(const cJSON *j, const char *name, uint64_t max, uint64_t *out,
		      struct err *err)
{
	double v = cJSON_IsNumber(j) ? j->valuedouble : -1;

	if (!(v >= 0 && v <= (double)MIN(max, NUMBER_MAX)) || floor(v) != v)
		return err_set(err, -EINVAL, "%s is not a whole number up to %" PRIu64, name,
			       MIN(max, NUMBER_MAX));
	*out = (uint64_t)v;
	return 0;
}

/* A member that may be left out, which leaves *out as it is. */
static int get_member(const cJSON *object, const char *name, uint64_t max, uint64_t *out,
		      struct err *err)
{
	const cJSON *j = cJSON_GetObjectItemCaseSensitive(object, name);

	return j ? get_number(j, name, max, out, err) : 0;
}

static int get_hex(const cJSON *j, const char *name, uint8_t *out, size_t size, struct err *err)
{
	const char *text = cJSON_IsString(j) ? j->valuestring : "";

	if (text[0] == '0' && text[1] == 'x')
		text += 2;
	if (hex_get(text, strlen(text), out, size) < 0)
		return err_set(err, -EINVAL, "%s is not %zu bytes of hex", name, size);
	return 0;
}

static int compare_keys(const void *a, const void *b)
{
	return memcmp(a, b, ED25519_KEY_SIZE);
}

/* Sorted, so that two files that name the same keys are the same parameters. */
static int get_keys(const cJSON *list, struct sc_validators *out, struct err *err)
{
	const cJSON *j;
	int count = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;

	if (count < 1 || count > KEYS_MAX)
		return err_set(err, -EINVAL, "public_keys is not a list of 1 to %d keys", KEYS_MAX);
	out->keys = calloc((size_t)count, sizeof *out->keys);
	if (!out->keys)
		return err_set(err, -ENOMEM, "no memory for %d keys", count);
	cJSON_ArrayForEach(j, list) {
		int rc = get_hex(j, "a public key", out->keys[out->key_count++], ED25519_KEY_SIZE,
				 err);

		if (rc < 0)
			return rc;
	}
	qsort(out->keys, out->key_count, sizeof *out->keys, compare_keys);
	for (size_t i = 1; i < out->key_count; i++)
		if (compare_keys(out->keys[i - 1], out->keys[i]) == 0)
			return err_set(err, -EINVAL, "public_keys names a key twice");
	return 0;
}

static int get_shards(const cJSON *list, uint32_t *bits, struct err *err)
{
	const cJSON *j;
	uint64_t shard;

	if (!cJSON_IsArray(list))
		return err_set(err, -EINVAL, "shard_ids is not a list");
	cJSON_ArrayForEach(j, list) {
		int rc = get_number(j, "a shard of shard_ids", SHARD_MAX - 1, &shard, err);

		if (rc < 0)
			return rc;
		*bits |= UINT32_C(1) << shard;
	}
	return 0;
}

static int get_entry(const cJSON *j, struct sc_validators *out, struct err *err)
{
	int rc;

	if (!cJSON_IsObject(j))
		return err_set(err, -EINVAL, "not an object");
	rc = get_member(j, "effective_at", NUMBER_MAX, &out->effective_at, err);
	if (rc == 0)
		rc = get_shards(cJSON_GetObjectItemCaseSensitive(j, "shard_ids"), &out->shard_bits,
				err);
	if (rc == 0)
		rc = get_keys(cJSON_GetObjectItemCaseSensitive(j, "public_keys"), out, err);
	return rc;
}

static int get_validators(const cJSON *list, struct chain_params *p, struct err *err)
{
	const cJSON *j;
	int count = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : -1;

	if (!list || count == 0)
		return 0;
	if (count < 0 || count > VALIDATORS_MAX)
		return err_set(err, -EINVAL, "validators is not a list of at most %d entries",
			       VALIDATORS_MAX);
	p->validators = calloc((size_t)count, sizeof *p->validators);
	if (!p->validators)
		return err_set(err, -ENOMEM, "no memory for validators");
	cJSON_ArrayForEach(j, list) {
		int rc = get_entry(j, &p->validators[p->validators_count++], err);

		if (rc < 0)
			return err_note(err, rc, "validators[%zu]", p->validators_count - 1);
	}
	return 0;
}

static int get_limits(const cJSON *limits, struct chain_params *p, struct err *err)
{
	static const char *const unit_names[SC_UNIT_TYPES] = { "0", "1", "2" };

	if (!limits)
		return 0;
	if (!cJSON_IsObject(limits))
		return err_set(err, -EINVAL, "limits is not an object");
	for (size_t unit = 0; unit < SC_UNIT_TYPES; unit++) {
		const cJSON *j, *list = cJSON_GetObjectItemCaseSensitive(limits, unit_names[unit]);
		size_t i = 0;

		if (!list)
			continue;
		if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != SC_STORE_LIMITS)
			return err_set(err, -EINVAL, "limits of unit type %zu are not %d numbers",
				       unit, SC_STORE_LIMITS);
		cJSON_ArrayForEach(j, list) {
			uint64_t v;
			int rc = get_number(j, "a limit", UINT32_MAX, &v, err);

			if (rc < 0)
				return rc;
			p->limits[unit][i++] = (uint32_t)v;
		}
	}
	return 0;
}

static int read_params(const cJSON *j, struct chain_params *p, struct err *err)
{
	const cJSON *signer = cJSON_GetObjectItemCaseSensitive(j, "fname_signer");
	uint64_t network = 0, shards = 0;
	int rc;

	if (!cJSON_IsObject(j))
		return err_set(err, -EINVAL, "not a JSON object");
	rc = get_member(j, "fc_network", UINT32_MAX, &network, err);
	if (rc == 0)
		rc = get_member(j, "num_shards", SHARD_MAX - 1, &shards, err);
	if (rc == 0)
		rc = get_member(j, "wall_clock", NUMBER_MAX, &p->wall_clock, err);
	if (rc == 0 && signer)
		rc = get_hex(signer, "fname_signer", p->fname_signer, sizeof p->fname_signer, err);
	if (rc == 0)
		rc = get_limits(cJSON_GetObjectItemCaseSensitive(j, "limits"), p, err);
	if (rc == 0)
		rc = get_validators(cJSON_GetObjectItemCaseSensitive(j, "validators"), p, err);
	if (rc < 0)
		return rc;
	if (network == 0 || shards == 0)
		return err_set(err, -EINVAL, "%s is missing",
			       network ? "num_shards" : "fc_network");
	p->network = (uint32_t)network;
	p->data_shards = (uint32_t)shards;
	return 0;
}

static void params_freep(struct chain_params **p)
{
	sc_params_free(*p);
	*p = NULL;
}

/* The whole text must be one value: cJSON by itself would not look at what follows it. */
static cJSON *parse_all(struct slice text)
{
	const char *start = (const char *)text.p, *end = NULL;
	AUTO(json_freep) cJSON *j = cJSON_ParseWithLengthOpts(start, text.n, &end, false);

	for (; j && end < start + text.n; end++)
		if (!strchr(" \t\r\n", *end) || !*end)
			return NULL;
	return TAKE(j);
}

int sc_params_parse(struct slice text, struct chain_params **out, struct err *err)
{
	AUTO(json_freep) cJSON *j = parse_all(text);
	AUTO(params_freep) struct chain_params *p = calloc(1, sizeof *p);

	if (!p)
		return err_set(err, -ENOMEM, "no memory for parameters");
	if (!j)
		return err_set(err, -EINVAL, "parameters: not JSON");
	memcpy(p->limits, limits_default, sizeof p->limits);
	memcpy(p->fname_signer, fname_signer_default, sizeof p->fname_signer);

	int rc = read_params(j, p, err);

	if (rc < 0)
		return err_note(err, rc, "parameters");
	*out = TAKE(p);
	return 0;
}

void sc_params_free(struct chain_params *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->validators_count; i++)
		free(p->validators[i].keys);
	free(p->validators);
	free(p);
}

/* ---- writing ---- */

static void write_limits(struct json *j, const struct chain_params *p)
{
	json_object(j, "limits");
	for (unsigned unit = 0; unit < SC_UNIT_TYPES; unit++) {
		json_array(j, (const char[2]){ (char)('0' + unit), '\0' });
		for (unsigned i = 0; i < SC_STORE_LIMITS; i++)
			json_u64(j, NULL, p->limits[unit][i]);
		json_end(j);
	}
	json_end(j);
}

static void write_validators(struct json *j, const struct chain_params *p)
{
	json_array(j, "validators");
	for (size_t i = 0; i < p->validators_count; i++) {
		const struct sc_validators *v = &p->validators[i];

		json_object(j, NULL);
		json_u64(j, "effective_at", v->effective_at);
		json_array(j, "public_keys");
		for (size_t k = 0; k < v->key_count; k++)
			json_hex(j, NULL, SLICE_ARRAY(v->keys[k]));
		json_end(j);
		json_array(j, "shard_ids");
		for (unsigned shard = 0; shard < SHARD_MAX; shard++)
			if (v->shard_bits >> shard & 1)
				json_u64(j, NULL, shard);
		json_end(j);
		json_end(j);
	}
	json_end(j);
}

int sc_params_write(const struct chain_params *p, struct buf *out)
{
	struct json j = json_of(out, JSON_PRETTY);

	json_object(&j, NULL);
	json_u64(&j, "fc_network", p->network);
	json_hex(&j, "fname_signer", SLICE_ARRAY(p->fname_signer));
	write_limits(&j, p);
	json_u64(&j, "num_shards", p->data_shards);
	write_validators(&j, p);
	json_u64(&j, "wall_clock", p->wall_clock);
	json_end(&j);
	return json_done(&j);
}
