/* segment.h: plain files of frames, append-only: the bytes of blocks.
 *
 *     segments/000001.seg     frames one behind the other, up to 256 MiB
 *
 *     frame   "CFSF" 4 ‖ version 1 ‖ flags 1 ‖ 0 0 ‖ size unpacked 4 ‖ size stored 4
 *             ‖ first 8 bytes of BLAKE3(all of the header before ‖ payload) ‖ payload
 *             flags: 1 the payload (4: what is left) is one zstd frame; else it is the bytes
 *                      themselves
 *                    4 something is cut out (cuts.h): the payload is the size of what stands
 *                      apart as a varint, those bytes, then what is left
 *                    2 older ones: hashes alone are left out
 *
 * The writer appends behind what is committed; segments_sync() puts it on the disk, and only then
 * may a row refer to it. What was appended and never committed is cut when the folder is opened, or
 * written over.
 * Errors   -EBADMSG: a frame that does not match its checksum or its row, or a file that is shorter
 *          than what was committed; -EIO, -ENOSPC.
 * Threads  reading: any. Writing: ingest. */
#ifndef CHAINFS_STORE_SEGMENT_H
#define CHAINFS_STORE_SEGMENT_H

#include "core/base/bytes.h"
#include "core/base/err.h"
#include "core/store/cuts.h"

#define SEGMENT_SIZE_MAX  (256u << 20)
#define FRAME_HEADER_SIZE 24
#define FRAME_SIZE_MAX    (160u << 20) /* unpacked: the biggest block with its certificate */

struct segments;

/* Where a frame lies. */
struct frame_ref {
	uint32_t segment; /* from 1 */
	uint64_t offset;
	uint32_t stored, size; /* bytes of the payload, bytes unpacked */
};

/* Where the writing stands: everything before it is committed. Segment 0: nothing is. */
struct segments_end {
	uint32_t segment;
	uint64_t offset;
};

/* Makes the folder when `end` says that nothing is committed. Cuts what lies behind `end`. */
int  segments_open(const char *folder, struct segments_end end, bool sync_off,
		   struct segments **out, struct err *err) MUST_CHECK;
/* For reading alone: nothing is made, cut or removed. */
int  segments_open_read(const char *folder, struct segments_end end, struct segments **out,
			struct err *err) MUST_CHECK;
void segments_closep(struct segments **s);

/* `told`: what may be cut out, as cuts_make() takes it. */
int  segments_append(struct segments *s, struct slice bytes, const struct told *told,
		     size_t told_count, struct frame_ref *out, struct err *err) MUST_CHECK;
int  segments_sync(struct segments *s, struct err *err) MUST_CHECK;
/* Bytes that are free on their disk. */
uint64_t segments_room(const struct segments *s);
struct segments_end segments_end(const struct segments *s);
/* What was appended since `end` never happened. */
void segments_rewind(struct segments *s, struct segments_end end);

/* Exactly ref->size bytes into `out`. */
int  segments_read(const struct segments *s, const struct frame_ref *ref, uint8_t *out,
		   struct err *err) MUST_CHECK;

/* ---- looking at the files themselves ---- */
/* The frame that begins at at->segment, at->offset, by its header alone: 1 and its sizes filled in,
 * 0 the file ends there, -EBADMSG no header of ours. */
int  segments_header(const struct segments *s, struct frame_ref *at) MUST_CHECK;
/* Bytes of a segment's file; -ENOENT. */
int  segments_size(const struct segments *s, uint32_t segment, uint64_t *size) MUST_CHECK;
/* A descriptor of a segment's file, to be read and closed; -ENOENT. */
int  segments_file(const struct segments *s, uint32_t segment) MUST_CHECK;
/* Calls with each name in the folder that is no segment's up to `last`. */
int  segments_strangers(const struct segments *s, uint32_t last,
			void (*call)(void *arg, const char *name), void *arg) MUST_CHECK;

#endif
