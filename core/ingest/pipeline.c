#include "core/ingest/pipeline.h"

#include <unistd.h>

#include "core/base/clock.h"

#define JOBS_MAX      512u
#define JOB_BYTES_MAX (16u << 20)
#define CHECKERS_MAX  64u

struct pipeline {
	const struct chain_ops    *ops;
	const struct chain_params *params;
	pthread_t threads[CHECKERS_MAX];
	unsigned  thread_count;

	pthread_mutex_t pipeline_lock; /* guards the rest; a leaf */
	pthread_cond_t  room, work, done;
	struct job     *ring[JOBS_MAX];
	bool            checked[JOBS_MAX];
	uint64_t        put, picked, taken; /* tickets: next to put, to check, to take */
	size_t          bytes;
	bool            closed;
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
	job->rc = 0;
	if (!job->canonical.n) {
		job->canonical.size_max = job->certificate.size_max = BLOCK_SIZE_MAX;
		job->rc = ops->split(buf_slice(&job->received), main_shard, &job->canonical,
				     &job->certificate, &job->err);
	}
	if (job->rc == 0)
		job->rc = ops->decode(params, main_shard, true, &job->canonical, &job->certificate,
				      &job->block, &job->err);
}

static void *checker(void *arg)
{
	struct pipeline *p = arg;
	pthread_mutex_lock(&p->pipeline_lock);
	for (;;) {
		while (p->picked == p->put && !p->closed)
			pthread_cond_wait(&p->work, &p->pipeline_lock);
		if (p->picked == p->put)
			break;
		size_t slot = p->picked++ % JOBS_MAX;
		struct job *job = p->ring[slot];
		pthread_mutex_unlock(&p->pipeline_lock);
		job_check(p->ops, p->params, job);
		pthread_mutex_lock(&p->pipeline_lock);
		p->checked[slot] = true;
		pthread_cond_signal(&p->done);
	}
	pthread_mutex_unlock(&p->pipeline_lock);
	return NULL;
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
	pthread_cond_init(&p->work, NULL);
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
	for (; p->taken < p->put; p->taken++)
		job_freep(&p->ring[p->taken % JOBS_MAX]);
	pthread_cond_destroy(&p->room);
	pthread_cond_destroy(&p->work);
	pthread_cond_destroy(&p->done);
	pthread_mutex_destroy(&p->pipeline_lock);
	free(p);
	*out = NULL;
}

int pipeline_put(struct pipeline *p, struct job *job)
{
	job->weight = job->received.n + job->canonical.n + job->certificate.n;
	LOCKED(&p->pipeline_lock);
	while (!p->closed && p->put > p->taken &&
	       (p->put - p->taken == JOBS_MAX || p->bytes + job->weight > JOB_BYTES_MAX))
		pthread_cond_wait(&p->room, &p->pipeline_lock);
	if (p->closed) {
		job_freep(&job);
		return -EPIPE;
	}
	size_t slot = p->put++ % JOBS_MAX;
	p->ring[slot] = job;
	p->checked[slot] = false;
	p->bytes += job->weight;
	pthread_cond_signal(&p->work);
	return 0;
}

struct job *pipeline_take(struct pipeline *p, unsigned wait_ms, bool *closed)
{
	uint64_t due_ms = clock_mono_ms() + wait_ms;
	LOCKED(&p->pipeline_lock);
	*closed = false;
	while (p->taken == p->put || !p->checked[p->taken % JOBS_MAX]) {
		if (p->taken == p->put && p->closed) {
			*closed = true;
			return NULL;
		}
		if (clock_cond_wait(&p->done, &p->pipeline_lock, due_ms) &&
		    (p->taken == p->put || !p->checked[p->taken % JOBS_MAX]))
			return NULL;
	}
	size_t slot = p->taken++ % JOBS_MAX;
	struct job *job = TAKE(p->ring[slot]);
	p->bytes -= job->weight;
	pthread_cond_signal(&p->room);
	return job;
}
