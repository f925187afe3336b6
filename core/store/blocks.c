#include "core/store/blocks.h"

/* A list as it is read back: a bound on what one row of our own may ask to allocate. */
#define LIST_BYTES_MAX (256u << 20)

static int done(struct rd *r)
{
	return rd_done(r) < 0 ? -EUCLEAN : 0;
}

static uint32_t rd_u32(struct rd *r)
{
	uint64_t v = rd_varint(r);

	r->failed |= v > UINT32_MAX;
	return (uint32_t)v;
}

/* A blob into an array of fixed size; its size. */
static uint8_t rd_array(struct rd *r, uint8_t *out, size_t size_max)
{
	struct slice s = rd_blob(r);

	if (s.n > size_max) {
		r->failed = true;
		return 0;
	}
	if (s.n)
		memcpy(out, s.p, s.n);
	return (uint8_t)s.n;
}

static void rd_hash(struct rd *r, uint8_t out[HASH_SIZE])
{
	struct slice s = rd_bytes(r, HASH_SIZE);

	if (s.n == HASH_SIZE)
		memcpy(out, s.p, HASH_SIZE);
}

/* Text of a level or outcome: bytes without NUL that fit behind one. */
static void rd_text(struct rd *r, char *out, size_t out_size)
{
	struct slice s = rd_blob(r);

	if (s.n >= out_size || (s.n && memchr(s.p, '\0', s.n))) {
		r->failed = true;
		return;
	}
	if (s.n)
		memcpy(out, s.p, s.n);
	out[s.n] = '\0';
}

/* ---- where bytes lie ---- */

void segment_ref_write(const struct segment_ref *ref, struct buf *out)
{
	buf_varint(out, ref->segment);
	buf_varint(out, ref->offset);
	buf_varint(out, ref->stored);
	buf_varint(out, ref->size);
	buf_varint(out, ref->inner);
	buf_varint(out, ref->canonical_size);
	buf_varint(out, ref->certificate_size);
}

static void rd_ref(struct rd *r, struct segment_ref *out)
{
	*out = (struct segment_ref){ .segment = rd_u32(r) };
	out->offset = rd_varint(r);
	out->stored = rd_u32(r);
	out->size = rd_u32(r);
	out->inner = rd_u32(r);
	out->canonical_size = rd_u32(r);
	out->certificate_size = rd_u32(r);
	uint64_t end = (uint64_t)out->inner + out->canonical_size + out->certificate_size;

	r->failed |= out->segment == 0 || end > out->size;
}

int segment_ref_read(struct slice in, struct segment_ref *out)
{
	struct rd r = rd_of(in);

	rd_ref(&r, out);
	return done(&r);
}

/* ---- blocks ---- */

#define BLOCK_UNCOMMITTED 0x01
#define BLOCK_HAS_DIGEST  0x02
#define BLOCK_PLACES_ONLY 0x04 /* of what it witnesses: no hashes, which older rows have */

static void write_levels(const struct block_row *row, struct buf *out)
{
	uint8_t with_reason = 0;

	static_assert(LEVEL_COUNT <= 8, "one bit a level");
	for (size_t l = 0; l < LEVEL_COUNT; l++) {
		buf_u8(out, row->levels[l].verdict);
		with_reason |= (uint8_t)((row->levels[l].reason[0] != '\0') << l);
	}
	buf_u8(out, with_reason);
	for (size_t l = 0; l < LEVEL_COUNT; l++)
		if (with_reason >> l & 1)
			buf_blob(out, SLICE(row->levels[l].reason,
					    strnlen(row->levels[l].reason, REASON_SIZE - 1)));
}

static void rd_levels(struct rd *r, struct block_row *out)
{
	for (size_t l = 0; l < LEVEL_COUNT; l++) {
		out->levels[l].verdict = rd_u8(r);
		r->failed |= out->levels[l].verdict >= VERDICT_COUNT;
	}
	uint8_t with_reason = rd_u8(r);

	r->failed |= with_reason >> LEVEL_COUNT;
	for (size_t l = 0; l < LEVEL_COUNT; l++)
		if (with_reason >> l & 1)
			rd_text(r, out->levels[l].reason, REASON_SIZE);
}

void block_row_write_head(const struct block_row *row, bool places_only, struct buf *out)
{
	buf_varint(out, row->object);
	buf_bytes(out, row->hash, HASH_SIZE);
	buf_blob(out, SLICE(row->parent, row->parent_size));
	buf_varint(out, row->time);
	buf_varint(out, row->items);
	buf_varint(out, row->line_bytes);
	buf_varint(out, row->header_size);
	buf_varint(out, row->header_json_size);
	buf_varint(out, row->parent_file_size);
	buf_u8(out, (uint8_t)((row->uncommitted ? BLOCK_UNCOMMITTED : 0) |
			      (row->has_digest ? BLOCK_HAS_DIGEST : 0) |
			      (places_only ? BLOCK_PLACES_ONLY : 0)));
	if (row->has_digest)
		buf_bytes(out, row->digest, BLOCK_DIGEST_SIZE);
	write_levels(row, out);
	buf_varint(out, row->witness_count);
	for (size_t i = 0; i < row->witness_count; i++) {
		buf_varint(out, row->witnesses[i].shard);
		buf_varint(out, row->witnesses[i].height);
		if (!places_only)
			buf_bytes(out, row->witnesses[i].hash, HASH_SIZE);
	}
}

int block_row_read(struct slice in, struct block_row *out)
{
	struct rd r = rd_of(in);

	out->object = rd_varint(&r);
	rd_hash(&r, out->hash);
	out->parent_size = rd_array(&r, out->parent, sizeof out->parent);
	out->time = rd_varint(&r);
	out->items = rd_u32(&r);
	out->line_bytes = rd_varint(&r);
	out->header_size = rd_u32(&r);
	out->header_json_size = rd_u32(&r);
	out->parent_file_size = rd_u32(&r);
	uint8_t flags = rd_u8(&r);

	out->uncommitted = flags & BLOCK_UNCOMMITTED;
	out->has_digest = flags & BLOCK_HAS_DIGEST;
	r.failed |= flags & (uint8_t) ~(BLOCK_UNCOMMITTED | BLOCK_HAS_DIGEST | BLOCK_PLACES_ONLY);
	if (out->has_digest) {
		struct slice digest = rd_bytes(&r, BLOCK_DIGEST_SIZE);

		if (digest.n == BLOCK_DIGEST_SIZE)
			memcpy(out->digest, digest.p, BLOCK_DIGEST_SIZE);
	}
	rd_levels(&r, out);
	out->witness_count = rd_u32(&r);
	if (out->witness_count > SHARD_MAX)
		return -EUCLEAN;
	for (size_t i = 0; i < out->witness_count; i++) {
		out->witnesses[i].shard = rd_u32(&r);
		out->witnesses[i].height = rd_varint(&r);
		/* Nobody asks a row for it: the block's own bytes say it. */
		memset(out->witnesses[i].hash, 0, HASH_SIZE);
		if (!(flags & BLOCK_PLACES_ONLY))
			rd_bytes(&r, HASH_SIZE);
	}
	rd_ref(&r, &out->bytes);
	out->canonical_size = out->bytes.canonical_size;
	out->certificate_size = out->bytes.certificate_size;
	return done(&r);
}

/* ---- roots ---- */

static void write_root(const struct chain_root *root, struct buf *out)
{
	buf_blob(out, SLICE(root->root, root->root_size));
	buf_varint(out, root->records);
}

static void rd_root(struct rd *r, struct chain_root *out)
{
	out->root_size = rd_array(r, out->root, sizeof out->root);
	out->records = rd_varint(r);
}

/* hyper's root is written only where it differs. */
#define ROOTS_HAS_HYPER 0x01
#define ROOTS_DIFFER    0x02

void roots_row_write(const struct roots_row *row, struct buf *out)
{
	bool differ = !chain_root_eq(&row->legacy, &row->hyper);

	uint8_t flags = (row->has_hyper ? ROOTS_HAS_HYPER : 0) | (differ ? ROOTS_DIFFER : 0);

	buf_u8(out, flags);
	write_root(&row->legacy, out);
	if (differ)
		write_root(&row->hyper, out);
	buf_varint(out, row->retained);
	buf_varint(out, row->envelope_size);
	buf_varint(out, row->envelope_json_size);
}

int roots_row_read(struct slice in, struct roots_row *out)
{
	struct rd r = rd_of(in);
	uint8_t flags = rd_u8(&r);

	*out = (struct roots_row){ .has_hyper = flags & ROOTS_HAS_HYPER };
	r.failed |= flags & (uint8_t)~(ROOTS_HAS_HYPER | ROOTS_DIFFER);
	rd_root(&r, &out->legacy);
	out->hyper = out->legacy;
	if (flags & ROOTS_DIFFER) {
		out->hyper = (struct chain_root){ 0 };
		rd_root(&r, &out->hyper);
	}
	out->retained = rd_varint(&r);
	out->envelope_size = rd_u32(&r);
	out->envelope_json_size = rd_u32(&r);
	return done(&r);
}

/* ---- changes ---- */

/* One byte of space, deleted and reason; then item + 1 and object, as distances from the change
 * before, how many bytes the key shares with the key before, and the rest of it. */
#define CHANGE_SPACE_MASK   0x03
#define CHANGE_DELETED      0x04
#define CHANGE_REASON_SHIFT 3
#define CHANGE_REASON_MASK  0x0f
#define CHANGE_TOLD         0x80 /* the key is left out, and no other key is shared with it */

static_assert(REASON_COUNT <= 16, "a reason has four bits");

static uint64_t zigzag(int64_t v)
{
	return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

static int64_t unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static size_t shared_size(struct slice a, struct slice b)
{
	size_t n = 0, most = MIN(a.n, b.n);

	while (n < most && a.p[n] == b.p[n])
		n++;
	return n;
}

/* No item is 0, so that most distances are 1 or 0. */
static uint64_t item_number(const struct chain_change *c)
{
	return c->item == CHANGE_NO_ITEM ? 0 : (uint64_t)c->item + 1;
}

void changes_write(const struct chain_change *list, size_t count, bool leave_out, struct buf *out)
{
	struct slice key = SLICE_EMPTY;
	uint64_t object = 0, item = 0;

	buf_varint(out, count);
	for (size_t i = 0; i < count; i++) {
		const struct chain_change *c = &list[i];
		size_t shared = shared_size(key, c->key);
		bool told = c->told && leave_out;

		buf_u8(out, (uint8_t)(c->space | (c->deleted ? CHANGE_DELETED : 0) |
				      c->reason << CHANGE_REASON_SHIFT | (told ? CHANGE_TOLD : 0)));
		buf_varint(out, zigzag((int64_t)(item_number(c) - item)));
		buf_varint(out, zigzag((int64_t)(c->object - object)));
		if (!told) {
			buf_varint(out, shared);
			buf_blob(out, slice_sub(c->key, shared, c->key.n));
			key = c->key;
		}
		object = c->object;
		item = item_number(c);
	}
}

/* `shares`: how long the key is that was read last. */
static void rd_change(struct rd *r, const struct chain_change *before, struct buf *keys,
		      size_t *shares, struct chain_change *out)
{
	uint8_t flags = rd_u8(r);

	*out = (struct chain_change){
		.space = flags & CHANGE_SPACE_MASK,
		.deleted = flags & CHANGE_DELETED,
		.told = flags & CHANGE_TOLD,
		.reason = flags >> CHANGE_REASON_SHIFT & CHANGE_REASON_MASK,
	};
	r->failed |= (out->space != SPACE_BOTH && out->space != SPACE_HYPER) ||
		     out->reason >= REASON_COUNT;
	uint64_t item = (before ? item_number(before) : 0) + (uint64_t)unzigzag(rd_varint(r));

	r->failed |= item > CHANGE_NO_ITEM;
	out->item = item ? (uint32_t)(item - 1) : CHANGE_NO_ITEM;
	out->object = (before ? before->object : 0) + (uint64_t)unzigzag(rd_varint(r));
	if (out->told)
		return;
	uint64_t shared = rd_varint(r);
	struct slice rest = rd_blob(r);

	if (!rd_ok(r) || shared > *shares) {
		r->failed = true;
		return;
	}
	/* The keys lie one behind the other; the pointers are set when all are there. */
	if (buf_reserve(keys, shared + rest.n) < 0)
		return;
	if (shared)
		buf_bytes(keys, keys->p + keys->n - *shares, shared);
	buf_add(keys, rest);
	out->key.n = *shares = shared + rest.n;
}

int changes_read(struct slice in, struct change_list *out)
{
	AUTO(change_list_release) struct change_list l = { .bytes = BUF_INIT(LIST_BYTES_MAX) };
	struct rd r = rd_of(in);
	uint64_t count = rd_varint(&r);
	size_t shares = 0;

	if (count > rd_left(&r))
		return -EUCLEAN;
	l.changes = calloc(count ? count : 1, sizeof *l.changes);
	if (!l.changes)
		return -ENOMEM;
	l.change_count = count;
	for (size_t i = 0; i < count && rd_ok(&r); i++)
		rd_change(&r, i ? &l.changes[i - 1] : NULL, &l.bytes, &shares, &l.changes[i]);
	int rc = buf_done(&l.bytes);

	/* Asked first: a key that found no memory makes the next one look wrong. */
	if (rc < 0)
		return rc;
	if (done(&r) < 0)
		return -EUCLEAN;
	const uint8_t *at = l.bytes.p;

	for (size_t i = 0; i < count; i++) {
		l.changes[i].key.p = at;
		at += l.changes[i].key.n;
	}
	*out = l;
	l = (struct change_list){ 0 };
	return 0;
}

void change_list_release(struct change_list *l)
{
	buf_release(&l->bytes);
	buf_release(&l->told);
	free(l->changes);
	*l = (struct change_list){ 0 };
}

/* ---- outcomes ---- */

#define OUTCOME_HAS_REASON 0x80

void outcomes_write(const struct chain_outcome *list, size_t count, struct buf *out)
{
	buf_varint(out, count);
	for (size_t i = 0; i < count; i++) {
		buf_u8(out, (uint8_t)(list[i].outcome | (list[i].reason ? OUTCOME_HAS_REASON : 0)));
		if (list[i].reason)
			buf_blob(out, slice_str(list[i].reason));
	}
}

int outcomes_read(struct slice in, struct outcome_list *out)
{
	AUTO(outcome_list_release) struct outcome_list l = { .bytes = BUF_INIT(LIST_BYTES_MAX) };
	struct rd r = rd_of(in);
	uint64_t count = rd_varint(&r);

	if (count > rd_left(&r))
		return -EUCLEAN;
	l.outcomes = calloc(count ? count : 1, sizeof *l.outcomes);
	/* With room for all the texts, which the row's own size bounds, nothing moves. */
	if (!l.outcomes || buf_reserve(&l.bytes, in.n + 1) < 0)
		return -ENOMEM;
	l.outcome_count = count;
	for (size_t i = 0; i < count && rd_ok(&r); i++) {
		uint8_t flags = rd_u8(&r);

		l.outcomes[i].outcome = flags & (uint8_t)~OUTCOME_HAS_REASON;
		r.failed |= l.outcomes[i].outcome >= OUTCOME_COUNT;
		if (!(flags & OUTCOME_HAS_REASON))
			continue;
		struct slice reason = rd_blob(&r);

		r.failed |= reason.n && memchr(reason.p, '\0', reason.n);
		l.outcomes[i].reason = (const char *)l.bytes.p + l.bytes.n;
		buf_add(&l.bytes, reason);
		buf_u8(&l.bytes, '\0');
	}
	if (done(&r) < 0)
		return -EUCLEAN;
	*out = l;
	l = (struct outcome_list){ 0 };
	return 0;
}

void outcome_list_release(struct outcome_list *l)
{
	buf_release(&l->bytes);
	free(l->outcomes);
	*l = (struct outcome_list){ 0 };
}

/* ---- ranges ---- */

void range_row_write(const struct range_row *row, struct buf *out)
{
	buf_varint(out, row->index_bytes);
	buf_varint(out, row->items_bytes);
	for (size_t i = 0; i < CONTEXT_COUNT; i++)
		buf_varint(out, row->roots_bytes[i]);
	if (row->time)
		buf_varint(out, row->time);
}

int range_row_read(struct slice in, struct range_row *out)
{
	struct rd r = rd_of(in);

	out->index_bytes = rd_varint(&r);
	out->items_bytes = rd_varint(&r);
	for (size_t i = 0; i < CONTEXT_COUNT; i++)
		out->roots_bytes[i] = rd_varint(&r);
	out->time = rd_left(&r) ? rd_varint(&r) : 0; /* rows of before have none */
	return done(&r);
}

/* ---- views ---- */

#define SHARD_VIEW_FORMAT 1

void shard_view_write(const struct shard_view *sv, struct buf *out)
{
	buf_u8(out, SHARD_VIEW_FORMAT);
	buf_varint(out, sv->first_held);
	buf_varint(out, sv->tip);
	buf_varint(out, sv->known);
	buf_varint(out, sv->replayed);
	buf_varint(out, sv->kept_from);
	buf_varint(out, sv->tip_time);
	buf_varint(out, sv->replayed_time);
	buf_bytes(out, sv->tip_hash, HASH_SIZE);
	buf_bytes(out, sv->replayed_hash, HASH_SIZE);
	write_root(&sv->legacy, out);
	write_root(&sv->hyper, out);
	buf_varint(out, sv->retained);
	buf_varint(out, sv->diverged);
	buf_u8(out, sv->hyper_on);
	buf_varint(out, sv->base_height);
	buf_blob(out, SLICE(sv->base_root, sv->base_root_size));
	buf_varint(out, sv->items);
	buf_varint(out, sv->bytes);
	buf_varint(out, sv->refused_items);
	buf_varint(out, REASON_COUNT);
	for (size_t i = 0; i < REASON_COUNT; i++)
		buf_varint(out, sv->changes[i]);
	/* Later fields stand behind, as far as there is something to say. */
	if (sv->begins || sv->hyper_bytes)
		buf_varint(out, sv->begins);
	if (sv->hyper_bytes)
		buf_varint(out, sv->hyper_bytes);
}

int shard_view_read(struct slice in, struct shard_view *out)
{
	struct rd r = rd_of(in);

	if (rd_u8(&r) != SHARD_VIEW_FORMAT)
		return -EUCLEAN;
	out->first_held = rd_varint(&r);
	out->tip = rd_varint(&r);
	out->known = rd_varint(&r);
	out->replayed = rd_varint(&r);
	out->kept_from = rd_varint(&r);
	out->tip_time = rd_varint(&r);
	out->replayed_time = rd_varint(&r);
	rd_hash(&r, out->tip_hash);
	rd_hash(&r, out->replayed_hash);
	rd_root(&r, &out->legacy);
	rd_root(&r, &out->hyper);
	out->retained = rd_varint(&r);
	out->diverged = rd_varint(&r);
	out->hyper_on = rd_u8(&r) != 0;
	out->base_height = rd_varint(&r);
	out->base_root_size = rd_array(&r, out->base_root, sizeof out->base_root);
	out->items = rd_varint(&r);
	out->bytes = rd_varint(&r);
	out->refused_items = rd_varint(&r);
	/* Reasons are added at the end of their list, so that older rows have fewer. */
	uint64_t reasons = rd_varint(&r);

	if (reasons > REASON_COUNT)
		return -EUCLEAN;
	for (size_t i = 0; i < reasons; i++)
		out->changes[i] = rd_varint(&r);
	out->begins = rd_left(&r) ? rd_varint(&r) : 0;
	out->hyper_bytes = rd_left(&r) ? rd_varint(&r) : 0;
	return done(&r);
}
