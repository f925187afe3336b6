/* witness.h: two small files beside a network's database that say what it has to hold.
 *
 *     networks/NAME/identity       "chainfs network 1\n", the row "network", and a sum: what is needed
 *                                  to make the network anew when its database says nothing any
 *                                  more
 *     networks/NAME/acknowledged   what the newest commit that was acknowledged left, and a sum
 *
 * A database whose log or list of files is damaged may open all the same, as of an earlier moment,
 * and say nothing. Then it is behind `acknowledged`, which is how a loss is found. That file is
 * written behind each commit and not synced: it may be behind the database, after a power cut, and
 * is never ahead of what is on the disk. One that fails its sum says nothing.
 *
 * Of the database's list of files (MANIFEST) all bytes that were there are covered: it only grows.
 * Threads  ingest; opening and closing. */
#ifndef CHAINFS_STORE_WITNESS_H
#define CHAINFS_STORE_WITNESS_H

#include "core/base/hash.h"
#include "core/chain/chain.h"

#define MANIFEST_DIGEST_SIZE 16

struct witness_shard {
	uint64_t known, begins, base_height;
	bool hyper_on;
};

struct witness {
	uint64_t sequence; /* of the database: rows written, ever */
	uint64_t manifest, manifest_size;
	uint8_t manifest_digest[MANIFEST_DIGEST_SIZE];
	uint32_t shard_count;
	struct witness_shard shards[SHARD_MAX];
};

/* The database's list of files, followed while it grows. */
struct manifest {
	int file; /* -1: none */
	uint64_t number, size;
	struct blake3 hash;
};

/* `folder`: the network's. 1; 0: there is none, or it fails its sum. */
int witness_read(const char *folder, struct witness *out) MUST_CHECK;
/* Failing to write one loses nothing but the check. */
void witness_write(const char *folder, const struct witness *w);
/* Is the list of files what it was? -EBADMSG with its name. */
int witness_manifest(const char *folder, const struct witness *w, struct err *err) MUST_CHECK;

void manifest_open(struct manifest *m, const char *folder);
void manifest_close(struct manifest *m);
void manifest_follow(struct manifest *m, struct witness *out); /* fills in its fields */

/* The row "network", from its file: 1; 0: there is none, or it fails its sum. */
int identity_read(const char *folder, struct buf *out) MUST_CHECK;
int identity_write(const char *folder, struct slice row, bool sync, struct err *err) MUST_CHECK;

#endif
