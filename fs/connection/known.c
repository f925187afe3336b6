#include "fs/connection/known.h"

#include "core/base/trace.h"
#include "fs/tree/rows.h"

#define BLOCK_SIZE 4096 /* of st_blksize: what tools read at a time, at least */
#define STAT_UNIT  512  /* of st_blocks */

/* ---- what a connection answers with ---- */

static struct network *network_of(void *arg, unsigned index)
{
	const struct store *store = ((struct serving *)arg)->store;

	for (size_t i = 0; i < store_network_count(store); i++)
		if (network_index(store_network_at(store, i)) == index)
			return store_network_at(store, i);
	return NULL;
}

static void take_over(struct serving *s)
{
	uint32_t lost = slots_take_over(s->slots, network_of, s);

	if (lost)
		trace_warn("fs", "folders cannot be had again as they were, they are stale",
			   "slots=%u", lost);
	atomic_store(&s->changes, atomic_load(&s->kept->changes));
}

int serving_init(struct serving *s, const struct serving_options *o, struct err *err)
{
	struct node root = tree_root();

	s->on = o->on;
	s->uid = o->uid;
	s->gid = o->gid;
	s->folder_mode = 0555 & ~o->umask;
	s->file_mode = 0444 & ~o->umask;
	pthread_mutex_init(&s->init_lock, NULL);
	pthread_cond_init(&s->init_done, NULL);
	s->kept = o->kept;
	s->follows = o->follows;
	s->fetch_ms = o->fetch_ms;
	s->fetchers = o->fetchers;
	s->slots = slots_new(INO_SLOTS, o->keep, o->kept ? &o->kept->slots : NULL);
	s->cache = render_cache_new(o->render_cache, MIN(o->render_cache, RENDER_CACHE_ONE_MAX));
	s->ends = ends_new();
	s->ahead = ahead_new();
	s->answers = answers_new();
	s->notifier = notifier_new(o->trim, o->arg, o->kept ? &o->kept->notify : NULL);
	if (!s->slots || !s->cache || !s->ends || !s->ahead || !s->answers || !s->notifier)
		return err_set(err, -ENOMEM, "no memory for the mount");
	if (s->kept)
		take_over(s);
	int rc = slots_intern(s->slots, NULL, &root.scope, NULL, &s->root);

	return rc < 0 ? err_set(err, rc, "no memory for the mount") : 0;
}

void serving_changed(struct serving *s)
{
	uint64_t changes = atomic_fetch_add(&s->changes, 1) + 1;

	if (s->kept)
		atomic_store(&s->kept->changes, changes);
}

void serving_release(struct serving *s)
{
	if (!s->notifier && !s->slots && !s->cache && !s->ends && !s->ahead && !s->answers)
		return;
	slots_freep(&s->slots);
	render_cache_freep(&s->cache);
	ends_freep(&s->ends);
	ahead_freep(&s->ahead);
	answers_freep(&s->answers);
	notifier_freep(&s->notifier);
	opened_freep(&s->opened);
	pthread_cond_destroy(&s->init_done);
	pthread_mutex_destroy(&s->init_lock);
}

/* A state is of the branch that wrote it, and another one after a rollback below its height. */
static struct scope of_line(const struct scope *s, const struct view *v)
{
	struct scope out = *s;

	out.branch = v && scope_has_height(s) ? view_line(v, s->shard, s->height) : 0;
	return out;
}

/* ---- a node that is asked about ---- */

static int of_object(struct serving *s, struct ino parts, struct asked *out)
{
	struct network *n = views_network(s->views, parts.place);

	if (!n)
		return -ESTALE;
	out->node = (struct node){
		.row = parts.row, .of_object = true, .network = n, .key = parts.key
	};
	return 0;
}

static int of_scope(struct serving *s, struct ino parts, struct asked *out)
{
	int rc = slots_enter(s->slots, parts.place, &out->slot);

	if (rc < 0)
		return rc;
	out->generation = out->slot->generation;
	out->node = (struct node){
		.row = parts.row,
		.network = out->slot->network,
		.scope = out->slot->scope,
		.key = parts.key,
	};
	out->view = shared_view_share(out->slot->view);
	return 0;
}

int asked_open(struct serving *s, uint64_t ino, struct asked *out)
{
	*out = (struct asked){ .serving = s, .ino = ino, .changes = atomic_load(&s->changes) };
	if (ino == INO_ROOT) {
		out->node = tree_root();
		return slots_enter(s->slots, s->root->number, &out->slot);
	}
	struct ino parts = ino_unpack(ino);
	int rc = parts.row >= tree_count ? -ESTALE
		 : parts.of_object       ? of_object(s, parts, out)
					 : of_scope(s, parts, out);

	if (rc == 0 && !out->view && out->node.network &&
	    !(out->view = views_newest(s->views, out->node.network)))
		rc = -ENOMEM;
	if (rc == 0 && out->slot && scope_has_height(&out->node.scope) &&
	    of_line(&out->node.scope, asked_view(out)).branch != out->node.scope.branch)
		rc = -ESTALE;
	if (rc < 0)
		asked_release(out);
	return rc;
}

void asked_release(struct asked *a)
{
	shared_view_putp(&a->view);
	if (a->slot)
		slots_leave(a->serving->slots, a->slot);
	a->slot = NULL;
}

const struct view *asked_view(const struct asked *a)
{
	return shared_view_of(a->view);
}

uint64_t known_network(struct serving *s, struct network *n)
{
	struct scope place = { .kind = SCOPE_PLACE };
	struct slot *slot;

	if (slots_intern(s->slots, n, &place, NULL, &slot) < 0)
		return 0;
	struct ino parts = { .row = ROW_NETWORK, .place = slot->number };

	slots_leave(s->slots, slot);
	return ino_pack(parts);
}

/* ---- what can be answered again as it was ---- */

/* A checkpoint comes and goes beside views; the root's own rows have none. */
static bool is_as_of_views(const struct slot *slot)
{
	return slot->network && slot->scope.kind != SCOPE_CHECKPOINT;
}

struct slot *known_enter(struct serving *s, uint64_t ino, struct asked_as *out)
{
	struct ino parts = ino_unpack(ino);
	struct slot *slot;

	if (parts.of_object || slots_enter(s->slots, parts.place, &slot) < 0)
		return NULL;
	if (!is_as_of_views(slot)) {
		slots_leave(s->slots, slot);
		return NULL;
	}
	*out = (struct asked_as){ .ino = ino, .generation = slot->generation };
	if (!slot->view)
		out->stamp = views_stamp(s->views, slot->network);
	return slot;
}

bool known_as(const struct asked *folder, struct asked_as *out)
{
	if (!folder->slot || !is_as_of_views(folder->slot))
		return false;
	*out = (struct asked_as){ .ino = folder->ino, .generation = folder->generation };
	if (!folder->slot->view)
		out->stamp = shared_view_stamp(folder->view);
	return true;
}

bool known_lasts(const struct asked *folder, const struct given *given, const struct attr *attr)
{
	return !attr->grows && !attr->settles && (!given->slot || given->slot == folder->slot);
}

/* ---- a child that is given ---- */

static bool same_scope(const struct slot *slot, const struct network *n, const struct scope *scope)
{
	return slot->network == n && scope_eq(&slot->scope, scope);
}

/* Most children are in the scope of their folder, which is entered already. */
static int child_slot(const struct asked *folder, const struct node *child, struct given *g)
{
	struct slots *slots = folder->serving->slots;
	struct scope scope = of_line(&child->scope, shared_view_of(g->view));

	if (folder->slot && same_scope(folder->slot, child->network, &scope)) {
		g->slot = folder->slot;
		return slots_enter(slots, g->slot->number, &g->slot);
	}
	int rc = slots_intern(slots, child->network, &scope, g->view, &g->slot);

	g->fresh = rc == 1;
	return rc < 0 ? rc : 0;
}

int known_child(const struct asked *folder, const struct node *child, struct given *out)
{
	struct ino parts = { child->of_object, child->row, 0, child->key };
	int rc = 0;

	*out = (struct given){ .serving = folder->serving };
	if (child->network && network_index(child->network) >> INO_NETWORK_BITS)
		return -EOVERFLOW; /* this network has no inode numbers */
	if (child->network == folder->node.network)
		out->view = shared_view_share(folder->view);
	else if (child->network &&
		 !(out->view = views_newest(folder->serving->views, child->network)))
		return -ENOMEM;
	if (child->of_object) {
		parts.place = network_index(child->network);
	} else {
		rc = child_slot(folder, child, out);
		if (rc == 0) {
			parts.place = out->slot->number;
			out->generation = out->slot->generation;
		}
	}
	if (rc == 0 && !(out->ino = ino_pack(parts)))
		rc = -EOVERFLOW;
	if (rc < 0)
		given_release(out);
	return rc;
}

void given_release(struct given *g)
{
	shared_view_putp(&g->view);
	if (g->slot)
		slots_leave(g->serving->slots, g->slot);
	g->slot = NULL;
}

void known_give(const struct given *g)
{
	if (g->slot)
		slots_give(g->slot, 1);
}

void known_forget(struct serving *s, uint64_t ino, uint64_t lookups)
{
	struct ino parts = ino_unpack(ino);

	if (!parts.of_object)
		slots_forget(s->slots, parts.place, lookups);
}

uint64_t known_number(const struct asked *folder, const struct node *child)
{
	struct ino parts = { child->of_object, child->row, 0, child->key };

	if (child->of_object) {
		parts.place = network_index(child->network);
		return ino_pack(parts);
	}
	struct scope scope = of_line(&child->scope, asked_view(folder));

	if (!folder->slot || !same_scope(folder->slot, child->network, &scope))
		return 0;
	parts.place = folder->slot->number;
	return ino_pack(parts);
}

/* ---- attributes ---- */

struct lives known_lives(struct serving *s, uint64_t ino, const struct node *n,
			 const struct attr *a)
{
	struct lives l = { KNOWN_FOR_EVER, a->settles ? 0 : KNOWN_FOR_EVER };
	unsigned network = n->network ? network_index(n->network) : 0;

	if (n->of_object)
		return l; /* what it is never changes; its name may lead elsewhere */
	if ((a->settles && n->scope.kind == SCOPE_PLACE) ||
	    (a->grows && !notifier_watch(s->notifier, ino, network)))
		l.attr = 0;
	return l;
}

struct lives known_child_lives(const struct asked *folder, uint64_t ino, const struct node *child,
			       const struct attr *a)
{
	struct lives l = known_lives(folder->serving, ino, child, a);

	/* A name that settles leads elsewhere in another view; this folder is of one view for
	 * good. */
	if (folder->slot && folder->node.scope.kind == SCOPE_VIEW &&
	    same_scope(folder->slot, child->network, &child->scope))
		l.entry = KNOWN_FOR_EVER;
	return l;
}

void known_stat(const struct serving *s, uint64_t ino, const struct view *v, const struct attr *a,
		struct stat *out)
{
	static const mode_t types[] = {
		[NODE_FOLDER] = S_IFDIR, [NODE_FILE] = S_IFREG, [NODE_LINK] = S_IFLNK
	};
	mode_t bits = a->type == NODE_FOLDER ? s->folder_mode
		      : a->type == NODE_FILE ? s->file_mode
					     : 0777;
	struct timespec time = { .tv_sec = (time_t)MIN(a->mtime, (uint64_t)INT64_MAX) };

	/* Blocks of one second give a folder one time. The kernel sees by it that a cached
	 * listing is old, so it has to move with every view, and every change beside views. */
	if (a->grows && v)
		time.tv_nsec = (long)((v->number + atomic_load(&s->changes)) % 1000000000);
	*out = (struct stat){
		.st_ino = ino,
		.st_mode = types[a->type] | bits,
		.st_nlink = 1,
		.st_uid = s->uid,
		.st_gid = s->gid,
		.st_size = (off_t)MIN(a->size, (uint64_t)INT64_MAX),
		.st_blksize = BLOCK_SIZE,
		.st_blocks = (blkcnt_t)((a->size - a->hole_bytes + STAT_UNIT - 1) / STAT_UNIT),
		.st_atim = time,
		.st_mtim = time,
		.st_ctim = time,
	};
}
