/* chainfs verify: checks what a store holds again, level by level, from the bytes. */
#include <stdio.h>

#include "core/control/verb.h"
#include "core/ingest/pipeline.h"
#include "core/store/network.h"

#define BATCH_BLOCKS 256u

struct tally {
	uint64_t verdicts[SHARD_MAX][LEVEL_COUNT][VERDICT_COUNT];
	uint64_t blocks, rows, damaged, refused_items;
};

struct check { /* one verification */
	struct verb_call *call;
	struct network   *network;
	struct pipeline  *pipeline; /* NULL: the stored results are shown */
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
	struct block_row row;
	int rc = block_scan_new(k->network, shard, 1, &scan);
	while (rc == 0 && (rc = block_scan_next(scan, &row)) == 1) {
		rc = check_block(k, &row);
		if (rc == 0 && verb_stopped(k->call))
			rc = -EINTR;
	}
	if (rc == 0 && k->pipeline)
		rc = drain(k);
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
}

static void report_json(struct check *k)
{
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 20);
	struct json j = json_of(&out, JSON_PRETTY);
	uint32_t shards = network_ops(k->network)->shard_count(network_params(k->network));
	json_object(&j, NULL);
	json_u64(&j, "blocks", k->tally.blocks);
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
	uint32_t shards =
		rc == 0 ? network_ops(k->network)->shard_count(network_params(k->network)) : 0;
	if (rc == 0 && k->pipeline)
		rc = check_rows(k);
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
