/* tree.h: the tree as one table, and the four questions that are asked of a place in it.
 *
 * A struct node is a place: the row of the table and what its path filled in, as plain values. It
 * is all there is: an inode number is a node packed (ino.h), no table of places exists. No FUSE.
 *
 * Two kinds of nodes:
 *   of an object   (network, object id, row): the same file wherever and in whichever context it is
 *                  listed; its bytes never change
 *   of a scope     (scope, key, row): directories, and files computed from a view
 * Scopes:
 *   SCOPE_PLACE    a place that is always there: folders are answered from the newest view and may
 *                  grow; a file of a network here is final, whatever its row's class says. The
 *                  root's own status has no view: its key moves with each publication, its size
 *                  never does
 *   SCOPE_VIEW     a settling file or folder, as of one published view; its bytes never change,
 *                  its name leads to another node once a newer view says otherwise
 *   SCOPE_STATE    the state of (network, context, shard) as of a height; never changes
 *   SCOPE_SPAN     what lies between two main heights; never changes
 *   SCOPE_CHECKPOINT   a checkpoint: its height, the first bytes of its hash, and which making of
 *                      it.
 *                  What it says lies in plain files on the disk
 *   SCOPE_SIGHT    a settling file about following, as of one version of what is told of it
 *                  (sights.h): as SCOPE_VIEW, with the version in the view's place
 *
 * `view` in every call: of SCOPE_VIEW nodes their own view, else the newest of node->network; NULL
 * for the root's own rows. Threads: any. Errors: fs/README.md; what we do not hold is
 * never empty bytes. */
#ifndef CHAINFS_FS_TREE_H
#define CHAINFS_FS_TREE_H

#include "core/store/network.h"

enum file_class { FIXED, SETTLING, FLOWING };
enum node_type { NODE_FOLDER, NODE_FILE, NODE_LINK };

enum scope_kind { SCOPE_PLACE, SCOPE_VIEW, SCOPE_STATE, SCOPE_SPAN, SCOPE_CHECKPOINT,
		  SCOPE_SIGHT };

struct scope {
	uint8_t  kind;         /* enum scope_kind */
	uint8_t  context;      /* enum context, where the place is below one */
	uint32_t shard;        /* SCOPE_CHECKPOINT: the making of it; 0 while it is built */
	uint64_t height;       /* SCOPE_STATE: of the shard, also below a main height; SCOPE_SPAN:
				* TO */
	uint64_t from;         /* SCOPE_SPAN: FROM, a main height below it; else 0 */
	/* SCOPE_VIEW: the view's. SCOPE_STATE of another shard below a main height's at/H or
	 * diffs/H: H, so that no folder is listed at two places. SCOPE_CHECKPOINT: the first bytes
	 * of its hash. SCOPE_SIGHT: the version's. Else 0. */
	uint64_t view_number;
	uint32_t branch;       /* of what has a height: which wrote it (view_line); set by who
				* interns */
};

static inline bool scope_has_height(const struct scope *s)
{
	return s->kind == SCOPE_STATE || s->kind == SCOPE_SPAN;
}

static inline bool scope_eq(const struct scope *a, const struct scope *b)
{
	return a->kind == b->kind && a->context == b->context && a->shard == b->shard &&
	       a->height == b->height && a->from == b->from && a->view_number == b->view_number &&
	       a->branch == b->branch;
}

#define NODE_KEY_BITS    37 /* an account and a set, a range, a block's object id … */
#define NODE_OBJECT_BITS 48

struct node {
	uint8_t         row;       /* index in tree[] */
	bool            of_object;
	struct network *network;   /* NULL: the root's own rows */
	struct scope    scope;     /* all zero when of_object */
	uint64_t        key;       /* or the object id */
};

struct attr {
	uint8_t  type;        /* enum node_type */
	uint64_t size;        /* exact; 0 for folders */
	uint64_t hole_bytes;  /* of those, in holes (tree_seek) */
	uint64_t mtime;       /* unix s: the block's or record's own; its newest child's, of what
			       * grows */
	bool     settles;     /* the name may lead to another node later: the name has no cache
			       * life */
	bool     grows;       /* can get more names, or a later time: nothing absent has a cache
			       * life */
	bool     large;       /* a folder of more than about 10,000 names: list names only */
};

/* Two connections show the tree: the main one, and plain, which shows whole plain files alone. */
enum shown { MAIN_ALONE, PLAIN_TOO, PLAIN_ALONE };

struct entry {
	const char *path;      /* "{lane}/blocks/{range}/{height}/header"; "" is the root */
	uint8_t     class;     /* enum file_class */
	uint8_t     type;      /* enum node_type */
	bool        unlisted;  /* resolves on lookup only */
	const char *about;     /* for README files, the manual and the golden listing */
	/* What stands at several places is spelled once: "{lane}" and "{state}" begin the paths of
	 * what is below every row that opens them. NULL: it opens none. */
	const char *opens;
	const struct entry_ops *ops; /* rows.h */
	uint8_t shown;               /* enum shown */
};

extern const struct entry tree[];
extern const size_t tree_count;
/* Raised when a row shows other bytes, sizes or modes of the same data than before: kernels keep
 * them for ever, so a program of another number does not take over a living mount. */
#define TREE_BYTES 2u /* at most 256 */

/* Every question knows the whole tree; who asks leaves out what its connection does not show. */
enum connection { ON_MAIN, ON_PLAIN };
bool tree_shows(enum connection on, uint8_t row);

/* Static things the root shows. */
struct tree_env {
	const struct store *store;
	const char *ctl_target; /* where MNT/ctl points */
	const char *plain_target; /* where MNT/plain does; NULL: there is none */
	struct pins *pins;      /* NULL: no checkpoints are shown */
	struct sights *sights;  /* NULL: nobody follows anything */
};
void tree_set_env(const struct tree_env *env); /* once, before the first question */
struct sights *tree_sights(void);

struct node tree_root(void);

/* The height that this name below this folder stands for, whether it is held or not. */
bool tree_height(const struct node *folder, const char *name, uint32_t *shard, uint64_t *height);

/* The child of that name. -ENOENT there is none; -ENODATA it exists and we do not hold it. */
int tree_lookup(const struct view *view, const struct node *folder, const char *name,
		struct node *out, struct err *err) MUST_CHECK;

/* A stable name order (byte order); `offset` is the key of the last entry given, 0 from the start.
 * The callback returns false to stop. Offsets stay right while the chain grows; they fit 62 bits.
 * Every child gets a whole attr when with_attr. "." and ".." are not given. */
struct tree_child {
	const char *name;
	struct node node;
	struct attr attr;       /* valid when with_attr */
	uint64_t    offset;     /* to go on behind this entry */
};
typedef bool tree_each(void *arg, const struct tree_child *child);
int tree_list(const struct view *view, const struct node *folder, uint64_t offset, bool with_attr,
	      tree_each *each, void *arg, struct err *err) MUST_CHECK;

int tree_attr(const struct view *view, const struct node *n, struct attr *out,
	      struct err *err) MUST_CHECK;

/* The folder that a folder is listed in, or that resolves it; the root's is the root. */
int tree_parent(const struct view *view, const struct node *folder, struct node *out,
		struct err *err) MUST_CHECK;

/* The first byte at or behind `offset` that is data, or that is in a hole (the end of the file is
 * the last one). A hole is whole pages that read as zero and stand for nothing. -ENXIO: there is
 * none. */
int tree_seek(const struct view *view, const struct node *n, uint64_t offset, bool data,
	      uint64_t *out, struct err *err) MUST_CHECK;

/* Is this a place that a view can be asked about? Every question checks so by itself. -ESTALE: its
 * view is another, or no such node was ever given (a handle may say anything). */
int tree_check(const struct view *view, const struct node *n, struct err *err) MUST_CHECK;

/* The whole file, or the target of a link. `out` is a BUF_INIT. attr.size of the same node and view
 * is out->n, always. */
int tree_read(const struct view *view, const struct node *n, struct buf *out,
	      struct err *err) MUST_CHECK;

/* A file that lies on the disk as it is shown: a descriptor, to be read at any offset and closed.
 * -EOPNOTSUPP for every other one: those are read whole. tree_read() reads both. */
int tree_open(const struct view *view, const struct node *n, struct err *err) MUST_CHECK;

/* For the manual: what there is to know of all of the tree, as README files begin with it. */
int tree_describe_words(struct buf *out) MUST_CHECK;

#endif
