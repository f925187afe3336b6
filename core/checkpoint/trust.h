/* trust.h: which blocks of a network are trusted, and which are not: a registry with history.
 *
 *     STORE/networks/NAME/trust/registry       a line a decision, only ever appended:
 *         time shard height hash root state source who set evidence reason sum
 *     STORE/networks/NAME/trust/evidence/…     what a decision rests on: the signed block as it
 *                                              came
 *
 * Fields are parted by tabs; one that says nothing is "-". time is in unix seconds; set is the hash
 * of the validators that approved (quorum.h); sum is the first 16 hex digits of the BLAKE3 of the
 * line before it. The newest line of a (shard, height, hash) is what holds. A line that a crash cut
 * short is none, and the next append takes it away; one within the file that fails its sum is
 * damage, and whoever asks is refused until somebody looks: what is distrusted must not come back
 * because a disk forgot it.
 *
 * Memory   a struct trust owns its rows.
 * Threads  any; who appends holds a lock on the file, other processes included.
 * Errors   -EUCLEAN: a line is damaged; -EINVAL: a field that would not be read again; the rest is
 *          the system's. */
#ifndef CHAINFS_CHECKPOINT_TRUST_H
#define CHAINFS_CHECKPOINT_TRUST_H

#include "core/chain/chain.h"

#define TRUST_WHO_SIZE      64
#define TRUST_EVIDENCE_SIZE 64
#define TRUST_ROWS_MAX      1000000u
#define TRUST_JUDGED_SIZE   (REASON_SIZE + 160)

enum trust_state {
	TRUST_TRUSTED,
	TRUST_DISTRUSTED,
	TRUST_SUPERSEDED, /* another block of its height is trusted in its place */
	TRUST_STATE_COUNT
};
extern const char *const trust_state_names[TRUST_STATE_COUNT];

enum trust_source {
	TRUST_VALIDATORS, /* a block that we hold, and whose certificate reaches quorum */
	TRUST_EVIDENCE,   /* a signed block that somebody handed over */
	TRUST_PIN,        /* an operator's word */
	TRUST_SOURCE_COUNT
};
extern const char *const trust_source_names[TRUST_SOURCE_COUNT];

struct trust_row {
	uint64_t time;
	uint32_t shard;
	uint64_t height;
	uint8_t hash[HASH_SIZE];
	uint8_t root[ROOT_SIZE_MAX];
	uint8_t root_size; /* 0: not known */
	uint8_t state, source;
	bool has_set;
	uint8_t set[HASH_SIZE];
	char who[TRUST_WHO_SIZE];
	char evidence[TRUST_EVIDENCE_SIZE]; /* file in evidence/; "": none */
	char reason[REASON_SIZE];
};

struct trust {
	struct trust_row *rows; /* all lines, in the order of the file */
	size_t count, cap;
	struct trust_row **newest; /* by shard, height, hash; the line of each that holds */
	size_t newest_count;
	uint64_t size; /* of the file when it was read; it only grows */
};

/* `folder`: the network's. No file is an empty registry. */
int trust_load(const char *folder, struct trust *out, struct err *err) MUST_CHECK; /* all zero */
void trust_release(struct trust *t);
/* Reads again when lines were appended since; `t` stays as it was after an error. */
int trust_refresh(const char *folder, struct trust *t, struct err *err) MUST_CHECK;

/* One line, on the disk when it returns. `evidence` (may be empty) is written first, under a name
 * of the height and hash that the row then has. */
int trust_append(const char *folder, struct trust_row *row, struct slice evidence, struct err *err)
	MUST_CHECK;

/* What holds of this block; NULL: nothing was decided. */
const struct trust_row *trust_find(const struct trust *t, uint32_t shard, uint64_t height,
				   const uint8_t hash[HASH_SIZE]);
/* The trusted block of a height; NULL: none is. An operator's goes before others. */
const struct trust_row *trust_at(const struct trust *t, uint32_t shard, uint64_t height);
/* May this block stand at its height? NULL, or why not, in `text`. */
const char *trust_judge(const struct trust *t, uint32_t shard, uint64_t height,
			const uint8_t hash[HASH_SIZE], char text[TRUST_JUDGED_SIZE]);

/* "shard height hash state source who time reason", parted by tabs, of every line, newest last. */
void trust_render(const struct trust *t, struct buf *out);

#endif
