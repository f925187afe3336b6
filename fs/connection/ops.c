#include "fs/connection/ops.h"

#include "fs/connection/ops_inside.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include "core/base/trace.h"
#include "core/control/metrics.h"
#include "fs/connection/journal.h"
#include "fs/connection/transport.h"
#include "fs/tree/xattr.h"

#define CONTENT_MAX ((size_t)1 << 30) /* bytes of one file; memory holds it whole */
#define NAME_MAX_   255               /* of statfs */

/* Of linux/fuse.h, of which an older one may be installed than the kernel that runs. */
#define OPEN_NO_FLUSH (1u << 5)
#define OPEN_PASSED   (1u << 7)

struct serving *ops_serving(fuse_req_t req)
{
	metrics_add(COUNTER_FUSE_REQUESTS, 1);
	return fuse_req_userdata(req);
}

void ops_refuse(fuse_req_t req, const char *request, uint64_t ino, int rc, const struct err *err)
{
	metrics_add(COUNTER_FUSE_ERRORS, 1);
	if (trace_get_level() >= TRACE_DEBUG)
		trace_debug("fs", "request refused",
			    "request=%s ino=%" PRIx64 " errno=%d reason=\"%s\"", request, ino, -rc,
			    err_text(err, rc));
	fuse_reply_err(req, rc < 0 && rc > -4096 ? -rc : EIO);
}

void ops_answered(const struct asked *a, bool grows)
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
		ops_refuse(req, "open", ino, rc, &err);
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
	struct serving *s = ops_serving(req);

	if (s->opened)
		opened_release(s->opened, ino, journal_unique());
	fuse_reply_err(req, 0);
}

/* ENOSYS once, and the kernel opens without asking from then on. */
static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct serving *s = ops_serving(req);

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
	struct serving *s = ops_serving(req);

	if (s->opendir_answered)
		fuse_reply_open(req, fi);
	else
		fuse_reply_err(req, ENOSYS);
}

/* ---- bytes ---- */

static void on_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct serving *s = ops_serving(req);
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
		ops_refuse(req, "readlink", ino, rc, &err);
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

/* From a plain file: no more is in memory than the answer. Bytes read, fewer at its end, or a
 * negative errno. */
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

/* `of`: whose descriptor it is; NULL: ours. `whole`: all of it was told to be there, and a file
 * that has less was cut. */
static void reply_file(fuse_req_t req, uint64_t ino, struct opened *of, int fd, size_t size,
		       off_t offset, bool whole)
{
	void *room = transport_room(size);
	AUTO(base_freep) void *own = room ? NULL : malloc(MAX(size, 1));
	uint8_t *bytes = room ? room : own;
	ssize_t n = bytes ? read_file(fd, size, offset, bytes) : -ENOMEM;

	if (of)
		opened_was_read(of);
	if (whole && n >= 0 && (size_t)n < size)
		n = -EBADMSG;
	if (n < 0)
		ops_refuse(req, "read", ino, (int)n, NULL);
	else
		reply_slice(req, SLICE(bytes, (size_t)n), size, 0);
}

/* Of a file that grows, what the view it is as of has: true. Of others nobody is asked. */
static bool left_of(const struct asked *a, off_t offset, size_t *size)
{
	struct attr attr;

	if (a->node.scope.kind != SCOPE_VIEW || tree_attr(asked_view(a), &a->node, &attr, NULL) < 0)
		return false;
	*size = MIN(*size, attr.size - MIN((uint64_t)offset, attr.size));
	return true;
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
	reply_file(req, ino, s->opened, file.fd,
		   MIN(size, file.size - MIN((uint64_t)offset, file.size)), offset, true);
	return true;
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	struct serving *s = ops_serving(req);
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
		bool whole = left_of(&a, offset, &size);

		reply_file(req, ino, NULL, fd, size, offset, whole);
		return;
	}
	if (rc == 0 && fd != -EOPNOTSUPP)
		rc = fd;
	fd = -1;

	if (rc == 0)
		rc = is_kept(&a.node) ? made_or_kept(&a, &kept, &err) : render(&a, &made, &err);
	if (rc < 0)
		ops_refuse(req, "read", ino, rc, &err);
	else
		reply_slice(req, kept ? rendering_bytes(kept) : buf_slice(&made), size, offset);
}

/* ---- holes ---- */

static void on_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
		     struct fuse_file_info *fi)
{
	struct serving *s = ops_serving(req);
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
		ops_refuse(req, "lseek", ino, rc, &err);
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
	struct serving *s = ops_serving(req);
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
		ops_refuse(req, "xattr", ino, rc, &err);
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
	struct serving *s = ops_serving(req);
	struct statvfs disk;

	if (statvfs(store_path(s->store), &disk) < 0) {
		ops_refuse(req, "statfs", ino, -errno, NULL);
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
	.lookup = ops_lookup,
	.forget = ops_forget,
	.forget_multi = ops_forget_multi,
	.getattr = ops_getattr,
	.readlink = on_readlink,
	.open = on_open,
	.release = on_release,
	.read = on_read,
	.lseek = on_lseek,
	.opendir = on_opendir,
	.readdir = ops_readdir,
	.readdirplus = ops_readdirplus,
	.statfs = on_statfs,
	.getxattr = on_getxattr,
	.listxattr = on_listxattr,
};
