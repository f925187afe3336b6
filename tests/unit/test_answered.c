/* What the kernel is told, request by request and without a mount, against what the tree says when
 * it is asked afresh: whatever is kept of answers, and whatever was published in between. */
#define FUSE_USE_VERSION 314

#include <fuse_lowlevel.h>
#include <linux/fuse.h>

#include "core/control/metrics.h"
#include "fs/connection/ops.h"
#include "fs/tree/rows.h"
#include "tests/unit/tree_fixture.h"

#define REPLY_MAX  (1u << 20)
#define PIECE      65536u /* of a read */
#define FOLDER_MAX 40u    /* entries of a folder that are gone into */

static char archive[128];

static int make_archive(void **state)
{
	struct err err = ERR_INIT;
	struct forge_options o = { .kind = FORGE_STORY };

	trace_set_sink(fixture_silence, NULL);
	fixture_folder(archive);
	must(forge_chain(&o, archive, NULL, NULL, &err), &err);
	return 0;
}

static int drop_archive(void **state)
{
	fixture_remove(archive);
	return 0;
}

/* ---- a kernel ---- */

struct kernel {
	struct serving serving;
	struct fuse_session *session;
	struct random random;
	int fd;
	uint64_t given; /* inode numbers, each a lookup to be forgotten */
	uint64_t *list;
	size_t cap;
	uint64_t entries, bytes;
};

static uint8_t reply[REPLY_MAX];
static size_t reply_size;

static ssize_t on_writev(int fd, struct iovec *parts, int count, void *user)
{
	reply_size = 0;
	for (int i = 0; i < count; i++) {
		assert_true(reply_size + parts[i].iov_len <= sizeof reply);
		memcpy(reply + reply_size, parts[i].iov_base, parts[i].iov_len);
		reply_size += parts[i].iov_len;
	}
	return (ssize_t)reply_size;
}

static ssize_t on_read(int fd, void *bytes, size_t size, void *user)
{
	return -1; /* requests are handed over */
}

/* The errno of the answer; its body is `body` then. */
static int ask(struct kernel *k, uint32_t opcode, uint64_t ino, const void *in, size_t size,
	       struct slice *body)
{
	struct fuse_in_header head = {
		.len = (uint32_t)(sizeof head + size),
		.opcode = opcode,
		.unique = 2,
		.nodeid = ino,
	};
	char request[sizeof head + 512];
	struct fuse_out_header out;

	memcpy(request, &head, sizeof head);
	memcpy(request + sizeof head, in, size);
	reply_size = 0;
	fuse_session_process_buf(k->session,
				 &(struct fuse_buf){ .size = head.len, .mem = request });
	if (!body)
		return 0;
	assert_true(reply_size >= sizeof out);
	memcpy(&out, reply, sizeof out);
	*body = SLICE(reply + sizeof out, reply_size - sizeof out);
	return out.error;
}

static void kernel_start(struct kernel *k, struct chain *c)
{
	static const struct fuse_custom_io io = { .writev = on_writev, .read = on_read };
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct serving_options options = { .on = ON_MAIN, .render_cache = 8u << 20 };
	struct fuse_init_in init = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = 1u << 17,
		.flags = FUSE_DO_READDIRPLUS | FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT |
			 FUSE_EXPORT_SUPPORT | FUSE_MAX_PAGES,
	};
	struct err err = ERR_INIT;
	struct slice body;

	k->serving = (struct serving){ .store = c->store, .views = views_new(NULL, NULL) };
	assert_non_null(k->serving.views);
	must(serving_init(&k->serving, &options, &err), &err);
	assert_int_equal(fuse_opt_add_arg(&args, "test"), 0);
	k->session = fuse_session_new(&args, &serving_ops, sizeof serving_ops, &k->serving);
	assert_non_null(k->session);
	fuse_opt_free_args(&args);
	k->fd = open("/dev/null", O_RDWR | O_CLOEXEC); /* closed with the session */
	assert_int_equal(fuse_session_custom_io(k->session, &io, k->fd), 0);
	assert_int_equal(ask(k, FUSE_INIT, 0, &init, sizeof init, &body), 0);
}

static void kernel_stop(struct kernel *k)
{
	fuse_session_destroy(k->session);
	serving_release(&k->serving);
	views_freep(&k->serving.views);
	free(k->list);
}

static void remember(struct kernel *k, uint64_t ino)
{
	if (k->given == k->cap) {
		k->cap = k->cap ? 2 * k->cap : 1024;
		k->list = realloc(k->list, k->cap * sizeof *k->list);
		assert_non_null(k->list);
	}
	k->list[k->given++] = ino;
}

static void forget_all(struct kernel *k)
{
	const struct fuse_forget_in one = { .nlookup = 1 };

	while (k->given)
		ask(k, FUSE_FORGET, k->list[--k->given], &one, sizeof one, NULL);
}

/* ---- what it is told, and what the tree says ---- */

static void check_entry(struct kernel *k, const char *path, const char *name,
			const struct fuse_entry_out *e, const struct node *n)
{
	AUTO(asked_release) struct asked a = { .ino = 0 };
	AUTO(shared_view_putp) struct shared_view *newest = NULL;
	struct err err = ERR_INIT;
	struct attr attr;

	remember(k, e->nodeid);
	assert_int_equal(asked_open(&k->serving, e->nodeid, &a), 0);
	if (!same_node(&a.node, n))
		fail_msg("%s/%s leads elsewhere", path, name);
	assert_int_equal(e->generation, a.generation);
	must(tree_attr(asked_view(&a), n, &attr, &err), &err);
	if (e->attr.size != attr.size || e->attr.mtime != attr.mtime || e->attr.ino != e->nodeid)
		fail_msg("%s/%s has other attributes than it was told to have", path, name);
	struct lives lives = known_lives(&k->serving, e->nodeid, n, &attr);

	assert_int_equal(e->attr_valid, (uint64_t)lives.attr);
	if (attr.settles && n->scope.kind == SCOPE_PLACE)
		assert_int_equal(e->entry_valid, 0);
	k->entries++;
}

static void check_bytes(struct kernel *k, const char *path, uint64_t ino, const struct node *n)
{
	AUTO(asked_release) struct asked a = { .ino = 0 };
	AUTO(buf_release) struct buf want = BUF_INIT(1u << 26);
	struct err err = ERR_INIT;

	assert_int_equal(asked_open(&k->serving, ino, &a), 0);
	must(tree_read(asked_view(&a), n, &want, &err), &err);
	for (uint64_t at = 0; at <= want.n; at += PIECE) {
		struct fuse_read_in in = { .offset = at, .size = PIECE };
		struct slice got;

		assert_int_equal(ask(k, FUSE_READ, ino, &in, sizeof in, &got), 0);
		if (!slice_eq(got, slice_sub(buf_slice(&want), at, PIECE)))
			fail_msg("%s: other bytes at %" PRIu64, path, at);
		k->bytes += got.n;
	}
}

static void check_name(struct kernel *k, const char *path, uint64_t ino, const struct name_at *c)
{
	struct fuse_entry_out e;
	struct slice got;

	assert_int_equal(ask(k, FUSE_LOOKUP, ino, c->name, strlen(c->name) + 1, &got), 0);
	assert_int_equal(got.n, sizeof e);
	memcpy(&e, got.p, sizeof e);
	check_entry(k, path, c->name, &e, &c->node);
}

/* A whole listing, in replies of `size` bytes; the numbers of the entries go to `inos`. */
static void check_listing(struct kernel *k, const char *path, uint64_t ino, uint32_t size,
			  const struct names *want, uint64_t *inos)
{
	AUTO(base_freep) uint8_t *own = malloc(size);
	size_t seen = 0;
	uint64_t offset = 0, before;

	assert_non_null(own);
	do {
		struct fuse_read_in in = { .offset = offset, .size = size };
		struct slice got;

		before = offset;
		assert_int_equal(ask(k, FUSE_READDIRPLUS, ino, &in, sizeof in, &got), 0);
		assert_true(got.n <= size);
		memcpy(own, got.p, got.n);
		for (size_t at = 0; at < got.n;) {
			struct fuse_direntplus d;
			char name[256];

			memcpy(&d, own + at, sizeof d);
			snprintf(name, sizeof name, "%.*s", (int)d.dirent.namelen,
				 (const char *)own + at + FUSE_NAME_OFFSET_DIRENTPLUS);
			at += FUSE_DIRENTPLUS_SIZE(&d);
			offset = d.dirent.off;
			if (name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2])))
				continue;
			assert_true(seen < want->count);
			assert_string_equal(name, want->list[seen].name);
			if (d.entry_out.nodeid)
				check_entry(k, path, name, &d.entry_out, &want->list[seen].node);
			inos[seen++] = d.entry_out.nodeid;
		}
	} while (offset != before);
	if (seen != want->count)
		fail_msg("%s: %zu names of %zu", path, seen, want->count);
}

static void check_folder(struct kernel *k, const char *path, uint64_t ino, const struct node *n)
{
	static const uint32_t sizes[] = { 4096, 32768 };
	AUTO(names_release) struct names want = { .list = NULL, .room = SIZE_MAX };
	AUTO(base_freep) uint64_t *inos = NULL;
	struct err err = ERR_INIT;

	{
		AUTO(asked_release) struct asked a = { .ino = 0 };

		assert_int_equal(asked_open(&k->serving, ino, &a), 0);
		must(tree_list(asked_view(&a), n, 0, n->network, take_name, &want, &err), &err);
	}
	inos = calloc(want.count + 1, sizeof *inos);
	assert_non_null(inos);
	check_listing(k, path, ino, sizes[random_below(&k->random, ARRAY_LEN(sizes))], &want, inos);
	for (size_t i = 0; i < want.count && i < FOLDER_MAX; i++) {
		const struct name_at *c = &want.list[i];
		char below[1024];

		if (!tree_shows(ON_MAIN, c->node.row))
			continue;
		check_name(k, path, ino, c);
		if (!inos[i])
			continue;
		snprintf(below, sizeof below, "%s/%s", path, c->name);
		if (tree[c->node.row].type == NODE_FILE)
			check_bytes(k, below, inos[i], &c->node);
		else if (tree[c->node.row].type == NODE_FOLDER)
			check_folder(k, below, inos[i], &c->node);
	}
}

static uint64_t enter(struct kernel *k, const char *path, struct node *out)
{
	char copy[256], *rest = copy;
	struct node n = tree_root();
	uint64_t ino = INO_ROOT;

	snprintf(copy, sizeof copy, "%s", path);
	for (char *name; (name = strsep(&rest, "/"));) {
		AUTO(view_putp) struct view *v = view_of(&n);
		struct name_at child;
		struct err err = ERR_INIT;

		snprintf(child.name, sizeof child.name, "%s", name);
		must(tree_lookup(v, &n, name, &child.node, &err), &err);
		check_name(k, path, ino, &child);
		n = child.node;
		ino = k->list[k->given - 1];
	}
	*out = n;
	return ino;
}

static void check_path(struct kernel *k, const char *path)
{
	struct node n;
	uint64_t ino = enter(k, path, &n);

	check_folder(k, path, ino, &n);
}

static void check_all(struct kernel *k)
{
	static const char *const paths[] = {
		"net/legacy/state",
		"net/hyper/state/shards/1",
		"net/legacy/shards/1/blocks",
		"net/hyper/at/20/shards/1",
		"net/legacy/roots",
		"net/gaps",
		"net/diffs/20",
	};

	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		check_path(k, paths[i]);
}

static void whatever_is_kept_the_answer_is_that_of_the_tree(void **state)
{
	AUTO(chain_release) struct chain c = { .store = NULL };
	struct kernel k = { .random = random_of_run() };
	uint64_t height = 20, rendered = 0, again = 0;

	chain_open(&c, archive);
	for (uint32_t s = 3; s-- > 0;)
		chain_feed(&c, s, 1, height, 1);
	kernel_start(&k, &c);
	for (int round = 0; round < 5; round++) {
		uint64_t before = metrics_read(COUNTER_RENDERINGS);

		for (int walk = 0; walk < 3; walk++) {
			if (random_chance(&k.random, 50))
				forget_all(&k);
			check_all(&k);
			if (walk == 0)
				rendered += metrics_read(COUNTER_RENDERINGS) - before;
		}
		again += metrics_read(COUNTER_RENDERINGS) - before;
		uint64_t more = 1 + random_below(&k.random, 6);

		for (uint32_t s = 3; s-- > 0;)
			chain_feed(&c, s, height + 1, height + more, -1);
		height += more;
	}
	assert_true(k.entries > 1000 && k.bytes > 10000);
	/* Else hardly anything was answered again. What the kernel forgot of states is made
	 * anew. */
	assert_true(again < 2 * rendered);
	forget_all(&k);
	kernel_stop(&k);
}

/* ---- a folder of which names alone are listed ---- */

#define CASTS     "net/hyper/state/shards/1/accounts/48/0000001000/casts"
#define DOTS      2 /* entries that the tree does not know */
#define LARGE_WAY 600

static void list_names(struct kernel *k, uint64_t ino, const struct node *n, struct names *out)
{
	AUTO(asked_release) struct asked a = { .ino = 0 };
	struct err err = ERR_INIT;

	out->count = 0;
	out->room = SIZE_MAX;
	assert_int_equal(asked_open(&k->serving, ino, &a), 0);
	must(tree_list(asked_view(&a), n, 0, false, take_name, out, &err), &err);
}

/* One reply behind the first `from` names; how many names were behind them then. */
static size_t check_piece(struct kernel *k, uint64_t ino, const struct names *want, size_t from,
			  bool plus, uint32_t size)
{
	const size_t head = plus ? sizeof(struct fuse_entry_out) : 0;
	struct fuse_read_in in = { .offset = from ? want->list[from - 1].offset + DOTS : DOTS,
				   .size = size };
	struct slice got;
	size_t at = 0;

	assert_int_equal(ask(k, plus ? FUSE_READDIRPLUS : FUSE_READDIR, ino, &in, sizeof in, &got),
			 0);
	assert_true(got.n <= size && (got.n || from == want->count));
	for (; at < got.n; from++) {
		struct fuse_dirent d;
		const char *name = (const char *)got.p + at + head + FUSE_NAME_OFFSET;

		memcpy(&d, got.p + at + head, FUSE_NAME_OFFSET);
		assert_true(from < want->count);
		assert_int_equal(d.namelen, strlen(want->list[from].name));
		assert_memory_equal(name, want->list[from].name, d.namelen);
		assert_int_equal(d.off, want->list[from].offset + DOTS);
		assert_int_equal(d.type, S_IFREG >> 12);
		at += FUSE_DIRENT_ALIGN(head + FUSE_NAME_OFFSET + d.namelen);
	}
	assert_int_equal(at, got.n);
	return from;
}

/* Several readers, some that come from elsewhere, and blocks that come in between. */
static void a_large_folder_is_that_of_the_tree_wherever_one_reads_on(void **state)
{
	AUTO(names_release) struct names want = { .list = NULL };
	AUTO(chain_release) struct chain c = { .store = NULL };
	struct forge_options o = {
		.kind = FORGE_CROWD, .messages = 16800, .accounts = 1, .blocks = 1200
	};
	struct kernel k = { .random = random_of_run() };
	struct err err = ERR_INIT;
	size_t at[12] = { 0 }, grown = 0;
	char folder[128];
	struct node n;

	fixture_folder(folder);
	must(forge_chain(&o, folder, NULL, NULL, &err), &err);
	chain_open(&c, folder);
	chain_feed(&c, 0, 1, ALL, 1);
	for (uint32_t s = 3; s-- > 1;)
		chain_feed(&c, s, 1, 380, 1);
	kernel_start(&k, &c);
	uint64_t ino = enter(&k, CASTS, &n);

	list_names(&k, ino, &n, &want);
	assert_true(want.count > LARGE_FOLDER);
	for (int i = 0; i < LARGE_WAY; i++) {
		size_t who = random_below(&k.random, ARRAY_LEN(at));

		if (i % (LARGE_WAY / 4) == LARGE_WAY / 8) { /* the chain grows */
			uint64_t more = 381 + 4 * grown;
			size_t before = want.count;

			for (uint32_t s = 3; s-- > 1;)
				chain_feed(&c, s, more, more + 3, -1);
			ino = enter(&k, CASTS, &n);
			list_names(&k, ino, &n, &want);
			grown += want.count > before;
		}
		if (random_chance(&k.random, 5))
			at[who] = random_below(&k.random, want.count + 1);
		size_t to = check_piece(&k, ino, &want, at[who], who % 3,
					(uint32_t)(4096 + random_below(&k.random, 61440)));

		at[who] = to == want.count ? 0 : to;
	}
	assert_true(grown > 0);
	forget_all(&k);
	kernel_stop(&k);
	fixture_remove(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_is_kept_the_answer_is_that_of_the_tree),
		cmocka_unit_test(a_large_folder_is_that_of_the_tree_wherever_one_reads_on),
	};

	return cmocka_run_group_tests(tests, make_archive, drop_archive);
}
