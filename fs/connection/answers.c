#include "fs/connection/answers.h"

#include <pthread.h>

#define SETS  8192u
#define WAYS  8u /* of a set, newest first */
#define LOCKS 64u

struct kept { /* two cache lines; ino 0: empty, no node has that number */
	struct asked_as of;
	struct answer answer;
	char name[ANSWER_NAME_SIZE];
};

struct answers {
	pthread_mutex_t set_locks[LOCKS]; /* each guards the sets that share it; a leaf */
	struct kept sets[SETS][WAYS];
};

struct answers *answers_new(void)
{
	struct answers *a =
		calloc(1, sizeof *a); /* so large that it is not there until it is used */

	for (size_t i = 0; a && i < LOCKS; i++)
		pthread_mutex_init(&a->set_locks[i], NULL);
	return a;
}

void answers_freep(struct answers **at)
{
	struct answers *a = TAKE(*at);

	for (size_t i = 0; a && i < LOCKS; i++)
		pthread_mutex_destroy(&a->set_locks[i]);
	free(a);
}

/* Not of the stamp: a newer answer takes the place of the older one. */
static size_t set_of(const struct asked_as *of, const char *name, size_t size)
{
	uint64_t h = (of->ino ^ of->generation << 32) * UINT64_C(0x9e3779b97f4a7c15);

	for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
		uint64_t part = 0;

		memcpy(&part, name + i, MIN(size - i, sizeof part));
		h = (h ^ part) * UINT64_C(0xbf58476d1ce4e5b9);
		h ^= h >> 29;
	}
	return (size_t)(h % SETS);
}

static bool is_same(const struct kept *k, const struct asked_as *of, const char *name, size_t size)
{
	return k->of.ino == of->ino && k->of.generation == of->generation &&
	       memcmp(k->name, name, size + 1) == 0;
}

bool answers_get(struct answers *a, const struct asked_as *of, const char *name, struct answer *out)
{
	size_t size = strlen(name);

	if (size >= ANSWER_NAME_SIZE)
		return false;
	size_t at = set_of(of, name, size);
	const struct kept *set = a->sets[at];

	LOCKED(&a->set_locks[at % LOCKS]);
	for (size_t i = 0; i < WAYS && set[i].of.ino; i++) {
		if (!is_same(&set[i], of, name, size))
			continue;
		*out = set[i].answer;
		return set[i].of.stamp == of->stamp;
	}
	return false;
}

void answers_add(struct answers *a, const struct asked_as *of, const char *name,
		 const struct answer *answer)
{
	size_t size = strlen(name), i = 0;

	if (!of->ino || size >= ANSWER_NAME_SIZE)
		return;
	size_t at = set_of(of, name, size);
	struct kept *set = a->sets[at];

	LOCKED(&a->set_locks[at % LOCKS]);
	while (i < WAYS - 1 && set[i].of.ino && !is_same(&set[i], of, name, size))
		i++;
	memmove(set + 1, set, i * sizeof *set);
	*set = (struct kept){ .of = *of, .answer = *answer };
	memcpy(set->name, name, size);
}
