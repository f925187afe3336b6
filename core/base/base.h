/* base.h: the few words that every file of chainfs uses.
 *
 * AUTO(release)   declares an owner: release(&variable) runs when the scope ends. Every release
 *                 function accepts an all-zero struct, every freep a pointer to NULL.
 * TAKE(pointer)   hands ownership on and leaves NULL behind.
 * LOCKED(&mutex)  holds a mutex until the end of the scope.
 * ckd_*           arithmetic on numbers from outside: true when the result does not fit. */
#ifndef CHAINFS_BASE_H
#define CHAINFS_BASE_H

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define AUTO(release) __attribute__((cleanup(release)))
#define TAKE(p) __extension__({ __typeof__(p) taken_ = (p); (p) = NULL; taken_; })

#define ckd_add(out, a, b) __builtin_add_overflow((a), (b), (out))
#define ckd_sub(out, a, b) __builtin_sub_overflow((a), (b), (out))
#define ckd_mul(out, a, b) __builtin_mul_overflow((a), (b), (out))

static inline pthread_mutex_t *base_lock(pthread_mutex_t *m)
{
	pthread_mutex_lock(m);
	return m;
}

static inline void base_unlockp(pthread_mutex_t **m)
{
	if (*m)
		pthread_mutex_unlock(*m);
}

#define BASE_CONCAT_(a, b) a##b
#define BASE_CONCAT(a, b) BASE_CONCAT_(a, b)
#define LOCKED(m)                                                                              \
	pthread_mutex_t *BASE_CONCAT(locked_, __LINE__)                                        \
		__attribute__((cleanup(base_unlockp), unused)) = base_lock(m)

/* AUTO(base_freep) char *text = …; */
static inline void base_freep(void *pointer)
{
	free(*(void **)pointer);
}

void base_closep(int *fd); /* closes a descriptor that is not -1 */

/* Room for `need` elements of `size` bytes in the list that *(void **)list is, which doubles when
 * it grows. -ENOMEM: nothing has changed. */
int base_grow(void *list, size_t *cap, size_t need, size_t size) MUST_CHECK;

#endif
