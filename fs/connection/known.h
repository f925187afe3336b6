/* known.h: what the kernel knows of the main tree: inode numbers on its side, nodes on ours.
 *
 * A struct asked is a node that a request is about: its slot is entered and its view taken, until
 * asked_release(). A struct given is a child that goes into a reply: counted as known to the kernel
 * from known_give() on, which comes before the reply, because the kernel may forget it at once.
 * Threads  any; asked and given belong to one request.
 * Errors   -ESTALE for a number whose slot or network is gone; those of slots.h. */
#ifndef CHAINFS_FS_KNOWN_H
#define CHAINFS_FS_KNOWN_H

#include <sys/stat.h>

#include "core/store/store.h"
#include "fs/connection/ahead.h"
#include "fs/connection/answers.h"
#include "fs/connection/ends.h"
#include "fs/connection/ino.h"
#include "fs/connection/meter.h"
#include "fs/connection/notify.h"
#include "fs/connection/opened.h"
#include "fs/tree/render_cache.h"
#include "fs/connection/slots.h"
#include "fs/connection/views.h"

struct serving { /* what the main connection answers with */
	const struct store  *store;
	struct views        *views;
	struct slots        *slots;
	struct render_cache *cache;
	struct ends         *ends;
	struct ahead        *ahead;
	struct answers      *answers;
	struct notifier     *notifier;
	struct meter        *meter;
	struct slot         *root;        /* entered for good */
	enum connection      on;          /* which rows are shown */
	struct opened       *opened;      /* NULL: OPEN is not answered */
	uint32_t             uid, gid;
	mode_t               folder_mode, file_mode;

	pthread_mutex_t      init_lock;   /* guards the next two; a leaf */
	pthread_cond_t       init_done;
	bool                 inited, ended;
	atomic_uint_fast64_t changes; /* of what grows otherwise than by views: checkpoints */
	struct keep_serving *kept;    /* what outlives us of it; NULL: nothing */
	struct follows *follows; /* NULL: nobody follows anything */
	unsigned fetch_ms, fetchers; /* fetch.h: how long one waits, and how many do at a time */
	atomic_uint fetching;
	bool open_answered, opendir_answered; /* a kernel too old to go without; set in INIT */
};

struct serving_options {
	enum connection on;
	uint32_t        uid, gid, umask;
	size_t          render_cache; /* bytes */
	bool          (*trim)(void *arg); /* of the notifier */
	void           *arg;
	struct keep    *keep;       /* what outlives us; NULL: nothing */
	struct keep_serving *kept;  /* this connection's, in there */
	struct follows *follows;    /* fetch.h; NULL, 0: nothing is fetched */
	unsigned        fetch_ms, fetchers;
};
/* Store, views and meter are the caller's, and set by it before. Everything else is as if never
 * begun after a failure, and released by the second. */
int  serving_init(struct serving *s, const struct serving_options *o, struct err *err) MUST_CHECK;
/* The number of a network's own folder; 0: it has none. */
uint64_t known_network(struct serving *s, struct network *n);
/* Something changed that a view does not say. */
void serving_changed(struct serving *s);
void serving_release(struct serving *s); /* once no session of it is there any more */

struct asked {
	struct serving     *serving;
	uint64_t            ino, generation;
	struct node         node;
	struct slot        *slot; /* NULL: of an object */
	struct shared_view *view; /* NULL: the root's own rows */
	uint64_t            changes; /* as of the question */
};

int  asked_open(struct serving *s, uint64_t ino, struct asked *out) MUST_CHECK;
void asked_release(struct asked *a);
const struct view *asked_view(const struct asked *a);

/* ---- what can be answered again as it was ---- */

/* What a question about a folder is as of now, with its slot entered; NULL: its answers are not
 * kept, or there is no such folder. */
struct slot *known_enter(struct serving *s, uint64_t ino, struct asked_as *out);
/* The same of one that was answered. False: its answers are not kept. */
bool known_as(const struct asked *folder, struct asked_as *out);
/* Can what was told of this child be told again by that? */
struct given;
bool known_lasts(const struct asked *folder, const struct given *given, const struct attr *attr);

struct given {
	struct serving     *serving;
	uint64_t            ino, generation;
	struct slot        *slot; /* entered; NULL: of an object */
	struct shared_view *view; /* to ask about the child with */
	bool fresh; /* nothing held its height before: ask again whether it is there */
};

int known_child(const struct asked *folder, const struct node *child, struct given *out) MUST_CHECK;
void given_release(struct given *g);
void known_give(const struct given *g);
void known_forget(struct serving *s, uint64_t ino, uint64_t lookups);
/* The number of a child whose scope is interned already, for a listing of names; 0: it has none
 * yet. */
uint64_t known_number(const struct asked *folder, const struct node *child);

/* How long the kernel may keep what it is told, in seconds. */
#define KNOWN_FOR_EVER (365.0 * 24 * 3600)
struct lives {
	double attr, entry;
};
struct lives known_lives(struct serving *s, uint64_t ino, const struct node *n,
			 const struct attr *a);
/* The same of a child below this folder. */
struct lives known_child_lives(const struct asked *folder, uint64_t ino, const struct node *child,
			       const struct attr *a);
void known_stat(const struct serving *s, uint64_t ino, const struct view *v, const struct attr *a,
		struct stat *out);

#endif
