/* chainfs: the one program. Finds the verb, opens the store or asks the daemon that holds it. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/sign.h"
#include "core/base/trace.h"
#include "mount-helpers/failstop.h"
#include "mount-helpers/following.h"
#include "mount-helpers/leaving.h"
#include "mount-helpers/verbs.h"
#include "net/control.h"

atomic_bool verbs_stop;

static int output_error; /* errno of the first write to standard output that failed */

static void on_signal(int signal_number)
{
	(void)signal_number;
	atomic_store(&verbs_stop, true);
}

bool verbs_wait(int fd)
{
	struct pollfd readable = { .fd = fd, .events = POLLIN };
	sigset_t ends, before;
	int n = 0;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, &before);
	while (!atomic_load(&verbs_stop) && n == 0) {
		n = ppoll(&readable, 1, NULL, &before);
		if (n < 0 && errno == EINTR)
			n = 0;
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return !atomic_load(&verbs_stop);
}

static int write_all(int fd, const char *text, size_t size)
{
	while (size) {
		ssize_t n = write(fd, text, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : EIO;
		text += n;
		size -= (size_t)n;
	}
	return 0;
}

static void to_stdout(void *arg, const char *text, size_t size)
{
	(void)arg;
	int failed = write_all(STDOUT_FILENO, text, size);
	if (!failed)
		return;
	if (!output_error)
		output_error = failed;
	atomic_store(&verbs_stop, true); /* nobody reads any more: as if interrupted */
}

/* A full disk below somebody's log ends no work, and the exit code tells what the words would. */
static void to_stderr(void *arg, const char *text, size_t size)
{
	(void)arg;
	if (write_all(STDERR_FILENO, text, size) == EPIPE)
		atomic_store(&verbs_stop, true);
}

/* Whoever starts us may have closed these. A file of the store must not get such a number and then
 * the words that we say to the person; what is written to a standard output that is closed is as
 * lost as on a full disk. */
static void keep_standard_files(void)
{
	int fd;
	do {
		bool output = fcntl(STDIN_FILENO, F_GETFD) >= 0 &&
			      fcntl(STDOUT_FILENO, F_GETFD) < 0;
		fd = open("/dev/null", output ? O_RDONLY : O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	base_closep(&fd);
}

/* A library's assert() comes here too. Beside main(), so that no test gets it. */
__attribute__((noreturn)) void __assert_fail(const char *what, const char *file, unsigned line,
					     const char *function)
{
	failstop_assert(what, file, line, function);
}

/* What could not be told to the person is not done. A reader that went away (`| head`) is no
 * fault. */
int verbs_tell(int code)
{
	if (code != EXIT_DONE || !output_error || output_error == EPIPE)
		return code;
	fprintf(stderr, "chainfs: the output cannot be written: %s\n", strerror(output_error));
	return EXIT_SYSTEM;
}

/* Asks the daemon behind a socket, whatever store it has. */
static int run_at_socket(struct verb_call *c, int argc, char **argv)
{
	const char *path = c->options[OPTION_RPC];
	struct err err = ERR_INIT;
	int code = EXIT_DONE, rc = 0;
	if (verb_has(c, OPTION_SET) || verb_has(c, OPTION_SETTINGS))
		rc = err_set(&err, -EINVAL,
			     "the daemon behind --rpc goes by its own settings; give --set and "
			     "--settings to chainfs mount");
	if (rc == 0)
		rc = control_call_at(path, argc, argv, c->io, &code, &err);
	if (rc == -ECONNREFUSED) { /* nobody is there */
		verb_fail(c, rc, &err);
		return EXIT_ABSENT;
	}
	return rc < 0 ? verb_fail(c, rc, &err) : code;
}

/* A daemon goes by its own settings; what was said for this call alone would be lost on it. */
static int ask_daemon(struct verb_call *c, int argc, char **argv, int *code, struct err *err)
{
	if (!verb_has(c, OPTION_SET) && !verb_has(c, OPTION_SETTINGS))
		return control_call(c->words[0], argc, argv, c->io, code, err);
	return err_set(err, -EBUSY,
		       "a process holds %s and goes by its own settings; give --set and "
		       "--settings to chainfs mount",
		       c->words[0]);
}

/* Where settings matter: from --set, the environment, and the file. */
static int load_settings(struct verb_call *c, struct settings **out, struct err *err)
{
	char store[4096];
	struct settings_sources from = {
		.file = c->options[OPTION_SETTINGS],
		.sets = c->sets,
		.environment = environ,
		.store = c->word_count ? c->words[0] : NULL,
	};
	if (c->verb->need == STORE_NONE)
		return 0;
	if (c->verb->run == verb_demo) {
		demo_store(c, store, sizeof store);
		from.store = store;
	}
	int rc = settings_load(&from, out, err);
	if (rc < 0)
		return rc;
	c->settings = *out;
	following_authorities(*out);
	trace_set_level((enum trace_level)settings_number(*out, SETTING_LOG_LEVEL));
	return 0;
}

/* Where a daemon holds the store, it answers; else this process does, which opens nothing. */
static int run_asking(struct verb_call *c, int argc, char **argv)
{
	char holder[128];
	int code;
	struct err err = ERR_INIT;
	if (c->word_count && !verb_has(c, OPTION_SET) && !verb_has(c, OPTION_SETTINGS) &&
	    store_holder(c->words[0], holder, sizeof holder) == 0) {
		int rc = control_call(c->words[0], argc, argv, c->io, &code, &err);
		if (rc != -ECONNREFUSED)
			return rc == 0 ? code : verb_fail(c, rc, &err);
	}
	return c->verb->run(c);
}

/* The store in this process; where a daemon holds it, the daemon runs the verb. */
static int run_on_store(struct verb_call *c, int argc, char **argv)
{
	struct err err = ERR_INIT;
	char holder[64];
	snprintf(holder, sizeof holder, "%s, pid %d", c->verb->name, (int)getpid());
	struct store_options o = {
		.create = c->verb->need == STORE_CREATE,
		.cache_size = settings_number(c->settings, SETTING_LIMITS_CACHE),
		.holder = holder,
		.sync_off = verb_has(c, OPTION_NO_SYNC),
		.damaged_too = c->verb->run == verb_fsck,
		.mend = verb_has(c, OPTION_REPAIR),
	};
	int code = c->verb->check ? c->verb->check(c) : EXIT_DONE;
	if (code == CHECK_APART)
		return c->verb->run(c);
	if (code != EXIT_DONE)
		return code;
	int rc = store_open(c->words[0], &o, &c->store, &err);
	if (rc == -EBUSY) {
		code = EXIT_BUSY;
		struct err refused = ERR_INIT;
		rc = ask_daemon(c, argc, argv, &code, &refused);
		if (rc == 0)
			return code;
		if (rc != -ECONNREFUSED)
			return verb_fail(c, rc, &refused);
		rc = leaving_wait(c->words[0]) ? store_open(c->words[0], &o, &c->store, &err) :
						 -EBUSY;
	}
	if (rc < 0)
		return verb_fail(c, rc, &err);
	code = c->verb->run(c);
	store_closep(&c->store);
	return code;
}

/* Of a terminal; 0: it is none. */
static unsigned columns_of(int fd)
{
	struct winsize size;

	if (!isatty(fd))
		return 0;
	return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

int main(int argc, char **argv)
{
	keep_standard_files();
	failstop_arm();
	struct sigaction stop = { .sa_handler = on_signal }, ignore = { .sa_handler = SIG_IGN };
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	struct verb_io io = { to_stdout, to_stderr, NULL, .terminal = isatty(STDERR_FILENO),
			      .columns = columns_of(STDOUT_FILENO), .stop = &verbs_stop };
	struct verb_call call = { .io = &io };

	if (sign_init() < 0) {
		verb_say(&call, "chainfs: the signature library does not start\n");
		return EXIT_SYSTEM;
	}
	int helped = helper_main(argc, argv, &io);
	if (helped >= 0)
		return helped;
	char *help[] = { "help", NULL };
	bool asked = argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
	bool version = argc > 1 && strcmp(argv[1], "--version") == 0;
	if (version)
		argv[1] = "version";
	if (argc < 2 || asked) {
		int code = verb_parse(verbs, verb_count, 1, help, &call);
		code = code >= 0 ? code : call.verb->run(&call);
		return asked ? verbs_tell(code) : EXIT_USAGE;
	}
	AUTO(settings_freep) struct settings *settings = NULL;
	struct err err = ERR_INIT;
	int code = verb_parse(verbs, verb_count, argc - 1, argv + 1, &call);
	if (code >= 0)
		return verbs_tell(code);
	int rc = load_settings(&call, &settings, &err);
	if (rc < 0)
		return verbs_tell(verb_fail(&call, rc, &err));
	if (verb_has(&call, OPTION_RPC))
		return verbs_tell(run_at_socket(&call, argc - 1, argv + 1));
	if (call.verb->need == STORE_ASK)
		return verbs_tell(run_asking(&call, argc - 1, argv + 1));
	if (call.verb->need == STORE_OPEN || call.verb->need == STORE_CREATE)
		return verbs_tell(run_on_store(&call, argc - 1, argv + 1));
	return verbs_tell(call.verb->run(&call));
}
