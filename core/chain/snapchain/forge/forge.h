/* forge.h: makes a Snapchain of our own, with its own validators, as an archive (archive.h).
 *
 * For the demo, for tests and for measurements: a chain that obeys every rule of a devnet, down to
 * signatures, account roots and certificates, and is the same on every machine: same options, same
 * bytes (of the plain streams; compressed ones depend on the library's version).
 * Its secrets follow from the seed. It proves nothing to anybody.
 *
 *   FORGE_STORY  small, with named people and a script: every kind of record, every reason
 *   FORGE_CROWD  of any size: casts, replies, reactions, links, profiles and removes
 *   FORGE_BARE   of many heights: blocks of one data shard with nobody in them and without
 *                certificates, so that a store can be grown without the cost of signatures
 *
 * Memory   the state of the chain, and the people; blocks are streamed.
 * Errors   -EINVAL for options that make no chain; -ENOTEMPTY when the folder holds an archive;
 *          what the file system says. A failed run leaves streams without a network.json. */
#ifndef CHAINFS_SNAPCHAIN_FORGE_H
#define CHAINFS_SNAPCHAIN_FORGE_H

#include "core/base/bytes.h"
#include "core/base/err.h"

enum forge_kind { FORGE_STORY, FORGE_CROWD, FORGE_BARE };

struct forge_options { /* 0 or NULL: the default of the kind */
	enum forge_kind kind;
	const char *name;         /* of the network: "demo", "crowd", "bare" */
	uint64_t    seed;
	uint64_t    blocks;       /* of all shards together, up to whole steps: 900, 3,000, 3,000 */
	uint64_t    messages;     /* of users, about: 3,000, 4 a block, none */
	uint32_t    validators;   /* 4 */
	uint32_t    data_shards;  /* 2, of the bare one 1 */
	uint32_t    accounts;     /* of the crowd; 0: one for 100 messages */
	uint64_t    start_time;   /* unix, of height 1 */
	uint32_t    block_time_s; /* 60, 10, 1 */
	bool        small_limits; /* a unit of storage holds little; the story always has it so */
	bool        compress;     /* *.pbs.zst */
};

/* progress: called after each step with how many of all are done; an error of it ends the run.
 * NULL: nobody asks. */
int forge_chain(const struct forge_options *o, const char *folder,
		int (*progress)(void *arg, uint64_t done, uint64_t all), void *arg,
		struct err *err) MUST_CHECK;

#endif
