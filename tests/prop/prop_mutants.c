/* Changed messages and blocks: none is accepted. What is changed are the recorded blocks of a
 * chain, where they stand, the messages in them, and the fuzzers' corpora; how, a seed and
 * mutants_lab.h say. What a mutant counts as is judged_lab.h's.
 *
 * MUTANTS=1000000 says how many in all; THREADS how many threads share them. */
#include "tests/prop/judged_lab.h"
#include "tests/prop/mutants_lab.h"

#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define MUTANTS      40000u
#define CORPUS       "tests/fuzz/corpus/"
#define THREADS_MAX  64u
#define BLOCK_SHARE  4u /* one mutant in so many is of a whole block */
#define CHAIN_BLOCKS 833u
#define CORPUS_MAX   64u

struct counts {
	uint64_t blocks, messages, foreign; /* mutants of each; foreign: of the corpora */
	uint64_t shaped, decoded;           /* changed field by field; blocks that decode */
	uint64_t by_level[LEVEL_COUNT];     /* blocks that decode, by the level that refuses them */
	uint64_t judged[JUDGEMENT_COUNT];
};

struct sample {
	uint8_t *bytes;
	size_t size;
	int kind; /* 0: a main block, 1: a shard's, 2: a message */
};

struct worker {
	pthread_t thread;
	uint64_t seed, quota;
	const char *trust;
	const struct sample *samples;
	size_t sample_count;
	struct counts counts;
	char first[256]; /* that was accepted */
};

/* ---- one mutant ---- */

static void judged(struct worker *w, enum judgement j, const char *what, const char *field)
{
	w->counts.judged[j]++;
	if (j != JUDGED_ACCEPTED)
		return;
	if (getenv("SHOW"))
		printf("# accepted: %s, %s\n", what, field);
	if (w->counts.judged[j] == 1)
		snprintf(w->first, sizeof w->first, "%s, changed in %s", what, field);
}

static void try_message(struct worker *w, struct random *r, struct slice message,
			struct slice other)
{
	AUTO(buf_release) struct buf changed = BUF_INIT(BLOCK_SIZE_MAX);
	char field[FIELD_SIZE];

	w->counts.shaped +=
		make_mutant(r, &sc__message__descriptor, message, other, false, &changed);
	w->counts.messages++;
	judged(w, judge_message(message, buf_slice(&changed), other, w->trust, field), "a message",
	       field);
}

static void try_block(struct worker *w, struct random *r, struct chain *c, uint32_t shard,
		      struct slice whole, const struct chain_block *honest, struct slice other)
{
	AUTO(buf_release) struct buf changed = BUF_INIT(BLOCK_SIZE_MAX);
	struct err why = ERR_INIT;
	char field[FIELD_SIZE];
	bool item = false;

	w->counts.shaped += make_mutant(r, block_descriptor(shard), whole, other, true, &changed);
	w->counts.blocks++;
	struct chain_block *b = decode(c, shard, buf_slice(&changed), &why);

	if (!b) {
		judged(w, JUDGED_REFUSED, "a block", "");
		return;
	}
	AUTO(base_freep) bool *standing = calloc(b->item_count + 1, sizeof *standing);

	assert_non_null(standing);
	w->counts.decoded++;
	int level = refuses(c, shard, b, honest, &item, standing);

	if (level >= 0) {
		judged(w, JUDGED_REFUSED, "a block", "");
		w->counts.by_level[level]++;
	} else {
		judged(w,
		       judge_block(shard, whole, buf_slice(&changed), b, honest, standing, w->trust,
				   field),
		       "a block", field);
	}
	c->ops->block_free(b);
}

static void try_foreign(struct worker *w, struct random *r, struct chain *c)
{
	const struct sample *s = &w->samples[random_below(r, w->sample_count)],
			    *o = &w->samples[random_below(r, w->sample_count)];
	AUTO(buf_release) struct buf changed = BUF_INIT(BLOCK_SIZE_MAX);
	struct err why = ERR_INIT;

	w->counts.foreign++;
	if (s->kind == 2) {
		try_message(w, r, SLICE(s->bytes, s->size), SLICE(o->bytes, o->size));
		w->counts.messages--;
		return;
	}
	struct slice whole = SLICE(s->bytes, s->size);
	uint32_t shard = (uint32_t)s->kind;

	w->counts.shaped += make_mutant(r, block_descriptor(shard), whole, SLICE(o->bytes, o->size),
					true, &changed);
	struct chain_block *b = decode(c, shard, buf_slice(&changed), &why);
	struct chain_block *was = b ? decode(c, shard, whole, &why) : NULL;

	judged(w, judge_foreign(shard, whole, buf_slice(&changed), b, was, w->trust), "a block",
	       "");
	if (b)
		c->ops->block_free(b);
	if (was)
		c->ops->block_free(was);
}

/* ---- a thread: the chain from its beginning, as often as it takes ---- */

static struct slice message_of(const struct chain_block *b, struct random *r)
{
	for (unsigned tries = 0; b->item_count && tries < 8; tries++) {
		const struct chain_item *it = &b->items[random_below(r, b->item_count)];

		if (it->form == SC_FORM_MESSAGE)
			return SLICE(b->canonical.p + it->offset, it->size);
	}
	return SLICE_EMPTY;
}

static void at_block(struct worker *w, struct random *r, struct chain *c, uint32_t shard,
		     struct slice whole, const struct chain_block *honest, struct buf *before,
		     struct buf *kept, uint64_t n)
{
	struct slice other = before->n ? buf_slice(before) : whole;
	struct slice own = message_of(honest, r);

	/* Many blocks have none: then it is one of an earlier block. */
	if (own.n) {
		buf_clear(kept);
		buf_add(kept, own);
	}

	for (; n; n--) {
		struct slice message = message_of(honest, r), lender = message_of(honest, r);

		if (!message.n)
			message = buf_slice(kept);

		if (random_chance(r, 5))
			try_foreign(w, r, c);
		else if (random_below(r, BLOCK_SHARE) == 0 || !message.n)
			try_block(w, r, c, shard, whole, honest, other);
		else
			try_message(w, r, message, lender.n ? lender : other);
	}
	buf_clear(before);
	buf_add(before, whole);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct random r = random_of(w->seed);
	struct err err = ERR_INIT;
	AUTO(buf_release) struct buf kept = BUF_INIT(BLOCK_SIZE_MAX);
	uint64_t shards;
	struct chain c = { 0 };

	open_chain(&c);
	shards = archive_shards(c.archive);
	for (uint32_t s = 0; s < shards; s++) {
		/* The main shard has no messages. */
		uint64_t left = s ? w->quota * 9 / 10 / (shards - 1) : w->quota / 10;
		uint64_t per = left / (CHAIN_BLOCKS / shards) + 1, share = left;
		AUTO(buf_release) struct buf message = BUF_INIT(BLOCK_SIZE_MAX);
		AUTO(buf_release) struct buf before = BUF_INIT(BLOCK_SIZE_MAX);

		while (left && archive_next(c.archive, s, &message, &err) == 1) {
			struct chain_block *honest = decode(&c, s, buf_slice(&message), &err);
			/* So that few mutants meet blocks all over the chain. */
			uint64_t n = per > 1 ? MIN(per, left)
					     : random_chance(&r, (unsigned)(100 * share * shards /
									    CHAIN_BLOCKS) +
									 1);

			at_block(w, &r, &c, s, buf_slice(&message), honest, &before, &kept, n);
			left -= n;
			advance(&c, s, honest);
			c.ops->block_free(honest);
		}
	}
	close_chain(&c);
	return NULL;
}

/* ---- the corpora ---- */

static size_t read_corpora(struct sample *out)
{
	static const char *const folders[] = { "block", "chunk", "message" };
	size_t count = 0;

	for (int k = 0; k < 3; k++) {
		char path[512];

		snprintf(path, sizeof path, CORPUS "%s", folders[k]);
		DIR *d = opendir(path);

		assert_non_null(d);
		for (const struct dirent *e; count < CORPUS_MAX && (e = readdir(d));) {
			if (e->d_name[0] == '.')
				continue;
			snprintf(path, sizeof path, CORPUS "%s/%s", folders[k], e->d_name);
			out[count].bytes = file_read(path, &out[count].size);
			out[count++].kind = k;
		}
		closedir(d);
	}
	return count;
}

static uint64_t number_from(const char *name, uint64_t usual)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : usual;
}

static void no_mutant_is_accepted(void **state)
{
	struct random r = random_of_run();
	struct sample samples[CORPUS_MAX];
	size_t sample_count = read_corpora(samples);
	AUTO(base_freep) char *trust = read_trust();
	static struct worker workers[THREADS_MAX];
	uint64_t all = number_from("MUTANTS", rounds(MUTANTS));
	uint64_t threads = number_from("THREADS", (uint64_t)MAX(sysconf(_SC_NPROCESSORS_ONLN), 1));
	struct counts t = { 0 };
	uint64_t done = 0;
	struct timespec from, to;

	(void)state;
	threads = MAX(MIN(threads, (uint64_t)THREADS_MAX), 1u);
	assert_int_equal(sign_init(), 0);
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (uint64_t i = 0; i < threads; i++) {
		workers[i] = (struct worker){ .seed = random_u64(&r),
					      .quota = all / threads,
					      .trust = trust,
					      .samples = samples,
					      .sample_count = sample_count };
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (uint64_t i = 0; i < threads; i++) {
		const struct counts *c = &workers[i].counts;

		pthread_join(workers[i].thread, NULL);
		t.blocks += c->blocks;
		t.messages += c->messages;
		t.foreign += c->foreign;
		for (size_t j = 0; j < JUDGEMENT_COUNT; j++) {
			t.judged[j] += c->judged[j];
			done += c->judged[j];
		}
		t.shaped += c->shaped;
		t.decoded += c->decoded;
		for (size_t l = 0; l < LEVEL_COUNT; l++)
			t.by_level[l] += c->by_level[l];
		if (workers[i].first[0])
			print_message("# accepted: %s (thread %u of %u)\n", workers[i].first,
				      (unsigned)i, (unsigned)threads);
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	double seconds =
		(double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;

	print_message("# %" PRIu64 " mutants: %" PRIu64 " of blocks, %" PRIu64
		      " of messages, %" PRIu64 " of corpora: %" PRIu64 " refused, %" PRIu64
		      " reported, %" PRIu64 " reordered, %" PRIu64 " same, %" PRIu64
		      " in fields that nothing covers, %" PRIu64 " for replay alone, %" PRIu64
		      " accepted; %.1f s, %.0f a second\n",
		      done, t.blocks, t.messages, t.foreign, t.judged[JUDGED_REFUSED],
		      t.judged[JUDGED_REPORTED], t.judged[JUDGED_REORDERED], t.judged[JUDGED_SAME],
		      t.judged[JUDGED_UNCOVERED], t.judged[JUDGED_UNJUDGED],
		      t.judged[JUDGED_ACCEPTED], seconds, (double)done / seconds);
	print_message("# %" PRIu64 " of them changed field by field; %" PRIu64
		      " of the blocks decode: structure refuses %" PRIu64 ", header %" PRIu64
		      ", commit %" PRIu64 ", accounts %" PRIu64 ", state %" PRIu64 "\n",
		      t.shaped, t.decoded, t.by_level[LEVEL_STRUCTURE], t.by_level[LEVEL_HEADER],
		      t.by_level[LEVEL_COMMIT], t.by_level[LEVEL_ACCOUNTS],
		      t.by_level[LEVEL_STATE]);
	for (size_t i = 0; i < sample_count; i++)
		free(samples[i].bytes);
	assert_int_equal(t.judged[JUDGED_ACCEPTED], 0);
	assert_true(done >= all / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_mutant_is_accepted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
