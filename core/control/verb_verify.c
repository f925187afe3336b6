/* chainfs verify: checks what a store holds again, level by level, from the bytes. */
#include <stdio.h>

#include "core/control/verb.h"
#include "core/ingest/pipeline.h"
#include "core/store/network.h"

#define BATCH_BLOCKS 256u

struct tally {
	uint64_t verdicts[SHARD_MAX][LEVEL_COUNT][VERDICT_COUNT];
	uint64_t blocks, rows, damaged, refused_items;
	uint64_t carried; /* records of which a restore brought the bytes */
};

struct check { /* one verification */
	struct verb_call *call;
	struct network   *network;
	struct pipeline  *pipeline; /* NULL: the stored results are shown */
	struct range      wanted[SHARD_MAX];
	struct tally      tally;
	struct block_row  rows[BATCH_BLOCKS]; /* of the blocks that are being checked */
	uint32_t          row_count;
};

/* A fault, as one line. */
static void note(struct check *k, const struct block_row *row, int level, const char *sentence)
{
	const char *what = level < 0 ? "bytes" : level_names[level];
	if (!verb_has(k->call, OPTION_JSON)) {
		verb_print(k->call, "%u\t%010" PRIu64 "\t%s\t%s\n", row->shard, row->height, what,
			   sentence);
		return;
	}
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 16);
	struct json j = json_of(&out, JSON_LINE);
	json_object(&j, NULL);
	json_str(&j, "error", sentence);
	json_u64(&j, "height", row->height);
	json_str(&j, "level", what);
	json_u64(&j, "shard", row->shard);
	json_end(&j);
	if (json_done(&j) == 0)
		verb_write(k->call, buf_slice(&out));
}

/* Counts the levels of a block. What was checked again replaces what the import stored; the levels
 * above it are the rules' and were decided when the block was replayed. */
static void count(struct check *k, const struct block_row *row, const struct chain_block *again)
{
	k->tally.blocks++;
	for (int l = 0; l < LEVEL_COUNT; l++) {
		const struct level_result *r =
			again && l <= LEVEL_MESSAGES ? &again->levels[l] : &row->levels[l];
		k->tally.verdicts[row->shard][l][r->verdict]++;
		if (r->verdict == VERDICT_FAILED)
			note(k, row, l, r->reason);
	}
	for (size_t i = 0; again && i < again->item_count; i++)
		k->tally.refused_items += again->items[i].refusal != NULL;
}

/* Takes the checked jobs of the batch, in the order of its rows. */
static int drain(struct check *k)
{
	for (uint32_t i = 0; i < k->row_count;) {
		bool closed;
		AUTO(job_freep) struct job *job = pipeline_take(k->pipeline, 1000, &closed);
		if (!job)
			continue;
		const struct block_row *row = &k->rows[i++];
		if (job->rc == -ENOMEM)
			return job->rc;
		if (job->rc < 0) {
			k->tally.damaged++;
			note(k, row, LEVEL_STRUCTURE, job->err.text);
		} else if (memcmp(job->block->hash, row->hash, HASH_SIZE) != 0) {
			k->tally.damaged++;
			note(k, row, LEVEL_HEADER,
			     "header: hash differs from the one in the index");
		} else {
			count(k, row, job->block);
		}
	}
	k->row_count = 0;
	return 0;
}

static int check_block(struct check *k, const struct block_row *row)
{
	if (!k->pipeline) {
		count(k, row, NULL);
		return 0;
	}
	struct err why = ERR_INIT;
	struct job *job = calloc(1, sizeof *job);
	if (!job)
		return -ENOMEM;
	int rc = job_load(k->network, row, job, &why);
	if (rc < 0)
		job_freep(&job);
	if (rc == -EBADMSG) {
		k->tally.damaged++;
		note(k, row, -1, why.text);
		return 0;
	}
	if (rc < 0)
		return rc;
	k->rows[k->row_count++] = *row;
	rc = pipeline_put(k->pipeline, job);
	return rc < 0 || k->row_count < BATCH_BLOCKS ? rc : drain(k);
}

static int check_shard(struct check *k, uint32_t shard)
{
	AUTO(block_scan_freep) struct block_scan *scan = NULL;
	AUTO(view_putp) struct view *v = network_view_get(k->network);
	struct block_row row;
	int rc = block_scan_new(k->network, shard, k->wanted[shard].first, &scan);
	while (rc == 0 && (rc = block_scan_next(scan, &row)) == 1) {
		if (row.height >= k->wanted[shard].end) {
			rc = 0;
			break;
		}
		/* The row of a damaged block whose height is a gap already waits to be healed. */
		rc = gaps_has(&v->shards[shard].gaps, row.height) ? check_block(k, &row) : 0;
		if (rc == 0 && verb_stopped(k->call))
			rc = -EINTR;
	}
	if (rc == 0 && k->pipeline)
		rc = drain(k);
	return rc;
}

/* What the newest main block at or below `height`, and at or above `first`, witnesses of the
 * others. */
static int witnessed(struct check *k, uint64_t first, uint64_t height, uint64_t out[SHARD_MAX])
{
	struct block_row row;
	int rc = 0;
	memset(out, 0, SHARD_MAX * sizeof *out);
	while (height >= first && height > 0 &&
	       (rc = network_block(k->network, 0, height, &row)) == 0)
		height--;
	for (uint32_t i = 0; rc == 1 && i < row.witness_count; i++)
		if (row.witnesses[i].shard < SHARD_MAX)
			out[row.witnesses[i].shard] = row.witnesses[i].height;
	return MIN(rc, 0);
}

/* Everything, or what --range says. */
static int choose_heights(struct check *k, struct err *err)
{
	const char *text = k->call->options[OPTION_RANGE];
	uint64_t below[SHARD_MAX], last[SHARD_MAX];
	bool has_shard = false;
	uint32_t shard = 0;
	struct range range;
	for (uint32_t s = 0; s < SHARD_MAX; s++)
		k->wanted[s] = (struct range){ 1, UINT64_MAX };
	int rc = text ? verb_range_read(text, &has_shard, &shard, &range, err) : 0;
	if (rc < 0 || !text)
		return rc;
	AUTO(view_putp) struct view *v = network_view_get(k->network);
	if (shard >= v->shard_count)
		return err_set(err, -ENOENT, "there is no shard %u", shard);
	range.end = MIN(range.end, v->shards[shard].known + 1);
	if (range.first >= range.end)
		return err_set(err, -ENOENT, "shard %u ends at height %" PRIu64, shard,
			       v->shards[shard].known);
	rc = witnessed(k, 1, range.first - 1, below);
	if (rc == 0)
		rc = witnessed(k, range.first, range.end - 1, last);
	for (uint32_t s = 0; rc == 0 && s < SHARD_MAX; s++)
		k->wanted[s] = s == shard  ? range
			       : has_shard ? (struct range){ 1, 1 }
					   : (struct range){ below[s] + 1, last[s] + 1 };
	return rc;
}

/* Every row of the database is read: a state that cannot be read is as bad as a block. */
static int check_rows(struct check *k)
{
	struct family_check families[NETWORK_FAMILIES];
	int rc = network_check(k->network, families);
	for (int f = 0; rc == 0 && f < NETWORK_FAMILIES; f++) {
		k->tally.rows += families[f].rows;
		if (families[f].rc == 0)
			continue;
		k->tally.damaged++;
		verb_say(k->call, "chainfs verify: network %s: rows of %s cannot be read: %s\n",
			 network_name(k->network), families[f].name,
			 err_text(&families[f].err, families[f].rc));
	}
	return rc;
}

/* ---- what a restore brought: records whose blocks are not held ---- */

static void note_carried(struct check *k, const char *what, uint64_t number, const char *sentence)
{
	k->tally.damaged++;
	verb_say(k->call, "chainfs verify: network %s: %s %" PRIu64 ": %s\n",
		 network_name(k->network), what, number, sentence);
}

static int check_carriers(struct check *k)
{
	uint64_t last = 0;
	int rc = 1;
	while (rc != 0) {
		struct err why = ERR_INIT;
		rc = network_check_carried(k->network, &last, &why);
		if (rc < 0 && rc != -EBADMSG)
			return rc;
		if (rc == -EBADMSG)
			note_carried(k, "carried bytes", last, err_text(&why, rc));
		if (verb_stopped(k->call))
			return -EINTR;
	}
	return 0;
}

/* Is the row what its bytes say, and are they signed? Those of blocks were asked with the block. */
static int check_record(struct check *k, struct slice key, struct slice value)
{
	const struct chain_ops *ops = network_ops(k->network);
	AUTO(block_bytes_putp) const struct block_bytes *owner = NULL;
	struct stat_record stat;
	struct slice rest;
	struct chain_object o = { .form = 0 };
	struct err why = ERR_INIT;
	uint64_t object = 0;
	int rc = ops->record_split(value, &object, &rest);
	if (rc == 0)
		rc = network_stat(k->network, object, &stat);
	if (rc == 0)
		rc = err_set(&why, -EUCLEAN, "it has no stat record");
	if (rc == 1 && !stat.carrier)
		return 0;
	if (rc == 1)
		rc = network_object_bytes(k->network, &stat, &owner, &o.bytes, &why);
	if (rc == -EBADMSG)
		return 0; /* its carrier was named */
	if (rc == 0) {
		o.form = stat.form;
		o.time = stat.time;
		rc = ops->record_check(network_params(k->network), key, rest, &o, &why);
	}
	k->tally.carried++;
	if (rc == -EBADMSG || rc == -EKEYREJECTED || rc == -EUCLEAN) {
		note_carried(k, "object", object, err_text(&why, rc));
		rc = 0;
	}
	return rc;
}

/* The records of a restored shard as of now. What a block that is held brought is checked with
 * it. */
static int check_records(struct check *k, uint32_t shard, uint64_t height)
{
	static const enum space spaces[] = { SPACE_BOTH, SPACE_HYPER };
	AUTO(state_freep) struct state *st = NULL;
	int rc = state_open(k->network, shard, height, &st, NULL);
	for (size_t i = 0; i < ARRAY_LEN(spaces) && rc == 0; i++) {
		AUTO(state_scan_freep) struct state_scan *scan = NULL;
		struct slice key, value;
		rc = state_scan_new(st, spaces[i], SLICE_EMPTY, SLICE_EMPTY, false, &scan);
		while (rc == 0 && (rc = state_scan_next(scan, &key, &value)) == 1) {
			rc = 0;
			if (network_ops(k->network)->row_kind(key) == CHAIN_ROW_RECORD)
				rc = check_record(k, key, value);
			if (rc == 0 && verb_stopped(k->call))
				rc = -EINTR;
		}
	}
	return rc;
}

static int check_carried(struct check *k)
{
	AUTO(view_putp) struct view *v = network_view_get(k->network);
	int rc = check_carriers(k);
	for (uint32_t s = 0; s < v->shard_count && rc == 0; s++)
		if (v->shards[s].begins)
			rc = check_records(k, s, v->shards[s].replayed);
	return rc;
}

static void report_text(struct check *k)
{
	struct verb_call *c = k->call;
	const char *trust = network_trust(k->network);
	uint32_t shards = network_ops(k->network)->shard_count(network_params(k->network));
	verb_print(c, "network %s: validators from the %s%s\n", network_name(k->network), trust,
		   strcmp(trust, "archive") == 0 ? ", which vouches for itself" : "");
	for (uint32_t s = 0; s < shards; s++) {
		for (int l = 0; l < LEVEL_COUNT; l++) {
			verb_print(c, "shard %u %s:", s, level_names[l]);
			for (int v = 0; v < VERDICT_COUNT; v++)
				if (k->tally.verdicts[s][l][v])
					verb_print(c, " %s %" PRIu64, verdict_names[v],
						   k->tally.verdicts[s][l][v]);
			verb_print(c, "\n");
		}
	}
	verb_print(c,
		   "%" PRIu64 " blocks checked, %" PRIu64 " rows read, %" PRIu64
		   " damaged, %" PRIu64 " items that the bytes alone refuse\n",
		   k->tally.blocks, k->tally.rows, k->tally.damaged, k->tally.refused_items);
	if (k->tally.carried)
		verb_print(c, "%" PRIu64 " records checked whose bytes a checkpoint brought\n",
			   k->tally.carried);
}

static void report_json(struct check *k)
{
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 20);
	struct json j = json_of(&out, JSON_PRETTY);
	uint32_t shards = network_ops(k->network)->shard_count(network_params(k->network));
	json_object(&j, NULL);
	json_u64(&j, "blocks", k->tally.blocks);
	if (k->tally.carried)
		json_u64(&j, "carried", k->tally.carried);
	json_u64(&j, "damaged", k->tally.damaged);
	json_str(&j, "network", network_name(k->network));
	json_u64(&j, "refused_items", k->tally.refused_items);
	json_u64(&j, "rows", k->tally.rows);
	json_array(&j, "shards");
	for (uint32_t s = 0; s < shards; s++) {
		json_object(&j, NULL);
		for (int l = 0; l < LEVEL_COUNT; l++) {
			json_object(&j, level_names[l]);
			for (int v = 0; v < VERDICT_COUNT; v++)
				if (k->tally.verdicts[s][l][v])
					json_u64(&j, verdict_names[v], k->tally.verdicts[s][l][v]);
			json_end(&j);
		}
		json_end(&j);
	}
	json_end(&j);
	json_str(&j, "validators_from", network_trust(k->network));
	json_end(&j);
	if (json_done(&j) == 0)
		verb_write(k->call, buf_slice(&out));
}

static void check_freep(struct check **k)
{
	if (*k)
		pipeline_freep(&(*k)->pipeline);
	free(*k);
	*k = NULL;
}

int verb_verify(struct verb_call *c)
{
	struct err err = ERR_INIT;
	if (!c->store)
		return verb_verify_checkpoint(c);
	if (c->options[OPTION_CONFIG])
		return verb_fail(
			c,
			err_set(&err, -EINVAL, "--config is for checkpoints; a store has its own"),
			&err);
	AUTO(check_freep) struct check *k = calloc(1, sizeof *k);
	if (!k)
		return verb_fail(c, -ENOMEM, NULL);
	k->call = c;
	unsigned checkers = 0;
	int rc = verb_network(c, &k->network, &err);
	if (rc == 0)
		rc = verb_checkers(c, &checkers, &err);
	if (rc == 0 && !verb_has(c, OPTION_STORED))
		rc = pipeline_new(network_ops(k->network), network_params(k->network), checkers,
				  &k->pipeline);
	if (rc == 0)
		rc = choose_heights(k, &err);
	uint32_t shards =
		rc == 0 ? network_ops(k->network)->shard_count(network_params(k->network)) : 0;
	if (rc == 0 && k->pipeline && !verb_has(c, OPTION_RANGE))
		rc = check_rows(k);
	if (rc == 0 && k->pipeline)
		rc = check_carried(k);
	for (uint32_t s = 0; s < shards && rc == 0; s++) {
		rc = check_shard(k, s);
		if (rc == -EIO && k->tally.damaged)
			rc = 0; /* the rows of blocks are among what was named above */
	}
	if (rc == -EINTR)
		err_set(&err, rc, "interrupted");
	if (rc < 0)
		return verb_fail(c, rc, &err);
	if (verb_has(c, OPTION_JSON))
		report_json(k);
	else
		report_text(k);
	uint64_t failed = k->tally.damaged;
	for (uint32_t s = 0; s < shards; s++)
		for (int l = 0; l < LEVEL_COUNT; l++)
			failed += k->tally.verdicts[s][l][VERDICT_FAILED];
	return failed ? EXIT_FAULTS : EXIT_DONE;
}
