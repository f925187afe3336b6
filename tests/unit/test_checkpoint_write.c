/* Writing the folder of a checkpoint, and proving one that is none. */
#include "core/checkpoint/prove.h"
#include "core/checkpoint/write.h"
#include "tests/support/store_fixture.h"

#include <sys/stat.h>

#define NAME "0000000007-00000000"

struct parent {
	char path[128];
};

static void parent_open(struct parent *p)
{
	fixture_folder(p->path);
}

static void parent_release(struct parent *p)
{
	fixture_remove(p->path);
}

static bool there(const struct parent *p, const char *name)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s", p->path, name);
	return access(path, F_OK) == 0;
}

static void text_is(const struct parent *p, const char *name, const char *want)
{
	char path[512];
	size_t size;
	uint8_t *text;

	snprintf(path, sizeof path, "%s/%s", p->path, name);
	text = file_read(path, &size);
	assert_int_equal(size, strlen(want));
	assert_memory_equal(text, want, size);
	free(text);
}

static int put(struct folder_writer *w, const char *path, bool listed, const char *text)
{
	return folder_file_put(w, path, listed, slice_str(text), NULL);
}

static int write_small(const struct parent *p)
{
	AUTO(folder_writer_freep) struct folder_writer *w = NULL;
	int rc = folder_writer_new(p->path, NAME, &w, NULL);

	if (rc)
		return rc;
	rc = put(w, "info", true, "abc");
	if (rc == 0)
		rc = put(w, "blocks/0.pb", true, "");
	if (rc == 0)
		rc = put(w, "evidence/a", false, "own");
	return rc == 0 ? folder_writer_end(w, NULL) : rc;
}

#define EMPTY_SUM "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC_SUM   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void a_folder_gets_its_name_with_its_sums(void **state)
{
	AUTO(parent_release) struct parent p;

	parent_open(&p);
	assert_int_equal(write_small(&p), 0);
	text_is(&p, NAME "/SHA256SUMS", EMPTY_SUM "  blocks/0.pb\n" ABC_SUM "  info\n");
	text_is(&p, NAME "/evidence/a", "own");
	assert_false(there(&p, NAME ".part"));
	assert_int_equal(write_small(&p), 1); /* it is complete */
}

static void what_was_not_ended_is_taken_away(void **state)
{
	AUTO(parent_release) struct parent p;
	struct folder_writer *w = NULL;
	struct folder_file *f = NULL;

	parent_open(&p);
	assert_int_equal(folder_writer_new(p.path, NAME, &w, NULL), 0);
	assert_int_equal(put(w, "legacy/1/00.pb", true, "x"), 0);
	assert_int_equal(folder_file_new(w, "legacy/1/01.pb", true, &f, NULL), 0);
	assert_int_equal(folder_file_new(w, "legacy/1/01.pb", true, &f, NULL), -EEXIST);
	assert_true(there(&p, NAME ".part/legacy/1/01.pb"));
	folder_file_freep(&f);
	folder_writer_freep(&w);
	assert_false(there(&p, NAME ".part"));
	assert_false(there(&p, NAME));
}

static void a_name_that_somebody_took_stays_his(void **state)
{
	AUTO(parent_release) struct parent p;
	char path[512];

	parent_open(&p);
	snprintf(path, sizeof path, "%s/" NAME, p.path);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof path, "%s/" NAME "/mine", p.path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_true(write_small(&p) < 0);
	assert_true(there(&p, NAME "/mine"));
	assert_false(there(&p, NAME ".part"));
}

static void a_file_in_many_pieces_has_one_sum(void **state)
{
	AUTO(parent_release) struct parent p;
	struct folder_writer *w = NULL;
	struct folder_file *f = NULL;
	struct sha256 h;
	uint8_t sum[HASH_SIZE];
	char want[128];

	parent_open(&p);
	hash_sha256_init(&h);
	assert_int_equal(folder_writer_new(p.path, NAME, &w, NULL), 0);
	assert_int_equal(folder_file_new(w, "info", true, &f, NULL), 0);
	for (unsigned i = 0; i < 200000; i++) {
		uint8_t four[4];

		put_be32(four, i);
		buf_bytes(folder_file_buf(f), four, sizeof four);
		hash_sha256_add(&h, SLICE_ARRAY(four));
		assert_int_equal(folder_file_flush(f, NULL), 0);
	}
	assert_int_equal(folder_file_end(&f, NULL), 0);
	assert_null(f);
	assert_int_equal(folder_writer_bytes(w), 800000);
	assert_int_equal(folder_writer_end(w, NULL), 0);
	folder_writer_freep(&w);
	hash_sha256_end(&h, sum);
	hex_put(want, sum, sizeof sum);
	strcat(want, "  info\n");
	text_is(&p, NAME "/SHA256SUMS", want);
}

static void no_allocation_that_fails_leaves_half_a_folder(void **state)
{
	AUTO(parent_release) struct parent p;

	parent_open(&p);
	FOR_EACH_ALLOC_FAULT {
		int rc = write_small(&p);

		alloc_fault_pause();
		assert_true(rc == 0 || rc == -ENOMEM);
		assert_true(there(&p, NAME) == (rc == 0));
		assert_false(there(&p, NAME ".part"));
		alloc_fault_resume();
	}
	assert_true(there(&p, NAME "/SHA256SUMS"));
}

/* ---- proving what is none ---- */

static void a_folder_that_is_not_there_cannot_be_tried(void **state)
{
	struct proof proof;
	struct err err = ERR_INIT;

	assert_int_equal(checkpoint_prove("/no/such/folder", NULL, NULL, &proof, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/no/such/folder"));
}

struct seen {
	unsigned faults;
	char last[64];
};

static void see(void *arg, enum proof_level level, const char *path, const char *sentence)
{
	struct seen *s = arg;

	s->faults++;
	snprintf(s->last, sizeof s->last, "%s", path);
	assert_true(sentence[0] != '\0');
}

static void an_info_that_does_not_parse_leaves_the_rest_open(void **state)
{
	AUTO(parent_release) struct parent p;
	struct proof proof;
	struct seen seen = { .faults = 0 };
	char path[512];

	parent_open(&p);
	assert_int_equal(write_small(&p), 0);
	snprintf(path, sizeof path, "%s/" NAME, p.path);
	assert_int_equal(checkpoint_prove_each(path, NULL, NULL, see, &seen, &proof, NULL), 0);
	assert_int_equal(proof.levels[PROOF_BYTES].verdict, VERDICT_FAILED);
	for (int l = PROOF_BLOCKS; l < PROOF_COUNT; l++)
		assert_int_equal(proof.levels[l].verdict, VERDICT_PENDING);
	assert_int_equal(seen.faults, 1);
	assert_string_equal(seen.last, "info");
	assert_false(proof_holds(&proof));
}

static void stopping_is_an_error_and_no_verdict(void **state)
{
	AUTO(parent_release) struct parent p;
	atomic_bool stop = true;
	struct proof proof;
	char path[512];

	parent_open(&p);
	assert_int_equal(write_small(&p), 0);
	snprintf(path, sizeof path, "%s/" NAME, p.path);
	assert_int_equal(checkpoint_prove(path, NULL, &stop, &proof, NULL), -EINTR);
}

static void names_from_outside_are_shown_as_ascii(void **state)
{
	AUTO(parent_release) struct parent p;
	struct proof proof;
	struct seen seen = { .faults = 0 };
	char path[512];

	parent_open(&p);
	snprintf(path, sizeof path, "%s/a\x1b[2Jb\n", p.path);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof path, "%s/a\x1b[2Jb\n/c", p.path);
	fclose(fopen(path, "w"));
	assert_int_equal(checkpoint_prove_each(p.path, NULL, NULL, see, &seen, &proof, NULL), 0);
	for (size_t i = 0; i < strlen(seen.last); i++)
		assert_true(seen.last[i] >= ' ' && seen.last[i] < 127);
	assert_int_equal(seen.faults, 3); /* that, no SHA256SUMS, no info */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_folder_gets_its_name_with_its_sums),
		cmocka_unit_test(what_was_not_ended_is_taken_away),
		cmocka_unit_test(a_name_that_somebody_took_stays_his),
		cmocka_unit_test(a_file_in_many_pieces_has_one_sum),
		cmocka_unit_test(no_allocation_that_fails_leaves_half_a_folder),
		cmocka_unit_test(a_folder_that_is_not_there_cannot_be_tried),
		cmocka_unit_test(an_info_that_does_not_parse_leaves_the_rest_open),
		cmocka_unit_test(stopping_is_an_error_and_no_verdict),
		cmocka_unit_test(names_from_outside_are_shown_as_ascii),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
