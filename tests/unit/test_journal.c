#include "tests/support/support.h"

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "fs/connection/journal.h"

/* ---- a kernel that is a pipe, and a file system that notes what it is asked ---- */

struct asked {
	uint64_t uniques[64];
	size_t   count;
	bool     dies;   /* on a lookup of "poison" */
	bool     parks;  /* a lookup of "wait" is answered later */
	struct keep_parked *parked;
	unsigned inits;
};

static void on_init(void *user, struct fuse_conn_info *conn)
{
	((struct asked *)user)->inits++;
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct asked *a = fuse_req_userdata(req);
	struct fuse_in_header head;

	memcpy(&head, journal_request(), sizeof head);
	a->uniques[a->count++] = head.unique;
	if (a->dies && strcmp(name, "poison") == 0)
		_exit(1);
	if (a->parks && strcmp(name, "wait") == 0) {
		a->parked = journal_park();
		assert_non_null(a->parked);
		fuse_reply_none(req);
		return;
	}
	fuse_reply_err(req, ENOENT);
}

static const struct fuse_lowlevel_ops ops = { .init = on_init, .lookup = on_lookup };

static struct keep_connection *connection_new(void)
{
	struct keep_connection *c = mmap(NULL, sizeof *c, PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(c != MAP_FAILED);
	c->fd = -1;
	return c;
}

struct world {
	struct fuse_session *session;
	int kernel[2]; /* requests: written at [1], taken at [0] */
};

/* Replies go to /dev/null: a session has one descriptor, of which we read none. */
static void world_open(struct world *w, struct asked *a)
{
	char *argv[] = { "test", NULL }, path[32];
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	int null = open("/dev/null", O_RDWR);

	assert_int_equal(pipe2(w->kernel, O_DIRECT), 0); /* a read gives one request */
	assert_true(fcntl(w->kernel[1], F_SETPIPE_SZ, 64 * 4096) > 0);
	w->session = fuse_session_new(&args, &ops, sizeof ops, a);
	fuse_opt_free_args(&args);
	assert_non_null(w->session);
	snprintf(path, sizeof path, "/dev/fd/%d", null);
	assert_int_equal(fuse_session_mount(w->session, path), 0);
}

static void world_close(struct world *w)
{
	fuse_session_destroy(w->session);
	close(w->kernel[0]);
	close(w->kernel[1]);
}

static void ask(struct world *w, uint32_t opcode, uint64_t unique, const void *body, size_t size)
{
	uint8_t bytes[512];
	struct fuse_in_header head = { .len = (uint32_t)(sizeof head + size), .opcode = opcode,
				       .unique = unique, .nodeid = 1 };

	memcpy(bytes, &head, sizeof head);
	memcpy(bytes + sizeof head, body, size);
	assert_int_equal(write(w->kernel[1], bytes, head.len), head.len);
}

static void ask_init(struct world *w)
{
	struct fuse_init_in in = { .major = 7, .minor = 31, .max_readahead = 4096 };

	ask(w, FUSE_INIT, 2, &in, sizeof in);
}

static void ask_lookup(struct world *w, uint64_t unique, const char *name)
{
	ask(w, FUSE_LOOKUP, unique, name, strlen(name) + 1);
}

static uint8_t request[JOURNAL_BYTES_MIN];

static ssize_t take(struct keep_connection *c, unsigned thread, struct world *w)
{
	return journal_take(c, thread, w->kernel[0], request, sizeof request);
}

static void answer(struct keep_connection *c, unsigned thread, struct world *w, ssize_t size)
{
	journal_begin(c, thread);
	fuse_session_process_buf(w->session,
				 &(struct fuse_buf){ .mem = request, .size = (size_t)size });
	journal_end(c, thread);
}

/* INIT comes and is answered: what every connection begins with. */
static void begin(struct keep_connection *c, struct world *w)
{
	ask_init(w);
	answer(c, 0, w, take(c, 0, w));
}

/* ---- what holds ---- */

static void a_request_that_was_taken_is_answered_by_the_next_process(void **state)
{
	struct keep_connection *c = connection_new();
	struct asked before = { .count = 0 }, after = { .count = 0 };
	struct world w;

	world_open(&w, &before);
	begin(c, &w);
	ask_lookup(&w, 10, "answered");
	answer(c, 0, &w, take(c, 0, &w));
	ask_lookup(&w, 14, "second");
	assert_true(take(c, 3, &w) > 0);
	ask_lookup(&w, 12, "first");
	assert_true(take(c, 5, &w) > 0);
	world_close(&w); /* it died here */
	assert_int_equal(before.count, 1);

	world_open(&w, &after);
	assert_int_equal(journal_replay(c, w.session, NULL), 2);
	assert_int_equal(after.inits, 1);
	assert_int_equal(after.count, 2);
	assert_int_equal(after.uniques[0], 12); /* in the order of asking */
	assert_int_equal(after.uniques[1], 14);
	world_close(&w);

	struct asked third = { .count = 0 };

	world_open(&w, &third);
	assert_int_equal(journal_replay(c, w.session, NULL), 0);
	assert_int_equal(third.inits, 1);
	world_close(&w);
	munmap(c, sizeof *c);
}

static void an_init_that_was_only_taken_is_the_first_to_be_answered(void **state)
{
	struct keep_connection *c = connection_new();
	struct asked before = { .count = 0 }, after = { .count = 0 };
	struct world w;

	world_open(&w, &before);
	assert_int_equal(journal_replay(c, w.session, NULL), 0);
	assert_int_equal(before.inits, 0);
	ask_init(&w);
	assert_true(take(c, 1, &w) > 0);
	world_close(&w);
	world_open(&w, &after);
	assert_int_equal(journal_replay(c, w.session, NULL), 0);
	assert_int_equal(after.inits, 1);
	world_close(&w);
	munmap(c, sizeof *c);
}

static void what_has_no_answer_is_not_asked_twice(void **state)
{
	struct keep_connection *c = connection_new();
	struct asked before = { .count = 0 }, after = { .count = 0 };
	struct fuse_forget_in forget = { .nlookup = 1 };
	struct world w;

	world_open(&w, &before);
	begin(c, &w);
	ask(&w, FUSE_FORGET, 20, &forget, sizeof forget);
	assert_true(take(c, 2, &w) > 0);
	world_close(&w);
	world_open(&w, &after);
	assert_int_equal(journal_replay(c, w.session, NULL), 0);
	world_close(&w);
	munmap(c, sizeof *c);
}

static void a_request_that_waits_is_kept_until_it_is_answered(void **state)
{
	struct keep_connection *c = connection_new();
	struct asked a = { .parks = true }, b = { .parks = true }, d = { .count = 0 };
	struct world w;

	world_open(&w, &a);
	begin(c, &w);
	ask_lookup(&w, 30, "wait");
	answer(c, 0, &w, take(c, 0, &w));
	ask_lookup(&w, 32, "other"); /* its place is free again */
	answer(c, 0, &w, take(c, 0, &w));
	world_close(&w);

	world_open(&w, &b);
	assert_int_equal(journal_replay(c, w.session, NULL), 1);
	assert_int_equal(b.uniques[0], 30);
	assert_ptr_equal(b.parked, a.parked); /* the same place, not a second one */
	journal_unpark(b.parked);
	world_close(&w);

	world_open(&w, &d);
	assert_int_equal(journal_replay(c, w.session, NULL), 0);
	world_close(&w);
	munmap(c, sizeof *c);
}

static void what_kills_everybody_is_refused_in_the_end(void **state)
{
	struct keep_connection *c = connection_new();
	struct asked a = { .dies = true };
	struct world w;
	int status, deaths = 0;

	world_open(&w, &a);
	begin(c, &w);
	ask_lookup(&w, 40, "poison");
	assert_true(take(c, 0, &w) > 0);
	for (;;) {
		pid_t pid = fork();

		if (pid == 0) {
			journal_replay(c, w.session, NULL);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WEXITSTATUS(status) == 0)
			break;
		assert_true(++deaths < 10);
	}
	assert_int_equal(deaths, 3);
	world_close(&w);
	munmap(c, sizeof *c);
}

/* Killed at any moment between taking and answering: nothing that was taken is forgotten. */
static void nothing_is_lost_by_a_kill_at_any_moment(void **state)
{
	struct random r = random_of_run();

	for (uint64_t round = rounds(40); round; round--) {
		struct keep_connection *c = connection_new();
		struct asked a = { .count = 0 };
		struct world w;
		uint64_t *answered = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

		world_open(&w, &a);
		begin(c, &w);
		for (uint64_t u = 1; u <= 50; u++)
			ask_lookup(&w, 100 + u, "name");
		pid_t pid = fork();

		if (pid == 0) {
			for (uint64_t u = 1; u <= 50; u++) {
				ssize_t n = take(c, (unsigned)(u % 4), &w);

				answer(c, (unsigned)(u % 4), &w, n);
				*answered = u;
			}
			pause();
		}
		usleep((useconds_t)random_below(&r, 400));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		unsigned left = journal_replay(c, w.session, NULL);

		assert_true(left <= 1);
		uint64_t at = *answered + 1;

		if (left) /* in hand, or answered and not struck out yet */
			assert_int_equal(a.uniques[0], 100 + at++);
		/* The rest is still with the kernel. One that was struck out was answered. */
		fcntl(w.kernel[0], F_SETFL, O_NONBLOCK | O_DIRECT);
		for (bool first = true; at <= 50; at++, first = false) {
			ssize_t n = take(c, 0, &w);
			struct fuse_in_header head;

			if (first && !left && at == 50 && n == -EAGAIN)
				break;
			assert_true(n > 0);
			memcpy(&head, request, sizeof head);
			if (first && !left && head.unique == 100 + at + 1)
				at++;
			assert_int_equal(head.unique, 100 + at);
		}
		world_close(&w);
		munmap(answered, 4096);
		munmap(c, sizeof *c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_that_was_taken_is_answered_by_the_next_process),
		cmocka_unit_test(an_init_that_was_only_taken_is_the_first_to_be_answered),
		cmocka_unit_test(what_has_no_answer_is_not_asked_twice),
		cmocka_unit_test(a_request_that_waits_is_kept_until_it_is_answered),
		cmocka_unit_test(what_kills_everybody_is_refused_in_the_end),
		cmocka_unit_test(nothing_is_lost_by_a_kill_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
