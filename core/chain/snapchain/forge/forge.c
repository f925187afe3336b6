#include "core/chain/snapchain/forge/forge.h"

#include <stdio.h>

#include "core/base/json.h"
#include "core/chain/snapchain/forge/forge_story.h"
#include "core/chain/snapchain/versions.h"

#define CONFIG_SIZE_MAX (256u << 10)
#define ACCOUNTS_MAX    2000000u
#define DAY_S           86400u

/* Storage that people rent a month before the first block has to be of the kind of 2025 and to last
 * (snapchain-replay.md 8.1); the story also has units of older kinds. */
#define START_FIRST     1755100000u
#define STORY_END       1830200000u
#define DAYS_MAX        300u

#define START_DEFAULT   1767571200u /* 2026-01-05 00:00 UTC */

/* What a unit holds with small_limits: casts, links, reactions, user data, proofs, verifications,
 * lends. */
static const uint32_t small[SC_UNIT_TYPES][SC_STORE_LIMITS] = {
	{ 60, 40, 40, 20, 3, 5, 1 },
	{ 40, 30, 30, 16, 3, 5, 1 },
	{ 20, 15, 15, 10, 2, 2, 1 },
};

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
	return value ? value : otherwise;
}

/* Options with every default filled in; `steps` is what blocks of all shards come to. */
static int complete(const struct forge_options *given, struct forge_options *o, uint64_t *steps,
		    struct err *err)
{
	static const char *const names[] = { "demo", "crowd", "bare" };
	static const uint32_t block_times_s[] = { 60, 10, 1 };
	bool story = given->kind == FORGE_STORY, bare = given->kind == FORGE_BARE;

	*o = *given;
	if (!o->name)
		o->name = names[o->kind];
	o->validators = (uint32_t)or_default(o->validators, 4);
	o->data_shards = (uint32_t)or_default(o->data_shards, bare ? 1 : 2);
	o->start_time = or_default(o->start_time, START_DEFAULT);
	o->block_time_s = (uint32_t)or_default(o->block_time_s, block_times_s[o->kind]);
	if (o->validators > FORGE_VALIDATORS_MAX || o->data_shards > FORGE_SHARDS_MAX)
		return err_set(err, -EINVAL, "at most %u validators and %u data shards",
			       FORGE_VALIDATORS_MAX, FORGE_SHARDS_MAX);

	uint64_t shards = o->data_shards + 1;
	o->blocks = or_default(o->blocks, story ? shards * FORGE_STORY_STEPS : 3000);
	o->messages = bare ? 0 : or_default(o->messages, story ? 3000 : 4 * o->blocks);
	if (story)
		o->accounts = FORGE_NAMES;
	else if (bare)
		o->accounts = 0;
	else if (!o->accounts)
		o->accounts = (uint32_t)MIN(MAX(o->messages / 100, 16), ACCOUNTS_MAX);
	o->small_limits |= story;
	*steps = (o->blocks - 1) / shards + 1;

	uint64_t lasts_s;
	if (o->blocks > UINT32_MAX || o->accounts > ACCOUNTS_MAX ||
	    ckd_mul(&lasts_s, *steps, o->block_time_s) || lasts_s > (uint64_t)DAYS_MAX * DAY_S)
		return err_set(err, -EINVAL, "a chain of at most %u accounts and %u days",
			       ACCOUNTS_MAX, DAYS_MAX);
	if (story && *steps < FORGE_STORY_STEPS)
		return err_set(err, -EINVAL, "the story takes %u blocks of a shard",
			       FORGE_STORY_STEPS);
	if (o->start_time < START_FIRST || o->start_time + lasts_s > STORY_END)
		return err_set(err, -EINVAL, "a chain of the years 2026 and 2027");
	return 0;
}

/* heights: by shard; NULL before they are known. */
static int write_config(const struct forge_options *o, const uint64_t *heights, struct buf *out)
{
	struct forge_validators validators;
	struct forge_wallet registry;
	struct json j = json_of(out, JSON_PRETTY);
	char text[96];

	forge_validators_of(o->seed, o->validators, &validators);
	forge_registry_of(o->seed, &registry);
	json_object(&j, NULL);
	snprintf(text, sizeof text, "%" PRIu32 "s", o->block_time_s);
	json_str(&j, "block_time", text);
	json_u64(&j, "engine_version", SC_ENGINE_NEWEST);
	json_u64(&j, "fc_network", SC_DEVNET);
	json_hex(&j, "fname_signer", SLICE_ARRAY(registry.address));
	if (o->small_limits) {
		json_object(&j, "limits");
		for (unsigned unit = 0; unit < SC_UNIT_TYPES; unit++) {
			snprintf(text, sizeof text, "%u", unit);
			json_array(&j, text);
			for (unsigned i = 0; i < SC_STORE_LIMITS; i++)
				json_u64(&j, NULL, small[unit][i]);
			json_end(&j);
		}
		json_end(&j);
	}
	json_str(&j, "network", o->name);
	json_array(&j, "notes");
	snprintf(text, sizeof text, "made by chainfs forge from seed %" PRIu64, o->seed);
	json_str(&j, NULL, text);
	json_end(&j);
	json_u64(&j, "num_shards", o->data_shards);
	json_u64(&j, "protocol_version", SC_PROTOCOL_NEWEST);
	if (heights) {
		json_object(&j, "recorded_heights");
		for (uint32_t s = 0; s <= o->data_shards; s++) {
			snprintf(text, sizeof text, "%" PRIu32, s);
			json_u64(&j, text, heights[s]);
		}
		json_end(&j);
	}
	json_array(&j, "validators");
	json_object(&j, NULL);
	json_u64(&j, "effective_at", 0);
	json_array(&j, "public_keys");
	for (uint32_t i = 0; i < o->validators; i++)
		json_hex(&j, NULL, SLICE_ARRAY(validators.keys[i].key));
	json_end(&j);
	json_array(&j, "shard_ids");
	for (uint32_t s = 0; s <= o->data_shards; s++)
		json_u64(&j, NULL, s);
	json_end(&j);
	json_end(&j);
	json_end(&j);
	json_end(&j);
	return json_done(&j);
}

static void params_freep(struct chain_params **p)
{
	sc_params_free(TAKE(*p));
}

int forge_chain(const struct forge_options *given, const char *folder,
		int (*progress)(void *arg, uint64_t done, uint64_t all), void *arg,
		struct err *err)
{
	AUTO(buf_release) struct buf config = BUF_INIT(CONFIG_SIZE_MAX);
	AUTO(params_freep) struct chain_params *params = NULL;
	AUTO(archive_writer_closep) struct archive_writer *archive = NULL;
	AUTO(forge_chain_freep) struct forge_chain *chain = NULL;
	AUTO(forge_people_release) struct forge_people people = { 0 };
	struct forge_options o;
	uint64_t steps = 0, heights[SHARD_MAX];
	int rc = complete(given, &o, &steps, err);

	if (rc == 0 && sign_init() < 0)
		rc = err_set(err, -EIO, "the signature library does not start");
	if (rc < 0)
		return rc;
	rc = write_config(&o, NULL, &config);
	if (rc < 0)
		return err_set(err, rc, "the network's description does not fit");
	rc = sc_params_parse(buf_slice(&config), &params, err);
	if (rc == 0)
		rc = archive_writer_open(folder, o.data_shards + 1, o.compress, &archive, err);
	if (rc == 0)
		rc = forge_chain_new(&(struct forge_chain_options){ o.seed, o.validators,
								    o.start_time, o.block_time_s,
								    o.kind == FORGE_BARE },
				     params, archive, &chain, err);
	if (rc == 0 && o.kind != FORGE_BARE)
		rc = forge_people_init(&people, chain, params, o.seed, o.block_time_s, o.accounts,
				       o.kind == FORGE_STORY ? FORGE_STORY_FID : FORGE_CROWD_FID,
				       err);
	if (rc < 0)
		return rc;

	struct forge_run run = { &people, steps, o.messages, progress, arg };
	rc = o.kind == FORGE_STORY   ? forge_story(&run, err)
	     : o.kind == FORGE_CROWD ? forge_crowd(&run, err)
				     : forge_bare(&run, chain, err);
	if (rc < 0)
		return err_note(err, rc, "step %" PRIu64, forge_chain_steps(chain) + 1);
	for (uint32_t s = 0; s <= o.data_shards; s++)
		heights[s] = forge_chain_height(chain, s);
	buf_clear(&config);
	rc = write_config(&o, heights, &config);
	if (rc < 0)
		return err_set(err, rc, "the network's description does not fit");
	return archive_writer_finish(archive, buf_slice(&config), err);
}
