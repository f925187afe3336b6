/* watch.h: a sign of life for the service manager, as long as the mount answers.
 *
 * Asks the file system for its size through the mount, which no cache answers. A process of its own
 * asks: a thread of ours that waits for our own answer would, once we hang, hold the connection
 * open while we are killed, and neither would ever end. It holds nothing but two pipes, so the kill
 * frees it too.
 *
 *     watch_fork()    before the first thread and before anything is opened
 *     watch_start()   once the mount answers: from now on WATCHDOG=1, twice within the period
 *     watch_stop()    before the mount ends: it says nothing more
 * A check that is not back in half the period is told as STATUS, and no sign of life is sent until
 * it is: the manager decides.
 * Threads  fork, start and release by one after the other; watch_stop() by any. */
#ifndef CHAINFS_WATCH_H
#define CHAINFS_WATCH_H

#include "core/base/err.h"
#include "net/supervisor.h"

struct watch {
	const struct supervisor *supervisor;
	const char *mountpoint;
	pid_t       child;    /* 0: none */
	int         ask, answer;
	int         stop[2];  /* a pipe: what is written there ends it */
	pthread_t   thread;
	bool        running;
};

#define WATCH_NONE { .ask = -1, .answer = -1, .stop = { -1, -1 } }

/* Nothing happens where the supervisor asks for no sign of life. `mountpoint`: absolute, lives as
 * long. */
int  watch_fork(struct watch *w, const struct supervisor *s, const char *mountpoint,
		struct err *err) MUST_CHECK;
int  watch_start(struct watch *w, struct err *err) MUST_CHECK;
void watch_stop(struct watch *w);
void watch_release(struct watch *w);

#endif
