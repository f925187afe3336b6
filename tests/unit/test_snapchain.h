/* What the tests of core/chain/snapchain share: recordings, and messages made here. */
#ifndef CHAINFS_TESTS_SNAPCHAIN_H
#define CHAINFS_TESTS_SNAPCHAIN_H

#include <stdio.h>
#include <zstd.h>

#include "core/base/hash.h"
#include "core/base/sign.h"
#include "core/chain/snapchain/block.h"
#include "proto/prost.h"
#include "proto/wire.h"
#include "tests/support/support.h"

#define RECORDING "tests/vectors/devnet-a"
#define RECORDING_OTHER_NODE "tests/vectors/devnet-a-node2"

static inline ProtobufCBinaryData bytes_of(const void *p, size_t n)
{
	return (ProtobufCBinaryData){ .len = n, .data = (uint8_t *)(uintptr_t)p };
}

static inline ProtobufCBinaryData text_of(const char *text)
{
	return bytes_of(text, strlen(text));
}

/* ---- recordings: varint size, message, … ---- */

static inline struct buf recording_read(const char *folder, const char *stream)
{
	struct buf out = BUF_INIT(64u << 20);
	char path[256];
	size_t size;

	snprintf(path, sizeof path, "%s/%s.pbs.zst", folder, stream);
	uint8_t *packed = file_read(path, &size);
	ZSTD_DStream *d = ZSTD_createDStream();
	ZSTD_inBuffer in = { packed, size, 0 };
	size_t left = 1;

	assert_non_null(d);
	while (left) {
		assert_int_equal(buf_reserve(&out, 1 << 20), 0);
		ZSTD_outBuffer room = { out.p + out.n, out.cap - out.n, 0 };

		left = ZSTD_decompressStream(d, &room, &in);
		assert_false(ZSTD_isError(left));
		assert_true(room.pos > 0 || left == 0);
		out.n += room.pos;
	}
	ZSTD_freeDStream(d);
	free(packed);
	return out;
}

static inline struct chain_params *recording_params(const char *folder)
{
	struct chain_params *p = NULL;
	struct err err = ERR_INIT;
	char path[256];
	size_t size;

	snprintf(path, sizeof path, "%s/network.json", folder);
	uint8_t *text = file_read(path, &size);
	int rc = sc_params_parse(SLICE(text, size), &p, &err);

	free(text);
	assert_string_equal(err.text, "");
	assert_int_equal(rc, 0);
	return p;
}

static inline void params_freep(struct chain_params **p)
{
	sc_params_free(*p);
	*p = NULL;
}

/* The nth message of a stream, from 1. */
static inline struct slice stream_at(const struct buf *stream, uint64_t nth)
{
	struct rd r = rd_of(buf_slice(stream));
	struct slice m = SLICE_EMPTY;

	while (nth-- > 0)
		m = rd_blob(&r);
	assert_true(rd_ok(&r));
	return m;
}

/* Split and decode in one. */
static inline int block_read(const struct chain_params *p, struct slice received, bool main_shard,
			     struct sc_block **out, struct err *err)
{
	AUTO(buf_release) struct buf canonical = BUF_INIT(BLOCK_SIZE_MAX);
	AUTO(buf_release) struct buf certificate = BUF_INIT(BLOCK_SIZE_MAX);
	int rc = sc_block_split(received, main_shard, &canonical, &certificate, err);

	return rc < 0 ? rc
		      : sc_block_decode(p, main_shard, true, &canonical, &certificate, out, err);
}

/* ---- messages made here ---- */

static inline void encode(const ProtobufCMessage *m, struct buf *out)
{
	prost_encode(m, out);
	assert_int_equal(buf_done(out), 0);
}

/* A signed Message: fields data (may be empty) and data_bytes (NULL: none); `hashed` is signed. */
static inline void message_make(struct slice data, const struct slice *data_bytes,
				struct slice hashed, struct buf *out)
{
	static const uint8_t seed[ED25519_SEED_SIZE] = { 7 };
	uint8_t key[ED25519_KEY_SIZE], secret[ED25519_SECRET_SIZE];
	uint8_t hash[HASH20_SIZE], signature[ED25519_SIGNATURE_SIZE];

	ed25519_from_seed(seed, key, secret);
	hash_blake3_20(hashed, hash);
	ed25519_sign(secret, SLICE_ARRAY(hash), signature);
	if (data.n)
		wire_put_message(out, 1, data);
	wire_put_bytes(out, 2, SLICE_ARRAY(hash));
	wire_put_varint(out, 3, 1);
	wire_put_bytes(out, 4, SLICE_ARRAY(signature));
	wire_put_varint(out, 5, 1);
	wire_put_bytes(out, 6, SLICE_ARRAY(key));
	if (data_bytes)
		wire_put_message(out, 7, *data_bytes);
	assert_int_equal(buf_done(out), 0);
}

#endif
