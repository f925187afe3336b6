#include "core/base/queue.h"

struct queue {
	pthread_mutex_t queue_lock; /* guards the rest; a leaf */
	pthread_cond_t  has_room, has_item;
	size_t          first, count, capacity;
	bool            closed;
	void           *items[];
};

struct queue *queue_new(size_t capacity)
{
	size_t size;

	assert(capacity > 0);
	if (ckd_mul(&size, capacity, sizeof(void *)) || ckd_add(&size, size, sizeof(struct queue)))
		return NULL;
	struct queue *q = calloc(1, size);

	if (!q)
		return NULL;
	q->capacity = capacity;
	pthread_mutex_init(&q->queue_lock, NULL);
	pthread_cond_init(&q->has_room, NULL);
	pthread_cond_init(&q->has_item, NULL);
	return q;
}

void queue_freep(struct queue **q)
{
	if (!*q)
		return;
	pthread_cond_destroy(&(*q)->has_item);
	pthread_cond_destroy(&(*q)->has_room);
	pthread_mutex_destroy(&(*q)->queue_lock);
	free(*q);
	*q = NULL;
}

static void put(struct queue *q, void *item)
{
	q->items[(q->first + q->count) % q->capacity] = item;
	q->count++;
	pthread_cond_signal(&q->has_item);
}

static void *take(struct queue *q)
{
	if (q->count == 0)
		return NULL;
	void *item = q->items[q->first];

	q->first = (q->first + 1) % q->capacity;
	q->count--;
	pthread_cond_signal(&q->has_room);
	return item;
}

int queue_push(struct queue *q, void *item)
{
	assert(item); /* NULL is how queue_pop() says that nothing will come */
	LOCKED(&q->queue_lock);
	while (!q->closed && q->count == q->capacity)
		pthread_cond_wait(&q->has_room, &q->queue_lock);
	if (q->closed)
		return -EPIPE;
	put(q, item);
	return 0;
}

int queue_try_push(struct queue *q, void *item)
{
	assert(item);
	LOCKED(&q->queue_lock);
	if (q->closed)
		return -EPIPE;
	if (q->count == q->capacity)
		return -EAGAIN;
	put(q, item);
	return 0;
}

void *queue_pop(struct queue *q)
{
	LOCKED(&q->queue_lock);
	while (!q->closed && q->count == 0)
		pthread_cond_wait(&q->has_item, &q->queue_lock);
	return take(q);
}

void *queue_try_pop(struct queue *q)
{
	LOCKED(&q->queue_lock);
	return take(q);
}

void queue_close(struct queue *q)
{
	LOCKED(&q->queue_lock);
	q->closed = true;
	pthread_cond_broadcast(&q->has_room);
	pthread_cond_broadcast(&q->has_item);
}

size_t queue_count(struct queue *q)
{
	LOCKED(&q->queue_lock);
	return q->count;
}
