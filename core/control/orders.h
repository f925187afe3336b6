/* orders.h: what a person orders of a running daemon: one value a file of ctl, parsed when it is
 * written.
 *
 *     pause       1, 0: imports stop between two commits, and go on
 *     freeze      1, "1 SECONDS", 0: everything is on the disk and nothing below the store is
 *                 written, so that its folder may be copied file by file; thaws by itself after
 *                 FREEZE_SECONDS
 *     log-level   error, warn, info, debug
 *     verify      NETWORK, "NETWORK FIRST-LAST", "NETWORK CHECKPOINT": the checks of the verb, in
 *                 the background; what it found is read afterwards
 *     backward    on, off: history is fetched, or waits until it is on again
 *     cap         bytes a second that following may take, with k, M or G; 0: as many as come
 *     fetch       "[NETWORK] SHARD FIRST-LAST": these heights are asked for before others; what was
 *                 asked for and is not held yet is read, a line a request
 *     trust       a decision about blocks (trust_orders.h); what it did is read afterwards
 *     last_error  read only: why the last order was refused
 *
 * Pins are named NAME, and NETWORK:NAME where the store holds several networks; both are always
 * understood.
 *
 * What is ordered of following goes to every network that is followed, but for fetch.
 * Errors   -EINVAL for words that are none of these, -EOPNOTSUPP where nobody follows, -EMSGSIZE
 *          over ORDER_SIZE_MAX, -EBUSY while a verification runs, -EAGAIN when imports or the
 *          database did not come to rest, -EACCES for what is read only; those of pins.h. The
 *          sentence is kept for last_error.
 * Threads  any. A freeze waits until everything rests, up to FREEZE_WAIT_MS; the rest does not
 *          wait. */
#ifndef CHAINFS_CONTROL_ORDERS_H
#define CHAINFS_CONTROL_ORDERS_H

#include "core/checkpoint/pins.h"
#include "core/ingest/gate.h"

#define ORDER_SIZE_MAX      4096u
#define FREEZE_SECONDS      60u
#define FREEZE_SECONDS_MAX  86400u
#define FREEZE_WAIT_MS      30000u
#define ORDER_WANTS_MAX     64u /* ranges asked for that are remembered */
#define ORDER_PIN_NAME_SIZE (NETWORK_NAME_MAX + 1 + PIN_NAME_MAX + 1)

enum order {
	ORDER_PAUSE, ORDER_FREEZE, ORDER_LOG_LEVEL, ORDER_VERIFY, ORDER_BACKWARD, ORDER_CAP,
	ORDER_FETCH,
	ORDER_TRUST, ORDER_LAST_ERROR, ORDER_COUNT
};

struct orders;

struct follows; /* core/sync/follow.h */

struct orders_env { /* all of these live longer */
	struct store  *store;
	struct events *events;
	struct pins   *pins;
	struct gate   *gate;
	struct follows *follows; /* NULL: nobody follows anything */
};

int  orders_open(const struct orders_env *env, struct orders **out, struct err *err) MUST_CHECK;
void orders_closep(struct orders **o); /* thaws; stops a verification */

int orders_write(struct orders *o, enum order which, struct slice text) MUST_CHECK;
int orders_read(struct orders *o, enum order which, struct buf *out) MUST_CHECK;

/* "[NETWORK:]NAME[@HEIGHT]"; without a height the newest one that is replayed. */
int orders_pin(struct orders *o, const char *text) MUST_CHECK;
int orders_unpin(struct orders *o, const char *name) MUST_CHECK;
/* 0, or -ENOENT. */
int orders_pin_find(struct orders *o, const char *name, struct network **network,
		    struct pin *out) MUST_CHECK;
/* The first one behind (after_network, after); NULL, "": from the start. 1, 0. `name` is how it is
 * called. */
int orders_pin_next(struct orders *o, struct network *after_network, const char *after,
		    struct network **network, struct pin *out,
		    char name[ORDER_PIN_NAME_SIZE]) MUST_CHECK;
/* "waiting", "building N of M", "complete", "failed: sentence" */
void orders_pin_state(const struct pin *p, struct buf *out);

#endif
