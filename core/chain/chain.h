/* chain.h: what chainfs asks of an adapter, the one folder that understands a kind of chain.
 *
 * Everything outside core/chain/KIND/ and its source in net/ speaks to a chain through
 * struct chain_ops. A block goes through it in this order:
 *
 *   peek     (loop)      shard and height, nothing else
 *   split    (checker)   the received message without this node's certificate, and the certificate
 *   decode   (checker)   everything that the bytes alone decide: items, hashes, signatures, levels
 *   link     (ingest)    does it follow the block below it?
 *   replay   (ingest)    the chain's rules in both contexts: rows, changes, outcomes, roots
 *   render   (readers)   text and JSON of what is stored
 *
 * Threads  decode, split, peek and all renderers are pure and run on any thread; replay belongs to
 *          ingest. A decoded block is immutable.
 * Times    unix seconds everywhere outside the adapter. */
#ifndef CHAINFS_CHAIN_H
#define CHAINFS_CHAIN_H

#include "core/base/bytes.h"
#include "core/base/err.h"
#include "core/base/hash.h"

#define SHARD_MAX         16            /* shards of one network, the main one included */
#define BLOCK_SIZE_MAX    (64u << 20)   /* bytes of one received block; a bound, not a format */
#define PARENT_SIZE_MAX   96            /* a genesis block may name any text as its parent */
#define ROOT_SIZE_MAX     32
#define REASON_SIZE       160

enum context { CONTEXT_LEGACY, CONTEXT_HYPER, CONTEXT_COUNT };

struct context_rules {
	const char *name;
	bool        prunes;
};
extern const struct context_rules context_rules[CONTEXT_COUNT];

/* Where rows live (DESIGN.md 4): `both` is held by both contexts, `hyper` is retained. */
enum space { SPACE_BOTH = 1, SPACE_HYPER = 2 };
#define SPACES_LEGACY SPACE_BOTH
#define SPACES_HYPER  (SPACE_BOTH | SPACE_HYPER)

/* ---- verification ---- */
enum level {
	LEVEL_STRUCTURE, LEVEL_HEADER, LEVEL_COMMIT, LEVEL_MESSAGES, LEVEL_ACCOUNTS, LEVEL_STATE,
	LEVEL_COUNT
};
extern const char *const level_names[LEVEL_COUNT];

enum verdict {
	VERDICT_PENDING,     /* not tried yet: blocks below are missing */
	VERDICT_OK,
	VERDICT_FAILED,
	VERDICT_ABSENT,      /* what would be checked is not there (a block without certificate) */
	VERDICT_UNSUPPORTED, /* rules of an older protocol version that we do not have */
	VERDICT_COUNT
};
extern const char *const verdict_names[VERDICT_COUNT];

struct level_result {
	uint8_t verdict; /* enum verdict */
	char    reason[REASON_SIZE]; /* a sentence when not OK; may add a remark when OK */
};

/* ---- a decoded block ---- */
struct chain_item {
	uint32_t    offset, size;      /* its slice of the canonical bytes */
	uint16_t    form;              /* the adapter's code of what the slice is, for rendering */
	const char *kind;              /* "cast-add"; static; at most 31 characters of [a-z0-9-] */
	uint8_t     hash[HASH_SIZE];   /* by-hash finds it; hash_size 0: not found by hash */
	uint8_t     hash_size;
	/* Where in the item's bytes, counted from those of the block, the first 20 bytes of a
	 * BLAKE3 stand, and what they are of: the store need not keep those. told_size 0:
	 * nowhere. */
	uint32_t    told_at, told_from, told_size;
	/* Where behind it, counted likewise, a signature stands, which the store need not try to
	 * pack. signature_size 0: nowhere. */
	uint32_t    signature_at, signature_size;
	uint64_t    time;              /* unix seconds; the block's own when it has none */
	uint32_t    json_size, line_size; /* exact sizes of its two renderings */
	/* A record carried inside (a message in a block event): an object of its own. */
	bool        has_inner;
	uint16_t    inner_form;
	uint32_t    inner_offset, inner_size, inner_json_size, inner_line_size;
	uint8_t     inner_hash[HASH_SIZE], inner_hash_size;
	uint64_t    inner_time;
	/* What the bytes alone say against it (hash, signature); NULL when nothing. Static text. */
	const char *refusal;
};

struct chain_witness {
	uint32_t shard;
	uint64_t height;
	uint8_t  hash[HASH_SIZE];
};

struct chain_ops;
struct chain_params;

/* Adapters put this first in a struct of their own. Owned by who decoded it; ops->block_free. */
struct chain_block {
	const struct chain_ops *ops;
	struct buf  canonical;         /* the received message without the certificate (DESIGN.md
					* 9) */
	struct buf  certificate;       /* empty when the block came without one */
	uint32_t    shard;
	uint64_t    height;
	uint8_t     hash[HASH_SIZE];
	uint8_t     parent[PARENT_SIZE_MAX];
	uint8_t     parent_size;
	uint8_t     root[ROOT_SIZE_MAX]; /* the state root that the block signs */
	uint8_t     root_size;
	uint64_t    time;              /* unix seconds */
	struct chain_item    *items;
	size_t                item_count;
	struct chain_witness *witnesses; /* main shard: newest height of every other shard */
	size_t                witness_count;
	struct level_result   levels[LEVEL_COUNT];
	/* Rendered sizes of its files. */
	uint32_t    header_size, header_json_size, parent_file_size;
};

struct chain_peek {
	uint32_t shard;
	uint64_t height;
	struct slice hash; /* as the block claims it, not checked, or empty; points into what was
			    * received */
};

/* ---- what replay tells ---- */
enum reason {
	REASON_MERGED,
	REASON_REMOVED,    /* a remove took its add */
	REASON_SUPERSEDED, /* a newer record of the same conflict key */
	REASON_COMPACTED,  /* swept by a compact state */
	REASON_PRUNED,     /* over the limit of the account's storage */
	REASON_REVOKED,
	REASON_MOVED,      /* a name went to another account */
	REASON_EXPIRED,
	REASON_COUNT
};
extern const char *const reason_names[REASON_COUNT];

#define CHANGE_NO_ITEM UINT32_MAX

/* One record put or deleted in one space. A prune with hyper on is two changes of one record:
 * deleted from `both`, put into `hyper`, both with REASON_PRUNED. */
struct chain_change {
	uint8_t      space;   /* enum space */
	bool         deleted;
	uint8_t      reason;  /* enum reason */
	uint32_t     item;    /* index of the item that caused it, or CHANGE_NO_ITEM */
	uint64_t     object;  /* object id of the record */
	struct slice key;     /* record key, as in the rows */
	bool         told;    /* the key is what object_key() makes of the object's bytes */
};

/* NONE: carries no record. */
enum outcome { OUTCOME_MERGED, OUTCOME_REFUSED, OUTCOME_NONE, OUTCOME_COUNT };
extern const char *const outcome_names[OUTCOME_COUNT];

struct chain_outcome {
	uint8_t     outcome;
	const char *reason; /* static text; NULL when merged */
};

struct chain_root {
	uint8_t  root[ROOT_SIZE_MAX];
	uint8_t  root_size;  /* 0: an empty state */
	uint64_t records;    /* keys of the trie */
};
bool chain_root_eq(const struct chain_root *a, const struct chain_root *b); /* root and records */

/* What one replayed block did. Lives in the replay's arena until the next block begins. */
struct chain_result {
	struct chain_change  *changes;
	size_t                change_count;
	struct chain_outcome *outcomes; /* one an item */
	size_t                outcome_count;
	struct chain_root     legacy, hyper; /* hyper: equal to legacy when hyper is off */
	uint64_t              retained;      /* records that hyper holds and legacy does not */
	struct level_result   accounts, state;
};

struct state;  /* core/store/state.h */
struct replay; /* the adapter's */

/* ---- carrying a state away: what its rows are, and how they follow from records ---- */
enum chain_row {
	CHAIN_ROW_RECORD,  /* one record; its value begins with the object id (record_split) */
	CHAIN_ROW_DERIVED, /* follows from the records: accounts' rows, counts */
	CHAIN_ROW_RULE,    /* what the rules need beyond records */
};

/* Takes all records of a shard in key order, both contexts at once, and makes of them the two roots
 * and every derived row, exactly as replay left them. The adapter's own. */
struct chain_rooter;
typedef int chain_row_emit(void *arg, enum space space, struct slice key, struct slice value);

/* ---- how accounts and records are listed ---- */
struct chain_set {
	const char *name; /* folder below an account: "casts"; its bulk file is "casts.jsonl" */
	uint8_t     id;   /* byte of the record key behind the account */
	const char *about;
};

#define SET_MAX 32

struct chain_account {
	uint8_t  root[ROOT_SIZE_MAX];
	uint8_t  root_size;
	uint64_t records;           /* keys of its trie */
	struct {
		uint32_t records;   /* files in the set's folder */
		uint64_t line_bytes; /* exact size of its .jsonl */
	} sets[SET_MAX];            /* by place in chain_ops.sets */
};

#define RECORD_NAME_SIZE 256
#define SIGNER_LINE_SIZE (2 * 32 + 3)

struct chain_record {
	uint64_t object;   /* its stat record gives time, sizes and slice */
	uint64_t time;
	uint32_t json_size, line_size;
	char     name[RECORD_NAME_SIZE]; /* without ".json": "0123456789-27f4…" */
};

struct chain_object { /* what a renderer needs of an object */
	uint16_t     form;
	struct slice bytes;
	uint64_t     time;
};

struct chain_retained { /* one change of what hyper retains */
	struct slice trie_key;
	bool         dropped;
	uint8_t      reason;
};

struct chain_envelope {
	uint8_t      hash[HASH_SIZE];
	struct slice parent, root;
	uint64_t     retained, base_height;
	struct slice base_root;
	const struct chain_retained *changes;
	size_t       change_count;
};

/* ---- a state that a node hands out, page by page (core/checkpoint/bootstrap.h) ----
 *
 * What comes is not trusted: an item has to be what its key says, an account has to have the root
 * that is claimed of it, and all of them the root that the block signs. What no root covers is made
 * of the records as well as can be; an account for which that is a guess gets a mark among the
 * rules' rows, with what was guessed. */
struct chain_snapshot { /* one that is offered; slices point into the message */
	uint32_t     shard;
	uint64_t     height;
	struct slice block; /* as received, with its certificate; empty: none came with it */
};

struct chain_page_item {
	struct slice key;   /* of the trie; empty in the lists of one account */
	uint16_t     form;
	struct slice bytes; /* of the object */
};

struct chain_claim { /* what a page says of one of its accounts, all pages of it together */
	uint64_t account, records;
	uint8_t  root[ROOT_SIZE_MAX];
	uint8_t  root_size;
};

struct chain_page { /* of a message that outlives it */
	struct chain_page_item *items;
	struct chain_claim     *claims;
	size_t       item_count, claim_count;
	struct slice token; /* of the next page; empty: there is none */
};

enum chain_shared { CHAIN_SHARED_NONE, CHAIN_SHARED_HOME, CHAIN_SHARED_ALL };

/* Takes the items of a shard in key order; what an account's records and rules come to is handed
 * out when the account is complete: records ascending by key, as root_add() wants them. */
struct chain_replica;
struct chain_replica_sink {
	void *arg;
	/* rest: of the row's value, behind the object id. */
	int (*record)(void *arg, struct slice key, struct slice rest, const struct chain_object *o);
	int (*rule)(void *arg, struct slice key, struct slice value);
};

struct chain_replica_end {
	uint64_t marked;           /* accounts of which something was guessed */
	bool     sequence_guessed; /* as is how much of the main shard's blocks has come to this
				    * one */
};

struct chain_ops {
	const char *kind;         /* "snapchain" */
	const char *block_suffix; /* ".pb": block.pb, commits.pb, records as they came */
	uint32_t    renderer;     /* version of every rendering below; a change invalidates
				   * caches */

	/* Text of the parameters of a well-known network, as --config would have it; NULL:
	 * unknown. */
	const char *(*preset)(const char *network_name);
	/* The name of the i-th well-known network; NULL behind the last. */
	const char *(*preset_name)(size_t i);
	/* Parameters of a network from the text of a network.json or --config file. The canonical
	 * text of equal parameters is equal; it is what the store keeps. */
	int (*params_parse)(struct slice text, struct chain_params **out, struct err *err);
	int (*params_write)(const struct chain_params *p, struct buf *out);
	void (*params_free)(struct chain_params *p);
	uint32_t (*shard_count)(const struct chain_params *p); /* the main one included */

	int (*peek)(struct slice received, bool main_shard, struct chain_peek *out,
		    struct err *err);
	int (*split)(struct slice received, bool main_shard, struct buf *canonical,
		     struct buf *certificate, struct err *err);
	/* Its reverse: a message that splits into the two. The one received, where its fields were
	 * in ascending order. */
	int (*join)(struct slice canonical, struct slice certificate, bool main_shard,
		    struct buf *out, struct err *err);
	/* Takes both bufs over, also on failure. -EBADMSG: the bytes do not parse (structure); any
	 * other fault is a level of the block. Without `verify` no signature is checked: the levels
	 * commit and messages stay pending and no item is refused; for rendering what was checked
	 * before. */
	int (*decode)(const struct chain_params *p, bool main_shard, bool verify,
		      struct buf *canonical, struct buf *certificate, struct chain_block **out,
		      struct err *err);
	void (*block_free)(struct chain_block *b);
	/* Fills levels[LEVEL_HEADER] further: parent link against the block below. prev NULL:
	 * height 1. */
	int (*link)(const struct chain_block *b, const uint8_t *prev_hash, struct err *err);

	int (*replay_new)(const struct chain_params *p, uint32_t shard, struct replay **out,
			  struct err *err);
	void (*replay_free)(struct replay *r);
	/* 0: rows of the block are in `st` (begun by the caller), *out says what happened, and the
	 * legacy root equals the block's own. -EUCLEAN: it does not; *out names the account that
	 * differs first (levels), and the caller aborts the block in `st`, where until then the
	 * rows lie that came out. -EOPNOTSUPP: an older
	 * protocol version. object_first: object id of item 0; item i has object_first + 2i, its
	 * inner record + 1. hyper: keep retained rows and hyper's roots. */
	int (*replay_block)(struct replay *r, struct state *st, const struct chain_block *b,
			    uint64_t object_first, bool hyper, struct chain_result *out,
			    struct err *err);
	/* After state_block_abort(): forget what was cached of the aborted block. */
	void (*replay_abort)(struct replay *r);

	/* Listing. Record keys of an account's set share a prefix; accounts of a vshard share
	 * one. */
	const struct chain_set *sets;
	size_t set_count;
	/* Key of its account row; the prefix of a vshard's account rows. */
	void (*account_key)(uint64_t account, struct buf *out);
	void (*account_prefix)(unsigned vshard, struct buf *out);
	int (*account_of_key)(struct slice key, uint64_t *account);
	unsigned (*vshard_of)(uint64_t account);
	/* The account's own shard. */
	uint32_t (*shard_of)(const struct chain_params *p, uint64_t account);
	void (*vshard_key)(unsigned vshard, struct buf *out); /* row that counts a vshard's
							       * accounts: be32 */
	void (*set_prefix)(uint64_t account, uint8_t set_id, struct buf *out);
	int (*account_read)(struct slice value, struct chain_account *out);
	int (*record_read)(struct slice key, struct slice value, struct chain_record *out);
	/* Record key of the file name (without suffix) in a set; -ENOENT when it cannot be one. */
	int (*record_key)(uint64_t account, uint8_t set_id, const char *name, struct buf *out);
	/* names/: rows below this prefix; one file each, rendered from the row alone. */
	void (*names_prefix)(struct buf *out);
	int (*name_read)(struct slice key, struct slice value, char name[RECORD_NAME_SIZE],
			 struct buf *text, uint64_t *time);
	int (*name_key)(const char *name, struct buf *out);

	/* Rendering. `bytes` of an object are its slice of the canonical bytes. */
	int (*render_object)(const struct chain_object *o, bool line, struct buf *out);
	/* Kind and hash of an object's bytes, as its chain_item (or the inner record of one) has
	 * them. */
	int (*item_name)(uint16_t form, struct slice bytes, char kind[32], uint8_t hash[HASH_SIZE],
			 uint8_t *hash_size);
	int (*render_header)(const struct chain_block *b, bool json, struct buf *out);
	int (*render_parent)(const struct chain_block *b, struct buf *out);
	/* Who had to sign a block, and who did by this certificate: a line a validator of that
	 * height, in the order of their keys, each of SIGNER_LINE_SIZE bytes: "<64 hex> 1\n", or
	 * 0. */
	size_t (*signer_count)(const struct chain_params *p, uint32_t shard, uint64_t height);
	int (*render_signers)(const struct chain_params *p, uint32_t shard, uint64_t height,
			      struct slice certificate, struct buf *out);
	/* The set of a height by what decides (core/sync/quorum.h). -ENOENT: none is configured. */
	int (*signer_set)(const struct chain_params *p, uint32_t shard, uint64_t height,
			  uint8_t out[HASH_SIZE]);
	/* Does another set sign the height above? */
	bool (*signers_end)(const struct chain_params *p, uint32_t shard, uint64_t height);
	int (*render_limits)(const struct chain_params *p, struct state *st, uint64_t account,
			     uint64_t time, struct buf *out);
	/* Trie key of a record key (for envelopes and proofs). */
	int (*trie_key)(struct slice record_key, struct slice record_value, struct buf *out);
	/* ---- checkpoints (core/checkpoint/) ---- */
	enum chain_row (*row_kind)(struct slice key);
	/* Of a record's row: the account and the set (chain_set.id) that list it. -EUCLEAN. */
	int (*record_place)(struct slice key, uint64_t *account, uint8_t *set_id);
	/* Of a record's row: its vshard; its value as object id and the rest, and together again.
	 * -EUCLEAN. */
	int (*record_vshard)(struct slice key, unsigned *vshard);
	int (*record_split)(struct slice value, uint64_t *object, struct slice *rest);
	int (*record_join)(uint64_t object, struct slice rest, struct buf *value);
	/* Does this row follow from the object's bytes: hash, signature, key, facts, sizes?
	 * -EBADMSG or -EKEYREJECTED with what differs. */
	int (*record_check)(const struct chain_params *p, struct slice key, struct slice rest,
			    const struct chain_object *o, struct err *err);
	/* The key of the record that an object's bytes make; -EBADMSG: they make none. Nothing is
	 * checked: asked of the objects of changes that say they are told. NULL: none is. */
	int (*object_key)(uint16_t form, struct slice bytes, struct buf *key);
	/* How many first bytes of a row's key, at least one, nearly always tell it from all others:
	 * what names it for a while. Up to key.n. NULL: all of them. None begins another one. */
	size_t (*key_short)(struct slice key);
	/* emit may be NULL; it gets rows account by account while records are added. root_end:
	 * CONTEXT_HYPER is equal to legacy when nothing was retained. */
	int (*root_new)(uint32_t shard, bool hyper, chain_row_emit *emit, void *arg,
			struct chain_rooter **out, struct err *err);
	int (*root_add)(struct chain_rooter *r, enum space space, struct slice key,
			struct slice value, struct err *err);
	int (*root_end)(struct chain_rooter *r, struct chain_root out[CONTEXT_COUNT],
			uint64_t *retained, struct err *err);
	void (*root_free)(struct chain_rooter *r);
	/* ---- a state as a node hands it out ---- */
	/* The i-th snapshot that a message of metadata offers: 1; 0 behind the last. -EBADMSG. */
	int (*replica_snapshot)(struct slice message, size_t i, struct chain_snapshot *out,
				struct err *err);
	int (*replica_page)(struct slice message, struct chain_page *out, struct err *err);
	/* A list of one account's objects, by number from 0; NULL behind the last: what it is
	 * called. */
	const char *(*replica_list_name)(unsigned list);
	int (*replica_list)(unsigned list, struct slice message, struct chain_page *out,
			    struct err *err);
	void (*replica_page_release)(struct chain_page *p);
	int (*replica_new)(const struct chain_params *p, uint32_t shard,
			   const struct chain_replica_sink *sink, struct chain_replica **out,
			   struct err *err);
	void (*replica_free)(struct chain_replica *r);
	/* What the records do not tell and blocks do. Before the first item: blocks of the shard,
	 * descending from the snapshot's own, until it answers 1, or there are no more; then those
	 * of the main shard, ascending from 1. */
	int (*replica_below)(struct chain_replica *r, const struct chain_block *b, struct err *err);
	int (*replica_main)(struct chain_replica *r, const struct chain_block *b, struct err *err);
	/* Does the item belong to the account whose items come now, and is it what its key says?
	 * -EBADMSG, -EKEYREJECTED. With an empty key, any account that it belongs to: one of a
	 * list. */
	int (*replica_add)(struct chain_replica *r, uint64_t account,
			   const struct chain_page_item *item, struct err *err);
	/* What blocks of the main shard told that belongs to the account and may have been
	 * refused. */
	int (*replica_add_told)(struct chain_replica *r, uint64_t account, struct err *err);
	/* The account is complete: its root and number of records; then its rows come. claim: what
	 * was claimed of it, NULL nothing. -EBADMSG. */
	int (*replica_account)(struct chain_replica *r, uint64_t account,
			       const struct chain_claim *claim, struct err *err);
	/* What came of the account so far is forgotten: a page that was to go on with it is
	 * refused. */
	void (*replica_drop)(struct chain_replica *r);
	/* Rules' rows of the shard as a whole. */
	int (*replica_end)(struct chain_replica *r, struct chain_replica_end *out, struct err *err);
	/* Does the state of the main shard have the records of a set (chain_set.id) as other shards
	 * have them? Of every account; of those that are at home there; not at all. */
	enum chain_shared (*replica_shared)(uint8_t set_id);
	/* Marks: rules' rows below this prefix; whose, and what was guessed, in words. */
	void (*mark_prefix)(struct buf *out);
	int (*mark_read)(struct slice key, struct slice value, uint64_t *account,
			 char text[REASON_SIZE]);
	/* HyperEnvelope of a block as bytes, or as JSON. */
	int (*render_envelope)(const struct chain_envelope *e, bool json, struct buf *out);
};

/* The adapters, by kind; NULL when there is none of that name. */
void chain_block_freep(struct chain_block **b);
const struct chain_ops *chain_kind(const char *kind);
const struct chain_ops *chain_kind_at(size_t i); /* NULL behind the last */

#endif
