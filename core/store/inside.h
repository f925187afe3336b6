/* inside.h: what the files of core/store share about a network, and nobody else sees. */
#ifndef CHAINFS_STORE_INSIDE_H
#define CHAINFS_STORE_INSIDE_H

#include "core/store/branch.h"
#include "core/store/cache.h"
#include "core/store/db.h"
#include "core/store/dead.h"
#include "core/store/network.h"
#include "core/store/recent.h"
#include "core/store/rows.h"
#include "core/store/segment.h"
#include "core/store/witness.h"

#include <stdatomic.h>

/* The branch table of a view: immutable, counted. */
struct branch_table {
	_Atomic uint32_t owners;
	struct branches  branches;
};

/* A view and what only the store knows of it. */
struct view_box {
	struct view          view;   /* first: a view is its box */
	uint32_t             owners; /* under view_lock */
	struct view_box     *newer, *older; /* of those published and held; under view_lock */
	struct branch_table *table;
};

struct held_height {
	uint64_t height;
	uint32_t count;
};

struct held_heights { /* of one shard, ascending heights */
	struct held_height *list;
	size_t      count, cap;
	uint64_t    horizon; /* of the collector: no pin is made below it */
};

/* Who is told of damage that a reader met; set before there are readers. */
struct damage_listener {
	store_damage_call *call; /* NULL: nobody */
	void              *arg;
};

#define DAMAGES_MAX          4096 /* a frame of the smallest blocks */
#define DAMAGED_FILES_MAX    256  /* what else is damaged fsck tells */
#define NETWORK_ROW_SIZE_MAX (512u << 20) /* of one row: a change list of the biggest block */

struct network {
	char                    name[NETWORK_NAME_MAX + 8]; /* or, beside its place, ".NAME.new" */
	char                   *folder;
	unsigned                index;
	const struct chain_ops *ops;
	struct chain_params    *params;
	struct buf              params_text;
	char                    trust[32];

	struct db              *db;
	struct segments        *segments;
	struct segments_end     committed; /* of the segments; ingest's */
	_Atomic uint64_t        carriers;  /* committed: the number of the newest; written by
					    * ingest */
	struct cache           *cache;
	size_t                  state_rows_max; /* of each state (state.h) */
	struct recent          *recent;
	struct dead            *dead;
	struct witness          witness;   /* what was acknowledged; ingest's */
	struct manifest         manifest;
	bool                    written;   /* the newest view, by a commit of this process; ingest's */
	bool                    lost;      /* acknowledged commits, when it was opened; known
					    * heights are gaps */
	bool                    read_only, full; /* as the place */
	bool                    keep_told; /* hashes are kept where they stand (store.h) */
	bool                    keep_keys; /* and keys of changes and deaths whole */
	_Atomic(struct commit *) commit;   /* the one that is open: who claims it writes */

	pthread_mutex_t         view_lock; /* guards the next five; a leaf */
	struct view_box        *newest, *oldest;
	uint64_t                publications;
	void                  (*on_publish)(void *arg);
	void                   *on_publish_arg;

	pthread_mutex_t damage_lock; /* guards the next five; a leaf */
	struct damage           damages[DAMAGES_MAX];
	size_t                  damage_count;
	uint64_t damaged_files[DAMAGED_FILES_MAX]; /* told; sums of their names */
	size_t damaged_file_count;
	bool damaged_more; /* another one was met, and that no more are told was told */
	const struct damage_listener *on_damage; /* the store's */

	pthread_mutex_t         pins_lock; /* guards pins; a leaf */
	struct held_heights             pins[SHARD_MAX];
};

/* ---- network.c ---- */

struct network_place {
	const char      *folder; /* STORE/networks */
	struct db_cache *db_cache;
	size_t           frame_cache_size, state_rows_max;
	bool             sync_off;
	const struct chain_ops *(*kind)(const char *kind);
	struct damage_listener *on_damage;
	bool             read_only;
	bool             keep_told;
	bool             keep_keys;
	bool             full;      /* read_only, because the disk was when the store was opened */
};

int  network_open(const struct network_place *at, const char *name, struct network **out,
		  struct err *err) MUST_CHECK;
int  network_create(const struct network_place *at, const char *name, const struct chain_ops *ops,
		    struct slice params, const char *trust, unsigned index,
		    struct err *err) MUST_CHECK;
void network_closep(struct network **n);
/* What its row "network" says; the slices point into it. -EUCLEAN. */
struct identity {
	unsigned     index;
	char         kind[64], trust[32];
	struct slice params;
};
int  network_identity_read(struct slice row, struct identity *out) MUST_CHECK;
/* What is acknowledged from now on; at_least: of the database's sequence. */
void network_witness(struct network *n, const struct view *v, uint64_t at_least);

/* A reader as of (branch, height). */
int network_rows(struct network *n, uint32_t branch, uint32_t shard, uint64_t height,
		 struct rows **out) MUST_CHECK;
/* A row of `replay`: 1, 0 there is none, <0. */
int network_replay_row(struct network *n, enum replay_kind kind, uint32_t shard, uint64_t height,
		       struct buf *out) MUST_CHECK;
/* Traces that a row does not parse: -EUCLEAN. */
int network_unclean(struct network *n, const char *what, uint32_t shard, uint64_t height);

/* ---- network_bytes.c ---- */

/* A listener of its database (db.h); arg: the network. */
void network_damaged_table(void *arg, const char *file, const char *words);

/* A piece of a segment; its bytes. */
int network_piece(struct network *n, const struct segment_ref *ref, const struct block_bytes **out,
		  struct err *err) MUST_CHECK;
/* What was carried under this number. -EUCLEAN: there is no such row. */
int network_carrier(struct network *n, uint64_t carrier, const struct block_bytes **out,
		    struct err *err) MUST_CHECK;

/* ---- commit.c ---- */

void commit_delete(struct commit *c, enum family family, struct slice key);
void commit_delete_range(struct commit *c, enum family family, struct slice first,
			 struct slice end);
/* From now on nobody reads other branches than the current one: the collector may pass the
 * partings. */
int commit_branch_settle(struct commit *c) MUST_CHECK;

/* ---- view.c ---- */

struct view_box *view_new(struct network *n); /* NULL: no memory */
struct view_box *view_copy(const struct view_box *from);
void view_freep(struct view_box **box); /* of one that was never published */
/* Publishes; the box is the network's from now on. Calls nobody. */
void view_publish(struct network *n, struct view_box *box);
/* What a network that has no rows yet shows, and reading it from the rows. */
int  view_load(struct network *n, struct view_box **out, struct err *err) MUST_CHECK;
/* Rows of a view that differ from those of the one before. */
int  view_write(const struct view_box *box, const struct view_box *before,
		struct db_batch *batch) MUST_CHECK;
struct branch_table *branch_table_new(const struct branches *from); /* NULL: no memory */
void branch_table_put(struct branch_table *t);
/* The lowest height of a shard that a published view somebody holds is as of. */
uint64_t views_lowest(struct network *n, uint32_t shard);
/* Is every published view that somebody holds of the newest one's branch? */
bool views_of_one_line(struct network *n);
/* The highest horizon up to `wanted` that no pin is below; from now on none is made below it, until
 * horizon_set() says how far the collector really went. */
uint64_t horizon_take(struct network *n, uint32_t shard, uint64_t wanted);
void     horizon_set(struct network *n, uint32_t shard, uint64_t horizon);
uint64_t horizon_get(struct network *n, uint32_t shard);
void held_heights_release(struct network *n);

#endif
