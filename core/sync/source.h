/* source.h: somebody who serves blocks of one network, as the follower (follow.h) sees him.
 *
 * Each protocol is one file in net/ that fills a struct source_ops; nothing here knows a socket. A
 * source connects by itself, again after a failure, and says what it can give; it is then asked for
 * ranges of heights. It believes nothing of what it was given: bytes are checked by ingest.
 * Threads  the loop's alone, calls in both directions; none of them waits. A source never calls its
 *          listener from within a call of the listener's.
 * Memory   what a source holds of unread bytes is bounded by `bytes_max` of its requests and a
 *          window a connection; a block is handed over as soon as it is complete. */
#ifndef CHAINFS_SYNC_SOURCE_H
#define CHAINFS_SYNC_SOURCE_H

#include "core/sync/gaps.h"
#include "core/sync/score.h"

#define SOURCE_NAME_MAX     64  /* as a network's: [a-z0-9][a-z0-9._-]* */
#define SOURCE_URL_MAX      256
#define SOURCE_OPERATOR_MAX 64
#define SOURCE_VERSION_MAX  96

struct source; /* the protocol's own */

/* A node of the trie of a shard's newest state: records below a prefix of whole bytes, and its
 * children by their next nibble (compare.h). */
struct source_node {
	uint64_t records;
	uint8_t  hash[HASH_SIZE];
	size_t   hash_size;
	struct {
		bool     there;
		uint64_t records;
		uint8_t  hash[HASH_SIZE];
		size_t   hash_size;
	} children[16];
};

/* What it says of itself, in words that people read. */
struct source_words {
	bool connected;
	char version[SOURCE_VERSION_MAX]; /* of its program and protocol; "" unknown */
	char peer[SOURCE_VERSION_MAX];    /* how it calls itself on its network; "" unknown */
	char remark[REASON_SIZE];         /* e.g. "shard 1: heights below 2522 are pruned there" */
};

struct source_listener {
	void *arg;
	/* Its words have changed: read them with ops->words. */
	void (*changed)(void *arg);
	/* It has these heights of a shard by now (half-open; end - 1 is its head). Also told when
	 * it turned out to have less than it said. */
	void (*offers)(void *arg, uint32_t shard, struct range has);
	/* A block of a request, in ascending order of heights as the source has it; takes *received
	 * over. Not checked: the adapter's peek() may not even parse it. */
	void (*block)(void *arg, uint64_t request, struct buf *received);
	/* The request is over, with the blocks told so far; perhaps none (the heights are beyond
	 * its tip, or pruned there). */
	void (*came)(void *arg, uint64_t request);
	void (*failed)(void *arg, uint64_t request, enum fault_kind fault, const char *sentence);
	/* A fault that belongs to no request: the connection ended (FAULT_BROKEN), it is silent
	 * (FAULT_TIMEOUT), another network (FAULT_LIE). */
	void (*fault)(void *arg, enum fault_kind fault, const char *sentence);
	/* Answers a request of ops->node. 0; -ENODATA: there is no such node; -EHOSTUNREACH: no
	 * answer; -EPROTO, -EBADMSG. Only when rc is 0 there is a node. */
	void (*node)(void *arg, uint64_t request, int rc, const struct source_node *node,
		     const char *sentence);
};

struct source_ops {
	const char *scheme; /* of its addresses: "grpc" */
	const char *chain;  /* kind of chain that it serves: "snapchain" */
	/* range is not empty. bytes_max: an answer over it is cut off, FAULT_PROTOCOL. timeout_ms:
	 * without a whole answer by then, FAULT_TIMEOUT. Exactly one of came() and failed()
	 * follows, unless it is cancelled. */
	void (*fetch)(struct source *s, uint64_t request, uint32_t shard, struct range range,
		      uint64_t bytes_max, uint32_t timeout_ms);
	void (*cancel)(struct source *s, uint64_t request); /* nothing is told of it any more */
	/* Asks for a node of the trie of its newest state; prefix: whole bytes. One request at a
	 * time; a new one stands in for one that is out. One answer each, perhaps within this call,
	 * unless the source is closed. NULL: it cannot. */
	void (*node)(struct source *s, uint64_t request, uint32_t shard, struct slice prefix,
		     uint32_t timeout_ms);
	void (*words)(const struct source *s, struct source_words *out);
	/* Ends it; nothing is told from now on. Memory goes when the loop has let go of it. */
	void (*close)(struct source *s);
};

/* One line of the file of sources of a network (STORE/networks/NAME/sources):
 *     NAME URL OPERATOR
 * Equal operators count as one voice when a tip is confirmed; without one a source is its own.
 * Lines that begin with # are remarks, empty ones are nothing. */
struct source_entry {
	char name[SOURCE_NAME_MAX + 1];
	char url[SOURCE_URL_MAX + 1];
	char operator_name[SOURCE_OPERATOR_MAX + 1];
};

#define SOURCES_TEXT_MAX (64u << 10)

/* "grpc://HOST[:PORT]", "grpcs://…"; host may be [v6]. -EINVAL with a sentence. `port` 0: none
 * named. */
int source_url_parse(const char *url, char scheme[16], char host[SOURCE_URL_MAX + 1],
		     uint16_t *port, struct err *err) MUST_CHECK;
/* A name from an address: "127.0.0.1-3383". */
void source_name_of(const char *url, char out[SOURCE_NAME_MAX + 1]);
/* Up to out_max entries; *count. -EINVAL names the line. */
int source_entries_read(struct slice text, struct source_entry *out, size_t out_max, size_t *count,
			struct err *err) MUST_CHECK;
int source_entries_write(const struct source_entry *list, size_t count, struct buf *out);

/* The same of the file at `path`; one that is not there names none. What is written replaces the
 * file as a whole, and remarks go with it. Errors: -EINVAL with the line, or what the system
 * says. */
int source_file_read(const char *path, struct source_entry *out, size_t out_max, size_t *count,
		     struct err *err) MUST_CHECK;
int source_file_write(const char *path, const struct source_entry *list, size_t count,
		      struct err *err) MUST_CHECK;

#endif
