#include "mount-helpers/failstop.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/base.h"
#include "core/control/verb.h"

#define LINE_SIZE 1024

/* Neither stdio nor malloc: either may be what is broken, or locked by the thread that we are. */
struct line {
	char text[LINE_SIZE];
	size_t size;
};

static void add(struct line *l, const char *text)
{
	while (*text && l->size < sizeof l->text - 1)
		l->text[l->size++] = *text++;
}

static void add_number(struct line *l, unsigned n)
{
	char digits[12];
	size_t i = sizeof digits - 1;

	digits[i] = '\0';
	do {
		digits[--i] = (char)('0' + n % 10);
		n /= 10;
	} while (n && i);
	add(l, digits + i);
}

/* Several threads may come here at once: the first tells, and all of them end. */
__attribute__((noreturn)) static void end(struct line *l)
{
	static atomic_flag told = ATOMIC_FLAG_INIT;

	if (!atomic_flag_test_and_set(&told)) {
		l->text[l->size++] = '\n';
		ssize_t ignored = write(STDERR_FILENO, l->text, l->size);
		(void)ignored;
	}
	_exit(EXIT_STORAGE);
}

void failstop_assert(const char *what, const char *file, unsigned number, const char *function)
{
	struct line l = { .size = 0 };

	add(&l, "chainfs: stopped, a rule was broken: ");
	add(&l, what);
	add(&l, " (");
	add(&l, file);
	add(&l, ":");
	add_number(&l, number);
	add(&l, ", ");
	add(&l, function ? function : "?");
	add(&l, "); nothing acknowledged is lost");
	end(&l);
}

static void on_abort(int number, siginfo_t *info, void *context)
{
	struct line l = { .size = 0 };

	(void)number;
	(void)context;
	add(&l, "chainfs: stopped by SIGABRT");
	if (info->si_code == SI_USER) {
		add(&l, " of process ");
		add_number(&l, (unsigned)info->si_pid);
	} else {
		add(&l, ": a library gave up");
	}
	add(&l, "; nothing acknowledged is lost");
	end(&l);
}

void failstop_arm(void)
{
	struct sigaction abort_action = { .sa_sigaction = on_abort, .sa_flags = SA_SIGINFO };

	sigemptyset(&abort_action.sa_mask);
	sigaction(SIGABRT, &abort_action, NULL);
}
