/* live.h: a daemon's network side: one loop, and on it a follower for each network that has
 * sources.
 *
 * Threads  live_open() starts the loop's thread, live_closep() ends it; live_source_*() from any
 *          thread, they wait until the loop has done it. */
#ifndef CHAINFS_NET_LIVE_H
#define CHAINFS_NET_LIVE_H

#include "core/control/settings.h"
#include "core/sync/follow.h"

struct live;

struct live_env { /* all of these live longer */
	struct store   *store;
	struct events  *events;
	struct gate    *gate;
	struct follows *follows; /* filled here */
	const struct settings *settings;
};

int  live_open(const struct live_env *env, struct live **out, struct err *err) MUST_CHECK;
/* Reads each network's file of sources and begins to follow those that name some. An address that
 * does not parse, or that no protocol knows, is said and left out. Waits for nothing. */
int  live_begin(struct live *l) MUST_CHECK;
void live_closep(struct live **l);

/* The file is written first, then it is followed; what cannot be leaves the file again. -EEXIST;
 * -EINVAL: the address, or nobody speaks its protocol; -ENOSPC: SYNC_SOURCES_MAX are there. A
 * network that nobody followed is followed from then on. */
int live_source_add(struct live *l, struct network *n, const struct source_entry *e,
		    struct err *err) MUST_CHECK;
/* Without a daemon: the file alone. */
int live_file_add(struct store *s, struct network *n, const struct source_entry *e,
		  struct err *err) MUST_CHECK;
int live_file_remove(struct store *s, struct network *n, const char *name,
		     struct err *err) MUST_CHECK; /* -ENOENT */
int live_file_read(struct store *s, struct network *n, struct source_entry *out, size_t *count,
		   struct err *err) MUST_CHECK; /* out[SYNC_SOURCES_MAX] */
int live_source_remove(struct live *l, struct network *n, const char *name,
		       struct err *err) MUST_CHECK; /* -ENOENT */

/* The protocols, by scheme of an address; NULL: none. `chain` NULL: of any kind of chain. */
struct loop;
struct source_protocol {
	const char *scheme; /* "grpc", "grpcs" */
	const char *chain;  /* kind of chain */
	uint16_t    port;   /* when the address names none */
	const struct source_ops *ops;
	int (*open)(struct loop *loop, struct network *n, const char *host, uint16_t port,
		    const struct source_listener *to, struct source **out, struct err *err);
};
const struct source_protocol *source_protocol_find(const char *scheme, const char *chain);

#endif
