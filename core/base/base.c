#include "core/base/base.h"

#include <unistd.h>

void base_closep(int *fd)
{
	int saved = errno; /* a release must not change what the caller is about to report */

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}
