/* Pins and retention, what of them outlives a restart or a crash, and checkpoints/ as the tree
 * shows it. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/checkpoint/pin_file.h"
#include "core/checkpoint/pins.h"
#include "core/ingest/gate.h"
#include "tests/unit/tree_fixture.h"

#define WAIT_STEPS 3000 /* of 10 ms */

static char archive[128];
static struct chain chain;
static const struct retention none;

static int make_chain(void **state)
{
	struct forge_options o = { .kind = FORGE_STORY };
	struct err err = ERR_INIT;

	fixture_folder(archive);
	trace_set_sink(fixture_silence, NULL);
	must(forge_chain(&o, archive, NULL, NULL, &err), &err);
	return 0;
}

static int drop_chain(void **state)
{
	fixture_remove(archive);
	return 0;
}

static int open_chain(void **state)
{
	chain_open(&chain, archive);
	chain_feed_all(&chain, 1);
	return 0;
}

static int close_chain(void **state)
{
	chain_release(&chain);
	return 0;
}

static struct pins *open_pins(const struct retention *r)
{
	struct pins *p = NULL;
	struct err err = ERR_INIT;

	must(pins_open(chain.store, NULL, r, &p, &err), &err);
	return p;
}

static void add(struct pins *p, const char *name, uint64_t height)
{
	struct err err = ERR_INIT;

	must(pins_add(p, chain.network, name, height, &err), &err);
}

static struct pin get(struct pins *p, const char *name)
{
	struct pin pin;

	assert_int_equal(pins_get(p, chain.network, name, &pin), 1);
	return pin;
}

static void await_state(struct pins *p, const char *name, enum pin_state wanted)
{
	for (int i = 0; i < WAIT_STEPS && get(p, name).state != wanted; i++)
		usleep(10000);
	struct pin pin = get(p, name);

	if (pin.state != wanted)
		fail_msg("%s is %s: %s", name, pin_state_names[pin.state], pin.failure);
}

static size_t count_checkpoints(struct pins *p)
{
	struct checkpoint_entry e = { .height = 0 };
	size_t n = 0;

	while (checkpoints_next(p, chain.network, e.height, &e) == 1)
		n += e.complete;
	return n;
}

static void await_checkpoints(struct pins *p, size_t wanted)
{
	for (int i = 0; i < WAIT_STEPS && count_checkpoints(p) != wanted; i++)
		usleep(10000);
	assert_int_equal(count_checkpoints(p), wanted);
}

static void path_in(const char *folder, const char *name, char out[512])
{
	snprintf(out, 512, "%s/networks/net/%s/%s", chain.path, folder, name);
}

static bool is_on_disk(const char *folder, const char *name)
{
	char path[512];

	path_in(folder, name, path);
	return access(path, F_OK) == 0;
}

static void write_file(const char *folder, const char *name, const char *text)
{
	char path[512];

	path_in(folder, name, path);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

/* ---- pins ---- */

static void a_pin_outlives_a_restart(void **state)
{
	AUTO(pins_closep) struct pins *p = open_pins(NULL);
	struct pin pin;

	add(p, "first", 100);
	add(p, "newest", UINT64_MAX);
	assert_int_equal(get(p, "first").state, PIN_WAITING);
	assert_true(is_on_disk("pins", "first"));
	uint64_t newest = get(p, "newest").height;

	assert_true(newest > 200);
	assert_int_equal(network_pinned_lowest(chain.network, 0), 100);
	pins_closep(&p);
	assert_int_equal(network_pinned_lowest(chain.network, 0), UINT64_MAX);

	p = open_pins(&none);
	await_state(p, "first", PIN_COMPLETE);
	await_state(p, "newest", PIN_COMPLETE);
	assert_int_equal(network_pinned_lowest(chain.network, 0), UINT64_MAX);
	assert_int_equal(pins_next(p, chain.network, "", &pin), 1);
	assert_string_equal(pin.name, "first");
	assert_int_equal(pins_next(p, chain.network, "first", &pin), 1);
	assert_string_equal(pin.name, "newest");
	assert_int_equal(pin.height, newest);
	assert_int_equal(pins_next(p, chain.network, "newest", &pin), 0);
	pins_closep(&p);

	p = open_pins(NULL);
	assert_int_equal(get(p, "first").state, PIN_COMPLETE);
	assert_int_equal(count_checkpoints(p), 2);
}

static void what_is_asked_for_wrongly_is_refused(void **state)
{
	AUTO(pins_closep) struct pins *p = open_pins(NULL);
	static const char *const bad[] = {
		"",
		".x",
		"-x",
		"a/b",
		"a b",
		"auto-1",
		"\xc3\xa4",
		"a123456789012345678901234567890123456789012345678901234567890123"
		"4567890"
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(pins_add(p, chain.network, bad[i], 10, NULL), -EINVAL);
	assert_int_equal(pins_add(p, chain.network, "far", 100000, NULL), -ENODATA);
	assert_int_equal(pins_add(p, chain.network, "none", 0, NULL), -ENODATA);
	add(p, "name", 10);
	assert_int_equal(pins_add(p, chain.network, "name", 20, NULL), -EEXIST);
	assert_int_equal(pins_remove(p, chain.network, "far", NULL), -ENOENT);
	assert_false(is_on_disk("pins", "far"));
}

static void a_pin_that_cannot_be_written_says_why(void **state)
{
	AUTO(pins_closep) struct pins *p = open_pins(NULL);
	struct err err = ERR_INIT;
	struct pin pin;
	char path[512];

	add(p, "first", 10);
	path_in("pins", ".new-second", path); /* where its bytes would go first */
	assert_int_equal(mkdir(path, 0777), 0);
	assert_int_equal(pins_add(p, chain.network, "second", 20, &err), -EISDIR);
	assert_string_equal(err.text, "the pin second cannot be written: Is a directory");
	assert_int_equal(pins_get(p, chain.network, "second", &pin), 0);
	assert_int_equal(network_pinned_lowest(chain.network, 0), 10);
}

static void a_checkpoint_goes_with_its_last_pin(void **state)
{
	AUTO(pins_closep) struct pins *p = open_pins(&none);
	struct err err = ERR_INIT;

	add(p, "one", 50);
	add(p, "two", 50);
	await_state(p, "one", PIN_COMPLETE);
	await_state(p, "two", PIN_COMPLETE);
	struct pin pin = get(p, "one");

	assert_true(is_on_disk("checkpoints", pin.checkpoint));
	must(pins_remove(p, chain.network, "one", &err), &err);
	pins_hold(p, true); /* whatever it did by then is done */
	pins_hold(p, false);
	assert_int_equal(count_checkpoints(p), 1);
	must(pins_remove(p, chain.network, "two", &err), &err);
	await_checkpoints(p, 0);
	pins_closep(&p);
	assert_false(is_on_disk("checkpoints", pin.checkpoint));
}

static void without_a_thread_it_goes_when_pins_are_closed(void **state)
{
	AUTO(pins_closep) struct pins *p = open_pins(&none);
	struct err err = ERR_INIT;

	add(p, "one", 50);
	await_state(p, "one", PIN_COMPLETE);
	struct pin pin = get(p, "one");

	pins_closep(&p);
	p = open_pins(NULL);
	must(pins_remove(p, chain.network, "one", &err), &err);
	assert_true(is_on_disk("checkpoints", pin.checkpoint));
	pins_closep(&p);
	assert_false(is_on_disk("checkpoints", pin.checkpoint));
}

static void a_damaged_pin_is_told_and_keeps_everything(void **state)
{
	static const char *const texts[] = {
		"", "12", "x\n", "-1\n", "0\n", "12\n13\n", "99999999999999999999999\n"
	};
	AUTO(pins_closep) struct pins *p = open_pins(&none);
	struct err err = ERR_INIT;

	add(p, "good", 40);
	await_state(p, "good", PIN_COMPLETE);
	pins_closep(&p);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		write_file("pins", "bad", texts[i]);
		p = open_pins(&none);
		assert_int_equal(get(p, "bad").state, PIN_FAILED);
		if (pins_get(p, chain.network, "good", &(struct pin){ 0 }) == 1)
			must(pins_remove(p, chain.network, "good", &err), &err);
		pins_hold(p, true);
		pins_hold(p, false);
		assert_int_equal(count_checkpoints(p), 1);
		pins_retry(p);
		assert_int_equal(get(p, "bad").state, PIN_FAILED);
		pins_closep(&p);
	}
	p = open_pins(&none);
	must(pins_remove(p, chain.network, "bad", &err), &err);
	await_checkpoints(p, 0);
}

/* ---- files of pins that are damaged ---- */

static size_t told_count;
static char told_file[128];

static void on_damage(void *arg, struct network *n, const struct store_damage *what)
{
	told_count++;
	snprintf(told_file, sizeof told_file, "%s", what->file);
}

static void count_told(void *arg, const char *sentence)
{
	++*(unsigned *)arg;
}

static void flip(const char *name, off_t at)
{
	char path[512];
	uint8_t byte;

	path_in("pins", name, path);
	AUTO(base_closep) int fd = open(path, O_RDWR | O_CLOEXEC);
	const struct timespec made[2] = { { 0 }, { 1600000000, 77 } };

	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 2;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	assert_int_equal(futimens(fd, made), 0);
}

static void expect_whole(const char *name, uint64_t wanted)
{
	char path[512];
	struct stat st;
	uint64_t height = 0;

	path_in("pins", name, path);
	AUTO(base_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_int_equal(pin_file_read(fd, name, &height, NULL), PIN_FILE_WHOLE);
	assert_int_equal(height, wanted);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mtim.tv_sec, 1600000000); /* it is as old as it was */
	assert_int_equal(st.st_mtim.tv_nsec, 77);
}

static void a_damaged_half_is_told_and_mended(void **state)
{
	AUTO(pins_closep) struct pins *p = open_pins(&none);

	add(p, "kept", 40);
	await_state(p, "kept", PIN_COMPLETE);
	pins_closep(&p);
	told_count = 0;
	store_on_damage(chain.store, on_damage, NULL);
	for (size_t i = 0; i < 2; i++) {
		flip("kept", (off_t)i * PIN_HALF_SIZE + 19); /* of the height's digits */
		p = open_pins(&none);
		assert_int_equal(get(p, "kept").height, 40);
		assert_int_equal(get(p, "kept").state, PIN_COMPLETE);
		expect_whole("kept", 40);
		assert_int_equal(told_count, i + 1);
		assert_string_equal(told_file, "pins/kept");
		pins_closep(&p);
	}
	p = open_pins(&none);
	assert_int_equal(told_count, 2);
	assert_int_equal(count_checkpoints(p), 1);
	store_on_damage(chain.store, NULL, NULL);
}

static void the_file_of_an_older_program_is_written_anew(void **state)
{
	AUTO(pins_closep) struct pins *p = NULL;
	const struct timespec made[2] = { { 0 }, { 1600000000, 77 } };
	char path[512];

	add(p = open_pins(NULL), "kept", 40);
	write_file("pins", "kept", "41\n");
	path_in("pins", "kept", path);
	assert_int_equal(utimensat(AT_FDCWD, path, made, 0), 0);
	pins_closep(&p);
	p = open_pins(NULL);
	assert_int_equal(get(p, "kept").height, 41);
	expect_whole("kept", 41);
}

static void what_was_read_before_mends_a_file_that_tells_nothing(void **state)
{
	AUTO(pins_closep) struct pins *p = open_pins(NULL);
	struct err err = ERR_INIT;
	unsigned told = 0;

	add(p, "kept", 40);
	add(p, "half", 41);
	assert_int_equal(pins_mend(p, chain.store, chain.network, count_told, &told, &err), 0);
	flip("kept", 19);
	flip("kept", PIN_HALF_SIZE + 19);
	flip("half", 30);
	pins_hold(p, true);
	assert_int_equal(pins_mend(p, chain.store, chain.network, count_told, &told, &err), -EAGAIN);
	pins_hold(p, false);
	assert_int_equal(pins_mend(p, chain.store, chain.network, count_told, &told, &err), 2);
	assert_int_equal(told, 2);
	expect_whole("kept", 40);
	expect_whole("half", 41);

	/* Nobody has read them: what is whole tells, or nothing does. */
	pins_closep(&p);
	flip("kept", 19);
	flip("kept", PIN_HALF_SIZE + 19);
	flip("half", PIN_HALF_SIZE + 1);
	assert_int_equal(pins_mend(NULL, chain.store, chain.network, count_told, &told, &err), 1);
	expect_whole("half", 41);
	p = open_pins(NULL);
	assert_int_equal(get(p, "kept").state, PIN_FAILED);
	assert_int_equal(pins_mend(p, chain.store, chain.network, count_told, &told, &err), 0);
}

/* The checkpoint of a pin whose file tells nothing gets another pin, also when its state is gone. */
static void a_checkpoint_that_is_there_needs_no_state(void **state)
{
	AUTO(pins_closep) struct pins *p = open_pins(&none);
	char path[512], other[512], name[CHECKPOINT_NAME_SIZE];
	struct err err = ERR_INIT;

	add(p, "gone", 45);
	await_state(p, "gone", PIN_COMPLETE);
	path_in("checkpoints", get(p, "gone").checkpoint, path);
	snprintf(name, sizeof name, "0000100000%.9s", get(p, "gone").checkpoint + 10);
	pins_closep(&p);
	path_in("checkpoints", name, other);
	assert_int_equal(rename(path, other), 0);
	flip("gone", 19);
	flip("gone", PIN_HALF_SIZE + 19);
	p = open_pins(NULL);
	assert_int_equal(get(p, "gone").state, PIN_FAILED);
	add(p, "again", 100000);
	assert_int_equal(get(p, "again").state, PIN_COMPLETE);
	assert_string_equal(get(p, "again").checkpoint, name);
	assert_int_equal(pins_add(p, chain.network, "none", 100001, &err), -ENODATA);
	assert_false(is_on_disk("pins", "none"));
	must(pins_remove(p, chain.network, "gone", &err), &err);
	pins_closep(&p);
	assert_true(is_on_disk("checkpoints", name));
	p = open_pins(&none);
	assert_int_equal(get(p, "again").state, PIN_COMPLETE);
}

/* Else its checkpoint would be one that no pin wants. */
static void a_pin_is_not_passed_over_where_its_folder_cannot_be_read(void **state)
{
	AUTO(pins_closep) struct pins *p = open_pins(&none);
	char name[CHECKPOINT_NAME_SIZE];

	add(p, "kept", 40);
	await_state(p, "kept", PIN_COMPLETE);
	snprintf(name, sizeof name, "%s", get(p, "kept").checkpoint);
	pins_closep(&p);
	for (uint64_t nth = 0; nth < 4; nth++) {
		folder_fault_at(nth);
		p = open_pins(NULL); /* takes away what is not wanted when it is closed */
		folder_fault_at(ALLOC_FAULT_NONE);
		pins_closep(&p);
		assert_true(is_on_disk("checkpoints", name));
	}
	p = open_pins(&none);
	assert_int_equal(get(p, "kept").state, PIN_COMPLETE);
}

static void leftovers_of_a_crash_are_taken_away(void **state)
{
	AUTO(pins_closep) struct pins *p = open_pins(&none);
	char path[512], name[CHECKPOINT_NAME_SIZE + 16];
	struct pin pin;

	add(p, "good", 40);
	await_state(p, "good", PIN_COMPLETE);
	pin = get(p, "good");
	pins_closep(&p);
	snprintf(name, sizeof name, "%s.part", pin.checkpoint);
	path_in("checkpoints", name, path);
	assert_int_equal(mkdir(path, 0777), 0);
	write_file("checkpoints", strcat(name, "/info"), "half");
	path_in("checkpoints", "0000000041-00000000.gone", path);
	assert_int_equal(mkdir(path, 0777), 0);
	write_file("pins", ".new-late", "12");
	p = open_pins(NULL);
	assert_false(is_on_disk("checkpoints", "0000000041-00000000.gone"));
	snprintf(name, sizeof name, "%s.part", pin.checkpoint);
	assert_false(is_on_disk("checkpoints", name));
	assert_false(is_on_disk("pins", ".new-late"));
	assert_int_equal(count_checkpoints(p), 1);
	pins_closep(&p);

	/* A folder without SHA256SUMS is no checkpoint; it is built again where a pin wants it. */
	snprintf(name, sizeof name, "%s/SHA256SUMS", pin.checkpoint);
	path_in("checkpoints", name, path);
	assert_int_equal(unlink(path), 0);
	p = open_pins(NULL);
	assert_int_equal(count_checkpoints(p), 0);
	assert_int_equal(get(p, "good").state, PIN_WAITING);
}

static void held_pins_write_nothing(void **state)
{
	AUTO(pins_closep) struct pins *p = open_pins(&none);

	pins_hold(p, true);
	assert_int_equal(pins_add(p, chain.network, "late", 30, NULL), -EAGAIN);
	assert_false(is_on_disk("pins", "late"));
	pins_hold(p, false);
	add(p, "late", 30);
	pins_hold(p, true); /* stops the build */
	assert_int_equal(pins_remove(p, chain.network, "late", NULL), -EAGAIN);
	pins_hold(p, false);
	await_state(p, "late", PIN_COMPLETE);
}

static void retention_keeps_the_newest(void **state)
{
	struct retention r = { .every = 50, .keep = 2 };
	AUTO(pins_closep) struct pins *p = open_pins(&none);
	struct err err = ERR_INIT;
	struct pin pin;

	add(p, "mine", 60);
	await_state(p, "mine", PIN_COMPLETE);
	pins_closep(&p);
	p = open_pins(&r);
	await_checkpoints(p, 3);
	assert_int_equal(get(p, "auto-0000000200").state, PIN_COMPLETE);
	assert_int_equal(get(p, "auto-0000000250").state, PIN_COMPLETE);
	assert_int_equal(pins_remove(p, chain.network, "auto-0000000250", NULL), -EPERM);
	pins_published(p);
	pins_closep(&p);

	/* Others are newest now: those of before go when they are there. */
	r = (struct retention){ .every = 70, .keep = 1 };
	p = open_pins(&r);
	for (int i = 0; i < WAIT_STEPS && !pins_get(p, chain.network, "auto-0000000280", &pin); i++)
		usleep(10000);
	await_state(p, "auto-0000000280", PIN_COMPLETE);
	await_checkpoints(p, 2);
	pins_closep(&p);

	/* Without retention they stay, and can be let go. */
	p = open_pins(&none);
	assert_int_equal(pins_next(p, chain.network, "", &pin), 1);
	assert_int_equal(strncmp(pin.name, "auto-", 5), 0);
	must(pins_remove(p, chain.network, pin.name, &err), &err);
	await_checkpoints(p, 1);
	assert_int_equal(get(p, "mine").state, PIN_COMPLETE);
}

static void a_state_that_is_gone_fails_with_a_sentence(void **state)
{
	AUTO(pins_closep) struct pins *p = open_pins(&none);

	add(p, "gone", 45);
	await_state(p, "gone", PIN_COMPLETE);
	pins_closep(&p);
	write_file("pins", "far", "123456\n");
	p = open_pins(&none);
	assert_int_equal(get(p, "far").state, PIN_FAILED);
	assert_non_null(strstr(get(p, "far").failure, "123456"));
	assert_int_equal(get(p, "gone").state, PIN_COMPLETE);
}

/* ---- the tree ---- */

static void checkpoints_are_listed_found_and_as_large_as_told(void **state)
{
	AUTO(pins_closep) struct pins *p = open_pins(&none);
	struct err err = ERR_INIT;

	tree_set_env(&(struct tree_env){ .store = chain.store, .pins = p });
	add(p, "a", 90);
	add(p, "b", 91);
	await_state(p, "a", PIN_COMPLETE);
	await_state(p, "b", PIN_COMPLETE);
	for (size_t step = 1; step < 100; step += 98) {
		AUTO(walk_release) struct walk w = { .step = step };
		struct node folder = found("net/checkpoints");

		walk(&w, "net/checkpoints", &folder);
		assert_true(w.files > 100);
		for (size_t i = 0; i < w.seen_count; i++)
			for (size_t k = 0; k < i; k++)
				assert_false(same_node(&w.seen[i], &w.seen[k]));
	}
	char path[256];
	struct pin pin = get(p, "a");

	snprintf(path, sizeof path, "net/checkpoints/%s/SHA256SUMS", pin.checkpoint);
	struct node file = found(path);
	AUTO(view_putp) struct view *v = network_view_get(chain.network);
	int fd = tree_open(v, &file, &err);

	assert_true(fd >= 0);
	base_closep(&fd);
	snprintf(path, sizeof path, "net/checkpoints/%s/building", pin.checkpoint);
	assert_int_equal(finding(path), -ENOENT);

	/* Taken away and made again it is another making: the old file is stale, not other
	 * bytes. */
	must(pins_remove(p, chain.network, "a", &err), &err);
	await_checkpoints(p, 1);
	assert_int_equal(tree_open(v, &file, NULL), -ESTALE);
	add(p, "a", 90);
	await_state(p, "a", PIN_COMPLETE);
	assert_int_equal(tree_open(v, &file, NULL), -ESTALE);
	assert_int_equal(tree_attr(v, &file, &(struct attr){ 0 }, NULL), -ESTALE);
	tree_set_env(&(struct tree_env){ .store = chain.store });
}

/* ---- the gate ---- */

static void a_gate_lets_nobody_in_while_it_is_closed(void **state)
{
	AUTO(gate_freep) struct gate *g = gate_new();
	atomic_bool stop = true;

	assert_int_equal(gate_enter(NULL, NULL), 0);
	assert_int_equal(gate_enter(g, &stop), 0); /* open: nothing to wait for */
	assert_int_equal(gate_freeze(g, 20), -EAGAIN);
	assert_false(gate_is_frozen(g));
	gate_leave(g);
	assert_int_equal(gate_freeze(g, 20), 0);
	assert_int_equal(gate_freeze(g, 20), -EALREADY);
	assert_int_equal(gate_enter(g, &stop), -EINTR);
	gate_pause(g, true);
	gate_thaw(g);
	assert_true(gate_closing(g));
	assert_int_equal(gate_enter(g, &stop), -EINTR);
	gate_pause(g, false);
	assert_int_equal(gate_enter(g, &stop), 0);
	gate_leave(g);
}

#define WITH_CHAIN(test) cmocka_unit_test_setup_teardown(test, open_chain, close_chain)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_CHAIN(a_pin_outlives_a_restart),
		WITH_CHAIN(what_is_asked_for_wrongly_is_refused),
		WITH_CHAIN(a_pin_that_cannot_be_written_says_why),
		WITH_CHAIN(a_checkpoint_goes_with_its_last_pin),
		WITH_CHAIN(without_a_thread_it_goes_when_pins_are_closed),
		WITH_CHAIN(a_damaged_pin_is_told_and_keeps_everything),
		WITH_CHAIN(a_damaged_half_is_told_and_mended),
		WITH_CHAIN(the_file_of_an_older_program_is_written_anew),
		WITH_CHAIN(what_was_read_before_mends_a_file_that_tells_nothing),
		WITH_CHAIN(a_checkpoint_that_is_there_needs_no_state),
		WITH_CHAIN(a_pin_is_not_passed_over_where_its_folder_cannot_be_read),
		WITH_CHAIN(leftovers_of_a_crash_are_taken_away),
		WITH_CHAIN(held_pins_write_nothing),
		WITH_CHAIN(retention_keeps_the_newest),
		WITH_CHAIN(a_state_that_is_gone_fails_with_a_sentence),
		WITH_CHAIN(checkpoints_are_listed_found_and_as_large_as_told),
		cmocka_unit_test(a_gate_lets_nobody_in_while_it_is_closed),
	};

	return cmocka_run_group_tests(tests, make_chain, drop_chain);
}
