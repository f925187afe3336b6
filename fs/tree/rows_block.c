/* One block: its files, and the items that it carries. */
#include "fs/tree/headers.h"
#include "fs/tree/path.h"
#include "fs/tree/render.h"
#include "fs/tree/rows.h"

#include <stdio.h>

int node_of_block(struct look *l, struct node *n, const struct block_row *row)
{
	if (row->object >> NODE_KEY_BITS)
		return err_set(l->err, -EOVERFLOW,
			       "object %" PRIu64 " of a block does not fit an inode number",
			       row->object);
	n->row = ROW_BLOCK;
	n->key = row->object;
	return 0;
}

/* ---- objects: items, and records inside of items ---- */

static int render(struct look *l, const struct stat_record *stat, struct slice bytes, bool line,
		  struct buf *out)
{
	struct chain_object o = { .form = stat->form, .bytes = bytes, .time = stat->time };
	size_t before = out->n;
	int rc = look_ops(l)->render_object(&o, line, out);

	if (rc == 0)
		rc = buf_done(out);
	if (rc < 0)
		return err_note(l->err, rc, "shard %u height %" PRIu64 " item %u", stat->shard,
				stat->height, stat->item);
	/* Sizes were given out already: other bytes under them would be cut, or padded. */
	if (stat->renderer == look_ops(l)->renderer &&
	    out->n - before != (line ? stat->line_size : stat->json_size))
		return err_set(l->err, -EUCLEAN,
			       "shard %u height %" PRIu64
			       " item %u: renders to another size than stored",
			       stat->shard, stat->height, stat->item);
	return 0;
}

int object_read(struct look *l, uint64_t object, enum object_view as, struct buf *out)
{
	AUTO(block_bytes_putp) const struct block_bytes *owner = NULL;
	struct stat_record stat;
	struct slice bytes;
	int rc = look_stat(l, object, &stat);

	if (rc == 0)
		rc = network_object_bytes(l->view->network, &stat, &owner, &bytes, l->err);
	if (rc < 0)
		return rc;
	if (as != OBJECT_BYTES)
		return render(l, &stat, bytes, as == OBJECT_LINE, out);
	buf_add(out, bytes);
	return buf_done(out);
}

int object_attr(struct look *l, uint64_t object, enum object_view as, struct attr *out)
{
	struct stat_record stat;
	int rc = look_stat(l, object, &stat);

	if (rc < 0)
		return rc;
	out->mtime = stat.time;
	out->size = as == OBJECT_BYTES  ? stat.size
		    : as == OBJECT_LINE ? stat.line_size
					: stat.json_size;
	if (as == OBJECT_BYTES || stat.renderer == look_ops(l)->renderer)
		return 0;
	/* Stored by a program that renders otherwise. */
	AUTO(buf_release) struct buf text = BUF_INIT(TEXT_SIZE_MAX);
	rc = object_read(l, object, as, &text);
	out->size = text.n;
	return rc;
}

int object_hash(struct look *l, uint64_t object, uint8_t hash[HASH_SIZE], uint8_t *hash_size)
{
	AUTO(block_bytes_putp) const struct block_bytes *owner = NULL;
	struct stat_record stat;
	struct slice bytes;
	char kind[ITEM_KIND_SIZE];
	int rc = look_stat(l, object, &stat);

	if (rc == 0)
		rc = network_object_bytes(l->view->network, &stat, &owner, &bytes, l->err);
	return rc < 0 ? rc : look_ops(l)->item_name(stat.form, bytes, kind, hash, hash_size);
}

/* ---- items ---- */

static uint64_t item_object(const struct block_row *row, uint32_t index)
{
	return row->object + 1 + 2 * (uint64_t)index;
}

static_assert(DEC_SIZE + ITEM_KIND_SIZE + 2 * 4 + 3 <= ITEM_NAME_SIZE, "a name does not fit");

static int name_in(struct look *l, const struct stat_record *stat, const struct block_bytes *owner,
		   char out[ITEM_NAME_SIZE])
{
	struct slice bytes = slice_sub(owner->canonical, stat->offset, stat->size);
	char kind[ITEM_KIND_SIZE], digits[2 * HASH_SIZE + 1];
	uint8_t hash[HASH_SIZE], hash_size = 0;
	int rc = look_ops(l)->item_name(stat->form, bytes, kind, hash, &hash_size);

	if (rc < 0)
		return err_note(l->err, rc, "shard %u height %" PRIu64 " item %u", stat->shard,
				stat->height, stat->item);
	hex_put(digits, hash, MIN(hash_size, 4));
	char *at = out + dec_put(out, stat->item, ITEM_DIGITS);

	*at++ = '-';
	at = stpcpy(at, kind);
	if (digits[0])
		*at++ = '-';
	strcpy(at, digits);
	return 0;
}

int item_name(struct look *l, const struct block_row *row, uint32_t index, char out[ITEM_NAME_SIZE])
{
	AUTO(block_bytes_putp) const struct block_bytes *owner = NULL;
	struct stat_record stat;
	int rc = look_stat(l, item_object(row, index), &stat);

	if (rc == 0)
		rc = network_block_bytes(l->view->network, row, &owner, l->err);
	return rc < 0 ? rc : name_in(l, &stat, owner, out);
}

int items_lines(struct look *l, const struct block_row *row, struct buf *out)
{
	AUTO(block_bytes_putp) const struct block_bytes *owner = NULL;
	int rc = row->items ? network_block_bytes(l->view->network, row, &owner, l->err) : 0;

	for (uint32_t i = 0; rc == 0 && i < row->items; i++) {
		struct stat_record stat;

		rc = look_stat(l, item_object(row, i), &stat);
		if (rc == 0)
			rc = render(l, &stat, slice_sub(owner->canonical, stat.offset, stat.size),
				    true, out);
	}
	return rc;
}

/* Names are <index>-<kind>-<digits><suffix>: the index finds the item, the rest must be its. */
static int item_by_name(struct look *l, const struct node *folder, const char *name,
			const char *suffix, uint64_t *object)
{
	char whole[ITEM_NAME_SIZE];
	const struct block_row *row;
	uint64_t index;
	size_t size;
	const char *dash = strchr(name, '-');

	if (!path_ends(name, suffix, &size) || !dash ||
	    path_padded(name, (size_t)(dash - name), ITEM_DIGITS, &index) < 0)
		return -ENOENT;
	int rc = look_block_object(l, folder->key, &row);
	if (rc < 0)
		return rc;
	if (index >= row->items)
		return -ENOENT;
	rc = item_name(l, row, (uint32_t)index, whole);
	if (rc < 0)
		return rc;
	*object = item_object(row, (uint32_t)index);
	return strlen(whole) == size && memcmp(whole, name, size) == 0 ? 0 : -ENOENT;
}

static int item_find(struct look *l, const struct node *folder, const char *name, struct node *out)
{
	uint64_t object;
	int rc = item_by_name(l, folder, name, ".json", &object);

	if (rc == 0)
		node_of_object(out, ROW_ITEM, object);
	return rc;
}

static int item_bytes_find(struct look *l, const struct node *folder, const char *name,
			   struct node *out)
{
	uint64_t object;
	int rc = item_by_name(l, folder, name, look_ops(l)->block_suffix, &object);

	if (rc == 0)
		node_of_object(out, ROW_ITEM_BYTES, object);
	return rc;
}

static int item_list(struct look *l, const struct node *folder, const struct node *child,
		     uint64_t after, struct lister *to)
{
	AUTO(block_bytes_putp) const struct block_bytes *owner = NULL;
	const struct block_row *row;
	int rc = look_block_object(l, folder->key, &row);

	if (rc == 0 && after < row->items)
		rc = network_block_bytes(l->view->network, row, &owner, l->err);
	for (uint64_t i = after; rc == 0 && i < row->items; i++) {
		char name[ITEM_NAME_SIZE + 8];
		struct node n = *child;
		struct stat_record stat;

		rc = look_stat(l, item_object(row, (uint32_t)i), &stat);
		if (rc == 0)
			rc = name_in(l, &stat, owner, name);
		if (rc < 0)
			return rc;
		strcat(name, ".json");
		node_of_object(&n, ROW_ITEM, item_object(row, (uint32_t)i));
		struct attr attr = { .type = NODE_FILE,
				     .size = stat.json_size,
				     .mtime = stat.time };
		if (!lister_give(to, name, &n, i + 1,
				 stat.renderer == look_ops(l)->renderer ? &attr : NULL))
			return 0;
	}
	return rc;
}

static int item_attr(struct look *l, const struct node *n, struct attr *out)
{
	return object_attr(l, n->key, n->row == ROW_ITEM_BYTES ? OBJECT_BYTES : OBJECT_JSON, out);
}

static int item_read(struct look *l, const struct node *n, struct buf *out)
{
	return object_read(l, n->key, n->row == ROW_ITEM_BYTES ? OBJECT_BYTES : OBJECT_JSON, out);
}

static int items_attr(struct look *l, const struct node *n, struct attr *out)
{
	const struct block_row *row;
	int rc = look_block_object(l, n->key, &row);

	if (rc < 0)
		return rc;
	out->mtime = row->time;
	out->large = row->items > LARGE_FOLDER;
	return 0;
}

static int items_parent(struct look *l, const struct node *n, struct node *out)
{
	out->key = n->key;
	return 0;
}

/* ---- files that are the block's for ever ---- */

static int object_make(struct look *l, const struct node *folder, struct node *out)
{
	node_of_object(out, out->row, folder->key);
	return 0;
}

static int suffixed_find(struct look *l, const struct node *folder, const char *stem,
			 const char *name, struct node *out)
{
	size_t size;

	if (!path_ends(name, look_ops(l)->block_suffix, &size) || size != strlen(stem) ||
	    memcmp(name, stem, size) != 0)
		return -ENOENT;
	node_of_object(out, out->row, folder->key);
	return 0;
}

static int suffixed_list(struct look *l, const struct node *folder, const struct node *child,
			 const char *stem, struct lister *to)
{
	char name[PATH_NAME_SIZE];
	struct node n = *child;

	strcpy(stpcpy(name, stem), look_ops(l)->block_suffix);
	node_of_object(&n, child->row, folder->key);
	lister_give(to, name, &n, 1, NULL);
	return 0;
}

static int block_bytes_find(struct look *l, const struct node *folder, const char *name,
			    struct node *out)
{
	return suffixed_find(l, folder, "block", name, out);
}

static int block_bytes_list(struct look *l, const struct node *folder, const struct node *child,
			    uint64_t after, struct lister *to)
{
	return suffixed_list(l, folder, child, "block", to);
}

/* A block that came without a certificate has no file of it. */
static int has_commits(struct look *l, const struct node *folder)
{
	const struct block_row *row;
	int rc = look_block_object(l, folder->key, &row);

	return rc < 0 || row->certificate_size ? rc : -ENOENT;
}

static int commits_find(struct look *l, const struct node *folder, const char *name,
			struct node *out)
{
	int rc = suffixed_find(l, folder, "commits", name, out);

	return rc < 0 ? rc : has_commits(l, folder);
}

static int commits_list(struct look *l, const struct node *folder, const struct node *child,
			uint64_t after, struct lister *to)
{
	int rc = has_commits(l, folder);

	return rc < 0 ? rc : suffixed_list(l, folder, child, "commits", to);
}

static int file_attr(struct look *l, const struct node *n, struct attr *out)
{
	const struct block_row *row;
	int rc = look_block_object(l, n->key, &row);

	if (rc < 0)
		return rc;
	out->mtime = row->time;
	switch (n->row) {
	case ROW_BLOCK_BYTES:
		out->size = row->canonical_size;
		break;
	case ROW_COMMITS:
		out->size = row->certificate_size;
		break;
	case ROW_HEADER:
		out->size = row->header_size;
		break;
	case ROW_HEADER_JSON:
		out->size = row->header_json_size;
		break;
	default:
		out->size = row->parent_file_size;
		break;
	}
	return 0;
}

static int stored_read(struct look *l, const struct node *n, struct buf *out)
{
	AUTO(block_bytes_putp) const struct block_bytes *owner = NULL;
	const struct block_row *row;
	int rc = look_block_object(l, n->key, &row);

	if (rc == 0)
		rc = network_block_bytes(l->view->network, row, &owner, l->err);
	if (rc < 0)
		return rc;
	buf_add(out, n->row == ROW_COMMITS ? owner->certificate : owner->canonical);
	return buf_done(out);
}

static int header_file_read(struct look *l, const struct node *n, struct buf *out)
{
	const struct block_row *row;
	int rc = look_block_object(l, n->key, &row);

	if (rc < 0)
		return rc;
	return header_read(l->view->network, row,
			   n->row == ROW_HEADER        ? HEADER_TEXT
			   : n->row == ROW_HEADER_JSON ? HEADER_JSON
						       : HEADER_PARENT,
			   out, l->err);
}

/* ---- who signed: a table as wide as a key, so that its size needs no certificate ---- */

static size_t signers_size(struct look *l, const struct block_row *row)
{
	return SIGNER_LINE_SIZE * look_ops(l)->signer_count(network_params(l->view->network),
							    row->shard, row->height);
}

/* Without a certificate, or without known validators, there is no such file. */
static int signers_make(struct look *l, const struct node *folder, struct node *out)
{
	const struct block_row *row;
	int rc = look_block_object(l, folder->key, &row);

	if (rc < 0)
		return rc;
	if (!row->certificate_size || !signers_size(l, row))
		return -ENOENT;
	return object_make(l, folder, out);
}

static int signers_attr(struct look *l, const struct node *n, struct attr *out)
{
	const struct block_row *row;
	int rc = look_block_object(l, n->key, &row);

	if (rc < 0)
		return rc;
	out->mtime = row->time;
	out->size = signers_size(l, row);
	return 0;
}

static int signers_read(struct look *l, const struct node *n, struct buf *out)
{
	AUTO(block_bytes_putp) const struct block_bytes *owner = NULL;
	const struct block_row *row;
	int rc = look_block_object(l, n->key, &row);

	if (rc == 0)
		rc = network_block_bytes(l->view->network, row, &owner, l->err);
	if (rc == 0)
		rc = look_ops(l)->render_signers(network_params(l->view->network), row->shard,
						 row->height, owner->certificate, out);
	return rc;
}

/* ---- verify and outcomes: of a view until the block is replayed, then for ever ---- */

#define KEY_UNSUPPORTED 1 /* in a key: the rules of this block are not ours, and its row says so */

static int settling_make(struct look *l, const struct node *folder, struct node *out)
{
	const struct block_row *row;
	int rc = look_block_object(l, folder->key, &row);

	if (rc < 0)
		return rc;
	if (row->height <= look_shard(l, row->shard)->replayed) {
		node_of_object(out, out->row, folder->key);
		return 0;
	}
	/* The row may say what this view did not know yet: the key says what may be told. */
	out->key = row->height << 1 |
		   (row->levels[LEVEL_STATE].verdict == VERDICT_UNSUPPORTED ? KEY_UNSUPPORTED : 0);
	node_common(out);
	node_of_view(l, out);
	return 0;
}

int settling_row(struct look *l, const struct node *n, const struct block_row **out)
{
	return n->of_object ? look_block_object(l, n->key, out)
			    : look_block(l, n->scope.shard, n->key >> 1, out);
}

static int settling_read(struct look *l, const struct node *n, struct buf *out)
{
	AUTO(outcome_list_release) struct outcome_list list = { .outcomes = NULL };
	const struct block_row *row;
	int rc = settling_row(l, n, &row);

	if (rc < 0)
		return rc;
	uint64_t begins = look_shard(l, row->shard)->begins;
	bool replayed = n->of_object && row->height > begins;

	if (n->row == ROW_VERIFY) {
		render_verify(row, n->of_object || n->key & KEY_UNSUPPORTED,
			      network_trust(l->view->network), out);
		return buf_done(out);
	}
	if (replayed) {
		rc = network_outcomes(l->view->network, row->shard, row->height, &list);
		if (rc <= 0)
			return err_set(l->err, rc ? rc : -EUCLEAN,
				       "shard %u height %" PRIu64 ": its outcomes are missing",
				       row->shard, row->height);
	}
	render_outcomes(replayed ? &list : NULL, row->items, n->of_object ? begins : 0, out);
	return buf_done(out);
}

static int settling_attr(struct look *l, const struct node *n, struct attr *out)
{
	AUTO(buf_release) struct buf text = BUF_INIT(TEXT_SIZE_MAX);
	const struct block_row *row;
	int rc = settling_row(l, n, &row);

	if (rc == 0)
		out->mtime = row->time;
	if (rc == 0)
		rc = settling_read(l, n, &text);
	out->size = text.n;
	return rc;
}

const struct entry_ops block_bytes_ops = {
	.find = block_bytes_find, .list = block_bytes_list, .few = true, .attr = file_attr,
	.read = stored_read,
};
const struct entry_ops commits_ops = {
	.find = commits_find, .list = commits_list, .few = true, .attr = file_attr,
	.read = stored_read,
};
const struct entry_ops signers_ops = {
	.make = signers_make, .attr = signers_attr, .read = signers_read,
};
const struct entry_ops header_ops = {
	.make = object_make, .attr = file_attr, .read = header_file_read,
};
const struct entry_ops header_json_ops = {
	.make = object_make, .attr = file_attr, .read = header_file_read,
};
const struct entry_ops parent_ops = {
	.make = object_make, .attr = file_attr, .read = header_file_read,
};
const struct entry_ops verify_ops = {
	.make = settling_make, .attr = settling_attr, .read = settling_read,
};
const struct entry_ops outcomes_ops = {
	.make = settling_make, .attr = settling_attr, .read = settling_read,
};
const struct entry_ops items_ops = { .attr = items_attr, .parent = items_parent };
const struct entry_ops item_ops = {
	.find = item_find, .list = item_list, .attr = item_attr, .read = item_read,
};
const struct entry_ops item_bytes_ops = {
	.find = item_bytes_find, .attr = item_attr, .read = item_read,
};
