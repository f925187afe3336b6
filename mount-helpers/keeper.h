/* keeper.h: the process that stays: it holds the descriptors of the mount and what the kernel goes
 * by (fs/connection/keep.h) while a worker, its child, serves. It opens no store, has one thread,
 * and does nothing else.
 *
 *     worker died, or stopped at an I/O error   another one starts, at once; later when they die
 *                                               young
 *     worker ended as it was told, or unmounted the keeper ends, with its code
 *     KEEPER_STRIKES died before they served    the mount is detached; EXIT_GIVEN_UP
 *     upgrade (SIGUSR2, or a word of the worker's)  the worker hands over; the program that lies at
 *                                               our path by now takes our place, under our number
 *     the keeper dies                           the worker is told by the kernel: it unmounts and
 *                                               ends
 * With a service manager that stores descriptors, the last two leave the mount to the next start.
 * A transport that dies with its process is not taken over: its connection is ended and another one
 * mounted.
 *
 * Signals for the worker (TERM, INT, HUP) are passed on. What the worker tells the service manager
 * goes through us: managers believe the main process alone. */
#ifndef CHAINFS_KEEPER_H
#define CHAINFS_KEEPER_H

#include "core/base/err.h"
#include "fs/connection/keep.h"
#include "net/supervisor.h"

#define KEEPER_STRIKES 8u

/* Exit code of a worker that left everything to the next one; nobody else sees it. */
#define WORKER_HANDED_OVER 75

struct worker { /* what a worker has of its keeper */
	struct keep      *keep;
	int               channel;
	struct supervisor supervisor;
};

struct keeper_task {
	const char *store, *mountpoint;        /* absolute */
	struct supervisor *supervisor;         /* the keeper's own */
	int        *ready_fd;                  /* told when the mount answers (a zero byte), then
						* closed; -1: in front */
	char      **again;                     /* argv of keeper_go_on() with a free word at [2] */
	int         keep_fd;                   /* of the keeper before us; -1: none */
	int       (*work)(void *arg, struct worker *w, struct err *err); /* an exit code */
	void       *arg;
};

/* Returns when the mount is over: an exit code, with a sentence when the mount never came to be. */
int keeper_run(const struct keeper_task *task, struct err *err);

/* ---- the worker's words ---- */
void worker_mounted(struct worker *w, int main_fd, int ctl_fd, int plain_fd);
/* `survives`: another worker can go on with the mount when this one dies. */
void worker_ready(struct worker *w, bool survives);
/* Asks the keeper to bring the program at its path; it tells the worker by SIGUSR2. */
int  worker_upgrade(struct worker *w, struct err *err) MUST_CHECK;

#endif
