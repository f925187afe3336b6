/* Every engine gives what b3sum gives, in one call and in parts, at every length that matters. */
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/blake3_impl.h"
#include "core/base/hash.h"
#include "tests/support/support.h"

#define INPUT_SIZE_MAX (1u << 20)
#define CASES_MOST     4096
#define XOF_SIZE       200

static const char *const engines[] = { "portable", "sse41", "avx2", "avx512" };

static uint8_t *input; /* INPUT_SIZE_MAX bytes; each case is a slice of it */
static size_t   case_sizes[CASES_MOST], case_offsets[CASES_MOST], case_count;
static uint8_t  answers[CASES_MOST][XOF_SIZE];
static char     folder[] = "/tmp/chainfs-blake3-XXXXXX";

static void add_case(struct random *r, size_t size)
{
	if (case_count == CASES_MOST || size > INPUT_SIZE_MAX)
		return;
	case_sizes[case_count] = size;
	/* Any alignment: the engines load without asking for one. */
	case_offsets[case_count] = random_below(r, MIN((size_t)64, INPUT_SIZE_MAX - size) + 1);
	if (case_offsets[case_count] + size > INPUT_SIZE_MAX)
		case_offsets[case_count] = 0;
	case_count++;
}

static struct slice case_input(size_t i)
{
	return SLICE(input + case_offsets[i], case_sizes[i]);
}

static void choose_cases(struct random *r)
{
	for (size_t size = 0; size <= 1100; size += 1)
		add_case(r, size);
	/* Around each border of a chunk, and so of each group of lanes and each shape of tree. */
	for (size_t chunks = 1; chunks <= 140; chunks++)
		for (int step = -2; step <= 2; step++)
			add_case(r, (size_t)((int)(chunks * BLAKE3_CHUNK_SIZE) + step));
	for (size_t size = 2048; size <= INPUT_SIZE_MAX; size *= 2)
		for (int step = -1; step <= 1; step++)
			add_case(r, (size_t)((int)size + step));
	for (int i = 0; i < 100; i++)
		add_case(r, random_below(r, 20000));
	for (uint64_t i = rounds(30); i > 0; i--)
		add_case(r, random_below(r, INPUT_SIZE_MAX + 1));
}

/* Writes every case as a file and reads all answers from one b3sum. False when there is none. */
static bool ask_b3sum(void)
{
	char command[256], line[2 * XOF_SIZE + 64];

	if (system("command -v b3sum > /dev/null 2>&1") != 0)
		return false;
	assert_non_null(mkdtemp(folder));
	for (size_t i = 0; i < case_count; i++) {
		char path[64];

		snprintf(path, sizeof path, "%s/%05zu", folder, i);

		FILE *file = fopen(path, "wb");

		assert_non_null(file);
		assert_int_equal(fwrite(case_input(i).p, 1, case_sizes[i], file), case_sizes[i]);
		assert_int_equal(fclose(file), 0);
	}
	snprintf(command, sizeof command, "cd %s && b3sum --no-names --length %d ?????", folder,
		 XOF_SIZE);

	FILE *pipe = popen(command, "r");

	assert_non_null(pipe);
	for (size_t i = 0; i < case_count; i++) {
		assert_non_null(fgets(line, sizeof line, pipe));
		line[strcspn(line, "\n")] = '\0';
		assert_int_equal(unhex(line, answers[i], XOF_SIZE), XOF_SIZE);
	}
	assert_int_equal(pclose(pipe), 0);
	return true;
}

static int remove_files(void **state)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf %s", folder);
	free(input);
	return system(command);
}

static void check_case(struct random *r, size_t i, const char *engine)
{
	uint8_t got[XOF_SIZE];
	struct slice in = case_input(i);
	struct blake3 h;

	hash_blake3(in, got);
	if (memcmp(got, answers[i], HASH_SIZE) != 0)
		fail_msg("%s differs on %zu bytes", engine, in.n);
	memset(got, 0, sizeof got);
	hash_blake3_20(in, got);
	if (memcmp(got, answers[i], HASH20_SIZE) != 0 || got[HASH20_SIZE])
		fail_msg("%s cut to 20 bytes differs on %zu bytes", engine, in.n);

	/* In parts: mostly small ones, or mostly large ones, and empty ones among them. */
	size_t part_most = random_chance(r, 50) ? 100 : 70000;

	blake3_init(&h);
	while (in.n) {
		struct slice part = slice_sub(in, 0, random_below(r, part_most));

		blake3_add(&h, part);
		in = slice_sub(in, part.n, SIZE_MAX);
	}
	memset(got, 0, sizeof got);
	size_t out_size = random_below(r, XOF_SIZE + 1);

	blake3_end(&h, got, out_size);
	if (memcmp(got, answers[i], out_size) != 0)
		fail_msg("%s in parts differs on %zu bytes, %zu out", engine, case_sizes[i],
			 out_size);
	/* The end changes nothing: it can be asked again. */
	blake3_end(&h, got, XOF_SIZE);
	if (memcmp(got, answers[i], XOF_SIZE) != 0)
		fail_msg("%s asked again differs on %zu bytes", engine, case_sizes[i]);
}

static void every_engine_equals_b3sum(void **state)
{
	struct random r = random_of_run();

	input = malloc(INPUT_SIZE_MAX);
	random_bytes(&r, input, INPUT_SIZE_MAX);
	choose_cases(&r);
	if (!ask_b3sum()) {
		printf("# b3sum is not installed, nothing to compare with\n");
		skip();
	}
	for (size_t e = 0; e < ARRAY_LEN(engines); e++) {
		if (!blake3_use(engines[e])) {
			printf("# this machine has no %s\n", engines[e]);
			continue;
		}
		for (size_t i = 0; i < case_count; i++)
			check_case(&r, i, engines[e]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(every_engine_equals_b3sum, remove_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
