/* Messages as they are received, before anything is decoded: which block it is, and the certificate
 * apart from what all nodes have the same of. */
#include "core/chain/snapchain/block.h"
#include "proto/wire.h"

#define FIELD_HEADER  1 /* of Block and ShardChunk; so are the next two */
#define FIELD_HASH    2
#define FIELD_COMMITS 4
#define FIELD_HEIGHT  1 /* of both headers */

/* The content of the first field of that number, which prost writes first. */
static bool find_bytes(struct slice message, uint32_t number, struct slice *out)
{
	struct wire w = wire_of(message);
	struct wire_field f;

	while (wire_next(&w, &f)) {
		if (f.number != number || f.type != WIRE_BYTES)
			continue;
		*out = f.bytes;
		return true;
	}
	return false;
}

int sc_block_peek(struct slice received, bool main_shard, struct chain_peek *out, struct err *err)
{
	struct slice header, height;
	struct wire_field f;

	if (!find_bytes(received, FIELD_HEADER, &header) ||
	    !find_bytes(header, FIELD_HEIGHT, &height))
		return err_set(err, -EBADMSG, "structure: no height");

	struct wire w = wire_of(height);
	uint64_t shard = 0, number = 0;

	while (wire_next(&w, &f)) {
		if (f.number == 1)
			shard = f.value;
		else if (f.number == 2)
			number = f.value;
	}
	if (wire_done(&w) < 0 || number == 0 || shard >= SHARD_MAX || (shard == 0) != main_shard)
		return err_set(err, -EBADMSG, "structure: height of another shard");
	*out = (struct chain_peek){ .shard = (uint32_t)shard, .height = number };
	if (!find_bytes(received, FIELD_HASH, &out->hash))
		out->hash = SLICE_EMPTY;
	return 0;
}

int sc_block_split(struct slice received, bool main_shard, struct buf *canonical,
		   struct buf *certificate, struct err *err)
{
	struct wire w = wire_of(received);
	struct wire_field f;
	bool seen = false;
	int rc = buf_reserve(canonical, received.n);

	while (rc == 0 && wire_next(&w, &f)) {
		if (f.number != FIELD_COMMITS) {
			buf_add(canonical, f.whole);
			continue;
		}
		/* Its key and size are kept nowhere, so they must be the only ones possible. */
		if (seen || f.type != WIRE_BYTES || !f.shortest)
			return err_set(err, -EBADMSG, "structure: commits: twice or malformed");
		seen = true;
		buf_add(certificate, f.bytes);
	}
	if (rc == 0 && wire_done(&w) < 0)
		return err_set(err, -EBADMSG, "structure: does not parse");
	rc = buf_done(canonical) < 0 ? buf_done(canonical) : buf_done(certificate);
	return rc < 0 ? err_set(err, rc, "structure: %zu bytes: %s", received.n, strerror(-rc)) : 0;
}

int sc_block_join(struct slice canonical, struct slice certificate, bool main_shard,
		  struct buf *out, struct err *err)
{
	struct wire w = wire_of(canonical);
	struct wire_field f;
	bool joined = false;

	while (wire_next(&w, &f)) {
		if (!joined && f.number > FIELD_COMMITS) {
			wire_put_bytes(out, FIELD_COMMITS, certificate);
			joined = true;
		}
		buf_add(out, f.whole);
	}
	if (wire_done(&w) < 0)
		return err_set(err, -EBADMSG, "structure: does not parse");
	if (!joined)
		wire_put_bytes(out, FIELD_COMMITS, certificate);
	int rc = buf_done(out);

	return rc < 0 ? err_set(err, rc, "a block of %zu bytes: %s", canonical.n, strerror(-rc))
		      : 0;
}
