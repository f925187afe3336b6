#include "core/chain/snapchain/message.h"

#include "core/base/hash.h"
#include "core/base/sign.h"
#include "core/chain/snapchain/codec.h"
#include "proto/prost.h"

#define SCHEME_BLAKE3  1
#define SCHEME_ED25519 1

static bool hash_is(struct slice preimage, struct slice hash)
{
	uint8_t computed[HASH20_SIZE];

	if (hash.n != HASH20_SIZE)
		return false;
	hash_blake3_20(preimage, computed);
	return memcmp(computed, hash.p, HASH20_SIZE) == 0;
}

static int encode(const ProtobufCMessage *m, struct buf *out)
{
	if (buf_reserve(out, prost_size(m)) == 0)
		prost_encode(m, out);
	return buf_done(out);
}

/* data as prost would have written it, when the received bytes do not give the hash: writers other
 * than prost put a parent_url elsewhere (snapchain.md 1.1). */
static int try_prost_order(const Sc__Message *pb, struct arena *arena, struct sc_message *out)
{
	AUTO(buf_release) struct buf again = BUF_INIT(BLOCK_SIZE_MAX);
	int rc = encode(&pb->data->base, &again);

	if (rc < 0)
		return rc;
	if (!hash_is(buf_slice(&again), sc_bytes(pb->hash)))
		return 0;
	uint8_t *kept = arena_alloc(arena, again.n);

	if (!kept)
		return arena_full(arena) ? -EMSGSIZE : -ENOMEM;
	memcpy(kept, again.p, again.n);
	out->preimage = SLICE(kept, again.n);
	out->hash_ok = true;
	return 0;
}

/* Nodes overwrite data from data_bytes when they take a message in, so in an honest block data is
 * what prost makes of data_bytes. */
static int compare_forms(const Sc__Message *pb, struct sc_message *out)
{
	AUTO(buf_release) struct buf a = BUF_INIT(BLOCK_SIZE_MAX);
	AUTO(buf_release) struct buf b = BUF_INIT(BLOCK_SIZE_MAX);
	struct slice data = wire_bytes_of(&pb->data->base);

	out->differs = true;
	if (!out->content)
		return 0;
	out->differs = false;
	if (slice_eq(data, sc_bytes(pb->data_bytes)))
		return 0;
	int rc = encode(&out->content->base, &a);

	if (rc < 0 || slice_eq(buf_slice(&a), data))
		return rc;
	rc = encode(&pb->data->base, &b);
	out->differs = !slice_eq(buf_slice(&a), buf_slice(&b));
	return rc;
}

/* What the user signed, in an encoding of the user's choice. */
static int decode_data_bytes(struct slice bytes, struct arena *arena, struct sc_message *out)
{
	ProtobufCMessage *m = NULL;
	int rc = wire_unpack(&sc__message_data__descriptor, bytes, &sc_lax, arena, &m, NULL);

	if (rc == -EBADMSG)
		return 0; /* the message fails, not the block */
	out->content = (const Sc__MessageData *)m;
	return rc;
}

int sc_message_of(const Sc__Message *pb, struct arena *arena, bool verify, struct sc_message *out,
		  struct err *err)
{
	bool has_bytes = pb->_data_bytes_case == SC__MESSAGE___DATA_BYTES_DATA_BYTES;
	int rc = 0;

	*out = (struct sc_message){
		.raw = wire_bytes_of(&pb->base),
		.pb = pb,
		.content = pb->data,
	};
	if (has_bytes) {
		out->preimage = sc_bytes(pb->data_bytes);
	} else if (pb->data) {
		out->preimage = wire_bytes_of(&pb->data->base);
	}
	if (has_bytes && out->preimage.n > 0) {
		out->content = NULL;
		rc = decode_data_bytes(out->preimage, arena, out);
		if (rc == 0 && pb->data)
			rc = compare_forms(pb, out);
	}
	if (rc < 0)
		return err_note(err, rc, "data_bytes");
	if (out->preimage.n > 0 && pb->hash_scheme == SCHEME_BLAKE3) {
		out->hash_ok = hash_is(out->preimage, sc_bytes(pb->hash));
		if (!out->hash_ok && !has_bytes)
			rc = try_prost_order(pb, arena, out);
		if (rc < 0)
			return err_note(err, rc, "data");
	}
	/* The signature covers the hash alone: it says nothing of a message whose hash differs. */
	if (verify && out->hash_ok && pb->signature_scheme == SCHEME_ED25519 &&
	    pb->signature.len == ED25519_SIGNATURE_SIZE && pb->signer.len == ED25519_KEY_SIZE)
		out->signature_ok = ed25519_verify(pb->signer.data, pb->signature.data,
						   sc_bytes(pb->hash));
	return 0;
}

int sc_message_decode(struct slice raw, struct arena *arena, bool verify, struct sc_message *out,
		      struct err *err)
{
	ProtobufCMessage *m = NULL;
	int rc = wire_unpack(&sc__message__descriptor, raw, &sc_strict, arena, &m, err);

	if (rc < 0)
		return rc;
	return sc_message_of((const Sc__Message *)m, arena, verify, out, err);
}
