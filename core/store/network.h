/* network.h: one network of a store: its rows, blocks and segments, and the views on them.
 *
 * One writer (ingest) collects what a run of blocks changes in a struct commit; commit_apply()
 * syncs the segments, writes one batch, and publishes the next struct view. Readers take the newest
 * view, read with it, and put it back; nothing that a view names goes away before that.
 *
 * Errors   -EIO and RocksDB's words; -EUCLEAN when our own rows contradict each other; -EBADMSG for
 *          bytes that fail their checksum; -ENOSPC.
 * Threads  reading functions: any. struct commit: ingest. */
#ifndef CHAINFS_NETWORK_H
#define CHAINFS_NETWORK_H

#include "core/store/store.h"
#include "core/store/state.h"
#include "core/sync/gaps.h"

const char *network_name(const struct network *n);
const char *network_folder(const struct network *n); /* STORE/networks/NAME */
const struct chain_ops *network_ops(const struct network *n);
const struct chain_params *network_params(const struct network *n);
struct slice network_params_text(const struct network *n);
const char *network_trust(const struct network *n); /* "config", "preset" or "archive" */
unsigned network_index(const struct network *n);    /* dense, from 1; part of inode numbers */

/* ---- views ---- */
struct shard_view {
	uint64_t first_held, tip;     /* lowest and highest height held; 0: none */
	uint64_t known;               /* highest height known to exist */
	uint64_t replayed;            /* the state is as of this height; 0: nothing replayed */
	uint64_t kept_from;           /* lowest height as of which the state can still be read */
	uint64_t begins;              /* a restore gave the state as of this height: it and what
				       * lies below is not replayed here, ever. 0: replayed from
				       * block 1 */
	uint64_t tip_time, replayed_time;
	uint8_t  tip_hash[HASH_SIZE], replayed_hash[HASH_SIZE];
	struct chain_root legacy, hyper; /* as of `replayed` */
	uint64_t retained;            /* records that hyper holds and legacy does not, as of
				       * `replayed` */
	uint64_t hyper_bytes;         /* keys and values of the rows that hyper holds alone; object
				       * ids are among them, so two nodes may differ */
	uint64_t diverged;            /* heights so far whose two roots differ */
	bool     hyper_on;            /* retained records are kept */
	uint64_t base_height;         /* hyper base: retained from the block after it */
	uint8_t  base_root[ROOT_SIZE_MAX];
	uint8_t  base_root_size;
	uint64_t items, bytes;        /* of the blocks held */
	uint64_t refused_items;
	uint64_t changes[REASON_COUNT]; /* records deleted by reason, in both; [REASON_MERGED]:
					 * merged */
	struct gaps gaps;
};

/* Immutable once published. */
struct view {
	struct network *network;
	uint64_t number;    /* counts publications of this process */
	uint32_t branch;
	uint64_t next_object;
	/* Where the bytes of blocks end: the segment that grows (0: there is none yet), and how
	 * many of its bytes are committed. Those before it are never written again. */
	uint32_t segment;
	uint64_t segment_size;
	uint32_t shard_count;
	struct shard_view shards[SHARD_MAX];
};

/* Another number after every write, never one of another network: what was read is kept with the
 * epoch from before it was read, and holds while it is the network's. */
uint64_t network_epoch(const struct network *n);

struct view *network_view_get(struct network *n); /* counted; never NULL */
void view_putp(struct view **v);
/* The branch that wrote what the view shows of a height: two views that name the same one show the
 * same state as of it. */
uint32_t view_line(const struct view *v, uint32_t shard, uint64_t height);
/* A view as bytes, from which a later process that opens the same store makes it again: the number
 * stays. -ESTALE: what it would read was collected meanwhile. Numbers above `last` are for what is
 * published from now on, the newest view of the opened store included; before anybody has taken
 * that one. */
int  network_view_save(const struct view *v, struct buf *out) MUST_CHECK;
int  network_view_restore(struct network *n, struct slice saved, struct view **out) MUST_CHECK;
void network_views_after(struct network *n, uint64_t last);
/* Called from the publishing thread after each publication, holding no lock: wakes the notifier. */
void network_on_publish(struct network *n, void (*call)(void *arg), void *arg);

/* ---- blocks ---- */
/* Where a block's bytes lie: a piece of a frame, since small blocks pack better together. */
struct segment_ref {
	uint32_t segment;      /* from 1; 0 while `frame` is not written yet */
	uint64_t offset;
	uint32_t stored, size; /* of the frame: bytes in the file, bytes unpacked */
	uint32_t inner;        /* where in the unpacked frame the piece begins */
	uint32_t canonical_size, certificate_size;
	uint32_t frame;        /* from commit_bytes: its frame in the commit, which resolves it */
};

#define BLOCK_DIGEST_SIZE 16

struct block_row {
	uint32_t shard;
	uint64_t height;
	uint64_t object;         /* the block's; its items follow: item i has object + 1 + 2i, inner
				  * + 1 */
	uint8_t  hash[HASH_SIZE];
	uint8_t  parent[PARENT_SIZE_MAX];
	uint8_t  parent_size;
	uint64_t time;
	uint32_t items;
	struct segment_ref bytes;       /* canonical bytes, then the certificate */
	uint32_t canonical_size, certificate_size;
	uint64_t line_bytes;            /* of its items in items.jsonl */
	uint32_t header_size, header_json_size, parent_file_size;
	struct chain_witness witnesses[SHARD_MAX]; /* as read: without hashes */
	uint32_t witness_count;
	struct level_result levels[LEVEL_COUNT];
	bool     uncommitted;           /* taken by --allow-uncommitted */
	/* First bytes of BLAKE3 of the canonical bytes. A chain's own hash need not cover all of a
	 * block, so this is what a copy must match to heal a damaged one. */
	bool     has_digest;            /* rows of older programs have none */
	uint8_t  digest[BLOCK_DIGEST_SIZE];
};

/* 1 there is a row, 0 not, negative. The row of a damaged block stays while its height is a gap, so
 * that the same block may take its place again: whether a height is held is said by the view's
 * gaps. */
int network_block(struct network *n, uint32_t shard, uint64_t height, struct block_row *out)
	MUST_CHECK;

/* Ascending block rows from a height on; a bounded iterator. */
struct block_scan;
int  block_scan_new(struct network *n, uint32_t shard, uint64_t first, struct block_scan **out)
	MUST_CHECK;
int  block_scan_next(struct block_scan *s, struct block_row *out) MUST_CHECK; /* 1, 0, <0 */
void block_scan_freep(struct block_scan **s);

/* Unpacked bytes of a block, from a bounded cache of decoded blocks. -EBADMSG: damaged. */
struct block_bytes {
	struct slice canonical, certificate;
};
int  network_block_bytes(struct network *n, const struct block_row *row,
			 const struct block_bytes **out, struct err *err) MUST_CHECK;
void block_bytes_putp(const struct block_bytes **b); /* accepts NULL */
/* The plain file of a segment, from 1 to the view's: a descriptor to be read and closed. What lies
 * behind the committed bytes of the one that grows is nobody's. -ENOENT: the file is gone. */
int  network_segment_open(const struct network *n, uint32_t segment) MUST_CHECK;
/* Bytes kept aside under a gap; 1, 0 nothing was, negative. */
int  network_aside(struct network *n, uint32_t shard, uint64_t height,
		   const struct block_bytes **out, struct err *err) MUST_CHECK;

/* A block whose bytes failed their checksum when somebody read it. Each is noted once, a bounded
 * number of them; who writes next takes them and makes gaps of them (ingest). Any thread. */
struct damage {
	uint32_t shard;
	uint64_t height;
};
/* Are a block's bytes what they were? From the disk, kept in no cache and noted nowhere. -EBADMSG:
 * no. */
int    network_block_check(struct network *n, const struct block_row *row, struct err *err)
	MUST_CHECK;
size_t network_damage_take(struct network *n, struct damage *out, size_t out_max);
/* Somebody met a damaged file of its folder: it is traced, and told to who listens (store.h), unless
 * it was before. `version` tells it from the next one of its name, 0: there is no other; `mend`: what a
 * person can do. A bounded number of them, then once that there are more; fsck tells all. Any thread. */
void network_damaged_file(struct network *n, const char *file, uint64_t version,
			  const char *sentence, const char *mend);

/* ---- what replay left of a block ---- */
struct roots_row {
	struct chain_root legacy, hyper;
	bool     has_hyper;
	uint64_t retained;       /* records retained after the block */
	uint32_t envelope_size, envelope_json_size;
};
int network_roots(struct network *n, uint32_t shard, uint64_t height, struct roots_row *out)
	MUST_CHECK;

/* Change list and outcomes as they were committed; the slices point into `bytes` and `told`.
 * -ENODATA and -EBADMSG: the block that the list was packed against, or one whose item tells a key,
 * is not held any more, or damaged. */
struct change_list {
	struct buf           bytes;
	struct buf           told;  /* keys that the objects told */
	struct chain_change *changes;
	size_t               change_count;
};
int  network_changes(struct network *n, uint32_t shard, uint64_t height, struct change_list *out)
	MUST_CHECK;
/* The same for who asks for no keys: those that objects tell are empty, and no other block is
 * asked. */
int  network_changes_keyless(struct network *n, uint32_t shard, uint64_t height,
			     struct change_list *out) MUST_CHECK;
void change_list_release(struct change_list *l);

struct outcome_list {
	struct buf            bytes;
	struct chain_outcome *outcomes; /* reasons are NUL-terminated text in `bytes` */
	size_t                outcome_count;
};
int  network_outcomes(struct network *n, uint32_t shard, uint64_t height, struct outcome_list *out)
	MUST_CHECK;
void outcome_list_release(struct outcome_list *l);

/* Heights of a shard, of those replayed, at which the two roots differ, ascending from `first`;
 * 1 found, 0 none. */
int network_diverged_next(struct network *n, uint32_t shard, uint64_t first, uint64_t *height)
	MUST_CHECK;

/* Sizes of a range's bulk files, written when all of its heights are held (replayed, for roots),
 * and what time they have. Ranges are numbered by height / RANGE_SIZE. */
#define RANGE_SIZE 1000u
struct range_row {
	uint64_t index_bytes, items_bytes;        /* 0 index_bytes: not complete yet */
	uint64_t roots_bytes[CONTEXT_COUNT];      /* 0: not complete yet */
	uint64_t time;                            /* of the last block; 0: not written */
};
int network_range(struct network *n, uint32_t shard, uint64_t range, struct range_row *out)
	MUST_CHECK;

/* ---- stat records ---- */
enum object_type { OBJECT_BLOCK = 1, OBJECT_ITEM, OBJECT_INNER };
struct stat_record {
	uint8_t  type;           /* enum object_type */
	uint16_t form;           /* chain_item.form, of items */
	uint32_t shard;
	uint64_t height;
	uint32_t item;
	uint64_t time;
	uint64_t carrier;        /* 0: its bytes lie in its block. Else in what a restore carried
				  * (commit_carried) */
	uint32_t offset, size;   /* slice of the canonical bytes, or of the carrier's */
	uint32_t json_size, line_size;
	uint32_t renderer;
};
/* 1, 0, <0 */
int network_stat(struct network *n, uint64_t object, struct stat_record *out) MUST_CHECK;
/* An object's own bytes, wherever they lie: `out` borrows from *owner, which the caller puts back.
 * -ENODATA: its block is not held any more; -EBADMSG: damaged. */
int network_object_bytes(struct network *n, const struct stat_record *stat,
			 const struct block_bytes **owner, struct slice *out, struct err *err)
	MUST_CHECK;

/* ---- by hash: objects whose hash begins with these nibbles ---- */
struct hash_hit {
	uint32_t shard;
	uint64_t height;
	uint32_t item;      /* HASH_HIT_BLOCK: the block itself */
	uint8_t  prefix[8]; /* first bytes of the hash, five at least, then zeros; the rest is
			     * checked by the caller */
};
#define HASH_HIT_BLOCK UINT32_MAX
/* Up to out_max hits in order (prefix, shard, height, item), behind `after` unless that is NULL;
 * returns how many. As long as it is out_max there may be more: whoever can choose hashes can
 * choose many that begin alike. */
int network_by_hash(struct network *n, const uint8_t *prefix, size_t nibbles,
		    const struct hash_hit *after, struct hash_hit *out, size_t out_max) MUST_CHECK;

/* ---- checking ---- */
#define NETWORK_FAMILIES 7 /* column families of the database; keys.h says what lies in each */
struct family_check {
	const char *name;
	uint64_t    rows;  /* read well, before the first fault */
	int         rc;    /* 0, or what reading ended with */
	struct err  err;
};
/* Reads every row of every family, and so the checksum of every block of every file. Takes as long
 * as the database is large; negative only when it could not be tried. */
int network_check(struct network *n, struct family_check out[NETWORK_FAMILIES]) MUST_CHECK;
/* Reads carried bytes one carrier after another. 1: carrier *last + 1 was read well and *last
 * counts it; 0: there are no more; -EBADMSG: it is damaged, or its row is not there, and *last
 * counts it as well. */
int network_check_carried(struct network *n, uint64_t *last, struct err *err) MUST_CHECK;

/* Its database writes and deletes no file while it is quiet and nobody commits (db.h). */
int network_quiet(struct network *n, bool quiet, unsigned wait_ms, struct err *err) MUST_CHECK;

/* ---- writing: ingest alone ---- */
struct commit;

/* -EBUSY: one is open; -EROFS: the store is; -ENOSPC: it was opened so, for want of room. */
int  commit_new(struct network *n, struct commit **out) MUST_CHECK;
void commit_freep(struct commit **c); /* what was not applied never happened */
/* The view being built: the newest one's copy, changed freely until commit_apply publishes it. */
struct view *commit_view(struct commit *c);
int commit_bytes(struct commit *c, struct slice canonical, struct slice certificate,
		 struct segment_ref *out, struct err *err) MUST_CHECK;
/* The bytes given last tell at `at` the hash of their own [from, from + size), or, where `from` is
 * `at`, have there `size` bytes that nothing packs (segment.h). In ascending order. */
int commit_told(struct commit *c, const struct segment_ref *ref, uint32_t at, uint32_t from,
		uint32_t size) MUST_CHECK;
/* Bytes of objects whose blocks are not held: *carrier is what their stat records name. */
int commit_carried(struct commit *c, struct slice bytes, uint64_t *carrier, struct err *err)
	MUST_CHECK;
int commit_block(struct commit *c, const struct block_row *row) MUST_CHECK;
int commit_block_remove(struct commit *c, uint32_t shard, uint64_t height) MUST_CHECK;
int commit_stat(struct commit *c, uint64_t object, const struct stat_record *r) MUST_CHECK;
/* At least 8 bytes of a hash. */
int commit_hash(struct commit *c, struct slice hash, uint32_t shard, uint64_t height,
		uint32_t item) MUST_CHECK;
int commit_roots(struct commit *c, uint32_t shard, uint64_t height, const struct roots_row *r)
	MUST_CHECK;
int commit_changes(struct commit *c, uint32_t shard, uint64_t height,
		   const struct chain_change *list, size_t count) MUST_CHECK;
/* The same, half the bytes: the keys of a block's changes repeat hashes that lie in its canonical
 * bytes, so the list is packed against them, and reading it takes the block's bytes too. */
int commit_changes_of(struct commit *c, uint32_t shard, uint64_t height, struct slice canonical,
		      const struct chain_change *list, size_t count) MUST_CHECK;
int commit_outcomes(struct commit *c, uint32_t shard, uint64_t height,
		    const struct chain_outcome *list, size_t count) MUST_CHECK;
int commit_range(struct commit *c, uint32_t shard, uint64_t range, const struct range_row *r)
	MUST_CHECK;
/* Bytes kept aside under a gap of reason state; not served as a block. */
int commit_aside(struct commit *c, uint32_t shard, uint64_t height, const struct segment_ref *ref)
	MUST_CHECK;
/* Drains the versions that blocks ended in `st` since the last call. A commit that is dropped takes
 * them with it: `st` then answers -ESTALE. */
int commit_state(struct commit *c, struct state *st) MUST_CHECK;
/* A rollback: the view goes on as a branch of `parent` that sees its versions up to heights[shard].
 * The caller sets the shards' fields back; states are opened anew once it is applied. -ESTALE: the
 * versions of such a height are gone; -EINVAL: no such parent. */
int commit_branch_open(struct commit *c, uint32_t parent, const uint64_t heights[SHARD_MAX],
		       uint32_t *out) MUST_CHECK;
/* The same where the state stays: from `first` of a shard on, up to where the state begins there,
 * blocks come again on the new branch; so do all above `replayed`. */
int commit_branch_anew(struct commit *c, uint32_t shard, uint64_t first, uint32_t *out) MUST_CHECK;
size_t commit_bytes_held(const struct commit *c); /* what the batch holds; a bound for runs */
/* Segments synced, one batch written and synced, the view published. `c` is empty afterwards and
 * can be used again; states that were drained into it now read through to the store. */
int commit_apply(struct commit *c, struct err *err) MUST_CHECK;

/* ---- the collector: chooses what lies behind every held view; ingest applies ---- */
/* Adds deletions of rows dead at or below `horizon` of a shard: about `most` deaths (those of a
 * block go together), and never what a pin, a held view or an open state still reads; a branch that
 * was left is read while a view of it is held. Returns how many; call it again for a shard only
 * after commit_apply. Raises kept_from in the view being built. */
int collector_choose(struct network *n, uint32_t shard, uint64_t horizon, size_t most,
		     struct commit *c, struct err *err) MUST_CHECK;
/* A height whose rows must stay readable, per shard: counted pins (view slots, checkpoints).
 * -ESTALE: the collector went past it already. */
int  network_pin(struct network *n, uint32_t shard, uint64_t height) MUST_CHECK;
void network_unpin(struct network *n, uint32_t shard, uint64_t height);
uint64_t network_pinned_lowest(struct network *n, uint32_t shard); /* UINT64_MAX: none */

#endif
