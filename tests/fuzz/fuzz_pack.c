/* Packs and the texts of a checkpoint: what is read is written again byte for byte. The first byte
 * says what follows. */
#include "core/base/sign.h"
#include "core/chain/snapchain/carry.h"
#include "core/chain/snapchain/keyspace.h"
#include "core/chain/snapchain/params.h"
#include "core/chain/snapchain/records.h"
#include "core/checkpoint/folder.h"
#include "core/checkpoint/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUT_MAX (64u << 20)

/* Of a pack that ends in a fault, what came before it. */
static void same_so_far(const struct buf *again, struct slice in, int rc)
{
	assert(rc == 0 || rc == -EBADMSG);
	assert(buf_done(again) == 0 && slice_starts(in, buf_slice(again)));
	assert(rc < 0 || again->n == in.n);
}

static void records(struct slice in)
{
	AUTO(buf_release) struct buf again = BUF_INIT(OUT_MAX);
	struct pack_reader p = PACK_READER(in);
	struct pack_record r;
	struct err err = ERR_INIT;
	int rc;

	while ((rc = pack_record_next(&p, &r, &err)) == 1)
		assert(pack_record_write(&again, &r) == 0);
	assert(rc == 0 || err.text[0]);
	same_so_far(&again, in, rc);
}

static void rows(struct slice in)
{
	AUTO(buf_release) struct buf again = BUF_INIT(OUT_MAX);
	struct pack_reader p = PACK_READER(in);
	struct slice key, value;
	int rc;

	while ((rc = pack_row_next(&p, &key, &value, NULL)) == 1)
		assert(pack_row_write(&again, key, value) == 0);
	same_so_far(&again, in, rc);
}

static void info(struct slice in)
{
	AUTO(buf_release) struct buf again = BUF_INIT(OUT_MAX);
	struct checkpoint_info i, twice;

	if (checkpoint_info_read(in, &i, NULL) < 0)
		return;
	/* The words of the last two lines are free. */
	assert(checkpoint_info_write(&i, &again) == 0);
	assert(checkpoint_info_read(buf_slice(&again), &twice, NULL) == 0);
	assert(memcmp(&i, &twice, sizeof i) == 0);
}

static void sums(struct slice in)
{
	AUTO(buf_release) struct buf again = BUF_INIT(OUT_MAX);
	char last[CHECKPOINT_PATH_MAX] = "";
	uint8_t sum[HASH_SIZE];
	size_t at = 0;
	int rc;

	while ((rc = checkpoint_sum_next(in, &at, last, sum, NULL)) == 1)
		checkpoint_sum_write(sum, last, &again);
	same_so_far(&again, in, rc);
}

static void name(struct slice in)
{
	char text[64], again[CHECKPOINT_NAME_SIZE];
	uint8_t hash[HASH_SIZE] = { 0 };
	uint64_t height;

	if (in.n >= sizeof text)
		return;
	memcpy(text, in.p, in.n);
	text[in.n] = '\0';
	if (checkpoint_name_read(text, &height, hash) < 0)
		return;
	checkpoint_name(height, hash, again);
	assert(strcmp(again, text) == 0);
}

/* A record's bytes from outside, as each of the three things that they may be. */
static void object(struct slice in)
{
	static const struct {
		uint8_t set;
		uint16_t form;
	} kinds[] = { { SC_SET_CASTS, SC_FORM_MESSAGE },
		      { SC_SET_BORROWS, SC_FORM_MESSAGE },
		      { SC_SET_ONCHAIN, SC_FORM_ONCHAIN },
		      { SC_SET_FNAMES, SC_FORM_PROOF } };
	static struct chain_params *params;
	uint8_t key[SC_RECORD_HEAD + SC_ORDER_SIZE] = "R";

	if (!params) {
		assert(sign_init() == 0);
		assert(sc_params_parse(slice_str("{\"fc_network\": 1, \"num_shards\": 2}"), &params,
				       NULL) == 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const struct chain_object o = { .form = kinds[i].form, .bytes = in };
		struct err err = ERR_INIT;

		key[SC_RECORD_HEAD - 1] = (uint8_t)(kinds[i].set + 1);
		assert(sc_record_check(params, SLICE_ARRAY(key), slice_str("row"), &o, &err) < 0);
		assert(err.text[0]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const readers[])(struct slice) = { records, rows, info, sums, name, object };

	if (size > 0)
		readers[data[0] % ARRAY_LEN(readers)](SLICE(data + 1, size - 1));
	return 0;
}
