#include "net/loop.h"

#include <signal.h>
#include <stdio.h>
#include <uv.h>

#include "core/base/trace.h"

struct posted {
	struct posted *next;
	void (*call)(void *arg);
	void *arg;
};

struct loop {
	uv_loop_t uv;
	uv_async_t wake;
	pthread_t thread;

	pthread_mutex_t posts_lock; /* guards the rest; a leaf */
	struct posted *first, **last;
	bool closing;
};

struct loop_timer {
	uv_timer_t uv;
	struct loop *loop;
	void (*call)(void *arg);
	void *arg;
};

static struct posted *take_all(struct loop *l, bool *closing)
{
	LOCKED(&l->posts_lock);
	struct posted *all = l->first;
	l->first = NULL;
	l->last = &l->first;
	*closing = l->closing;
	return all;
}

static void woken(uv_async_t *wake)
{
	struct loop *l = wake->data;
	bool closing;
	for (struct posted *p = take_all(l, &closing), *next; p; p = next) {
		next = p->next;
		p->call(p->arg);
		free(p);
	}
	/* Nothing is posted after `closing` was set, so that was all. */
	if (closing && !uv_is_closing((uv_handle_t *)wake))
		uv_close((uv_handle_t *)wake, NULL);
}

static void *loop_thread(void *arg)
{
	struct loop *l = arg;
	uv_run(&l->uv, UV_RUN_DEFAULT);
	return NULL;
}

static int thread_start(struct loop *l, const char *name)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = -pthread_create(&l->thread, NULL, loop_thread, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0) {
		char short_name[16];
		snprintf(short_name, sizeof short_name, "%s", name);
		pthread_setname_np(l->thread, short_name);
	}
	return rc;
}

int loop_open(const char *thread_name, struct loop **out, struct err *err)
{
	struct loop *l = calloc(1, sizeof *l);
	if (!l)
		return err_set(err, -ENOMEM, "no memory for an event loop");
	l->last = &l->first;
	l->wake.data = l;
	int rc = uv_loop_init(&l->uv);
	if (rc < 0) {
		free(l);
		return err_set(err, rc, "no event loop: %s", uv_strerror(rc));
	}
	rc = uv_async_init(&l->uv, &l->wake, woken);
	if (rc < 0) {
		uv_loop_close(&l->uv);
		free(l);
		return err_set(err, rc, "no wake-up for an event loop: %s", uv_strerror(rc));
	}
	pthread_mutex_init(&l->posts_lock, NULL);
	rc = thread_start(l, thread_name);
	if (rc < 0) {
		uv_close((uv_handle_t *)&l->wake, NULL);
		uv_run(&l->uv, UV_RUN_DEFAULT);
		uv_loop_close(&l->uv);
		pthread_mutex_destroy(&l->posts_lock);
		free(l);
		return err_set(err, rc, "no thread for an event loop: %s", strerror(-rc));
	}
	*out = l;
	return 0;
}

static void close_begin(struct loop *l)
{
	LOCKED(&l->posts_lock);
	l->closing = true;
	/* Under the lock: once `closing` is seen on the loop, the handle may go. */
	uv_async_send(&l->wake);
}

void loop_closep(struct loop **out)
{
	struct loop *l = *out;
	if (!l)
		return;
	assert(!loop_is_here(l));
	close_begin(l);
	pthread_join(l->thread, NULL);
	int rc = uv_loop_close(&l->uv);
	if (rc < 0)
		trace_error("net", "an event loop ended with handles open", "error=%s",
			    uv_strerror(rc));
	pthread_mutex_destroy(&l->posts_lock);
	free(l);
	*out = NULL;
}

struct uv_loop_s *loop_uv(struct loop *l)
{
	return &l->uv;
}

uint64_t loop_now_ms(struct loop *l)
{
	return uv_hrtime() / 1000000;
}

bool loop_is_here(const struct loop *l)
{
	return pthread_equal(l->thread, pthread_self());
}

static int post_in_order(struct loop *l, struct posted *p)
{
	LOCKED(&l->posts_lock);
	if (l->closing)
		return -EPIPE;
	*l->last = p;
	l->last = &p->next;
	uv_async_send(&l->wake);
	return 0;
}

int loop_post(struct loop *l, void (*call)(void *arg), void *arg)
{
	struct posted *p = malloc(sizeof *p);
	if (!p)
		return -ENOMEM;
	*p = (struct posted){ NULL, call, arg };
	int rc = post_in_order(l, p);
	if (rc < 0)
		free(p);
	return rc;
}

/* ---- a call that is waited for ---- */

struct waited {
	void (*call)(void *arg);
	void *arg;

	pthread_mutex_t done_lock; /* guards done; a leaf */
	pthread_cond_t done_cond;
	bool done;
};

static void run_waited(void *arg)
{
	struct waited *w = arg;
	w->call(w->arg);
	LOCKED(&w->done_lock);
	w->done = true;
	/* Under the lock: who waits takes the memory away as soon as he has it. */
	pthread_cond_signal(&w->done_cond);
}

static void wait_until_done(struct waited *w)
{
	LOCKED(&w->done_lock);
	while (!w->done)
		pthread_cond_wait(&w->done_cond, &w->done_lock);
}

int loop_call(struct loop *l, void (*call)(void *arg), void *arg)
{
	assert(!loop_is_here(l));
	struct waited w = { call, arg, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false };
	int rc = loop_post(l, run_waited, &w);
	if (rc == 0)
		wait_until_done(&w);
	pthread_cond_destroy(&w.done_cond);
	pthread_mutex_destroy(&w.done_lock);
	return rc;
}

/* ---- timers ---- */

int loop_timer_new(struct loop *l, void (*call)(void *arg), void *arg, struct loop_timer **out)
{
	struct loop_timer *t = malloc(sizeof *t);
	if (!t)
		return -ENOMEM;
	t->loop = l;
	t->call = call;
	t->arg = arg;
	uv_timer_init(&l->uv, &t->uv);
	t->uv.data = t;
	*out = t;
	return 0;
}

static void timer_due(uv_timer_t *uv)
{
	struct loop_timer *t = uv->data;
	t->call(t->arg);
}

void loop_timer_at(struct loop_timer *t, uint64_t at_ms)
{
	if (at_ms == UINT64_MAX) {
		uv_timer_stop(&t->uv);
		return;
	}
	/* libuv counts from the time at which it last looked at the clock. */
	uint64_t seen = uv_now(&t->loop->uv);
	uv_timer_start(&t->uv, timer_due, at_ms > seen ? at_ms - seen : 0, 0);
}

static void timer_closed(uv_handle_t *uv)
{
	free(uv->data);
}

void loop_timer_freep(struct loop_timer **out)
{
	struct loop_timer *t = *out;
	if (!t)
		return;
	*out = NULL;
	uv_close((uv_handle_t *)&t->uv, timer_closed);
}
