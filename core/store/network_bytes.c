/* Bytes of blocks and objects: found by their rows, read out of segments, and what is damaged of
 * them. */
#include "core/base/hash.h"
#include "core/base/trace.h"
#include "core/store/blocks.h"
#include "core/store/inside.h"
#include "core/store/tiers.h"

#include <stdio.h>

/* ---- bytes of blocks ---- */

struct piece {
	struct block_bytes bytes; /* first: what is given out */
	struct frame      *frame;
};

static int load_frame(struct network *n, const struct segment_ref *ref, struct frame **out,
		      struct err *err)
{
	AUTO(frame_putp) struct frame *f = cache_get(n->cache, ref->segment, ref->offset);
	struct frame_ref where = { ref->segment, ref->offset, ref->stored, ref->size };

	tier_add(TIER_BLOCKS, f != NULL, f == NULL);
	if (!f) {
		if (ref->size > FRAME_SIZE_MAX)
			return err_set(err, -EBADMSG, "a frame of %u bytes is over every bound",
				       ref->size);
		f = frame_new(ref->segment, ref->offset, ref->size);
		if (!f)
			return err_set(err, -ENOMEM, "no memory for a frame of %u bytes",
				       ref->size);
		int rc = segments_read(n->segments, &where, f->bytes, err);

		if (rc < 0)
			return rc;
		cache_add(n->cache, f);
	}
	*out = TAKE(f);
	return 0;
}

int network_piece(struct network *n, const struct segment_ref *ref, const struct block_bytes **out,
		  struct err *err)
{
	AUTO(frame_putp) struct frame *f = NULL;
	uint64_t end = (uint64_t)ref->inner + ref->canonical_size + ref->certificate_size;

	assert(ref->segment); /* a block of a commit that is not applied has no bytes to read */
	int rc = load_frame(n, ref, &f, err);

	if (rc < 0)
		return err_note(err, rc, "network %s", n->name);
	if (end > f->size)
		return err_set(err, -EUCLEAN, "network %s: a block ends behind its frame", n->name);
	struct piece *p = malloc(sizeof *p);

	if (!p)
		return err_set(err, -ENOMEM, "no memory to read a block");
	p->bytes.canonical = SLICE(f->bytes + ref->inner, ref->canonical_size);
	p->bytes.certificate =
		SLICE(f->bytes + ref->inner + ref->canonical_size, ref->certificate_size);
	p->frame = TAKE(f);
	*out = &p->bytes;
	return 0;
}

/* True when it is news. */
static bool note_damage(struct network *n, const struct block_row *row)
{
	LOCKED(&n->damage_lock);
	for (size_t i = 0; i < n->damage_count; i++)
		if (n->damages[i].shard == row->shard && n->damages[i].height == row->height)
			return false;
	if (n->damage_count == DAMAGES_MAX)
		return false; /* found again by who reads it next, and by fsck */
	n->damages[n->damage_count++] = (struct damage){ row->shard, row->height };
	return true;
}

static void tell_damage(struct network *n, const struct store_damage *what)
{
	if (n->on_damage && n->on_damage->call)
		n->on_damage->call(n->on_damage->arg, n, what);
}

static void met_damage(struct network *n, const struct block_row *row, const char *sentence)
{
	AUTO(view_putp) struct view *v = network_view_get(n);

	/* What is a gap already was noted before; rows of the state lead here still. */
	if (row->shard >= v->shard_count || !gaps_has(&v->shards[row->shard].gaps, row->height) ||
	    !note_damage(n, row))
		return;
	trace_error("store", "the bytes of a block are damaged",
		    "network=%s shard=%u height=%" PRIu64 " reason=\"%s\"", n->name, row->shard,
		    row->height, sentence);
	struct store_damage what = { .shard = row->shard,
				     .height = row->height,
				     .sentence = sentence };

	tell_damage(n, &what);
}

/* ---- damaged files ---- */

/* FNV-1a: nobody who could choose names could write here. */
static uint64_t sum_of_name(const char *file, uint64_t version)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325) ^ version;

	for (; *file; file++)
		sum = (sum ^ (uint8_t)*file) * UINT64_C(0x100000001b3);
	return sum;
}

/* True when it is news; *more: of it no more is told than that there are more. */
static bool note_file(struct network *n, uint64_t sum, bool *more)
{
	LOCKED(&n->damage_lock);
	for (size_t i = 0; i < n->damaged_file_count; i++)
		if (n->damaged_files[i] == sum)
			return false;
	*more = n->damaged_file_count == DAMAGED_FILES_MAX;
	if (*more && n->damaged_more)
		return false;
	if (*more)
		n->damaged_more = true;
	else
		n->damaged_files[n->damaged_file_count++] = sum;
	return true;
}

void network_damaged_file(struct network *n, const char *file, uint64_t version,
			  const char *sentence, const char *mend)
{
	struct store_damage what = { .file = file, .sentence = sentence, .mend = mend };
	bool more;

	if (!note_file(n, sum_of_name(file, version), &more))
		return;
	if (more)
		what = (struct store_damage){ .file = STORE_DAMAGE_MORE,
					      .sentence = "so many files are damaged that the "
							  "others are not told",
					      .mend = "chainfs fsck tells them" };
	trace_error("store", "a file is damaged", "network=%s file=%s reason=\"%s\" mend=\"%s\"",
		    n->name, what.file, what.sentence, what.mend);
	tell_damage(n, &what);
}

void network_damaged_table(void *arg, const char *file, const char *words)
{
	char path[128];

	snprintf(path, sizeof path, "db%s%s", file[0] ? "/" : "", file);
	network_damaged_file(arg, path, 0, words,
			     "unmount it; chainfs fsck --repair makes the network anew of its "
			     "blocks");
}

size_t network_damage_take(struct network *n, struct damage *out, size_t out_max)
{
	LOCKED(&n->damage_lock);
	size_t count = MIN(n->damage_count, out_max);

	memcpy(out, n->damages, count * sizeof *out);
	n->damage_count -= count;
	memmove(n->damages, n->damages + count, n->damage_count * sizeof *out);
	return count;
}

int network_block_check(struct network *n, const struct block_row *row, struct err *err)
{
	const struct segment_ref *ref = &row->bytes;
	struct frame_ref where = { ref->segment, ref->offset, ref->stored, ref->size };
	uint8_t digest[HASH_SIZE];

	if (ref->size > FRAME_SIZE_MAX ||
	    (uint64_t)ref->inner + ref->canonical_size + ref->certificate_size > ref->size)
		return err_set(err, -EBADMSG, "the place of its bytes is none");
	AUTO(base_freep) uint8_t *frame = malloc(MAX(ref->size, 1u));

	if (!frame)
		return err_set(err, -ENOMEM, "no memory for a frame of %u bytes", ref->size);
	int rc = segments_read(n->segments, &where, frame, err);

	if (rc < 0 || !row->has_digest)
		return rc;
	hash_blake3(SLICE(frame + ref->inner, ref->canonical_size), digest);
	return memcmp(digest, row->digest, sizeof row->digest) == 0
		       ? 0
		       : err_set(err, -EBADMSG, "the bytes do not match the digest of their row");
}

int network_block_bytes(struct network *n, const struct block_row *row,
			const struct block_bytes **out, struct err *err)
{
	struct err why = ERR_INIT;
	int rc = network_piece(n, &row->bytes, out, &why);

	if (rc == -EBADMSG)
		met_damage(n, row, why.text);
	return rc < 0 ? err_set(err, rc, "%s", err_text(&why, rc)) : rc;
}

int network_segment_open(const struct network *n, uint32_t segment)
{
	return segments_file(n->segments, segment);
}

/* ---- bytes of objects ---- */

/* A piece that is no block's: no height can become a gap of it. */
static int loose_piece(struct network *n, const struct segment_ref *ref,
		       const struct block_bytes **out, struct err *err)
{
	struct err why = ERR_INIT;
	int rc = network_piece(n, ref, out, &why);

	if (rc == -EBADMSG) {
		char file[64];

		snprintf(file, sizeof file, "segments/%06" PRIu32 ".seg", ref->segment);
		network_damaged_file(n, file, 0, why.text, "chainfs fsck says what lay there");
	}
	return rc < 0 ? err_set(err, rc, "%s", err_text(&why, rc)) : rc;
}

int network_carrier(struct network *n, uint64_t carrier, const struct block_bytes **out,
		    struct err *err)
{
	AUTO(buf_release) struct buf value = BUF_INIT(NETWORK_ROW_SIZE_MAX);
	struct segment_ref ref;
	int rc = network_replay_row(n, REPLAY_CARRIED, 0, carrier, &value);

	if (rc < 0)
		return err_set(err, rc, "network %s: the row of carrier %" PRIu64 " cannot be read",
			       n->name, carrier);
	if (rc == 0)
		return err_set(err, -EUCLEAN, "network %s: carrier %" PRIu64 " is not there",
			       n->name, carrier);
	if (segment_ref_read(buf_slice(&value), &ref) < 0)
		return err_set(err, network_unclean(n, "carrier", 0, carrier),
			       "network %s: a row does not parse", n->name);
	return loose_piece(n, &ref, out, err);
}

static int owner_bytes(struct network *n, const struct stat_record *stat,
		       const struct block_bytes **out, struct err *err)
{
	struct block_row row;
	int rc = network_block(n, stat->shard, stat->height, &row);

	if (rc == 0)
		return err_set(err, -ENODATA,
			       "shard %u height %" PRIu64 ": the block is not held", stat->shard,
			       stat->height);
	if (rc < 0)
		return err_set(err, rc, "shard %u height %" PRIu64 ": its row cannot be read",
			       stat->shard, stat->height);
	return network_block_bytes(n, &row, out, err);
}

int network_object_bytes(struct network *n, const struct stat_record *stat,
			 const struct block_bytes **owner, struct slice *out, struct err *err)
{
	AUTO(block_bytes_putp) const struct block_bytes *bytes = NULL;
	int rc = stat->carrier ? network_carrier(n, stat->carrier, &bytes, err)
			       : owner_bytes(n, stat, &bytes, err);

	if (rc < 0)
		return rc;
	*out = slice_sub(bytes->canonical, stat->offset, stat->size);
	if (out->n != stat->size)
		return err_set(err, -EUCLEAN,
			       "shard %u height %" PRIu64 ": an item lies behind its end",
			       stat->shard, stat->height);
	*owner = TAKE(bytes);
	return 0;
}

void block_bytes_putp(const struct block_bytes **at)
{
	struct piece *p = (struct piece *)(uintptr_t)TAKE(*at);

	if (!p)
		return;
	frame_putp(&p->frame);
	free(p);
}

int network_aside(struct network *n, uint32_t shard, uint64_t height,
		  const struct block_bytes **out, struct err *err)
{
	AUTO(buf_release) struct buf value = BUF_INIT(NETWORK_ROW_SIZE_MAX);
	struct segment_ref ref;
	int rc = network_replay_row(n, REPLAY_ASIDE, shard, height, &value);

	if (rc < 0)
		return err_set(err, rc, "network %s: the row of bytes kept aside cannot be read",
			       n->name);
	if (rc == 0)
		return 0;
	if (segment_ref_read(buf_slice(&value), &ref) < 0)
		return err_set(err, network_unclean(n, "aside", shard, height),
			       "network %s: a row does not parse", n->name);
	rc = loose_piece(n, &ref, out, err);
	return rc < 0 ? rc : 1;
}
