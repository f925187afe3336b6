/* What a name leads to, what the kernel may keep of it, and what it forgets. */
#include "fs/connection/fetch.h"
#include "fs/connection/ops_inside.h"

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
		ops_refuse(req, "handle", ino, rc == -ENOENT || rc == -ENODATA ? -ESTALE : rc,
			   &err);
		return;
	}
	if (up)
		known_give(&given);
	else if (a.slot)
		slots_give(a.slot, 1);
	if (fuse_reply_entry(req, &entry) < 0)
		known_forget(s, entry.ino, 1);
	ops_answered(&a, attr.grows);
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

void ops_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct serving *s = ops_serving(req);
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
		ops_refuse(req, "lookup", parent, rc, &err);
		return;
	}
	if (rc == 0) {
		known_give(&given);
		keep_answer(&folder, name, &given, &attr);
	}
	if (fuse_reply_entry(req, &entry) < 0 && rc == 0)
		known_forget(s, entry.ino, 1);
	ops_answered(&folder, attr.grows);
}

void ops_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
	known_forget(fuse_req_userdata(req), ino, lookups);
	fuse_reply_none(req);
}

void ops_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
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

void ops_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct serving *s = ops_serving(req);
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
		ops_refuse(req, "getattr", ino, rc, &err);
		return;
	}
	struct lives lives = known_lives(s, ino, &a.node, &attr);

	known_stat(s, ino, asked_view(&a), &attr, &st);
	fuse_reply_attr(req, &st, lives.attr);
	ops_answered(&a, attr.grows);
}
