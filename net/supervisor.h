/* supervisor.h: what the service manager is told, in its own words: datagrams of KEY=VALUE lines to
 * the socket that $NOTIFY_SOCKET names (sd_notify(3), without its library).
 *
 * Taken from the environment once, and out of it, so that no child speaks in our name. Without such
 * a socket there is nobody to tell, and every call is a quiet no-op: a service manager that went
 * away must not stop a mount.
 * Threads  open before the first thread; supervisor_tell() by any. */
#ifndef CHAINFS_NET_SUPERVISOR_H
#define CHAINFS_NET_SUPERVISOR_H

#include "core/base/base.h"

struct supervisor {
	int      fd;          /* connected; -1: nobody is there */
	uint64_t watchdog_ms; /* it wants a sign of life this often; 0: it does not ask */
};

#define SUPERVISOR_NONE { .fd = -1 }

void supervisor_open(struct supervisor *s);
void supervisor_release(struct supervisor *s);
/* One message of lines: "READY=1\nSTATUS=…". A value is one line: cut control characters before. */
void supervisor_tell(const struct supervisor *s, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
