/* control.h: the verbs of other processes, carried to the daemon that holds the store.
 *
 * A Unix socket STORE/control, mode 0600: who may write the store may speak to its daemon.
 * One call a connection, in frames of (kind byte, be32 size, bytes):
 *   client  'c' JSON {"argv": […], "cwd": "…", "terminal": bool, "columns": N}, then 'k' (empty):
 *           stop
 *   daemon  'o' bytes for standard output, 'e' for standard error, 'x' be32 exit code: the end;
 *           frames of at most CONTROL_PART_MAX bytes, a longer text is several
 * A client that goes away stops its call as Ctrl-C does.
 * Bounds   a request up to CONTROL_REQUEST_MAX bytes, CONTROL_CALLS_MAX calls at a time; a client
 *          that does not read holds its verb, and at most CONTROL_UNREAD_MAX bytes and a queue of
 *          frames. */
#ifndef CHAINFS_NET_CONTROL_H
#define CHAINFS_NET_CONTROL_H

#include "core/control/verb.h"

#define CONTROL_REQUEST_MAX (64u << 10)
#define CONTROL_CALLS_MAX   16u
#define CONTROL_PART_MAX    (64u << 10)
#define CONTROL_UNREAD_MAX  (256u << 10)
#define CONTROL_HEAD_SIZE   5

struct control_server;

/* Listens, and runs the verbs of `table` that need a store with what `env` lends. The server's
 * threads end in control_server_closep(), which stops running calls first. */
int control_server_open(const struct verb_env *env, const struct verb *table, size_t count,
			struct control_server **out, struct err *err) MUST_CHECK;
void control_server_closep(struct control_server **s);

/* Runs argv (the verb first) in the daemon that holds the store. 0 and *exit_code, -ECONNREFUSED
 * when no daemon listens there; -EINTR when it was told to stop and said nothing for some seconds,
 * as a daemon that is itself stopped; other codes when the daemon went away in the middle. */
int control_call(const char *store_path, int argc, char **argv, struct verb_io *io, int *exit_code,
		 struct err *err) MUST_CHECK;

/* The same, in the daemon that listens at this path. */
int control_call_at(const char *socket_path, int argc, char **argv, struct verb_io *io,
		    int *exit_code, struct err *err) MUST_CHECK;

#endif
