/* channel.h: messages between two processes of ours, with descriptors: a pair of connected sockets,
 * one for each side, made before the fork.
 *
 * A message is a byte that says what it is, and text. Nothing waits: a side that does not read
 * loses the connection's messages once some hundred are on their way.
 * Threads  any; a message is sent as a whole. */
#ifndef CHAINFS_NET_CHANNEL_H
#define CHAINFS_NET_CHANNEL_H

#include "core/base/err.h"

#define CHANNEL_TEXT_MAX 2048
#define CHANNEL_FDS_MAX  4

struct channel_message {
	char   kind;                      /* of who sends; never 0 */
	char   text[CHANNEL_TEXT_MAX + 1];
	size_t size;
	int    fds[CHANNEL_FDS_MAX];      /* the receiver's own; -1: none. Close-on-exec */
};

int channel_new(int ends[2], struct err *err) MUST_CHECK;
int channel_send(int fd, char kind, const char *text, size_t size, const int *fds, size_t fd_count);
/* 1, 0 when there is none yet (with `wait`: it waits for one), -EPIPE when the other side has
 * gone. */
int channel_receive(int fd, bool wait, struct channel_message *out) MUST_CHECK;

#endif
