/* alerts.h: looks now and then whether the disk is full, and whether hyper has grown past its soft
 * cap, and says each so once.
 *
 * While the store cannot be written to for want of room there is one event, "disk state=full
 * why=…", and one when it can again, "disk state=room"; the same in the trace.
 * Past the cap there is one event, "hyper alert=soft-cap bytes=N cap=N", and one when it is below
 * again, "hyper alert=soft-cap-ended …"; the same in the trace. Nothing is refused and nothing
 * deleted. Its network is "-": the cap is one of all networks. hyper.retention_soft_cap and
 * hyper.metrics_interval say how.
 * Threads  one of its own, that waits between two looks; alerts_new and alerts_freep by one
 *          thread. */
#ifndef CHAINFS_CONTROL_ALERTS_H
#define CHAINFS_CONTROL_ALERTS_H

#include "core/control/events.h"
#include "core/control/settings.h"
#include "core/store/store.h"

enum alert { ALERT_NONE, ALERT_PAST, ALERT_ENDED };
/* The decision: *past is what was said last. */
enum alert alert_step(bool *past, uint64_t bytes, uint64_t cap);

struct alerts;

/* How it stands with the disk, when that changed: on the alerts' thread, which holds no lock. */
typedef void alerts_room_call(void *arg, bool room, const char *sentence);

/* The store, events and settings stay the caller's, and outlive it. `on_room` may be NULL. */
int alerts_new(const struct store *s, struct events *events, const struct settings *settings,
	       alerts_room_call *on_room, void *arg, struct alerts **out, struct err *err)
	MUST_CHECK;
void alerts_freep(struct alerts **a);

#endif
