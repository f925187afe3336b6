/* tree_fixture.h: a generated chain in a store, and walking the tree over it. */
#ifndef CHAINFS_TESTS_TREE_FIXTURE_H
#define CHAINFS_TESTS_TREE_FIXTURE_H

#include "core/chain/snapchain/forge/forge.h"
#include "core/ingest/ingest.h"
#include "core/sync/archive.h"
#include "fs/tree/path.h"
#include "fs/tree/tree.h"
#include "tests/support/store_fixture.h"

/* ---- a chain, fed piece by piece ---- */

struct chain {
	char path[128];
	const char *archive;
	struct store *store;
	struct network *network;
};

static inline void must(int rc, const struct err *err)
{
	if (rc < 0)
		fail_msg("%s", err_text(err, rc));
}

static inline void params_text(const struct chain_ops *ops, struct slice config, struct buf *out)
{
	struct chain_params *p = NULL;
	struct err err = ERR_INIT;

	must(ops->params_parse(config, &p, &err), &err);
	must(ops->params_write(p, out), &err);
	ops->params_free(p);
}

static inline void chain_open(struct chain *c, const char *archive_folder)
{
	AUTO(archive_closep) struct archive *archive = NULL;
	AUTO(buf_release) struct buf text = BUF_INIT(1u << 20);
	struct store_options options = {
		.create = true, .holder = "test", .sync_off = true, .cache_size = 8u << 20
	};
	const struct chain_ops *ops = chain_kind("snapchain");
	struct err err = ERR_INIT;

	*c = (struct chain){ .archive = archive_folder };
	fixture_folder(c->path);
	must(store_open(c->path, &options, &c->store, &err), &err);
	must(archive_open(archive_folder, &archive, &err), &err);
	params_text(ops, archive_config(archive), &text);
	must(store_network_new(c->store, "net", ops, buf_slice(&text), "config", &c->network, &err),
	     &err);
	tree_set_env(&(struct tree_env){ .store = c->store, .ctl_target = "/run/ctl",
					  .plain_target = "/run/plain" });
}

static inline void chain_release(struct chain *c)
{
	store_closep(&c->store);
	if (c->path[0])
		fixture_remove(c->path);
}

/* Heights first … last of one shard; hyper: -1 leaves it, else switches it first. */
static inline void chain_feed(struct chain *c, uint32_t shard, uint64_t first, uint64_t last,
			      int hyper)
{
	AUTO(archive_closep) struct archive *archive = NULL;
	AUTO(ingest_freep) struct ingest *ingest = NULL;
	struct ingest_options options = { .checkers = 2 };
	struct err err = ERR_INIT;
	uint64_t height = 0;

	must(archive_open(c->archive, &archive, &err), &err);
	must(ingest_start(c->network, &options, &ingest, &err), &err);
	if (hyper >= 0)
		must(ingest_set_hyper(ingest, hyper, &err), &err);
	while (++height <= last) {
		AUTO(buf_release) struct buf message = BUF_INIT(BLOCK_SIZE_MAX);
		int rc = archive_next(archive, shard, &message, &err);

		must(rc, &err);
		if (rc == 0)
			break;
		if (height >= first)
			must(ingest_submit(ingest, shard, height, &message, &err), &err);
	}
	must(ingest_finish(ingest, &err), &err);
}

#define ALL UINT64_MAX

static inline void chain_feed_all(struct chain *c, int hyper)
{
	for (uint32_t s = network_ops(c->network)->shard_count(network_params(c->network));
	     s-- > 0;)
		chain_feed(c, s, 1, ALL, hyper);
}

/* ---- questions ---- */

static inline struct view *view_of(const struct node *n)
{
	return n->network ? network_view_get(n->network) : NULL;
}

/* From the root; NULL when every part was found, else who said what. */
static inline int find(const char *path, struct node *out, struct err *err)
{
	char copy[1024], *rest = copy;

	snprintf(copy, sizeof copy, "%s", path);
	*out = tree_root();
	for (char *name; (name = strsep(&rest, "/"));) {
		AUTO(view_putp) struct view *v = view_of(out);
		struct node child;

		if (!*name)
			continue;
		int rc = tree_lookup(v, out, name, &child, err);
		if (rc < 0)
			return rc;
		*out = child;
	}
	return 0;
}

static inline struct node found(const char *path)
{
	struct err err = ERR_INIT;
	struct node n;
	int rc = find(path, &n, &err);

	if (rc < 0)
		fail_msg("%s: %s", path, err_text(&err, rc));
	return n;
}

static inline int finding(const char *path)
{
	struct node n;

	return find(path, &n, NULL);
}

static inline struct attr attr_of(const struct node *n)
{
	AUTO(view_putp) struct view *v = view_of(n);
	struct err err = ERR_INIT;
	struct attr a;

	must(tree_attr(v, n, &a, &err), &err);
	return a;
}

static inline void read_node(const struct node *n, struct buf *out)
{
	AUTO(view_putp) struct view *v = view_of(n);
	struct err err = ERR_INIT;

	must(tree_read(v, n, out, &err), &err);
}

/* As NUL-terminated text. */
static inline const char *text_at(const char *path, struct buf *out)
{
	struct node n = found(path);

	buf_clear(out);
	read_node(&n, out);
	buf_u8(out, 0);
	assert_int_equal(out->failed, 0);
	return (const char *)out->p;
}

static inline bool same_node(const struct node *a, const struct node *b)
{
	return a->row == b->row && a->of_object == b->of_object && a->network == b->network &&
	       a->key == b->key && a->scope.kind == b->scope.kind &&
	       a->scope.context == b->scope.context && a->scope.shard == b->scope.shard &&
	       a->scope.height == b->scope.height && a->scope.from == b->scope.from &&
	       a->scope.view_number == b->scope.view_number;
}

/* ---- listings ---- */

struct name_at {
	char name[RECORD_NAME_SIZE + 16];
	struct node node;
	struct attr attr;
	uint64_t offset;
};

struct names {
	struct name_at *list;
	size_t count, cap, room;
};

static inline void names_release(struct names *n)
{
	free(n->list);
}

static inline bool take_name(void *arg, const struct tree_child *c)
{
	struct names *n = arg;

	if (n->count == n->cap) {
		n->cap = n->cap ? 2 * n->cap : 64;
		n->list = realloc(n->list, n->cap * sizeof *n->list);
		assert_non_null(n->list);
	}
	struct name_at *at = &n->list[n->count++];

	snprintf(at->name, sizeof at->name, "%s", c->name);
	at->node = c->node;
	at->attr = c->attr;
	at->offset = c->offset;
	return --n->room > 0;
}

/* All of a folder, `step` names at a call. */
static inline void list(const struct node *folder, size_t step, struct names *out)
{
	AUTO(view_putp) struct view *v = view_of(folder);
	struct err err = ERR_INIT;
	size_t before;

	do {
		uint64_t offset = out->count ? out->list[out->count - 1].offset : 0;

		before = out->count;
		out->room = step;
		must(tree_list(v, folder, offset, true, take_name, out, &err), &err);
	} while (out->count > before);
}

/* ---- walking ---- */

struct walk {
	size_t step;
	bool names_only; /* no file is read */
	size_t folders, files;
	struct node *seen; /* folders, to find one that is listed twice */
	size_t seen_count, seen_cap;
};

static inline void walk_release(struct walk *w)
{
	free(w->seen);
}

static inline void note_folder(struct walk *w, const struct node *n)
{
	if (w->seen_count == w->seen_cap) {
		w->seen_cap = w->seen_cap ? 2 * w->seen_cap : 256;
		w->seen = realloc(w->seen, w->seen_cap * sizeof *w->seen);
		assert_non_null(w->seen);
	}
	w->seen[w->seen_count++] = *n;
}

static inline void check_file(const char *path, const struct node *n, const struct attr *attr)
{
	AUTO(buf_release) struct buf bytes = BUF_INIT(1u << 30);

	read_node(n, &bytes);
	if (bytes.n != attr->size)
		fail_msg("%s has %zu bytes, told were %" PRIu64, path, bytes.n, attr->size);
}

static inline void check_child(const char *path, const struct node *folder, const struct name_at *c)
{
	AUTO(view_putp) struct view *v = view_of(folder);
	struct err err = ERR_INIT;
	struct attr again;
	struct node n;
	int rc = tree_lookup(v, folder, c->name, &n, &err);

	if (rc < 0)
		fail_msg("%s: %s", path, err_text(&err, rc));
	if (!same_node(&n, &c->node))
		fail_msg("%s is found as another node than it is listed", path);
	if (c->attr.type == NODE_FOLDER) {
		AUTO(view_putp) struct view *own = view_of(&c->node);
		struct node above;

		must(tree_parent(own, &c->node, &above, &err), &err);
		if (!same_node(&above, folder))
			fail_msg("%s: its parent is another folder", path);
	}
	if (c->node.key >> (c->node.of_object ? NODE_OBJECT_BITS : NODE_KEY_BITS) ||
	    c->offset >> 62)
		fail_msg("%s does not fit its bits", path);
	again = attr_of(&n);
	if (again.type != c->attr.type || again.size != c->attr.size ||
	    again.mtime != c->attr.mtime || again.settles != c->attr.settles ||
	    again.grows != c->attr.grows || again.large != c->attr.large)
		fail_msg("%s has other attributes than it is listed with", path);
}

static inline void walk(struct walk *w, const char *path, const struct node *folder)
{
	AUTO(names_release) struct names names = { .list = NULL };
	char child[1024];

	w->folders++;
	note_folder(w, folder);
	list(folder, w->step, &names);
	for (size_t i = 0; i < names.count; i++) {
		const struct name_at *c = &names.list[i];

		snprintf(child, sizeof child, "%s/%s", path, c->name);
		if (i && strcmp(names.list[i - 1].name, c->name) >= 0)
			fail_msg("%s is listed out of order", child);
		if (!w->names_only)
			check_child(child, folder, c);
		if (c->attr.type == NODE_FOLDER) {
			assert_int_equal(c->attr.size, 0);
			walk(w, child, &c->node);
		} else {
			w->files++;
			if (!w->names_only)
				check_file(child, &c->node, &c->attr);
		}
	}
}

/* ---- two contexts ---- */

struct compared {
	size_t only_hyper, differ, shared;
};

static inline bool explains(const char *name)
{
	size_t size;

	return strcmp(name, "root") == 0 || strcmp(name, "counts") == 0 ||
	       strcmp(name, "roots.tsv") == 0 || path_ends(name, ".jsonl", &size);
}

static inline bool same_bytes(const struct node *a, const struct node *b)
{
	AUTO(buf_release) struct buf left = BUF_INIT(1u << 30);
	AUTO(buf_release) struct buf right = BUF_INIT(1u << 30);

	read_node(a, &left);
	read_node(b, &right);
	return slice_eq(buf_slice(&left), buf_slice(&right));
}

static inline void compare(const char *path, const struct node *legacy, const struct node *hyper,
		    struct compared *sum)
{
	AUTO(names_release) struct names left = { .list = NULL };
	AUTO(names_release) struct names right = { .list = NULL };
	char child[1024];
	size_t k = 0;

	list(legacy, 1000, &left);
	list(hyper, 1000, &right);
	for (size_t i = 0; i < right.count; i++) {
		const struct name_at *h = &right.list[i],
				     *l = k < left.count ? &left.list[k] : NULL;

		snprintf(child, sizeof child, "%s/%s", path, h->name);
		if (!l || strcmp(l->name, h->name) != 0) {
			sum->only_hyper++;
			continue;
		}
		k++;
		if (h->attr.type == NODE_FOLDER) {
			compare(child, &l->node, &h->node, sum);
		} else if (same_node(&l->node, &h->node)) {
			sum->shared++;
		} else if (!same_bytes(&l->node, &h->node)) {
			sum->differ++;
			if (!explains(h->name))
				fail_msg("%s differs", child);
		}
	}
	if (k < left.count)
		fail_msg("%s/%s is only in legacy", path, left.list[k].name);
}

#endif
