/* BLAKE3 from its specification: chunks of 1 KiB are the leaves of a binary tree whose left
 * subtrees are complete. The mixing itself lies in the engines (blake3_impl.h). */
#include "core/base/blake3_impl.h"
#include "core/base/hash.h"

/* Chunks given to an engine in one go: a power of two, large enough that the parents on top, too
 * few for all lanes, cost little. */
#define BATCH      256
#define BATCH_SIZE (BATCH * BLAKE3_CHUNK_SIZE)

const uint32_t blake3_iv[8] = {
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
	0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

/* ---- engines ---- */

static const struct blake3_engine *const engines[] = {
#if defined(__x86_64__)
	&blake3_avx512, &blake3_avx2, &blake3_sse41,
#endif
	&blake3_portable,
};

static const struct blake3_engine *chosen; /* read and set atomically; every answer is the same */

static const struct blake3_engine *choose(void)
{
	const struct blake3_engine *const *best = engines;

	while (!(*best)->usable())
		best++;
	__atomic_store_n(&chosen, *best, __ATOMIC_RELAXED);
	return *best;
}

static inline const struct blake3_engine *engine(void)
{
	const struct blake3_engine *e = __atomic_load_n(&chosen, __ATOMIC_RELAXED);

	return e ? e : choose();
}

bool blake3_use(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(engines); i++) {
		if (strcmp(engines[i]->name, name) == 0 && engines[i]->usable()) {
			__atomic_store_n(&chosen, engines[i], __ATOMIC_RELAXED);
			return true;
		}
	}
	return false;
}

const char *blake3_engine_name(void)
{
	return engine()->name;
}

/* ---- words and bytes ---- */

static void store_words(uint8_t *out, const uint32_t *words, size_t bytes)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	memcpy(out, words, bytes);
#else
	for (size_t i = 0; i < bytes; i++)
		out[i] = (uint8_t)(words[i / 4] >> (8 * (i % 4)));
#endif
}

/* ---- streaming ---- */

static void chunk_start(struct blake3 *h)
{
	memcpy(h->cv, blake3_iv, sizeof h->cv);
	h->block_size = 0;
	h->blocks_done = 0;
}

void blake3_init(struct blake3 *h)
{
	/* The stack stays as it is: only what was pushed is ever read. */
	chunk_start(h);
	h->chunk_index = 0;
	h->stack_count = 0;
}

/* Pushes the cv of a complete subtree of `chunks` chunks, a power of two to which chunk_index is
 * aligned. The caller knows that more input follows, so no parent merged here can be the root,
 * and the stack holds one subtree for each bit that is set in the number of chunks. */
static void push(struct blake3 *h, const struct blake3_engine *e, const uint32_t cv[8],
		 uint64_t chunks)
{
	memcpy(h->stack[h->stack_count++], cv, sizeof h->stack[0]);
	h->chunk_index += chunks;
	while (h->stack_count > __builtin_popcountll(h->chunk_index)) {
		h->stack_count--;
		e->parents((const uint32_t(*)[8])&h->stack[h->stack_count - 1], 1,
			   &h->stack[h->stack_count - 1]);
	}
}

/* Parents over `count` neighbours, level by level, until `goal` are left (or were there from the
 * start). An odd one at the end waits for the next level, which is the shape that the tree has. */
static size_t reduce(const struct blake3_engine *e, uint32_t (*cvs)[8], size_t count, size_t goal)
{
	while (count > goal) {
		e->parents((const uint32_t(*)[8])cvs, count / 2, cvs);
		if (count % 2)
			memcpy(cvs[count / 2], cvs[count - 1], sizeof *cvs);
		count = (count + 1) / 2;
	}
	return count;
}

/* Hashes whole chunks as subtrees as large as alignment and BATCH allow. The last chunk of the
 * input is not among them: whether it is the root shows only at the end. */
static struct slice whole_chunks(struct blake3 *h, const struct blake3_engine *e, struct slice in)
{
	uint32_t cvs[BATCH][8];

	while (in.n > BLAKE3_CHUNK_SIZE) {
		uint64_t there = (in.n - 1) / BLAKE3_CHUNK_SIZE;
		uint64_t count = there >= BATCH ? BATCH : 1ull << (63 - __builtin_clzll(there));
		uint64_t aligned = h->chunk_index & -h->chunk_index;

		if (aligned && aligned < count)
			count = aligned;
		e->chunks(in.p, count, h->chunk_index, cvs);
		reduce(e, cvs, count, 1);
		push(h, e, cvs[0], count);
		in = SLICE(in.p + count * BLAKE3_CHUNK_SIZE, in.n - count * BLAKE3_CHUNK_SIZE);
	}
	return in;
}

static uint32_t start_flag(const struct blake3 *h)
{
	return h->blocks_done == 0 ? BLAKE3_CHUNK_START : 0;
}

void blake3_add(struct blake3 *h, struct slice in)
{
	const struct blake3_engine *e = engine();

	while (in.n) {
		/* A full block waits in h->block until more comes: the last one has other flags. */
		if (h->block_size == BLAKE3_BLOCK_SIZE) {
			bool ends = h->blocks_done == 15;

			e->compress(h->cv, h->block, BLAKE3_BLOCK_SIZE, h->chunk_index,
				    start_flag(h) | (ends ? BLAKE3_CHUNK_END : 0));
			h->blocks_done++;
			h->block_size = 0;
			if (ends) {
				uint32_t cv[8];

				memcpy(cv, h->cv, sizeof cv);
				push(h, e, cv, 1);
				chunk_start(h);
			}
		}
		if (h->block_size == 0) {
			if (h->blocks_done == 0)
				in = whole_chunks(h, e, in);

			size_t before_last = (in.n - 1) / BLAKE3_BLOCK_SIZE;
			size_t blocks = MIN(before_last, (size_t)15 - h->blocks_done);

			if (blocks) {
				e->blocks(h->cv, in.p, blocks, h->chunk_index, start_flag(h));
				h->blocks_done = (uint8_t)(h->blocks_done + blocks);
				in = SLICE(in.p + blocks * BLAKE3_BLOCK_SIZE,
					   in.n - blocks * BLAKE3_BLOCK_SIZE);
			}
		}
		size_t n = MIN(in.n, (size_t)BLAKE3_BLOCK_SIZE - h->block_size);

		memcpy(h->block + h->block_size, in.p, n);
		h->block_size = (uint8_t)(h->block_size + n);
		in = SLICE(in.p + n, in.n - n);
	}
}

void blake3_end(const struct blake3 *h, uint8_t *out, size_t out_size)
{
	const struct blake3_engine *e = engine();
	uint32_t cv[8], size = h->block_size;
	uint32_t flags = start_flag(h) | BLAKE3_CHUNK_END;
	uint64_t counter = h->chunk_index;
	uint8_t block[BLAKE3_BLOCK_SIZE] = { 0 };

	memcpy(cv, h->cv, sizeof cv);
	memcpy(block, h->block, h->block_size);
	for (unsigned i = h->stack_count; i-- > 0;) {
		e->compress(cv, block, size, counter, flags);
		store_words(block, h->stack[i], 32);
		store_words(block + 32, cv, 32);
		memcpy(cv, blake3_iv, sizeof cv);
		size = BLAKE3_BLOCK_SIZE;
		flags = BLAKE3_PARENT;
		counter = 0;
	}
	flags |= BLAKE3_ROOT;
	if (out_size <= HASH_SIZE) {
		e->compress(cv, block, size, 0, flags);
		store_words(out, cv, out_size);
		return;
	}
	for (uint64_t i = 0; out_size; i++) {
		uint32_t words[16];
		size_t n = MIN(out_size, sizeof words);

		blake3_wide(cv, block, size, i, flags, words);
		store_words(out, words, n);
		out += n;
		out_size -= n;
	}
}

/* ---- all in one call ---- */

/* Mixes all but the last block of a chunk into cv and pads what is left into `last`: 1 to 64 bytes
 * of it, or 0 of an empty input. Gives that size, and in `flags` what the last block needs. */
static uint32_t chunk_but_last(const struct blake3_engine *e, uint32_t cv[8], struct slice in,
			       uint64_t index, uint8_t last[BLAKE3_BLOCK_SIZE], uint32_t *flags)
{
	size_t blocks = in.n ? (in.n - 1) / BLAKE3_BLOCK_SIZE : 0;
	size_t size = in.n - blocks * BLAKE3_BLOCK_SIZE;

	memcpy(cv, blake3_iv, sizeof blake3_iv);
	if (blocks)
		e->blocks(cv, in.p, blocks, index, BLAKE3_CHUNK_START);
	if (size == BLAKE3_BLOCK_SIZE) {
		memcpy(last, in.p + blocks * BLAKE3_BLOCK_SIZE, BLAKE3_BLOCK_SIZE);
	} else {
		memset(last, 0, BLAKE3_BLOCK_SIZE);
		if (size)
			memcpy(last, in.p + blocks * BLAKE3_BLOCK_SIZE, size);
	}
	*flags = BLAKE3_CHUNK_END | (blocks ? 0 : BLAKE3_CHUNK_START);
	return (uint32_t)size;
}

/* What a trie hashes is one chunk or less: no tree, no state. */
static void hash_small(const struct blake3_engine *e, struct slice in, uint8_t *out,
		       size_t out_size)
{
	uint32_t cv[8], flags;
	uint8_t last[BLAKE3_BLOCK_SIZE];
	uint32_t size = chunk_but_last(e, cv, in, 0, last, &flags);

	e->compress(cv, last, size, 0, flags | BLAKE3_ROOT);
	store_words(out, cv, out_size);
}

/* Where the end is known no chunk has to be held back, so all of the last ones go side by side. */
static void hash_large(const struct blake3_engine *e, struct slice in, uint8_t *out,
		       size_t out_size)
{
	uint32_t cvs[BATCH + 1][8], pair[2][8];
	struct blake3 h;

	blake3_init(&h);
	while (in.n > BATCH_SIZE) {
		e->chunks(in.p, BATCH, h.chunk_index, cvs);
		reduce(e, cvs, BATCH, 1);
		push(&h, e, cvs[0], BATCH);
		in = SLICE(in.p + BATCH_SIZE, in.n - BATCH_SIZE);
	}
	size_t count = in.n / BLAKE3_CHUNK_SIZE;
	struct slice tail = slice_sub(in, count * BLAKE3_CHUNK_SIZE, SIZE_MAX);

	if (count)
		e->chunks(in.p, count, h.chunk_index, cvs);
	if (tail.n) {
		uint64_t index = h.chunk_index + count;
		uint8_t last[BLAKE3_BLOCK_SIZE];
		uint32_t flags, size = chunk_but_last(e, cvs[count], tail, index, last, &flags);

		e->compress(cvs[count], last, size, index, flags);
		count++;
	}
	/* Only the parent over everything is the root: the last pair is kept for it. */
	if (reduce(e, cvs, count, h.stack_count ? 1 : 2) == 2) {
		memcpy(pair, cvs, sizeof pair);
	} else {
		memcpy(pair[1], cvs[0], sizeof pair[1]);
		while (h.stack_count > 1) {
			memcpy(pair[0], h.stack[--h.stack_count], sizeof pair[0]);
			e->parents((const uint32_t(*)[8])pair, 1, &pair[1]);
		}
		memcpy(pair[0], h.stack[0], sizeof pair[0]);
	}
	uint32_t root[8];
	uint8_t block[BLAKE3_BLOCK_SIZE];

	memcpy(root, blake3_iv, sizeof root);
	store_words(block, pair[0], sizeof block);
	e->compress(root, block, BLAKE3_BLOCK_SIZE, 0, BLAKE3_PARENT | BLAKE3_ROOT);
	store_words(out, root, out_size);
}

static inline void hash_to(struct slice in, uint8_t *out, size_t out_size)
{
	if (in.n <= BLAKE3_CHUNK_SIZE)
		hash_small(engine(), in, out, out_size);
	else
		hash_large(engine(), in, out, out_size);
}

void hash_blake3(struct slice in, uint8_t out[HASH_SIZE])
{
	hash_to(in, out, HASH_SIZE);
}

void hash_blake3_20(struct slice in, uint8_t out[HASH20_SIZE])
{
	hash_to(in, out, HASH20_SIZE);
}
