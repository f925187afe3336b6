/* Reads the tree of a store as the mount would, without a mount.
 *
 *     read_tree STORE [PATH…]    walks everything that is listed, and all below each PATH: a line a
 *                                place
 *     read_tree STORE @FILE      looks up and reads the places that FILE names, a path a line
 *
 * A line is "PATH<tab>SUM": of a file or a link the first bytes of BLAKE3 of its bytes, of a folder
 * of the names in it; "!NUMBER" where the answer was that errno, "!size" where the bytes are not as
 * many as were told. A store that does not open is "<tab>!NUMBER<tab>SENTENCE". Exit code 0
 * whenever it could say so. */
#include "core/base/base.h"
#include "core/base/hash.h"
#include "core/base/sign.h"
#include "core/base/trace.h"
#include "core/checkpoint/pins.h"
#include "core/store/store.h"
#include "fs/tree/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_SIZE  2048
#define DEPTH_MAX  32
#define FILE_BYTES (1u << 30)
#define STEP       500u

static void silence(enum trace_level level, const char *line, size_t size, void *arg)
{
}

static struct view *view_of(const struct node *n)
{
	return n->network ? network_view_get(n->network) : NULL;
}

static void say(const char *path, struct slice bytes)
{
	uint8_t sum[HASH_SIZE];
	char hex[17];

	hash_blake3(bytes, sum);
	hex_put(hex, sum, 8);
	printf("%s\t%.16s\n", path, hex);
}

static void say_error(const char *path, int rc)
{
	printf("%s\t!%d\n", path, -rc);
}

struct names {
	struct buf list; /* names, a line each */
	uint64_t last;
	size_t room, given;
};

static bool take(void *arg, const struct tree_child *c)
{
	struct names *n = arg;

	buf_fmt(&n->list, "%s\n", c->name);
	n->last = c->offset;
	n->given++;
	return --n->room > 0;
}

static int list(const struct node *folder, struct names *n)
{
	size_t before;

	do {
		AUTO(view_putp) struct view *v = view_of(folder);

		before = n->given;
		n->room = STEP;
		int rc = tree_list(v, folder, n->last, false, take, n, NULL);

		if (rc < 0)
			return rc;
	} while (n->given > before);
	return buf_done(&n->list);
}

static void read_one(const char *path, const struct node *n, struct names *names)
{
	AUTO(view_putp) struct view *v = view_of(n);
	AUTO(buf_release) struct buf bytes = BUF_INIT(FILE_BYTES);
	struct attr a;
	int rc = tree_attr(v, n, &a, NULL);

	if (rc == 0 && a.type == NODE_FOLDER)
		rc = list(n, names);
	else if (rc == 0)
		rc = tree_read(v, n, &bytes, NULL);
	if (rc == 0)
		rc = buf_done(&bytes);
	if (rc < 0)
		say_error(path, rc);
	else if (a.type == NODE_FILE && a.size != bytes.n)
		printf("%s\t!size\n", path);
	else
		say(path, a.type == NODE_FOLDER ? buf_slice(&names->list) : buf_slice(&bytes));
}

static void walk(const char *path, const struct node *n)
{
	struct names names = { .list = BUF_INIT(FILE_BYTES) };
	char child[PATH_SIZE];

	read_one(path, n, &names);
	buf_u8(&names.list, 0);
	char *rest = names.list.p ? (char *)names.list.p : NULL;

	for (char *name; rest && (name = strsep(&rest, "\n")) && *name;) {
		AUTO(view_putp) struct view *v = view_of(n);
		struct node below;

		snprintf(child, sizeof child, "%s/%s", path, name);
		int rc = tree_lookup(v, n, name, &below, NULL);

		if (rc < 0)
			say_error(child, rc);
		else
			walk(child, &below);
	}
	buf_release(&names.list);
}

/* Paths of one folder follow each other, so the way down is remembered. */
struct way {
	char names[DEPTH_MAX][256];
	struct node nodes[DEPTH_MAX + 1];
	size_t depth;
};

static int go(struct way *w, const char *path, struct node *out)
{
	char copy[PATH_SIZE], *rest = copy;
	size_t depth = 0;

	snprintf(copy, sizeof copy, "%s", path);
	for (char *name; (name = strsep(&rest, "/"));) {
		if (!*name)
			continue;
		if (depth == DEPTH_MAX)
			return -ENAMETOOLONG;
		if (depth >= w->depth || strcmp(w->names[depth], name) != 0) {
			AUTO(view_putp) struct view *v = view_of(&w->nodes[depth]);

			w->depth = depth;
			int rc = tree_lookup(v, &w->nodes[depth], name, &w->nodes[depth + 1], NULL);

			if (rc < 0)
				return rc;
			snprintf(w->names[depth], sizeof w->names[depth], "%s", name);
			w->depth = depth + 1;
		}
		depth++;
	}
	*out = w->nodes[depth];
	return 0;
}

static int read_paths(const char *file)
{
	FILE *f = fopen(file, "r");
	struct way way = { .nodes = { tree_root() } };
	char path[PATH_SIZE];

	if (!f)
		return 1;
	while (fgets(path, sizeof path, f)) {
		struct names names = { .list = BUF_INIT(FILE_BYTES) };
		struct node n;

		path[strcspn(path, "\n")] = 0;
		int rc = go(&way, path, &n);

		if (rc < 0)
			say_error(path, rc);
		else
			read_one(path, &n, &names);
		buf_release(&names.list);
	}
	fclose(f);
	return 0;
}

int main(int argc, char **argv)
{
	AUTO(store_closep) struct store *store = NULL;
	struct store_options options = { .holder = "read_tree", .cache_size = 16u << 20 };
	struct err err = ERR_INIT;

	if (argc < 2 || sign_init() < 0)
		return 2;
	trace_set_sink(silence, NULL);
	int rc = store_open(argv[1], &options, &store, &err);

	if (rc < 0) {
		printf("\t!%d\t%s\n", -rc, err_text(&err, rc));
		return 0;
	}
	AUTO(pins_closep) struct pins *pins = NULL;

	rc = pins_open(store, NULL, NULL, &pins, &err);
	if (rc < 0) {
		printf("\t!%d\t%s\n", -rc, err_text(&err, rc));
		return 0;
	}
	tree_set_env(&(struct tree_env){ .store = store, .ctl_target = "/run/ctl", .pins = pins });
	if (argc == 3 && argv[2][0] == '@')
		return read_paths(argv[2] + 1);
	struct node root = tree_root();

	walk("", &root);
	for (int i = 2; i < argc; i++) {
		struct way way = { .nodes = { root } };
		struct node n;

		rc = go(&way, argv[i], &n);
		if (rc < 0)
			say_error(argv[i], rc);
		else
			walk(argv[i], &n);
	}
	return 0;
}
