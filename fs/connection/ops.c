#include "fs/connection/ops.h"

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/base/trace.h"
#include "core/control/metrics.h"
#include "fs/connection/ahead.h"
#include "fs/connection/fetch.h"
#include "fs/connection/journal.h"
#include "fs/connection/transport.h"
#include "fs/tree/xattr.h"

#define CONTENT_MAX ((size_t)1 << 30) /* bytes of one file; memory holds it whole */
#define DOT         1                 /* offsets behind "." and ".."; the tree's own come after */
#define DOT_DOT     2
#define INO_UNKNOWN 0xffffffff /* d_ino of a name that has no number yet */
#define NAME_MAX_   255        /* of statfs */

/* Of linux/fuse.h, of which an older one may be installed than the kernel that runs. */
#define OPEN_NO_FLUSH (1u << 5)
#define OPEN_PASSED   (1u << 7)

static struct serving *serving_of(fuse_req_t req)
{
	metrics_add(COUNTER_FUSE_REQUESTS, 1);
	return fuse_req_userdata(req);
}

static void refuse(fuse_req_t req, const char *request, uint64_t ino, int rc, const struct err *err)
{
	metrics_add(COUNTER_FUSE_ERRORS, 1);
	if (trace_get_level() >= TRACE_DEBUG)
		trace_debug("fs", "request refused",
			    "request=%s ino=%" PRIx64 " errno=%d reason=\"%s\"", request, ino, -rc,
			    err_text(err, rc));
	fuse_reply_err(req, rc < 0 && rc > -4096 ? -rc : EIO);
}

/* What grows was answered from a view; where a newer one is out by now, the notifier may have
 * passed before this folder was remembered. */
static void answered(const struct asked *a, bool grows)
{
	if (grows && a->view &&
	    (!views_is_newest(a->serving->views, a->view) ||
	     atomic_load(&a->serving->changes) != a->changes))
		notifier_published_before(a->serving->notifier, network_index(a->node.network));
}

/* ---- INIT ---- */

static void on_init(void *user, struct fuse_conn_info *conn)
{
	struct serving *s = user;

	conn->want &= ~(FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_AUTO_INVAL_DATA |
			FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
	/* Not CACHE_SYMLINKS: there are few links, and those that settle must move. */
	conn->want |= conn->capable &
		      (FUSE_CAP_READDIRPLUS | FUSE_CAP_EXPLICIT_INVAL_DATA |
		       FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_ASYNC_READ | FUSE_CAP_EXPORT_SUPPORT);
	s->open_answered = s->opened || !(conn->capable & FUSE_CAP_NO_OPEN_SUPPORT);
	s->opendir_answered = !(conn->capable & FUSE_CAP_NO_OPENDIR_SUPPORT);
	LOCKED(&s->init_lock);
	s->inited = true;
	pthread_cond_broadcast(&s->init_done);
}

/* The first open of a file: looked at, and opened below. */
static int open_first(struct serving *s, uint64_t ino, struct opened_file *out, struct err *err)
{
	AUTO(asked_release) struct asked a = { .ino = 0 };
	struct attr attr;
	int rc = asked_open(s, ino, &a);

	if (rc == 0)
		rc = tree_attr(asked_view(&a), &a.node, &attr, err);
	if (rc == 0)
		rc = tree_open(asked_view(&a), &a.node, err);
	if (rc < 0)
		return rc;
	*out = (struct opened_file){ .size = attr.size, .time = attr.mtime };
	/* What grows has more bytes below than as of this view. */
	return opened_first(s->opened, ino, rc, a.node.scope.kind != SCOPE_VIEW, out, err);
}

/* struct fuse_open_out: libfuse 3.14 has no name for its last member. */
static int reply_passed(fuse_req_t req, uint32_t backing)
{
	const struct {
		uint64_t fh;
		uint32_t flags, backing;
	} out = { .flags = OPEN_PASSED | OPEN_NO_FLUSH, .backing = backing };

	metrics_add(COUNTER_PLAIN_PASSED, 1);
	return fuse_reply_buf(req, (const char *)&out, sizeof out);
}

static void open_plain(fuse_req_t req, struct serving *s, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct opened_file file = { .backing = 0 };
	struct err err = ERR_INIT;
	int rc = opened_again(s->opened, ino, &file);

	if (rc == -ENOENT)
		rc = open_first(s, ino, &file, &err);
	if (rc < 0 && rc != -EOPNOTSUPP) { /* which says that it is rendered */
		refuse(req, "open", ino, rc, &err);
		return;
	}
	metrics_add(COUNTER_PLAIN_OPENS, 1);
	fi->keep_cache = 1;
	fi->noflush = 1;
	int sent = file.backing ? reply_passed(req, file.backing) : fuse_reply_open(req, fi);

	if (sent < 0 && rc == 0) /* nobody has it open, and no RELEASE will come */
		opened_release(s->opened, ino, 0);
}

static void on_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct serving *s = serving_of(req);

	if (s->opened)
		opened_release(s->opened, ino, journal_unique());
	fuse_reply_err(req, 0);
}

/* ENOSYS once, and the kernel opens without asking from then on. */
static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct serving *s = serving_of(req);

	if (s->opened) {
		open_plain(req, s, ino, fi);
		return;
	}
	fi->keep_cache = 1;
	if (s->open_answered)
		fuse_reply_open(req, fi);
	else
		fuse_reply_err(req, ENOSYS);
}

static void on_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct serving *s = serving_of(req);

	if (s->opendir_answered)
		fuse_reply_open(req, fi);
	else
		fuse_reply_err(req, ENOSYS);
}

/* ---- names ---- */

/* A state that nothing held until now may have been collected between the answer and the pin. */
static int lookup_child(struct asked *folder, const char *name, struct given *given,
			struct attr *attr, struct fuse_entry_param *entry, struct err *err)
{
	struct node child;
	int rc = tree_lookup(asked_view(folder), &folder->node, name, &child, err);

	if (rc == 0 && !tree_shows(folder->serving->on, child.row))
		rc = -ENOENT;
	if (rc == 0)
		rc = known_child(folder, &child, given);
	if (rc == 0 && given->fresh)
		rc = tree_lookup(asked_view(folder), &folder->node, name, &child, err);
	if (rc == 0)
		rc = tree_attr(shared_view_of(given->view), &child, attr, err);
	if (rc < 0)
		return rc;
	struct lives lives = known_child_lives(folder, given->ino, &child, attr);

	*entry = (struct fuse_entry_param){
		.ino = given->ino,
		.generation = given->generation,
		.attr_timeout = lives.attr,
		.entry_timeout = lives.entry,
	};
	known_stat(folder->serving, given->ino, shared_view_of(given->view), attr, &entry->attr);
	return 0;
}

/* That a name is absent can be kept where no name ever comes. */
static bool absence_lasts(struct asked *folder)
{
	struct attr attr;

	return tree_attr(asked_view(folder), &folder->node, &attr, NULL) == 0 && !attr.grows &&
	       !attr.settles;
}

/* ---- handles: the kernel has a number and has forgotten what it stands for ---- */

static void fill_entry(struct serving *s, uint64_t ino, uint64_t generation, const struct node *n,
		       const struct view *view, const struct attr *attr,
		       struct fuse_entry_param *entry)
{
	struct lives lives = known_lives(s, ino, n, attr);

	*entry = (struct fuse_entry_param){
		.ino = ino,
		.generation = generation,
		.attr_timeout = lives.attr,
		.entry_timeout = lives.entry,
	};
	known_stat(s, ino, view, attr, &entry->attr);
}

/* ".": is that still there? */
static int lookup_itself(struct asked *a, struct fuse_entry_param *entry, struct attr *attr,
			 struct err *err)
{
	int rc = tree_attr(asked_view(a), &a->node, attr, err);

	if (rc == 0)
		fill_entry(a->serving, a->ino, a->generation, &a->node, asked_view(a), attr, entry);
	return rc;
}

/* "..": of the newest view, should the folder below be of an older one. */
static int lookup_above(struct asked *a, struct given *given, struct fuse_entry_param *entry,
			struct attr *attr, struct err *err)
{
	struct serving *s = a->serving;
	struct node above;
	int rc = tree_parent(asked_view(a), &a->node, &above, err);

	if (rc == 0)
		rc = known_child(a, &above, given);
	if (rc < 0)
		return rc;
	if (above.network && above.scope.kind != SCOPE_VIEW) {
		shared_view_putp(&given->view);
		given->view = views_newest(s->views, above.network);
	}
	if (!above.network) { /* the root, which has a number of its own */
		given->ino = INO_ROOT;
		given->generation = 0;
	}
	rc = tree_attr(shared_view_of(given->view), &above, attr, err);
	if (rc == 0)
		fill_entry(s, given->ino, given->generation, &above, shared_view_of(given->view),
			   attr, entry);
	return rc;
}

static void on_lookup_handle(fuse_req_t req, fuse_ino_t ino, bool up)
{
	struct serving *s = fuse_req_userdata(req);
	AUTO(asked_release) struct asked a = { .ino = 0 };
	AUTO(given_release) struct given given = { .ino = 0 };
	struct fuse_entry_param entry;
	struct attr attr = { .grows = false };
	struct err err = ERR_INIT;
	int rc = asked_open(s, ino, &a);

	if (rc == 0)
		rc = up ? lookup_above(&a, &given, &entry, &attr, &err)
			: lookup_itself(&a, &entry, &attr, &err);
	if (rc < 0) {
		/* A handle to what is gone is stale, whatever its name would be by now. */
		refuse(req, "handle", ino, rc == -ENOENT || rc == -ENODATA ? -ESTALE : rc, &err);
		return;
	}
	if (up)
		known_give(&given);
	else if (a.slot)
		slots_give(a.slot, 1);
	if (fuse_reply_entry(req, &entry) < 0)
		known_forget(s, entry.ino, 1);
	answered(&a, attr.grows);
}

/* True: it was answered before, and nothing was published since. */
static bool lookup_again(fuse_req_t req, struct serving *s, uint64_t parent, const char *name)
{
	struct asked_as as;
	struct answer answer;
	struct slot *slot = known_enter(s, parent, &as);

	if (!slot)
		return false;
	bool found = answers_get(s->answers, &as, name, &answer);

	if (found) {
		bool of_object = ino_unpack(answer.ino).of_object;
		struct fuse_entry_param entry = {
			.ino = answer.ino,
			.generation = of_object ? 0 : as.generation,
			.attr_timeout = KNOWN_FOR_EVER,
			.entry_timeout = KNOWN_FOR_EVER,
		};
		const struct attr attr = { .type = answer.type,
					   .size = answer.size,
					   .hole_bytes = answer.hole_bytes,
					   .mtime = answer.mtime };

		known_stat(s, answer.ino, NULL, &attr, &entry.attr);
		if (!of_object)
			slots_give(slot, 1);
		if (fuse_reply_entry(req, &entry) < 0)
			known_forget(s, answer.ino, 1);
	}
	slots_leave(s->slots, slot);
	return found;
}

static void keep_answer(const struct asked *folder, const char *name, const struct given *given,
			const struct attr *attr)
{
	struct asked_as as;

	if (!given->fresh && known_lasts(folder, given, attr) && known_as(folder, &as))
		answers_add(folder->serving->answers, &as, name,
			    &(struct answer){ .ino = given->ino,
					      .size = attr->size,
					      .hole_bytes = attr->hole_bytes,
					      .mtime = attr->mtime,
					      .type = attr->type });
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct serving *s = serving_of(req);
	AUTO(asked_release) struct asked folder = { .ino = 0 };
	AUTO(given_release) struct given given = { .ino = 0 };
	struct fuse_entry_param entry = { .ino = 0, .entry_timeout = KNOWN_FOR_EVER };
	struct attr attr = { .grows = false };
	struct err err = ERR_INIT;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		on_lookup_handle(req, parent, name[1] == '.');
		return;
	}
	if (lookup_again(req, s, parent, name))
		return;
	int rc = asked_open(s, parent, &folder);

	if (rc == 0)
		rc = lookup_child(&folder, name, &given, &attr, &entry, &err);
	if (rc == -ENODATA && (rc = fetch_missing(req, &folder, name, &err)) == 0) {
		asked_release(&folder);
		rc = asked_open(s, parent, &folder);
		if (rc == 0)
			rc = lookup_child(&folder, name, &given, &attr, &entry, &err);
	}
	if (rc < 0 && (rc != -ENOENT || !absence_lasts(&folder))) {
		refuse(req, "lookup", parent, rc, &err);
		return;
	}
	if (rc == 0) {
		known_give(&given);
		keep_answer(&folder, name, &given, &attr);
	}
	if (fuse_reply_entry(req, &entry) < 0 && rc == 0)
		known_forget(s, entry.ino, 1);
	answered(&folder, attr.grows);
}

static void on_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
	known_forget(fuse_req_userdata(req), ino, lookups);
	fuse_reply_none(req);
}

static void on_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		known_forget(fuse_req_userdata(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

/* Of a file that is gone by now, for who has it open. */
static int attr_of_opened(struct serving *s, uint64_t ino, struct attr *out)
{
	struct opened_file file;

	if (!s->opened || opened_get(s->opened, ino, &file) < 0)
		return -ESTALE;
	*out = (struct attr){ .type = NODE_FILE, .size = file.size, .mtime = file.time };
	return 0;
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct serving *s = serving_of(req);
	AUTO(asked_release) struct asked a = { .ino = 0 };
	struct attr attr = { .grows = false };
	struct err err = ERR_INIT;
	struct stat st;
	int rc = asked_open(s, ino, &a);

	if (rc == 0)
		rc = tree_attr(asked_view(&a), &a.node, &attr, &err);
	if (rc == -ESTALE)
		rc = attr_of_opened(s, ino, &attr);
	if (rc < 0) {
		refuse(req, "getattr", ino, rc, &err);
		return;
	}
	struct lives lives = known_lives(s, ino, &a.node, &attr);

	known_stat(s, ino, asked_view(&a), &attr, &st);
	fuse_reply_attr(req, &st, lives.attr);
	answered(&a, attr.grows);
}

/* ---- bytes ---- */

static void on_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct serving *s = serving_of(req);
	AUTO(asked_release) struct asked a = { .ino = 0 };
	AUTO(buf_release) struct buf target = BUF_INIT(4096);
	struct err err = ERR_INIT;
	int rc = asked_open(s, ino, &a);

	if (rc == 0)
		rc = tree_read(asked_view(&a), &a.node, &target, &err);
	buf_u8(&target, 0);
	if (rc == 0)
		rc = buf_done(&target);
	if (rc < 0)
		refuse(req, "readlink", ino, rc, &err);
	else
		fuse_reply_readlink(req, (const char *)target.p);
}

static int render(struct asked *a, struct buf *out, struct err *err)
{
	struct attr attr;
	int rc = tree_read(asked_view(a), &a->node, out, err);

	metrics_add(COUNTER_RENDERINGS, 1);
	if (rc == 0)
		rc = buf_done(out);
	if (rc < 0)
		return rc;
	if (tree_attr(asked_view(a), &a->node, &attr, NULL) == 0 && attr.size != out->n)
		trace_error("fs", "a file is not as large as was told",
			    "path=%s ino=%" PRIx64 " told=%" PRIu64 " is=%zu",
			    tree[a->node.row].path, a->ino, attr.size, out->n);
	return 0;
}

/* The root's own files are as of whenever they are read. A network's that settle are of a view
 * until they are final, and stand at their place from then on. */
static bool is_kept(const struct node *n)
{
	return n->of_object || n->network || tree[n->row].class == FIXED;
}

/* From the cache, or rendered for it. */
static int made_or_kept(struct asked *a, struct rendering **out, struct err *err)
{
	AUTO(buf_release) struct buf made = BUF_INIT(CONTENT_MAX);
	struct render_cache *cache = a->serving->cache;
	struct render_key key = { .ino = a->ino, .generation = a->generation };
	int rc = render_cache_get(cache, key, out);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = render(a, &made, err);
	if (rc < 0) {
		render_cache_give_up(cache, key);
		return rc;
	}
	if (made.n > RENDER_CACHE_ONE_MAX)
		notifier_trim_later(a->serving->notifier);
	render_cache_fill(cache, key, &made, out);
	return 0;
}

static void reply_slice(fuse_req_t req, struct slice content, size_t size, off_t offset)
{
	struct slice part = slice_sub(content, (size_t)offset, size);

	metrics_add(COUNTER_FUSE_BYTES, part.n);
	fuse_reply_buf(req, (const char *)part.p, part.n);
}

/* From a plain file: no more is in memory than the answer. A file of that kind never changes, and
 * what is read short is at its end. Bytes read, or a negative errno. */
static ssize_t read_file(int fd, size_t size, off_t offset, uint8_t *out)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = pread(fd, out + got, size - got, offset + (off_t)got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

static void reply_file(fuse_req_t req, uint64_t ino, int fd, size_t size, off_t offset)
{
	void *room = transport_room(size);
	AUTO(base_freep) void *own = room ? NULL : malloc(MAX(size, 1));
	uint8_t *bytes = room ? room : own;
	ssize_t n = bytes ? read_file(fd, size, offset, bytes) : -ENOMEM;

	if (n < 0)
		refuse(req, "read", ino, (int)n, NULL);
	else
		reply_slice(req, SLICE(bytes, (size_t)n), size, 0);
}

/* Of a file that grows, what the view it is as of has. */
static size_t left_of(const struct asked *a, size_t size, off_t offset)
{
	struct attr attr;

	if (a->node.scope.kind != SCOPE_VIEW || tree_attr(asked_view(a), &a->node, &attr, NULL) < 0)
		return size;
	return MIN(size, attr.size - MIN((uint64_t)offset, attr.size));
}

/* True: it was answered from the descriptor of an open file. */
static bool read_opened(fuse_req_t req, struct serving *s, uint64_t ino, size_t size, off_t offset)
{
	struct opened_file file;

	if (!s->opened)
		return false;
	metrics_add(COUNTER_PLAIN_READS, 1);
	if (offset < 0 || opened_get(s->opened, ino, &file) < 0 || file.fd < 0)
		return false;
	reply_file(req, ino, file.fd, MIN(size, file.size - MIN((uint64_t)offset, file.size)),
		   offset);
	return true;
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	struct serving *s = serving_of(req);
	AUTO(asked_release) struct asked a = { .ino = 0 };
	AUTO(rendering_putp) struct rendering *kept = NULL;
	AUTO(buf_release) struct buf made = BUF_INIT(CONTENT_MAX);
	struct err err = ERR_INIT;

	if (read_opened(req, s, ino, size, offset))
		return;
	/* The bytes of an object are the same as of any view: nothing else needs to be asked. */
	if (offset >= 0 && ino_unpack(ino).of_object &&
	    render_cache_find(s->cache, (struct render_key){ .ino = ino }, &kept)) {
		reply_slice(req, rendering_bytes(kept), size, offset);
		return;
	}
	int rc = offset < 0 ? -EINVAL : asked_open(s, ino, &a);
	AUTO(base_closep)
	int fd = rc == 0 ? tree_open(asked_view(&a), &a.node, &err) : -1;

	if (fd >= 0) {
		reply_file(req, ino, fd, left_of(&a, size, offset), offset);
		return;
	}
	if (rc == 0 && fd != -EOPNOTSUPP)
		rc = fd;
	fd = -1;

	if (rc == 0)
		rc = is_kept(&a.node) ? made_or_kept(&a, &kept, &err) : render(&a, &made, &err);
	if (rc < 0)
		refuse(req, "read", ino, rc, &err);
	else
		reply_slice(req, kept ? rendering_bytes(kept) : buf_slice(&made), size, offset);
}

/* ---- listings ---- */

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
	char *wide = l->size < AHEAD_SIZE ? malloc(AHEAD_SIZE) : NULL;

	if (!wide)
		return;
	if (!l->in_room)
		free(l->bytes);
	l->bytes = wide;
	l->in_room = false;
	l->wide = true;
	l->size = AHEAD_SIZE;
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
	rc = tree_list(asked_view(folder), &folder->node, offset < DOT_DOT ? 0 : offset - DOT_DOT,
		       l->plus && l->full, on_child, l, err);
	if (rc == 0 && !l->filled && !attr.grows)
		ends_add(folder->serving->ends, folder->ino, folder->generation, l->last);
	l->lasts &= rc == 0;
	return l->used ? 0
		       : rc; /* what is there goes out first; the kernel comes again for the rest */
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
	ahead_put(s->ahead, part);
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
	struct ahead_part part = { .plus = l->plus, .bytes = l->bytes, .end = l->used };
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
	struct serving *s = serving_of(req);
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
		refuse(req, "readdir", ino, rc, &err);
		return;
	}
	keep_listing(&l, offset); /* first: where it lies in a ring is the kernel's afterwards */
	if (fuse_reply_buf(req, l.bytes, l.wide ? cut_wide(&l, size) : l.used) < 0)
		for (size_t i = 0; i < l.noted_count; i++)
			known_forget(s, l.noted[i].ino, l.noted[i].lookups);
	answered(&folder, l.grows);
	if (l.rest.bytes) {
		l.bytes = NULL;
		ahead_put(s->ahead, &l.rest);
	}
}

static void on_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		       struct fuse_file_info *fi)
{
	answer_listing(req, ino, size, offset, false);
}

static void on_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			   struct fuse_file_info *fi)
{
	answer_listing(req, ino, size, offset, true);
}

/* ---- holes ---- */

static void on_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
		     struct fuse_file_info *fi)
{
	struct serving *s = serving_of(req);
	AUTO(asked_release) struct asked a = { .ino = 0 };
	struct err err = ERR_INIT;
	uint64_t at = 0;
	int rc = whence != SEEK_DATA && whence != SEEK_HOLE ? -EINVAL
		 : offset < 0                               ? -ENXIO
							    : asked_open(s, ino, &a);

	if (rc == 0)
		rc = tree_seek(asked_view(&a), &a.node, (uint64_t)offset, whence == SEEK_DATA, &at,
			       &err);
	if (rc == -ENXIO)
		fuse_reply_err(req, ENXIO); /* how a scan for holes ends */
	else if (rc < 0)
		refuse(req, "lseek", ino, rc, &err);
	else
		fuse_reply_lseek(req, (off_t)at);
}

/* ---- attributes of our own ---- */

/* Two calls: with size 0 for the size, then for the bytes. */
static void reply_xattr(fuse_req_t req, const struct buf *text, size_t size)
{
	if (size == 0)
		fuse_reply_xattr(req, text->n);
	else if (size < text->n)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, (const char *)text->p, text->n);
}

/* NULL: the names. */
static void answer_xattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct serving *s = serving_of(req);
	AUTO(asked_release) struct asked a = { .ino = 0 };
	AUTO(buf_release) struct buf text = BUF_INIT(XATTR_TEXT_MAX);
	struct err err = ERR_INIT;
	int rc = asked_open(s, ino, &a);

	if (rc == 0)
		rc = name ? xattr_get(asked_view(&a), &a.node, name, &text, &err)
			  : xattr_list(asked_view(&a), &a.node, &text, &err);
	if (rc == -EOPNOTSUPP || rc == -ENODATA)
		fuse_reply_err(req, -rc); /* no fault: asked for on suspicion */
	else if (rc < 0)
		refuse(req, "xattr", ino, rc, &err);
	else
		reply_xattr(req, &text, size);
}

static void on_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	answer_xattr(req, ino, name, size);
}

static void on_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	answer_xattr(req, ino, NULL, size);
}

/* ---- the rest ---- */

/* Blocks and items, as every context's views count them. */
static uint64_t objects_held(struct serving *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < store_network_count(s->store); i++) {
		AUTO(shared_view_putp)
		struct shared_view *shared = views_newest(s->views, store_network_at(s->store, i));
		const struct view *v = shared_view_of(shared);

		for (uint32_t k = 0; v && k < v->shard_count; k++)
			sum += gaps_held(&v->shards[k].gaps) + v->shards[k].items;
	}
	return sum;
}

/* Used is what the store takes, free is what its disk has left for it. */
static void on_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct serving *s = serving_of(req);
	struct statvfs disk;

	if (statvfs(store_path(s->store), &disk) < 0) {
		refuse(req, "statfs", ino, -errno, NULL);
		return;
	}
	unsigned long unit = disk.f_frsize ? disk.f_frsize : disk.f_bsize;
	struct statvfs st = {
		.f_bsize = unit,
		.f_frsize = unit,
		.f_blocks = (meter_bytes(s->meter) + unit - 1) / unit + disk.f_bavail,
		.f_bfree = disk.f_bavail,
		.f_bavail = disk.f_bavail,
		.f_files = objects_held(s),
		.f_namemax = NAME_MAX_,
	};

	fuse_reply_statfs(req, &st);
}

const struct fuse_lowlevel_ops serving_ops = {
	.init = on_init,
	.lookup = on_lookup,
	.forget = on_forget,
	.forget_multi = on_forget_multi,
	.getattr = on_getattr,
	.readlink = on_readlink,
	.open = on_open,
	.release = on_release,
	.read = on_read,
	.lseek = on_lseek,
	.opendir = on_opendir,
	.readdir = on_readdir,
	.readdirplus = on_readdirplus,
	.statfs = on_statfs,
	.getxattr = on_getxattr,
	.listxattr = on_listxattr,
};
