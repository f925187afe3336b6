/* early.c: a library to preload, under which a process gets SIGTERM at one place, EARLY_AT: `fork`,
 * in the parent, and `child`, in the child, right after the first fork(); `wait`, right after the
 * first waitpid() that says a child has ended. Only in the process that was started, and its child. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static pid_t started;
static int forks;

__attribute__((constructor)) static void begin(void)
{
	started = getpid();
}

static void now(const char *place)
{
	const char *at = getenv("EARLY_AT");

	if (at && strcmp(at, place) == 0)
		raise(SIGTERM);
}

pid_t fork(void)
{
	pid_t (*real)(void) = (pid_t (*)(void))dlsym(RTLD_NEXT, "fork");
	int first = getpid() == started && !forks++;
	pid_t pid = real();

	if (first)
		now(pid == 0 ? "child" : "fork");
	return pid;
}

pid_t waitpid(pid_t pid, int *status, int options)
{
	pid_t (*real)(pid_t, int *, int) =
		(pid_t (*)(pid_t, int *, int))dlsym(RTLD_NEXT, "waitpid");
	pid_t ended = real(pid, status, options);

	if (ended > 0 && getpid() == started)
		now("wait");
	return ended;
}
