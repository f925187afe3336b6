#include "core/base/blake3_impl.h"
#include "core/base/hash.h"
#include "tests/support/support.h"

typedef void hash_function(struct slice in, uint8_t out[HASH_SIZE]);

static void hash_is(hash_function *hash, struct slice in, const char *want)
{
	uint8_t out[HASH_SIZE];
	char hex[2 * HASH_SIZE + 1];

	hash(in, out);
	hex_put(hex, out, sizeof out);
	assert_string_equal(hex, want);
}

/* The hash of the hashes of many prefixes of one input: one answer for every length. */
static void prefixes_are(hash_function *hash, size_t size, size_t step, const char *want)
{
	AUTO(buf_release) struct buf all = BUF_INIT(1 << 20);
	uint8_t in[5000], out[HASH_SIZE];

	for (size_t i = 0; i < sizeof in; i++)
		in[i] = (uint8_t)(i * 7 + 3);
	for (size_t n = 0; n < size; n += step) {
		hash(SLICE(in, n), out);
		buf_bytes(&all, out, sizeof out);
	}
	assert_int_equal(buf_done(&all), 0);
	hash_is(hash, buf_slice(&all), want);
}

static void sha256_gives_the_known_answers(void **state)
{
	hash_is(hash_sha256, SLICE_EMPTY,
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	hash_is(hash_sha256, slice_str("abc"),
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	prefixes_are(hash_sha256, 600, 1,
		     "f6ca03026951132b26cabf4d60c0bf0fa2a339bbd4ea6080904a4b21d33dea2f");
}

static void in_parts(struct slice in, uint8_t out[HASH_SIZE])
{
	struct sha256 h;

	hash_sha256_init(&h);
	for (size_t step = 1; in.n; step = step % 130 + 1) {
		hash_sha256_add(&h, slice_sub(in, 0, step));
		in = slice_sub(in, step, in.n);
	}
	hash_sha256_end(&h, out);
}

static void sha256_in_parts_gives_the_same(void **state)
{
	hash_is(in_parts, SLICE_EMPTY,
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	prefixes_are(in_parts, 600, 1,
		     "f6ca03026951132b26cabf4d60c0bf0fa2a339bbd4ea6080904a4b21d33dea2f");
}

static void keccak_gives_the_known_answers_around_every_block(void **state)
{
	hash_is(hash_keccak256, SLICE_EMPTY,
		"c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
	hash_is(hash_keccak256, slice_str("abc"),
		"4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45");
	prefixes_are(hash_keccak256, 600, 1,
		     "916376dcaa25857664f152e377e9977f06a3f39b9bed1eb364f8fa35f241a5bc");
}

static void blake3_gives_the_known_answers_on_every_engine(void **state)
{
	static const char *const engines[] = { "portable", "sse41", "avx2", "avx512" };

	assert_true(blake3_use("portable"));
	assert_false(blake3_use("abacus"));
	assert_string_equal(blake3_engine_name(), "portable");
	for (size_t i = 0; i < ARRAY_LEN(engines); i++) {
		if (!blake3_use(engines[i]))
			continue;
		hash_is(hash_blake3, SLICE_EMPTY,
			"af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
		hash_is(hash_blake3, slice_str("abc"),
			"6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
		prefixes_are(hash_blake3, 5000, 37,
			     "0d31dd96742873d448169cb35aa7d7ddef0261bf5148c42c90268f0bb846ad91");
	}
}

static void twenty_bytes_are_the_first_of_thirty_two(void **state)
{
	uint8_t whole[HASH_SIZE], cut[HASH_SIZE] = { 0 }, zero[HASH_SIZE] = { 0 };

	hash_blake3(slice_str("abc"), whole);
	hash_blake3_20(slice_str("abc"), cut);
	assert_memory_equal(cut, whole, HASH20_SIZE);
	assert_memory_equal(cut + HASH20_SIZE, zero, HASH_SIZE - HASH20_SIZE);
}

static void a_stream_may_be_stopped_anywhere_and_copied(void **state)
{
	static uint8_t part[70001];
	struct blake3 h, copy;
	uint8_t one[HASH_SIZE], two[HASH_SIZE];

	blake3_init(&h);
	for (int i = 0; i < 50; i++) {
		blake3_add(&h, SLICE(part, sizeof part));
		copy = h;
		blake3_end(&h, one, sizeof one);
		blake3_end(&copy, two, sizeof two);
		assert_memory_equal(one, two, sizeof one);
	}
	AUTO(base_freep) uint8_t *all = calloc(50, sizeof part);

	hash_blake3(SLICE(all, 50 * sizeof part), two);
	assert_memory_equal(one, two, sizeof one);
}

/* No test holds the 4 TiB that it takes to get there by hashing. */
static void engines_agree_where_the_chunk_number_leaves_32_bits(void **state)
{
#if defined(__x86_64__)
	static const struct blake3_engine *const engines[] = {
		&blake3_sse41, &blake3_avx2, &blake3_avx512,
	};
	static _Alignas(32) uint8_t in[40 * BLAKE3_CHUNK_SIZE];
	struct random r = random_of_run();

	random_bytes(&r, in, sizeof in);
	for (size_t e = 0; e < ARRAY_LEN(engines); e++) {
		if (!engines[e]->usable())
			continue;
		for (size_t count = 1; count <= 40; count++) {
			uint64_t index = (1ull << 32) - random_below(&r, 40);
			uint32_t want[40][8], got[40][8];

			/* At the very end, where a lane that reads too far is seen. */
			const uint8_t *chunks = in + sizeof in - count * BLAKE3_CHUNK_SIZE;
			const uint8_t *pairs = in + sizeof in - count * BLAKE3_BLOCK_SIZE;

			blake3_portable.chunks(chunks, count, index, want);
			engines[e]->chunks(chunks, count, index, got);
			assert_memory_equal(got, want, count * sizeof *want);
			blake3_portable.parents((const uint32_t(*)[8])pairs, count, want);
			engines[e]->parents((const uint32_t(*)[8])pairs, count, got);
			assert_memory_equal(got, want, count * sizeof *want);
		}
	}
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_gives_the_known_answers),
		cmocka_unit_test(sha256_in_parts_gives_the_same),
		cmocka_unit_test(keccak_gives_the_known_answers_around_every_block),
		cmocka_unit_test(blake3_gives_the_known_answers_on_every_engine),
		cmocka_unit_test(engines_agree_where_the_chunk_number_leaves_32_bits),
		cmocka_unit_test(twenty_bytes_are_the_first_of_thirty_two),
		cmocka_unit_test(a_stream_may_be_stopped_anywhere_and_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
