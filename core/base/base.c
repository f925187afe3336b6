#include "core/base/base.h"

#include <unistd.h>

#define LIST_LEAST 16

void base_closep(int *fd)
{
	int saved = errno; /* a release must not change what the caller is about to report */

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

int base_grow(void *list, size_t *cap, size_t need, size_t size)
{
	size_t more = MAX(MAX(need, *cap * 2), (size_t)LIST_LEAST), bytes;

	if (need <= *cap)
		return 0;
	if (ckd_mul(&bytes, more, size))
		return -ENOMEM;
	void *bigger = realloc(*(void **)list, bytes);

	if (!bigger)
		return -ENOMEM;
	*(void **)list = bigger;
	*cap = more;
	return 0;
}
