/* gate.h: where imports of a daemon wait: one gate for all of its networks, with two reasons to be
 * closed.
 *
 *     paused   until somebody opens it: nothing is imported, what came before is committed
 *     frozen   until somebody thaws it or its time is over: everything is on the disk, and nothing
 *              is written, so that the store's folder may be copied file by file
 *
 * Who writes enters, writes up to a commit, and leaves. A closed gate is obeyed at the next commit
 * boundary: gate_closing() tells who is inside to commit and leave.
 * Threads  any. A gate that is NULL is always open. */
#ifndef CHAINFS_INGEST_GATE_H
#define CHAINFS_INGEST_GATE_H

#include <stdatomic.h>

#include "core/base/err.h"

struct gate;

struct gate *gate_new(void); /* NULL: no memory */
void gate_freep(struct gate **g);

/* ---- orders ---- */

void gate_pause(struct gate *g, bool on);
bool gate_is_paused(struct gate *g);
bool gate_is_frozen(struct gate *g);
/* Returns when nobody is inside any more. -EAGAIN: somebody still was after wait_ms, and the gate
 * is open again; -EALREADY: it is frozen. */
int  gate_freeze(struct gate *g, unsigned wait_ms) MUST_CHECK;
void gate_thaw(struct gate *g);

/* ---- writers ---- */

/* Waits while the gate is closed. -EINTR when *stop (may be NULL) became true meanwhile. */
int  gate_enter(struct gate *g, const atomic_bool *stop) MUST_CHECK;
void gate_leave(struct gate *g);
/* True: somebody wants it closed, so commit and leave. */
bool gate_closing(struct gate *g);

#endif
