/* Segments: the files themselves, frame by frame, against what rows refer to. */
#include "core/fsck/inside.h"

static void stranger(void *arg, const char *name)
{
	struct fsck *k = arg;

	fault(k, FSCK_ORPHAN, "segment", NOWHERE(0), false,
	      "the file %.100s is none of the store's", name);
}

/* Frames one behind the other. Their payloads were read with the rows that refer to them; what
 * nobody refers to is counted. */
static int walk_file(struct fsck *k, uint32_t segment)
{
	bool last = segment == k->end.segment;
	struct frame_ref at = { .segment = segment };
	uint64_t size = 0, unpacked = 0, end;
	int rc = segments_size(k->network->segments, segment, &size);

	if (rc < 0) {
		fault(k, FSCK_MISSING, "segment", NOWHERE(0), false, "segment %u: %s", segment,
		      rc == -ENOENT ? "the file is gone" : strerror(-rc));
		return 0;
	}
	end = last ? k->end.offset : size;
	if (size < end)
		fault(k, FSCK_DAMAGED, "segment", NOWHERE(0), false,
		      "segment %u has %" PRIu64 " bytes, %" PRIu64 " were committed", segment, size,
		      end);
	while (at.offset < MIN(end, size) &&
	       (rc = segments_header(k->network->segments, &at)) == 1) {
		unpacked += at.size;
		at.offset += FRAME_HEADER_SIZE + at.stored;
		if (stopped(k) < 0)
			return -EINTR;
	}
	progress(k, "segments", segment, k->end.segment);
	if (rc == -EBADMSG) {
		fault(k, FSCK_DAMAGED, "segment", NOWHERE(0), false,
		      "segment %u, offset %" PRIu64 ": no frame begins there", segment, at.offset);
		return 0;
	}
	if (rc >= 0 && unpacked > k->referenced[segment])
		k->counts->unreferenced_bytes += unpacked - k->referenced[segment];
	return rc == -ENOMEM ? rc : 0;
}

int walk_segments(struct fsck *k)
{
	/* A commit under way may have begun one file more. */
	int rc = k->end.segment ? segments_strangers(k->network->segments, UINT32_MAX, stranger, k)
				: 0;

	for (uint32_t s = 1; s <= k->end.segment && rc >= 0; s++)
		rc = walk_file(k, s);
	return MIN(rc, 0);
}
