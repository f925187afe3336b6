#include "fs/connection/meter.h"

#include <stdatomic.h>

#include "core/base/clock.h"

struct meter {
	const struct store *store;
	pthread_t thread;
	atomic_uint_fast64_t bytes, measured_ms;
	atomic_bool asked;          /* so that one who asks after another takes no lock */
	pthread_mutex_t meter_lock; /* guards the next two; a leaf */
	pthread_cond_t wake;
	bool wanted, stopping;
};

static void measure(struct meter *m)
{
	atomic_store(&m->bytes, store_size(m->store));
	atomic_store(&m->measured_ms, clock_mono_ms());
}

/* Until somebody wants a new number, and METER_PAUSE_MS have gone since the last. False: stop. */
static bool wait_for_wish(struct meter *m)
{
	uint64_t due = atomic_load(&m->measured_ms) + METER_PAUSE_MS;

	LOCKED(&m->meter_lock);
	while (!m->stopping && !m->wanted)
		pthread_cond_wait(&m->wake, &m->meter_lock);
	while (!m->stopping && clock_mono_ms() < due)
		clock_cond_wait(&m->wake, &m->meter_lock, due);
	m->wanted = false;
	atomic_store(&m->asked, false);
	return !m->stopping;
}

static void *run(void *arg)
{
	struct meter *m = arg;

	while (wait_for_wish(m))
		measure(m);
	return NULL;
}

static void clear(struct meter *m)
{
	pthread_cond_destroy(&m->wake);
	pthread_mutex_destroy(&m->meter_lock);
	free(m);
}

int meter_new(const struct store *s, struct meter **out, struct err *err)
{
	struct meter *m = calloc(1, sizeof *m);

	if (!m)
		return err_set(err, -ENOMEM, "no memory for the mount");
	m->store = s;
	pthread_mutex_init(&m->meter_lock, NULL);
	clock_cond_init(&m->wake);
	measure(m);
	int rc = -pthread_create(&m->thread, NULL, run, m);

	if (rc < 0) {
		clear(m);
		return err_set(err, rc, "no thread for the mount: %s", strerror(-rc));
	}
	*out = m;
	return 0;
}

void meter_freep(struct meter **at)
{
	struct meter *m = TAKE(*at);

	if (!m)
		return;
	pthread_mutex_lock(&m->meter_lock);
	m->stopping = true;
	pthread_cond_signal(&m->wake);
	pthread_mutex_unlock(&m->meter_lock);
	pthread_join(m->thread, NULL);
	clear(m);
}

void meter_published(struct meter *m)
{
	if (!m || atomic_exchange(&m->asked, true))
		return;
	LOCKED(&m->meter_lock);
	m->wanted = true;
	pthread_cond_signal(&m->wake);
}

uint64_t meter_bytes(struct meter *m)
{
	if (clock_mono_ms() - atomic_load(&m->measured_ms) > METER_OLD_MS)
		meter_published(m);
	return atomic_load(&m->bytes);
}
