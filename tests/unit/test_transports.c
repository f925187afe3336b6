/* Every transport against one small file system: answers at once, later, from other threads,
 * blocked ones, large ones; the ends that a connection can have. Needs the right to mount. */
#define FUSE_USE_VERSION 314

#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/trace.h"
#include "core/base/clock.h"
#include "fs/connection/mountpoint.h"
#include "fs/connection/session.h"
#include "fs/connection/transport.h"
#include "fs/connection/wire.h"
#include "tests/support/support.h"

#define SWITCH   "/sys/module/fuse/parameters/enable_uring"
#define LOCK     "/tmp/uring.lock" /* the switch is the machine's: one at a time moves it */
#define WAIT_S   10
#define BIG_SIZE (3u << 20)
#define BIG_INO  1000u
#define PARKED   64u

/* ---- the file system ---- */

struct parked {
	fuse_req_t req;
	sem_t     *answered; /* NULL: nobody waits */
};

static struct {
	pthread_t       thread;
	pthread_mutex_t lock;
	pthread_cond_t  more;
	struct parked   list[PARKED];
	unsigned        count;
	bool            over;
	atomic_uint     blocked;
	sem_t           go, ended;
} small;

static void reply_found(fuse_req_t req, uint64_t ino)
{
	struct fuse_entry_param e = {
		.ino = ino,
		.attr = { .st_ino = ino, .st_mode = S_IFREG | 0444, .st_nlink = 1 },
	};

	if (ino == BIG_INO)
		e.attr.st_size = BIG_SIZE;
	fuse_reply_entry(req, &e);
}

static void park(fuse_req_t req, sem_t *answered)
{
	LOCKED(&small.lock);
	assert_true(small.count < PARKED);
	small.list[small.count++] = (struct parked){ req, answered };
	pthread_cond_signal(&small.more);
}

static void *answer_later(void *arg)
{
	pthread_mutex_lock(&small.lock);
	for (;;) {
		while (small.count == 0 && !small.over)
			pthread_cond_wait(&small.more, &small.lock);
		if (small.count == 0)
			break;
		struct parked p = small.list[--small.count];

		pthread_mutex_unlock(&small.lock);
		reply_found(p.req, 7);
		if (p.answered)
			sem_post(p.answered);
		pthread_mutex_lock(&small.lock);
	}
	pthread_mutex_unlock(&small.lock);
	return NULL;
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	sem_t answered;

	if (strncmp(name, "now", 3) == 0) {
		reply_found(req, 2);
	} else if (strncmp(name, "later", 5) == 0) {
		park(req, NULL);
	} else if (strncmp(name, "raced", 5) == 0) {
		/* The answer comes from elsewhere while the handler has not returned. */
		sem_init(&answered, 0, 0);
		park(req, &answered);
		while (sem_wait(&answered) < 0)
			;
	} else if (strncmp(name, "blocked", 7) == 0) {
		atomic_fetch_add(&small.blocked, 1);
		while (sem_wait(&small.go) < 0)
			;
		reply_found(req, 3);
	} else if (strcmp(name, "big") == 0) {
		reply_found(req, BIG_INO);
	} else if (strcmp(name, "too-large") == 0) {
		size_t size = TRANSPORT_PAYLOAD + 1;
		char *bytes = calloc(1, size);

		fuse_reply_buf(req, bytes, size);
		free(bytes);
	} else {
		fuse_reply_err(req, ENOENT);
	}
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st = {
		.st_ino = ino,
		.st_mode = ino == 1 ? S_IFDIR | 0555 : S_IFREG | 0444,
		.st_size = ino == BIG_INO ? BIG_SIZE : 0,
	};

	fuse_reply_attr(req, &st, 0);
}

static uint8_t big_byte(size_t at)
{
	return (uint8_t)(at ^ (at >> 8) ^ (at >> 16));
}

/* Every other answer is made where the kernel takes it, where there is such a place. */
static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	static atomic_uint reads;
	size_t at = MIN((size_t)offset, BIG_SIZE), n = MIN(size, BIG_SIZE - at);
	uint8_t *room = atomic_fetch_add(&reads, 1) % 2 ? transport_room(size) : NULL;
	uint8_t *own = room ? NULL : malloc(n + 1);
	uint8_t *bytes = room ? room : own;

	for (size_t i = 0; i < n; i++)
		bytes[i] = big_byte(at + i);
	fuse_reply_buf(req, (const char *)bytes, n);
	free(own);
}

static const struct fuse_lowlevel_ops small_ops = {
	.lookup = on_lookup, .getattr = on_getattr, .read = on_read,
};

static void on_ended(void *arg)
{
	sem_post(&small.ended);
}

/* ---- a mount of it ---- */

struct mount {
	char                        folder[64];
	struct session             *session;
	const struct transport_ops *how;
};

static void small_start(void)
{
	memset(&small, 0, sizeof small);
	pthread_mutex_init(&small.lock, NULL);
	pthread_cond_init(&small.more, NULL);
	sem_init(&small.go, 0, 0);
	sem_init(&small.ended, 0, 0);
	assert_int_equal(pthread_create(&small.thread, NULL, answer_later, NULL), 0);
}

static void small_stop(void)
{
	pthread_mutex_lock(&small.lock);
	small.over = true;
	pthread_cond_broadcast(&small.more); /* one of a test that failed may wait, too */
	pthread_mutex_unlock(&small.lock);
	pthread_join(small.thread, NULL);
}

static int mount_session(struct mount *m, struct err *err)
{
	struct session_options o = {
		.mountpoint = m->folder, .source = "small", .subtype = "chainfs-test",
		.read_only = true, .parallel = true, .transport = m->how,
	};
	int rc = session_open(&small_ops, NULL, &o, &m->session, err);

	return rc < 0 ? rc : session_start(m->session, 0, on_ended, NULL, err);
}

/* What waits for an answer of its own process cannot even be killed. */
static unsigned minor_mounted;

static void on_alarm(int signal)
{
	if (minor_mounted)
		(void)!mountpoint_abort(minor_mounted, NULL);
}

/* Skips the test where the transport cannot be had. */
static void mount_it(struct mount *m, const struct transport_ops *how)
{
	struct err err = ERR_INIT;
	int rc = how->why_not(&err);

	*m = (struct mount){ .how = how };
	if (rc < 0) {
		print_message("# %s: %s\n", how->name, err_text(&err, rc));
		skip();
	}
	snprintf(m->folder, sizeof m->folder, "/tmp/chainfs-transports-XXXXXX");
	assert_non_null(mkdtemp(m->folder));
	small_start();
	rc = mount_session(m, &err);
	if (rc == -EPERM || rc == -ENODEV) {
		print_message("# %s\n", err_text(&err, rc));
		small_stop();
		rmdir(m->folder);
		skip();
	}
	assert_int_equal(rc, 0);
	struct mount_info info;

	assert_int_equal(mountpoint_find(m->folder, &info, NULL), 1);
	minor_mounted = info.minor;
	signal(SIGALRM, on_alarm);
	alarm(3 * WAIT_S);
}

static void unmount_it(struct mount *m)
{
	session_end(m->session, WAIT_S * 1000);
	session_closep(&m->session);
	alarm(0);
	small_stop();
	assert_int_equal(rmdir(m->folder), 0);
}

static int look_at(const struct mount *m, const char *name)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof path, "%s/%s", m->folder, name);
	return stat(path, &st) < 0 ? -errno : 0;
}

static bool waited(sem_t *s)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	int rc;

	while ((rc = sem_timedwait(s, &until)) < 0 && errno == EINTR)
		;
	return rc == 0;
}

/* ---- the tests, of one transport ---- */

static void answers(const struct transport_ops *how)
{
	struct mount m;
	struct wire_bits agreed;

	mount_it(&m, how);
	for (int i = 0; i < 500; i++) {
		assert_int_equal(look_at(&m, "now"), 0);
		assert_int_equal(look_at(&m, "absent"), -ENOENT);
	}
	assert_string_equal(session_transport(m.session), how->name);
	assert_true(wire_agreed(session_wire(m.session), &agreed));
	assert_true(agreed.parallel && agreed.uring == how->by_ring && agreed.stack_depth == 0);
	unmount_it(&m);
}

static void answers_later(const struct transport_ops *how)
{
	struct mount m;

	mount_it(&m, how);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(look_at(&m, "later"), 0);
		assert_int_equal(look_at(&m, "raced"), 0);
		assert_int_equal(look_at(&m, "now"), 0);
	}
	unmount_it(&m);
}

/* Read by offsets and sizes that fit no page, with and without the kernel's cache. */
static void answers_much(const struct transport_ops *how)
{
	static const int flags[] = { 0, O_DIRECT };
	struct mount m;
	char path[128];

	mount_it(&m, how);
	uint8_t *got = malloc(BIG_SIZE);

	snprintf(path, sizeof path, "%s/big", m.folder);
	for (size_t f = 0; f < ARRAY_LEN(flags); f++) {
		int fd = open(path, O_RDONLY | flags[f]);

		assert_true(fd >= 0);
		for (size_t at = 0, n; at < BIG_SIZE; at += n) {
			ssize_t had = pread(fd, got + at, MIN(700001u, BIG_SIZE - at), (off_t)at);

			assert_true(had > 0);
			n = (size_t)had;
		}
		for (size_t i = 0; i < BIG_SIZE; i++)
			if (got[i] != big_byte(i))
				fail_msg("byte %zu is wrong", i);
		close(fd);
	}
	free(got);
	unmount_it(&m);
}

static void stay_on_first(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	sched_setaffinity(0, sizeof set, &set);
}

static void *look_blocked(void *arg)
{
	struct mount *m = arg;

	char name[32]; /* of its own: the kernel asks for a name once at a time */

	snprintf(name, sizeof name, "blocked-%d", (int)gettid());
	stay_on_first();
	return (void *)(intptr_t)look_at(m, name);
}

static void *look_now(void *arg)
{
	struct mount *m = arg;

	stay_on_first();
	int rc = look_at(m, "now");

	sem_post(&small.ended);
	return (void *)(intptr_t)rc;
}

/* All on one processor, whose queue it would be. */
static void the_blocked_hold_up_nobody(const struct transport_ops *how)
{
	pthread_t blocked[2], now;
	struct mount m;
	void *rc;

	mount_it(&m, how);
	for (size_t i = 0; i < ARRAY_LEN(blocked); i++)
		assert_int_equal(pthread_create(&blocked[i], NULL, look_blocked, &m), 0);
	for (uint64_t until = clock_mono_ms() + WAIT_S * 1000;
	     atomic_load(&small.blocked) < ARRAY_LEN(blocked) && clock_mono_ms() < until;)
		usleep(1000);
	assert_int_equal(pthread_create(&now, NULL, look_now, &m), 0);
	bool came = waited(&small.ended);

	for (size_t i = 0; i < ARRAY_LEN(blocked); i++)
		sem_post(&small.go);
	pthread_join(now, &rc);
	if (!came)
		alarm(1); /* what fails now leaves nobody waiting */
	assert_int_equal(atomic_load(&small.blocked), ARRAY_LEN(blocked));
	assert_null(rc);
	assert_true(came);
	for (size_t i = 0; i < ARRAY_LEN(blocked); i++) {
		pthread_join(blocked[i], &rc);
		assert_null(rc);
	}
	unmount_it(&m);
}

static void tells_the_end(const struct transport_ops *how)
{
	struct mount m;

	mount_it(&m, how);
	assert_int_equal(look_at(&m, "now"), 0);
	assert_int_equal(mountpoint_unmount(m.folder, UNMOUNT_PLAIN, NULL), 0);
	assert_true(waited(&small.ended));
	unmount_it(&m);
}

/* Who has a folder open keeps the mount; it is detached, and answers no more. */
static void stops_while_in_use(const struct transport_ops *how)
{
	struct mount m;
	struct stat st;

	mount_it(&m, how);
	int fd = open(m.folder, O_PATH | O_DIRECTORY);

	assert_int_equal(fstatat(fd, "now", &st, 0), 0);
	session_end(m.session, 0);
	session_closep(&m.session);
	/* Until the kernel has taken the rings apart, what was handed to one is canceled. */
	for (uint64_t until = clock_mono_ms() + WAIT_S * 1000; clock_mono_ms() < until;) {
		assert_true(fstatat(fd, "now", &st, 0) < 0);
		if (errno != ECANCELED && errno != ECONNABORTED)
			break;
	}
	assert_int_equal(errno, ENOTCONN);
	close(fd);
	small_stop();
	assert_int_equal(rmdir(m.folder), 0);
}

/* ---- a daemon that is killed while its descriptor is held ---- */

static bool has_ended(pid_t pid, unsigned wait_ms)
{
	uint64_t until = clock_mono_ms() + wait_ms;

	do {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return true;
		usleep(2000);
	} while (clock_mono_ms() < until);
	return false;
}

static void child_serves(struct mount *m, int tell)
{
	small_start();
	int fd = mount_session(m, NULL) == 0 ? fuse_session_fd(session_fuse(m->session)) : -1;

	if (write(tell, &fd, sizeof fd) == sizeof fd)
		pause();
	_exit(1);
}

static void is_freed_by_abort(const struct transport_ops *how)
{
	struct mount m = { .how = how, .folder = "/tmp/chainfs-transports-XXXXXX" };
	struct err err = ERR_INIT;
	struct mount_info info;
	int ends[2], there = -1, rc = how->why_not(&err);

	if (rc < 0 || geteuid() != 0) {
		print_message("# %s\n",
			      rc < 0 ? err_text(&err, rc) : "only root holds another's descriptor");
		skip();
	}
	assert_non_null(mkdtemp(m.folder));
	assert_int_equal(pipe(ends), 0);
	pid_t daemon = fork();

	if (daemon == 0)
		child_serves(&m, ends[1]);
	assert_int_equal(read(ends[0], &there, sizeof there), sizeof there);
	assert_true(there >= 0);
	assert_int_equal(look_at(&m, "now"), 0);
	int process = (int)syscall(SYS_pidfd_open, daemon, 0);
	int held = (int)syscall(SYS_pidfd_getfd, process, there, 0);

	assert_true(held >= 0);
	assert_int_equal(mountpoint_find(m.folder, &info, NULL), 1);
	kill(daemon, SIGKILL);
	waitpid(daemon, NULL, 0);
	pid_t asker = fork();

	if (asker == 0)
		_exit(look_at(&m, "now") < 0 ? 0 : 1);
	/* It waits in vain, most of the time: while its rings fall apart the kernel may refuse. */
	assert_int_equal(mountpoint_abort(info.minor, NULL), 0);
	assert_true(has_ended(asker, WAIT_S * 1000));
	assert_int_equal(look_at(&m, "now"), -ENOTCONN);
	assert_int_equal(mountpoint_abort(99999, NULL), -ENOENT);
	assert_int_equal(mountpoint_unmount(m.folder, UNMOUNT_PLAIN, NULL), 0);
	close(held);
	close(process);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(rmdir(m.folder), 0);
}

/* Nobody has to wait for what does not fit. */
static void refuses_what_does_not_fit(const struct transport_ops *how)
{
	struct mount m;

	mount_it(&m, how);
	assert_true(look_at(&m, "too-large") < 0);
	assert_int_equal(look_at(&m, "now"), 0);
	unmount_it(&m);
}

#define OF_BOTH(test)                                                                          \
	static void test##_classic(void **state)                                               \
	{                                                                                      \
		test(&transport_classic);                                                      \
	}                                                                                      \
	static void test##_uring(void **state)                                                 \
	{                                                                                      \
		test(&transport_uring);                                                        \
	}

OF_BOTH(answers)
OF_BOTH(answers_later)
OF_BOTH(answers_much)
OF_BOTH(the_blocked_hold_up_nobody)
OF_BOTH(tells_the_end)
OF_BOTH(stops_while_in_use)
OF_BOTH(is_freed_by_abort)

static void refuses_what_does_not_fit_uring(void **state)
{
	refuses_what_does_not_fit(&transport_uring);
}

/* ---- picking ---- */

static void a_transport_is_picked_by_name(void **state)
{
	const struct transport_ops *how = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(transport_pick(NULL, &how, &err), 0);
	assert_ptr_equal(how, &transport_classic);
	assert_int_equal(transport_pick("classic", &how, &err), 0);
	assert_ptr_equal(how, &transport_classic);
	assert_int_equal(transport_pick("pigeon", &how, &err), -EINVAL);
	assert_int_equal(transport_pick("auto", &how, &err), 0);
	int rc = transport_uring.why_not(&err);

	assert_ptr_equal(how, rc == 0 ? &transport_uring : &transport_classic);
	assert_int_equal(transport_pick("uring", &how, &err), rc);
}

/* ---- the switch ---- */

static int lock = -1;
static char switch_was;

/* Turned on for as long as these tests run, by one at a time. */
static int switch_on(void **state)
{
	int fd = open(SWITCH, O_RDWR | O_CLOEXEC);

	trace_set_level(TRACE_ERROR);
	if (fd < 0)
		return 0;
	lock = open(LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (lock < 0 || flock(lock, LOCK_EX) < 0 || read(fd, &switch_was, 1) != 1)
		switch_was = 0;
	if (switch_was == 'N' && pwrite(fd, "Y", 1, 0) != 1)
		switch_was = 0;
	close(fd);
	return 0;
}

static int switch_back(void **state)
{
	int fd = switch_was == 'N' ? open(SWITCH, O_WRONLY | O_CLOEXEC) : -1;

	if (fd >= 0 && pwrite(fd, "N", 1, 0) != 1)
		print_message("# " SWITCH " was N and is Y now\n");
	if (fd >= 0)
		close(fd);
	if (lock >= 0)
		close(lock);
	return 0;
}

#define BOTH(test) cmocka_unit_test(test##_classic), cmocka_unit_test(test##_uring)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_transport_is_picked_by_name),
		BOTH(is_freed_by_abort),
		BOTH(answers),
		BOTH(answers_later),
		BOTH(answers_much),
		BOTH(the_blocked_hold_up_nobody),
		BOTH(tells_the_end),
		BOTH(stops_while_in_use),
		cmocka_unit_test(refuses_what_does_not_fit_uring),
	};

	return cmocka_run_group_tests(tests, switch_on, switch_back);
}
