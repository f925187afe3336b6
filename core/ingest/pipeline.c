#include "core/ingest/pipeline.h"

#include <sys/resource.h>
#include <unistd.h>

#include "core/base/clock.h"

#define JOBS_MAX      512u
#define JOB_BYTES_MAX (16u << 20)
#define CHECKERS_MAX  64u
#define NICE_BEHIND   10 /* an eighth of the processor that others want, and all that they do not */

struct line { /* jobs that keep their order */
	struct job *ring[JOBS_MAX];
	bool checked[JOBS_MAX];
	uint64_t put, picked, taken; /* tickets: next to put, to check, to take */
	size_t bytes;
};

enum { URGENT, USUAL, LINE_COUNT };

struct pipeline {
	const struct chain_ops *ops;
	const struct chain_params *params;
	pthread_t threads[CHECKERS_MAX + 1];
	unsigned thread_count;

	pthread_mutex_t pipeline_lock; /* guards the rest; a leaf */
	pthread_cond_t room, work, urgent_work, done;
	struct line lines[LINE_COUNT];
	uint64_t awaited_ms; /* until then what is usual is neither checked nor taken */
	bool closed;
	bool yields; /* there is a checker of what is urgent alone */
};

void job_freep(struct job **j)
{
	if (!*j)
		return;
	buf_release(&(*j)->received);
	buf_release(&(*j)->canonical);
	buf_release(&(*j)->certificate);
	if ((*j)->block)
		(*j)->block->ops->block_free((*j)->block);
	free(*j);
	*j = NULL;
}

int job_load(struct network *n, const struct block_row *row, struct job *job, struct err *err)
{
	const struct block_bytes *bytes = NULL;
	int rc = network_block_bytes(n, row, &bytes, err);
	if (rc < 0)
		return rc;
	job->shard = row->shard;
	job->canonical.size_max = job->certificate.size_max = BLOCK_SIZE_MAX;
	buf_add(&job->canonical, bytes->canonical);
	buf_add(&job->certificate, bytes->certificate);
	block_bytes_putp(&bytes);
	rc = buf_done(&job->canonical);
	if (rc == 0)
		rc = buf_done(&job->certificate);
	return rc < 0 ? err_set(err, rc, "no memory for a block of %u bytes", row->canonical_size)
		      : 0;
}

void job_check(const struct chain_ops *ops, const struct chain_params *params, struct job *job)
{
	bool main_shard = job->shard == 0;
	uint64_t began_ns = clock_mono_ns();
	job->rc = 0;
	if (!job->canonical.n) {
		job->canonical.size_max = job->certificate.size_max = BLOCK_SIZE_MAX;
		job->rc = ops->split(buf_slice(&job->received), main_shard, &job->canonical,
				     &job->certificate, &job->err);
	}
	if (job->rc == 0)
		job->rc = ops->decode(params, main_shard, true, &job->canonical, &job->certificate,
				      &job->block, &job->err);
	job->check_us = (clock_mono_ns() - began_ns) / 1000;
}

static uint64_t waiting(const struct line *l)
{
	return l->put - l->picked;
}

static bool is_awaited(const struct pipeline *p)
{
	return !p->closed && clock_mono_ms() < p->awaited_ms;
}

/* The next one to check; NULL: there is none. Who gives way leaves one of what is urgent to him who
 * does not. */
static struct line *line_to_check(struct pipeline *p, bool urgent_alone)
{
	struct line *urgent = &p->lines[URGENT], *usual = &p->lines[USUAL];

	if (urgent_alone || !p->yields)
		return waiting(urgent) ? urgent : waiting(usual) && !urgent_alone ? usual : NULL;
	if (waiting(urgent) > 1)
		return urgent;
	return waiting(usual) && !is_awaited(p) ? usual : NULL;
}

/* This thread alone. It is no loss when it cannot. */
static void give_way(void)
{
	id_t me = (id_t)gettid();
	(void)!setpriority(PRIO_PROCESS, me, getpriority(PRIO_PROCESS, me) + NICE_BEHIND);
}

static void wait_for_work(struct pipeline *p, bool urgent_alone)
{
	if (urgent_alone)
		pthread_cond_wait(&p->urgent_work, &p->pipeline_lock);
	else if (is_awaited(p))
		clock_cond_wait(&p->work, &p->pipeline_lock, p->awaited_ms);
	else
		pthread_cond_wait(&p->work, &p->pipeline_lock);
}

static void check_until_closed(struct pipeline *p, bool urgent_alone)
{
	bool polite = false;
	pthread_mutex_lock(&p->pipeline_lock);
	for (;;) {
		struct line *line;
		while (!(line = line_to_check(p, urgent_alone)) && !p->closed)
			wait_for_work(p, urgent_alone);
		if (!line)
			break;
		if (p->yields && !urgent_alone && !polite) {
			give_way();
			polite = true;
		}
		size_t slot = line->picked++ % JOBS_MAX;
		struct job *job = line->ring[slot];
		pthread_mutex_unlock(&p->pipeline_lock);
		job_check(p->ops, p->params, job);
		pthread_mutex_lock(&p->pipeline_lock);
		line->checked[slot] = true;
		pthread_cond_signal(&p->done);
	}
	pthread_mutex_unlock(&p->pipeline_lock);
}

static void *checker(void *arg)
{
	check_until_closed(arg, false);
	return NULL;
}

static void *urgent_checker(void *arg)
{
	check_until_closed(arg, true);
	return NULL;
}

int pipeline_yield(struct pipeline *p)
{
	assert(!p->yields);
	int rc = pthread_create(&p->threads[p->thread_count], NULL, urgent_checker, p);
	if (rc)
		return -rc;
	p->thread_count++;
	LOCKED(&p->pipeline_lock);
	p->yields = true;
	return 0;
}

int pipeline_new(const struct chain_ops *ops, const struct chain_params *params, unsigned checkers,
		 struct pipeline **out)
{
	AUTO(pipeline_freep) struct pipeline *p = calloc(1, sizeof *p);
	if (!p)
		return -ENOMEM;
	p->ops = ops;
	p->params = params;
	pthread_mutex_init(&p->pipeline_lock, NULL);
	pthread_cond_init(&p->room, NULL);
	clock_cond_init(&p->work);
	pthread_cond_init(&p->urgent_work, NULL);
	clock_cond_init(&p->done);
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned wanted = checkers ? checkers : cores > 0 ? (unsigned)cores : 1;
	for (unsigned i = 0; i < MIN(wanted, CHECKERS_MAX); i++) {
		int rc = pthread_create(&p->threads[i], NULL, checker, p);
		if (rc)
			return -rc;
		p->thread_count = i + 1;
	}
	*out = TAKE(p);
	return 0;
}

void pipeline_close(struct pipeline *p)
{
	LOCKED(&p->pipeline_lock);
	p->closed = true;
	pthread_cond_broadcast(&p->work);
	pthread_cond_broadcast(&p->urgent_work);
	pthread_cond_broadcast(&p->room);
	pthread_cond_broadcast(&p->done);
}

void pipeline_freep(struct pipeline **out)
{
	struct pipeline *p = *out;
	if (!p)
		return;
	pipeline_close(p);
	for (unsigned i = 0; i < p->thread_count; i++)
		pthread_join(p->threads[i], NULL);
	for (struct line *l = p->lines; l < p->lines + LINE_COUNT; l++)
		for (; l->taken < l->put; l->taken++)
			job_freep(&l->ring[l->taken % JOBS_MAX]);
	pthread_cond_destroy(&p->room);
	pthread_cond_destroy(&p->work);
	pthread_cond_destroy(&p->urgent_work);
	pthread_cond_destroy(&p->done);
	pthread_mutex_destroy(&p->pipeline_lock);
	free(p);
	*out = NULL;
}

/* Holding the lock, as the rest: one that is too large for the bounds goes in alone. */
static bool has_room(const struct pipeline *p, const struct job *job)
{
	const struct line *l = &p->lines[job->urgent ? URGENT : USUAL];
	return l->put == l->taken ||
	       (l->put - l->taken < JOBS_MAX && l->bytes + job->weight <= JOB_BYTES_MAX);
}

static void add_job(struct pipeline *p, struct job *job)
{
	struct line *l = &p->lines[job->urgent ? URGENT : USUAL];
	size_t slot = l->put++ % JOBS_MAX;
	l->ring[slot] = job;
	l->checked[slot] = false;
	l->bytes += job->weight;
	pthread_cond_signal(&p->work);
	if (job->urgent)
		pthread_cond_signal(&p->urgent_work);
}

int pipeline_put(struct pipeline *p, struct job *job)
{
	job->weight = job->received.n + job->canonical.n + job->certificate.n;
	LOCKED(&p->pipeline_lock);
	while (!p->closed && !has_room(p, job))
		pthread_cond_wait(&p->room, &p->pipeline_lock);
	if (p->closed) {
		job_freep(&job);
		return -EPIPE;
	}
	add_job(p, job);
	return 0;
}

int pipeline_try_put(struct pipeline *p, struct job *job)
{
	job->weight = job->received.n + job->canonical.n + job->certificate.n;
	LOCKED(&p->pipeline_lock);
	if (p->closed)
		return -EPIPE;
	if (!has_room(p, job))
		return -EAGAIN;
	add_job(p, job);
	return 0;
}

void pipeline_await(struct pipeline *p, uint64_t until_ms)
{
	LOCKED(&p->pipeline_lock);
	p->awaited_ms = until_ms;
	pthread_cond_broadcast(&p->work); /* who waits there waits for as long */
}

uint64_t patience_until(struct patience *p, uint64_t now_ms, unsigned for_ms)
{
	uint64_t from_ms = MAX(p->until_ms, now_ms), wanted_ms = now_ms + for_ms;
	uint64_t more_ms = wanted_ms > from_ms ? wanted_ms - from_ms : 0;

	p->spent -= MIN(p->spent, 2 * (now_ms - p->at_ms));
	p->at_ms = now_ms;
	more_ms = MIN(more_ms, (3 * PATIENCE_MS - p->spent) / 3);
	p->spent += 3 * more_ms;
	p->until_ms = from_ms + more_ms;
	return p->until_ms;
}

static bool is_ready(const struct line *l)
{
	return l->taken < l->put && l->checked[l->taken % JOBS_MAX];
}

static struct line *line_to_take(struct pipeline *p)
{
	struct line *urgent = &p->lines[URGENT], *usual = &p->lines[USUAL];

	if (is_ready(urgent))
		return urgent;
	return is_ready(usual) && !is_awaited(p) ? usual : NULL;
}

static bool is_empty(const struct pipeline *p)
{
	for (int i = 0; i < LINE_COUNT; i++)
		if (p->lines[i].taken < p->lines[i].put)
			return false;
	return true;
}

struct job *pipeline_take(struct pipeline *p, unsigned wait_ms, bool *closed)
{
	uint64_t due_ms = clock_mono_ms() + wait_ms;
	struct line *line;
	LOCKED(&p->pipeline_lock);
	*closed = false;
	while (!(line = line_to_take(p))) {
		if (p->closed && is_empty(p)) {
			*closed = true;
			return NULL;
		}
		uint64_t until_ms = is_awaited(p) ? MIN(due_ms, p->awaited_ms) : due_ms;
		bool late = clock_cond_wait(&p->done, &p->pipeline_lock, until_ms);
		if (late && until_ms == due_ms && !line_to_take(p))
			return NULL;
	}
	size_t slot = line->taken++ % JOBS_MAX;
	struct job *job = TAKE(line->ring[slot]);
	line->bytes -= job->weight;
	pthread_cond_signal(&p->room);
	return job;
}
