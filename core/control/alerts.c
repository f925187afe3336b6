#include "core/control/alerts.h"

#include "core/base/clock.h"
#include "core/base/trace.h"
#include "core/control/metrics.h"

#define ROOM_MS 2000u /* between two looks at the disk */

struct alerts {
	const struct store *store;
	struct events *events;
	uint64_t cap, interval_ms;
	alerts_room_call *on_room;
	void *arg;
	pthread_t thread;
	bool past, full; /* what was said last */
	uint64_t cap_due_ms;

	pthread_mutex_t end_lock; /* guards ended; a leaf */
	pthread_cond_t end;
	bool ended;
};

enum alert alert_step(bool *past, uint64_t bytes, uint64_t cap)
{
	bool now = cap && bytes > cap;

	if (now == *past)
		return ALERT_NONE;
	*past = now;
	return now ? ALERT_PAST : ALERT_ENDED;
}

/* A store that was opened for reading alone stays so; that there is room again is said all the
 * same, since who can open it anew has to know. */
static void look_at_disk(struct alerts *a)
{
	struct err err = ERR_INIT;
	bool full = (store_opened_full(a->store) && !a->full ? store_writable(a->store, &err) :
							       store_space(a->store, &err)) < 0;

	if (full == a->full)
		return;
	a->full = full;
	if (full) {
		trace_warn("store", "read-only: disk full; what is held is served", "why=\"%s\"",
			   err.text);
		events_post(a->events, "-", "disk", "state=full why=\"%s\"", err.text);
	} else {
		trace_info("store", "the disk has room again", "store=%s", store_path(a->store));
		events_post(a->events, "-", "disk", "state=room");
	}
	if (a->on_room)
		a->on_room(a->arg, !full, err.text);
}

static void look_at_hyper(struct alerts *a)
{
	uint64_t now = clock_mono_ms();

	if (!a->cap || now < a->cap_due_ms)
		return;
	a->cap_due_ms = now + a->interval_ms;
	uint64_t bytes = metrics_hyper_bytes(a->store);

	switch (alert_step(&a->past, bytes, a->cap)) {
	case ALERT_NONE:
		break;
	case ALERT_PAST:
		trace_warn("hyper", "past its soft cap; nothing is refused or deleted",
			   "bytes=%" PRIu64 " cap=%" PRIu64, bytes, a->cap);
		events_post(a->events, "-", "hyper",
			    "alert=soft-cap bytes=%" PRIu64 " cap=%" PRIu64, bytes, a->cap);
		break;
	case ALERT_ENDED:
		trace_info("hyper", "below its soft cap again", "bytes=%" PRIu64 " cap=%" PRIu64,
			   bytes, a->cap);
		events_post(a->events, "-", "hyper",
			    "alert=soft-cap-ended bytes=%" PRIu64 " cap=%" PRIu64, bytes, a->cap);
		break;
	}
}

/* True when it has to end. */
static bool pause_between(struct alerts *a)
{
	uint64_t due_ms = clock_mono_ms() + MIN(a->interval_ms, ROOM_MS);

	LOCKED(&a->end_lock);
	while (!a->ended)
		if (clock_cond_wait(&a->end, &a->end_lock, due_ms))
			break;
	return a->ended;
}

static void *watch(void *arg)
{
	struct alerts *a = arg;

	do {
		look_at_disk(a);
		look_at_hyper(a);
	} while (!pause_between(a));
	return NULL;
}

static void release(struct alerts *a)
{
	pthread_cond_destroy(&a->end);
	pthread_mutex_destroy(&a->end_lock);
	free(a);
}

int alerts_new(const struct store *s, struct events *events, const struct settings *settings,
	       alerts_room_call *on_room, void *arg, struct alerts **out, struct err *err)
{
	uint64_t cap = settings_number(settings, SETTING_HYPER_RETENTION_SOFT_CAP);

	*out = NULL;
	metrics_set_soft_cap(cap);
	struct alerts *a = calloc(1, sizeof *a);
	if (!a)
		return err_set(err, -ENOMEM, "no memory for alerts");
	a->store = s;
	a->events = events;
	a->cap = cap;
	a->on_room = on_room;
	a->arg = arg;
	a->interval_ms = settings_number(settings, SETTING_HYPER_METRICS_INTERVAL);
	pthread_mutex_init(&a->end_lock, NULL);
	clock_cond_init(&a->end);
	int rc = -pthread_create(&a->thread, NULL, watch, a);
	if (rc < 0) {
		release(a);
		return err_set(err, rc, "no thread for alerts: %s", strerror(-rc));
	}
	*out = a;
	return 0;
}

void alerts_freep(struct alerts **at)
{
	struct alerts *a = TAKE(*at);

	if (!a)
		return;
	pthread_mutex_lock(&a->end_lock);
	a->ended = true;
	pthread_cond_signal(&a->end);
	pthread_mutex_unlock(&a->end_lock);
	pthread_join(a->thread, NULL);
	release(a);
}
