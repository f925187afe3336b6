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
	bool     by_channel;  /* fd is a channel to who tells it (channel.h) */
	bool     stores;      /* it keeps descriptors for the next start */
	uint64_t watchdog_ms; /* it wants a sign of life this often; 0: it does not ask */
};

#define SUPERVISOR_NONE { .fd = -1 }

#define SUPERVISOR_RELAYED 'S' /* kind of a message of a channel: lines for the service manager */

void supervisor_open(struct supervisor *s);
void supervisor_release(struct supervisor *s);
/* One message of lines: "READY=1\nSTATUS=…". A value is one line: cut control characters before. */
void supervisor_tell(const struct supervisor *s, const char *format, ...) PRINTF_LIKE(2, 3);
/* Lines as they are, and a descriptor to be stored under a name: what systemd gives back in
 * $LISTEN_FDS. */
void supervisor_relay(const struct supervisor *s, const char *lines, size_t size);
void supervisor_store(const struct supervisor *s, const char *name, int fd);
/* A descriptor that was stored under this name, close-on-exec from now on; -1: there is none. */
int supervisor_stored(const char *name);

#endif
