/* Listings: entries into one reply, and replies that are kept for who asks the same. */
#include "fs/connection/ops.h"

#include "fs/connection/ops_inside.h"

#include <linux/fuse.h>

#include "core/base/clock.h"
#include "fs/connection/ahead.h"
#include "fs/connection/transport.h"

#define DOT         1 /* offsets behind "." and ".."; the tree's own come after */
#define DOT_DOT     2
#define INO_UNKNOWN 0xffffffff /* d_ino of a name that has no number yet */

/* How a listing was asked for, in the key of a reply that is kept; never 0. */
#define AS_LISTING(size, plus) ((uint64_t)(size) << 2 | 2 | (plus))

/* In front of a reply that is kept: the lookups of the folder's slot that it gives. */
#define GIVES_SIZE sizeof(uint64_t)

struct noted { /* lookups given with this reply, should it not arrive */
	uint64_t ino, lookups;
};

struct listing {
	fuse_req_t req;
	struct asked *folder;
	bool plus;     /* READDIRPLUS */
	bool full;     /* with attributes */
	bool grows;    /* something in it does, or the folder itself */
	bool filled;   /* there is no room for the next entry */
	bool lasts;    /* all in it can be told again as it is */
	uint64_t last; /* offset of the entry added last */
	char *bytes;
	bool in_room; /* of the transport: not ours to free */
	bool wide;    /* for more than one reply */
	size_t size, used;
	struct noted *noted;
	size_t noted_count, noted_cap;
	struct ahead_part rest; /* of a wide one, its bytes these */
};

static void listing_release(struct listing *l)
{
	if (!l->in_room)
		free(l->bytes);
	free(l->noted);
}

/* Before the entry is added: without memory for it, the entry goes out as a name alone. */
static bool note_room(struct listing *l)
{
	if (l->noted_count < l->noted_cap)
		return true;
	size_t cap = MAX(2 * l->noted_cap, 16);
	struct noted *list = realloc(l->noted, cap * sizeof *list);

	if (!list)
		return false;
	l->noted = list;
	l->noted_cap = cap;
	return true;
}

static void note(struct listing *l, uint64_t ino)
{
	struct noted *last = l->noted_count ? &l->noted[l->noted_count - 1] : NULL;

	if (last && ino_unpack(last->ino).place == ino_unpack(ino).place)
		last->lookups++;
	else
		l->noted[l->noted_count++] = (struct noted){ ino, 1 };
}

/* False: the reply is full. An entry with ino 0 is a name that the kernel need not remember. */
static bool add(struct listing *l, const char *name, struct fuse_entry_param *e, uint64_t offset)
{
	char *at = l->bytes + l->used;
	size_t room = l->size - l->used;
	size_t n = l->plus ? fuse_add_direntry_plus(l->req, at, room, name, e, (off_t)offset)
			   : fuse_add_direntry(l->req, at, room, name, &e->attr, (off_t)offset);

	l->filled |= n > room;
	if (l->filled)
		return false;
	l->used += n;
	l->last = offset;
	return true;
}

/* What libfuse makes of an entry that is a name alone, without the attributes that it would fill
 * with zeros one by one: a folder of a million is a million of these. */
static bool add_name(struct listing *l, const char *name, enum node_type type, uint64_t ino,
		     uint64_t offset)
{
	static const uint32_t types[] = { [NODE_FOLDER] = S_IFDIR >> 12,
					  [NODE_FILE] = S_IFREG >> 12,
					  [NODE_LINK] = S_IFLNK >> 12 };
	const size_t head = l->plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET;
	const size_t name_size = strlen(name), size = FUSE_DIRENT_ALIGN(head + name_size);
	const struct fuse_dirent entry = { .ino = ino ? ino : INO_UNKNOWN,
					   .off = offset,
					   .namelen = (uint32_t)name_size,
					   .type = types[type] };
	char *at = l->bytes + l->used;

	l->filled |= size > l->size - l->used;
	if (l->filled)
		return false;
	memset(at, 0, head - FUSE_NAME_OFFSET);
	memcpy(at + head - FUSE_NAME_OFFSET, &entry, FUSE_NAME_OFFSET);
	memcpy(at + head, name, name_size);
	memset(at + head + name_size, 0, size - head - name_size);
	l->used += size;
	l->last = offset;
	return true;
}

static bool add_whole(struct listing *l, const struct tree_child *c, const struct given *g)
{
	struct serving *s = l->folder->serving;
	struct lives lives = known_child_lives(l->folder, g->ino, &c->node, &c->attr);
	struct fuse_entry_param e = {
		.ino = g->ino,
		.generation = g->generation,
		.attr_timeout = lives.attr,
		.entry_timeout = lives.entry,
	};

	known_stat(s, g->ino, shared_view_of(g->view), &c->attr, &e.attr);
	known_give(g);
	if (!add(l, c->name, &e, c->offset + DOT_DOT)) {
		known_forget(s, g->ino, 1);
		return false;
	}
	l->grows |= c->attr.grows;
	l->lasts &= known_lasts(l->folder, g, &c->attr);
	if (g->slot)
		note(l, g->ino);
	return true;
}

/* True: *more says whether the listing goes on. */
static bool add_with_attributes(struct listing *l, const struct tree_child *c, bool *more)
{
	AUTO(given_release) struct given g = { .ino = 0 };

	if (!note_room(l) || known_child(l->folder, &c->node, &g) < 0)
		return false;
	*more = add_whole(l, c, &g);
	return true;
}

static bool on_child(void *arg, const struct tree_child *c)
{
	struct listing *l = arg;
	bool more;

	if (!tree_shows(l->folder->serving->on, c->node.row))
		return true;

	if (l->plus && l->full && add_with_attributes(l, c, &more))
		return more;
	uint64_t ino = known_number(l->folder, &c->node);

	l->lasts &= ino && !l->plus; /* else its number comes later, or was to be given */
	return add_name(l, c->name, tree[c->node.row].type, ino, c->offset + DOT_DOT);
}

/* Of names alone more is listed than was asked for, for the requests that follow. */
static void widen(struct listing *l)
{
	struct asked_as as;

	if (l->size >= AHEAD_SIZE || !known_as(l->folder, &as) ||
	    !ahead_has_room(l->folder->serving->ahead, &as, clock_mono_ms()))
		return;
	char *wide = malloc(AHEAD_SIZE);

	if (!wide)
		return;
	if (!l->in_room)
		free(l->bytes);
	l->bytes = wide;
	l->in_room = false;
	l->wide = true;
	l->size = AHEAD_SIZE;
}

/* From behind an offset of the tree's own on. */
static int list_children(struct listing *l, uint64_t offset, bool grows, struct err *err)
{
	struct asked *folder = l->folder;
	int rc = tree_list(asked_view(folder), &folder->node, offset, l->plus && l->full, on_child,
			   l, err);

	if (rc == 0 && !l->filled && !grows)
		ends_add(folder->serving->ends, folder->ino, folder->generation, l->last);
	return rc;
}

static int list(struct listing *l, uint64_t offset, struct err *err)
{
	struct asked *folder = l->folder;
	struct attr attr;
	int rc = tree_attr(asked_view(folder), &folder->node, &attr, err);

	if (rc < 0)
		return rc;
	l->full = !attr.large;
	if (attr.large)
		widen(l);
	l->grows = attr.grows;
	l->lasts = !attr.grows && !attr.settles && l->full;
	/* The kernel keeps this listing: it has to be told when the folder grows. */
	known_lives(folder->serving, folder->ino, &folder->node, &attr);
	if (offset < DOT && !add_name(l, ".", NODE_FOLDER, folder->ino, DOT))
		return 0;
	if (offset < DOT_DOT &&
	    !add_name(l, "..", NODE_FOLDER, folder->ino == INO_ROOT ? INO_ROOT : 0, DOT_DOT))
		return 0;
	rc = list_children(l, offset < DOT_DOT ? 0 : offset - DOT_DOT, attr.grows, err);
	l->lasts &= rc == 0;
	return l->used ? 0
		       : rc; /* what is there goes out first; the kernel comes again for the rest */
}

/* What was asked for is part of what the part is of: whoever asks next asks the same. */
void ops_list_ahead(void *arg, struct ahead_part *part)
{
	AUTO(asked_release) struct asked folder = { .ino = 0 };
	struct listing l = {
		.folder = &folder, .plus = part->plus, .size = AHEAD_SIZE, .last = part->offset
	};
	struct err err = ERR_INIT;
	struct asked_as as;
	struct attr attr;

	part->last = 0;
	if (asked_open(arg, part->of.ino, &folder) < 0 || !known_as(&folder, &as) ||
	    as.generation != part->of.generation || as.stamp != part->of.stamp ||
	    tree_attr(asked_view(&folder), &folder.node, &attr, &err) < 0 ||
	    !(l.bytes = malloc(AHEAD_SIZE)))
		return;
	if (list_children(&l, part->offset - DOT_DOT, attr.grows, &err) == 0 && l.filled)
		part->last = l.last;
	part->bytes = l.bytes;
	part->end = l.used;
}

static struct render_key listing_key(const struct asked_as *as, size_t size, off_t offset,
				     bool plus)
{
	return (struct render_key){ .ino = as->ino,
				    .generation = as->generation,
				    .offset = (uint64_t)offset,
				    .stamp = as->stamp,
				    .how = AS_LISTING(size, plus) };
}

/* The lookups that were noted are then all of the folder's slot. */
static void keep_listing(const struct listing *l, off_t offset)
{
	AUTO(buf_release) struct buf whole = BUF_INIT(GIVES_SIZE + l->used);
	uint64_t gives = l->noted_count ? l->noted[0].lookups : 0;
	struct asked_as as;

	if (!l->lasts || !l->used || l->noted_count > 1 || !known_as(l->folder, &as))
		return;
	buf_add(&whole, SLICE(&gives, sizeof gives));
	buf_add(&whole, SLICE(l->bytes, l->used));
	if (buf_done(&whole) == 0)
		render_cache_offer(l->folder->serving->cache,
				   listing_key(&as, l->size, offset, l->plus), buf_slice(&whole));
}

static void reply_kept_listing(fuse_req_t req, struct serving *s, struct slot *slot,
			       struct slice kept)
{
	struct slice entries = slice_sub(kept, GIVES_SIZE, SIZE_MAX);
	uint64_t gives;

	memcpy(&gives, kept.p, sizeof gives);
	slots_give(slot, gives);
	if (fuse_reply_buf(req, (const char *)entries.p, entries.n) < 0)
		slots_forget(s->slots, slot->number, gives);
}

/* A folder that grows is told of a publication that came meanwhile, as in answered(). */
static void reply_part(fuse_req_t req, struct serving *s, const struct slot *slot,
		       struct ahead_part *part, size_t size)
{
	const char *from = part->bytes + part->at;
	size_t used = ahead_cut(part, size);

	fuse_reply_buf(req, from, used);
	if (!slot->view && views_stamp(s->views, slot->network) != part->of.stamp)
		notifier_published_before(s->notifier, network_index(slot->network));
	ahead_put(s->ahead, part, clock_mono_ms());
}

/* True: what comes there was listed with what came before it, and nothing was published since. */
static bool list_ahead(fuse_req_t req, struct serving *s, const struct slot *slot,
		       const struct asked_as *as, size_t size, off_t offset, bool plus)
{
	AUTO(ahead_part_release) struct ahead_part part = { .bytes = NULL };

	if (!offset || !ahead_take(s->ahead, as, (uint64_t)offset, plus, &part))
		return false;
	reply_part(req, s, slot, &part, size);
	return true;
}

/* What goes out now; the rest is kept. */
static size_t cut_wide(struct listing *l, size_t size)
{
	struct ahead_part part = {
		.plus = l->plus, .last = l->filled ? l->last : 0, .bytes = l->bytes, .end = l->used
	};
	size_t used = ahead_cut(&part, size);

	if (known_as(l->folder, &part.of))
		l->rest = part;
	return used;
}

/* True: so it was answered before, and nothing was published since. */
static bool list_again(fuse_req_t req, struct serving *s, fuse_ino_t ino, size_t size, off_t offset,
		       bool plus)
{
	AUTO(rendering_putp) struct rendering *kept = NULL;
	struct asked_as as;
	struct slot *slot = known_enter(s, ino, &as);

	if (!slot)
		return false;
	bool ended = offset && ends_has(s->ends, ino, as.generation, (uint64_t)offset);
	bool went_on = !ended && list_ahead(req, s, slot, &as, size, offset, plus);
	bool found = !ended && !went_on &&
		     render_cache_find(s->cache, listing_key(&as, size, offset, plus), &kept);

	if (ended)
		fuse_reply_buf(req, NULL, 0);
	if (found)
		reply_kept_listing(req, s, slot, rendering_bytes(kept));
	slots_leave(s->slots, slot);
	return ended || went_on || found;
}

static void answer_listing(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, bool plus)
{
	struct serving *s = ops_serving(req);
	AUTO(asked_release) struct asked folder = { .ino = 0 };
	AUTO(listing_release)
	struct listing l = {
		.req = req, .folder = &folder, .plus = plus, .size = size, .last = (uint64_t)offset
	};
	struct err err = ERR_INIT;

	if (offset >= 0 && list_again(req, s, ino, size, offset, plus))
		return;
	int rc = offset < 0 ? -EINVAL : asked_open(s, ino, &folder);

	l.bytes = transport_room(size);
	l.in_room = l.bytes;
	if (rc == 0 && !l.bytes && !(l.bytes = malloc(size)))
		rc = -ENOMEM;
	if (rc == 0)
		rc = list(&l, (uint64_t)offset, &err);
	if (rc < 0) {
		ops_refuse(req, "readdir", ino, rc, &err);
		return;
	}
	keep_listing(&l, offset); /* first: where it lies in a ring is the kernel's afterwards */
	if (fuse_reply_buf(req, l.bytes, l.wide ? cut_wide(&l, size) : l.used) < 0)
		for (size_t i = 0; i < l.noted_count; i++)
			known_forget(s, l.noted[i].ino, l.noted[i].lookups);
	ops_answered(&folder, l.grows);
	if (l.rest.bytes) {
		l.bytes = NULL;
		ahead_put(s->ahead, &l.rest, clock_mono_ms());
	}
}

void ops_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		 struct fuse_file_info *fi)
{
	answer_listing(req, ino, size, offset, false);
}

void ops_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		     struct fuse_file_info *fi)
{
	answer_listing(req, ino, size, offset, true);
}
