#include "core/store/store.h"
#include "core/store/lock.h"
#include "tests/support/store_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int try_open(const char *path, bool create, struct store **out, struct err *err)
{
	struct store_options options = fixture_options();

	options.create = create;
	options.holder = "test, pid 1";
	return store_open(path, &options, out, err);
}

static void write_file(const char *folder, const char *name, const char *text)
{
	char path[300];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void cleanup(char (*path)[128])
{
	fixture_remove(*path);
}

static void a_store_is_made_once_and_opened_again(void **state)
{
	AUTO(cleanup) char path[128];
	AUTO(store_closep) struct store *s = NULL;
	struct err err = ERR_INIT;
	struct stat st;
	char inside[200];

	fixture_folder(path);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(try_open(path, false, &s, &err), -ENOENT);
	assert_non_null(strstr(err.text, "there is no store"));
	assert_int_equal(try_open(path, true, &s, NULL), 0);
	assert_string_equal(store_path(s), path);
	assert_int_equal(store_network_count(s), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	snprintf(inside, sizeof inside, "%s/reserve", path);
	assert_int_equal(stat(inside, &st), 0);
	assert_true((uint64_t)st.st_blocks * 512 >= STORE_RESERVE_SIZE);
	assert_true(store_size(s) < 1u << 20);
	assert_int_equal(store_space(s, NULL), 0);
	assert_int_equal(store_reserve_release(s, NULL), 0);
	assert_int_equal(stat(inside, &st), -1);
	store_closep(&s);
	assert_int_equal(try_open(path, false, &s, NULL), 0);
	assert_int_equal(stat(inside, &st), 0);
}

static void an_empty_folder_is_no_store_until_one_is_made_there(void **state)
{
	AUTO(cleanup) char path[128];
	AUTO(store_closep) struct store *s = NULL;

	fixture_folder(path);
	assert_int_equal(try_open(path, false, &s, NULL), -ENOENT);
	assert_int_equal(try_open(path, true, &s, NULL), 0);
}

static void a_folder_of_somebody_else_is_refused_and_left_alone(void **state)
{
	AUTO(cleanup) char path[128];
	struct store *s = NULL;
	struct err err = ERR_INIT;
	struct stat st;
	char lock[200];

	fixture_folder(path);
	write_file(path, "thesis.tex", "x");
	assert_int_equal(try_open(path, true, &s, &err), -ENOTEMPTY);
	assert_non_null(strstr(err.text, "thesis.tex"));
	snprintf(lock, sizeof lock, "%s/lock", path);
	assert_int_equal(stat(lock, &st), -1);
	write_file(path, "chainfs-store", "");
	assert_int_equal(try_open(path, true, &s, NULL), -EPROTONOSUPPORT);
}

static void a_format_of_tomorrow_is_refused_with_a_sentence(void **state)
{
	AUTO(cleanup) char path[128];
	AUTO(store_closep) struct store *s = NULL;
	struct err err = ERR_INIT;

	fixture_folder(path);
	assert_int_equal(try_open(path, true, &s, NULL), 0);
	store_closep(&s);
	write_file(path, "chainfs-store", "chainfs store 4\n");
	assert_int_equal(try_open(path, true, &s, &err), -EPROTONOSUPPORT);
	assert_non_null(strstr(err.text, "format 4; this program reads formats 1 to 3"));
	write_file(path, "chainfs-store", "chainfs store two\n");
	assert_int_equal(try_open(path, true, &s, NULL), -EPROTONOSUPPORT);
	write_file(path, "chainfs-store", "chainfs store 1\n");
	assert_int_equal(try_open(path, false, &s, NULL), 0);
}

static void a_second_holder_is_told_who_the_first_one_is(void **state)
{
	AUTO(cleanup) char path[128];
	AUTO(store_closep) struct store *s = NULL, *second = NULL;
	struct err err = ERR_INIT;
	char holder[LOCK_TEXT_MAX];

	fixture_folder(path);
	assert_int_equal(store_holder(path, holder, sizeof holder), -ENOENT);
	assert_int_equal(try_open(path, true, &s, NULL), 0);
	assert_int_equal(try_open(path, true, &second, &err), -EBUSY);
	char wanted[256];

	snprintf(wanted, sizeof wanted, "store %s: held by: test, pid 1", path);
	assert_string_equal(err.text, wanted);
	assert_int_equal(store_holder(path, holder, sizeof holder), 0);
	assert_string_equal(holder, "test, pid 1");
	store_closep(&s);
	assert_int_equal(store_holder(path, holder, sizeof holder), -ENOENT);
	assert_int_equal(try_open(path, true, &second, NULL), 0);
}

static void the_text_of_a_killed_holder_is_no_obstacle(void **state)
{
	AUTO(cleanup) char path[128];
	AUTO(store_closep) struct store *s = NULL;
	char holder[LOCK_TEXT_MAX], lock[200];
	int ready[2], status;

	fixture_folder(path);
	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();

	if (child == 0) {
		struct store *mine = NULL;
		char ok = try_open(path, true, &mine, NULL) == 0;

		(void)!write(ready[1], &ok, 1);
		pause();
	}
	char ok = 0;

	assert_int_equal(read(ready[0], &ok, 1), 1);
	assert_true(ok);
	assert_int_equal(store_holder(path, holder, sizeof holder), 0);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	close(ready[0]);
	close(ready[1]);
	snprintf(lock, sizeof lock, "%s/lock", path);
	size_t n;
	AUTO(base_freep) uint8_t *text = file_read(lock, &n);

	assert_true(n > 0); /* the words stayed, the lock did not */
	assert_int_equal(store_holder(path, holder, sizeof holder), -ENOENT);
	assert_int_equal(try_open(path, false, &s, NULL), 0);
}

static void *let_go_later(void *lock)
{
	usleep(100000);
	lock_putp(lock);
	return NULL;
}

/* Who is killed is gone as a process before the last of its threads closes its files. */
static void a_holder_that_is_being_ended_is_waited_for(void **state)
{
	AUTO(cleanup) char path[128];
	char file[160], holder[32];
	int lock, next;
	pthread_t thread;
	pid_t dead = fork();

	if (dead == 0)
		_exit(0);
	assert_int_equal(waitpid(dead, NULL, 0), dead);
	fixture_folder(path);
	snprintf(file, sizeof file, "%s/lock", path);
	snprintf(holder, sizeof holder, "test, pid %d", (int)dead);
	assert_int_equal(lock_take(file, holder, &lock, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, let_go_later, &lock), 0);
	assert_int_equal(lock_take(file, "next", &next, NULL), 0);
	pthread_join(thread, NULL);
	/* One that lives is not. */
	snprintf(holder, sizeof holder, "test, pid %d", (int)getpid());
	lock_putp(&next);
	assert_int_equal(lock_take(file, holder, &lock, NULL), 0);
	assert_int_equal(lock_take(file, "next", &next, NULL), -EBUSY);
	lock_putp(&lock);
}

static void the_lock_keeps_its_room_when_it_is_let_go(void **state)
{
	AUTO(cleanup) char path[128];
	struct store *s = NULL;
	struct stat held, free;
	char lock[200];

	fixture_folder(path);
	snprintf(lock, sizeof lock, "%s/lock", path);
	assert_int_equal(try_open(path, true, &s, NULL), 0);
	assert_int_equal(store_writable(s, NULL), 0);
	assert_int_equal(stat(lock, &held), 0);
	store_closep(&s);
	assert_int_equal(stat(lock, &free), 0);
	/* So that a disk without a byte left takes the words of the next holder. */
	assert_true(held.st_size > 0);
	assert_int_equal(free.st_size, held.st_size);
	assert_true(free.st_blocks > 0);
}

static int make(struct store *s, const char *name, struct network **out, struct err *err)
{
	return store_network_new(s, name, &fixture_ops, slice_str("{\"a\":1}\n"), "preset", out,
				 err);
}

static void networks_are_found_again_by_name_in_order(void **state)
{
	AUTO(cleanup) char path[128];
	AUTO(store_closep) struct store *s = NULL;
	struct network *n = NULL;

	fixture_folder(path);
	assert_int_equal(try_open(path, true, &s, NULL), 0);
	assert_int_equal(make(s, "larynx", &n, NULL), 0);
	assert_int_equal(make(s, "ethereum", &n, NULL), 0);
	assert_int_equal(make(s, "farcaster", &n, NULL), 0);
	assert_int_equal(make(s, "farcaster", &n, NULL), -EEXIST);
	unsigned index = network_index(store_network_find(s, "farcaster"));

	store_closep(&s);
	assert_int_equal(try_open(path, false, &s, NULL), 0);
	assert_int_equal(store_network_count(s), 3);
	assert_string_equal(network_name(store_network_at(s, 0)), "ethereum");
	assert_string_equal(network_name(store_network_at(s, 1)), "farcaster");
	assert_string_equal(network_name(store_network_at(s, 2)), "larynx");
	assert_null(store_network_at(s, 3));
	assert_null(store_network_find(s, "bitcoin"));
	n = store_network_find(s, "farcaster");
	assert_int_equal(network_index(n), index);
	assert_string_equal(network_trust(n), "preset");
	assert_string_equal(network_ops(n)->kind, "fixture");
	assert_true(slice_eq(network_params_text(n), slice_str("{\"a\":1}\n")));
	assert_string_equal(network_params(n)->text, "{\"a\":1}\n");
	AUTO(view_putp) struct view *v = network_view_get(n);

	assert_int_equal(v->shard_count, FIXTURE_SHARDS);
	assert_int_equal(v->next_object, 1);
}

static void bad_names_are_refused(void **state)
{
	static const char *const names[] = {
		"",      ".",      "..",    ".hidden", "a/b",  "../a",
		"Upper", "sp ace", "-dash", "_a",      "a\nb", "\xc3\xa9",
	};
	AUTO(cleanup) char path[128];
	AUTO(store_closep) struct store *s = NULL;
	struct network *n = NULL;
	char longer[NETWORK_NAME_MAX + 2];

	fixture_folder(path);
	assert_int_equal(try_open(path, true, &s, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(make(s, names[i], &n, NULL), -EINVAL);
	memset(longer, 'a', sizeof longer);
	longer[NETWORK_NAME_MAX + 1] = '\0';
	assert_int_equal(make(s, longer, &n, NULL), -EINVAL);
	longer[NETWORK_NAME_MAX] = '\0';
	assert_int_equal(make(s, longer, &n, NULL), 0);
}

static void a_network_that_was_never_made_whole_is_removed(void **state)
{
	AUTO(cleanup) char path[128];
	AUTO(store_closep) struct store *s = NULL;
	char half[200];
	struct stat st;

	fixture_folder(path);
	assert_int_equal(try_open(path, true, &s, NULL), 0);
	store_closep(&s);
	snprintf(half, sizeof half, "%s/networks/.net.new", path);
	assert_int_equal(mkdir(half, 0700), 0);
	write_file(half, "CURRENT", "half");
	trace_set_sink(fixture_silence, NULL);
	assert_int_equal(try_open(path, false, &s, NULL), 0);
	trace_set_sink(NULL, NULL);
	assert_int_equal(stat(half, &st), -1);
	assert_int_equal(store_network_count(s), 0);
}

static const struct chain_ops *no_kind(const char *kind)
{
	return NULL;
}

static void a_kind_that_the_program_does_not_know_is_named(void **state)
{
	AUTO(cleanup) char path[128];
	AUTO(store_closep) struct store *s = NULL;
	struct store_options options = fixture_options();
	struct network *n = NULL;
	struct err err = ERR_INIT;

	fixture_folder(path);
	assert_int_equal(try_open(path, true, &s, NULL), 0);
	assert_int_equal(make(s, "net", &n, NULL), 0);
	store_closep(&s);
	options.kind = no_kind;
	assert_int_equal(store_open(path, &options, &s, &err), -EPROTONOSUPPORT);
	assert_string_equal(err.text,
			    "network net: it is of kind fixture, which this program does not know");
}

static void without_memory_a_store_does_not_open_and_stays_whole(void **state)
{
	AUTO(cleanup) char path[128];
	struct network *n = NULL;
	struct store *s = NULL;

	fixture_folder(path);
	assert_int_equal(try_open(path, true, &s, NULL), 0);
	assert_int_equal(make(s, "net", &n, NULL), 0);
	store_closep(&s);
	FOR_EACH_ALLOC_FAULT {
		int rc = try_open(path, true, &s, NULL);

		assert_true(rc == 0 || rc == -ENOMEM);
		assert_true(rc < 0 || store_network_count(s) == 1);
		store_closep(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_store_is_made_once_and_opened_again),
		cmocka_unit_test(an_empty_folder_is_no_store_until_one_is_made_there),
		cmocka_unit_test(a_folder_of_somebody_else_is_refused_and_left_alone),
		cmocka_unit_test(a_format_of_tomorrow_is_refused_with_a_sentence),
		cmocka_unit_test(a_second_holder_is_told_who_the_first_one_is),
		cmocka_unit_test(the_text_of_a_killed_holder_is_no_obstacle),
		cmocka_unit_test(a_holder_that_is_being_ended_is_waited_for),
		cmocka_unit_test(the_lock_keeps_its_room_when_it_is_let_go),
		cmocka_unit_test(networks_are_found_again_by_name_in_order),
		cmocka_unit_test(bad_names_are_refused),
		cmocka_unit_test(a_network_that_was_never_made_whole_is_removed),
		cmocka_unit_test(a_kind_that_the_program_does_not_know_is_named),
		cmocka_unit_test(without_memory_a_store_does_not_open_and_stays_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
