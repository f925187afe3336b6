#include "core/ingest/gate.h"

#include "core/base/clock.h"

#define LOOK_MS 50u /* at the writer's stop flag, which wakes nobody */

struct gate {
	pthread_mutex_t gate_lock; /* guards the rest; a leaf */
	pthread_cond_t changed;
	bool paused, frozen;
	unsigned inside;
};

struct gate *gate_new(void)
{
	struct gate *g = calloc(1, sizeof *g);

	if (!g)
		return NULL;
	pthread_mutex_init(&g->gate_lock, NULL);
	clock_cond_init(&g->changed);
	return g;
}

void gate_freep(struct gate **at)
{
	struct gate *g = TAKE(*at);

	if (!g)
		return;
	pthread_cond_destroy(&g->changed);
	pthread_mutex_destroy(&g->gate_lock);
	free(g);
}

/* ---- orders ---- */

void gate_pause(struct gate *g, bool on)
{
	LOCKED(&g->gate_lock);
	g->paused = on;
	pthread_cond_broadcast(&g->changed);
}

bool gate_is_paused(struct gate *g)
{
	if (!g)
		return false;
	LOCKED(&g->gate_lock);
	return g->paused;
}

bool gate_is_frozen(struct gate *g)
{
	if (!g)
		return false;
	LOCKED(&g->gate_lock);
	return g->frozen;
}

int gate_freeze(struct gate *g, unsigned wait_ms)
{
	uint64_t due = clock_mono_ms() + wait_ms;

	LOCKED(&g->gate_lock);
	if (g->frozen)
		return -EALREADY;
	g->frozen = true;
	pthread_cond_broadcast(&g->changed);
	while (g->inside)
		if (clock_cond_wait(&g->changed, &g->gate_lock, due) && g->inside) {
			g->frozen = false;
			pthread_cond_broadcast(&g->changed);
			return -EAGAIN;
		}
	return 0;
}

void gate_thaw(struct gate *g)
{
	LOCKED(&g->gate_lock);
	g->frozen = false;
	pthread_cond_broadcast(&g->changed);
}

/* ---- writers ---- */

int gate_enter(struct gate *g, const atomic_bool *stop)
{
	if (!g)
		return 0;
	LOCKED(&g->gate_lock);
	while (g->paused || g->frozen) {
		if (stop && atomic_load(stop))
			return -EINTR;
		clock_cond_wait(&g->changed, &g->gate_lock, clock_mono_ms() + LOOK_MS);
	}
	g->inside++;
	return 0;
}

void gate_leave(struct gate *g)
{
	if (!g)
		return;
	LOCKED(&g->gate_lock);
	assert(g->inside > 0);
	g->inside--;
	pthread_cond_broadcast(&g->changed);
}

bool gate_closing(struct gate *g)
{
	if (!g)
		return false;
	LOCKED(&g->gate_lock);
	return g->paused || g->frozen;
}
