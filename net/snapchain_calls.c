#include "net/snapchain_calls.h"

#include <stdio.h>

#include "core/base/trace.h"
#include "proto/snapchain_rpc.pb-c.h"
#include "proto/wire.h"

enum { EVENT_BLOCK_CONFIRMED = 11 };

static const struct wire_rules lax = { .strict = false };

int info_read(struct slice message, struct info *out, struct err *err)
{
	AUTO(arena_freep) struct arena *arena = arena_new(INFO_SIZE_MAX * 4 + message.n * 80);
	ProtobufCMessage *m = NULL;
	*out = (struct info){ 0 };
	int rc = arena ? wire_unpack(&scr__get_info_response__descriptor, message, &lax, arena, &m,
				     err)
		       : -ENOMEM;
	if (rc < 0)
		return err_note(err, rc, "GetInfo");
	const Scr__GetInfoResponse *r = (const Scr__GetInfoResponse *)(const void *)m;
	trace_escape(out->version, sizeof out->version, (const char *)r->version.data,
		     r->version.len);
	trace_escape(out->peer, sizeof out->peer, (const char *)r->peer_id.data, r->peer_id.len);
	out->shards = r->num_shards;
	out->announces = r->next_engine_version_timestamp != 0;
	for (size_t i = 0; i < r->n_shard_infos; i++) {
		const Scr__ShardInfo *s = r->shard_infos[i];
		if (s->shard_id >= SHARD_MAX)
			continue;
		out->has[s->shard_id] = true;
		out->max[s->shard_id] = s->max_height;
	}
	return 0;
}

const char *call_of_blocks(uint32_t shard)
{
	return shard ? CALL_GET_CHUNKS : CALL_GET_BLOCKS;
}

void request_of_blocks(uint32_t shard, struct range range, struct buf *out)
{
	wire_put_varint(out, 1,
			shard); /* BlocksRequest has no field 1, and no value 0 is written */
	wire_put_varint(out, 2, range.first);
	wire_put_varint(out, 3, range.end);
}

void request_of_events(struct buf *out)
{
	static const uint8_t types[] = { EVENT_BLOCK_CONFIRMED };
	wire_put_bytes(out, 1, SLICE_ARRAY(types)); /* packed */
}

bool event_read(struct slice message, uint32_t *shard, uint64_t *height)
{
	struct wire w = wire_of(message);
	struct wire_field f;
	bool confirmed = false;
	*shard = 0;
	*height = 0;
	while (wire_next(&w, &f)) {
		if (f.number != 16 || f.type != WIRE_BYTES)
			continue;
		struct wire body = wire_of(f.bytes);
		struct wire_field b;
		while (wire_next(&body, &b)) {
			if (b.type == WIRE_VARINT && b.number == 1)
				*height = b.value;
			if (b.type == WIRE_VARINT && b.number == 2)
				*shard = b.value < SHARD_MAX ? (uint32_t)b.value : SHARD_MAX;
		}
		confirmed = wire_done(&body) == 0;
	}
	return confirmed && wire_done(&w) == 0 && *shard < SHARD_MAX && *height;
}

static struct slice field_of(struct slice message, uint32_t number)
{
	struct wire w = wire_of(message);
	struct wire_field f;
	while (wire_next(&w, &f))
		if (f.number == number && f.type == WIRE_BYTES)
			return f.bytes;
	return SLICE_EMPTY;
}

uint64_t block_height_of(struct slice block)
{
	struct wire w = wire_of(field_of(field_of(block, 1), 1));
	struct wire_field f;
	while (wire_next(&w, &f))
		if (f.number == 2 && f.type == WIRE_VARINT)
			return f.value;
	return 0;
}

/* ---- a node of a trie ---- */

void request_of_node(uint32_t shard, struct slice prefix, struct buf *out)
{
	wire_put_varint(out, 1, shard);
	wire_put_bytes(out, 2, prefix);
}

/* Hex text; what is none has no hash. */
static size_t hash_of(ProtobufCBinaryData text, uint8_t out[HASH_SIZE])
{
	if (text.len > 2 * HASH_SIZE || text.len % 2 ||
	    hex_get((const char *)text.data, text.len, out, text.len / 2) < 0)
		return 0;
	return text.len / 2;
}

int node_read(struct slice message, struct source_node *out, struct err *err)
{
	AUTO(arena_freep) struct arena *arena = arena_new(message.n * 80 + (64u << 10));
	ProtobufCMessage *m = NULL;
	*out = (struct source_node){ 0 };
	int rc = arena ? wire_unpack(&scr__trie_node__descriptor, message, &lax, arena, &m, err)
		       : -ENOMEM;
	if (rc < 0)
		return err_note(err, rc, "a node of the trie");
	const Scr__TrieNode *n = (const Scr__TrieNode *)(const void *)m;
	out->records = n->num_messages;
	out->hash_size = hash_of(n->hash, out->hash);
	for (size_t i = 0; i < n->n_children; i++) {
		const Scr__TrieNode *child = n->children[i];
		uint8_t nibble = child->prefix.len ? child->prefix.data[child->prefix.len - 1] : 16;
		if (nibble > 15)
			return err_set(err, -EBADMSG,
				       "a node of the trie: a child without its nibble");
		out->children[nibble].there = true;
		out->children[nibble].records = child->num_messages;
		out->children[nibble].hash_size = hash_of(child->hash, out->children[nibble].hash);
	}
	return 0;
}

/* ---- taking an answer apart while it comes ---- */

/* 1: a varint is whole, *size bytes of it; 0: more is to come; -EBADMSG. */
static int varint_in(const uint8_t *p, size_t n, uint64_t *value, size_t *size)
{
	*value = 0;
	for (size_t i = 0; i < n; i++) {
		if (i == 10)
			return -EBADMSG;
		*value |= i < 9 || p[i] <= 1 ? (uint64_t)(p[i] & 0x7f) << (7 * i) : 0;
		if (!(p[i] & 0x80)) {
			*size = i + 1;
			return i < 9 || p[i] <= 1 ? 1 : -EBADMSG;
		}
	}
	return n >= 10 ? -EBADMSG : 0;
}

/* Key and, of bytes, size: 1 when they are whole, and what follows is known. */
static int head_done(struct splitter *s)
{
	uint64_t key, size = 0;
	size_t key_size, more = 0;
	int rc = varint_in(s->head, s->head_size, &key, &key_size);
	if (rc <= 0)
		return rc;
	switch (key & 7) {
	case WIRE_VARINT:
		rc = varint_in(s->head + key_size, s->head_size - key_size, &size, &more);
		size = 0;
		break;
	case WIRE_FIXED64:
		size = 8;
		break;
	case WIRE_FIXED32:
		size = 4;
		break;
	case WIRE_BYTES:
		rc = varint_in(s->head + key_size, s->head_size - key_size, &size, &more);
		break;
	default:
		return -EBADMSG;
	}
	if (rc <= 0)
		return rc;
	s->item = key == (1 << 3 | WIRE_BYTES);
	s->left = size;
	return s->item && size > s->size_max ? -EMSGSIZE : 1;
}

static int item_done(struct splitter *s, bool (*take)(void *arg, struct buf *item), void *arg)
{
	s->head_size = 0;
	if (!s->item)
		return 0;
	AUTO(buf_release) struct buf whole = s->whole;
	s->whole = (struct buf)BUF_INIT(0);
	return take(arg, &whole) ? 0 : 1;
}

static int feed_head(struct splitter *s, uint8_t byte)
{
	s->head[s->head_size++] = byte;
	int rc = head_done(s);
	if (rc <= 0)
		return rc;
	s->whole = (struct buf)BUF_INIT(s->item ? (size_t)s->left : 0);
	/* A size is only a claim: room for more comes with the bytes. */
	if (s->item)
		(void)buf_reserve(&s->whole, MIN((size_t)s->left, (size_t)64 << 10));
	return 1;
}

int splitter_feed(struct splitter *s, struct slice part, bool (*take)(void *arg, struct buf *item),
		  void *arg)
{
	bool inside = s->head_size && s->left;
	for (int rc = 0; part.n;) {
		if (!inside) {
			rc = feed_head(s, part.p[0]);
			part = slice_sub(part, 1, part.n - 1);
			if (rc < 0)
				return rc;
			if (rc == 0)
				continue;
		} else {
			struct slice now =
				slice_sub(part, 0, (size_t)MIN(s->left, (uint64_t)part.n));
			part = slice_sub(part, now.n, part.n - now.n);
			s->left -= now.n;
			if (s->item)
				buf_add(&s->whole, now);
			rc = buf_done(&s->whole);
			if (rc < 0)
				return rc;
		}
		inside = s->left > 0;
		if (inside)
			continue;
		rc = item_done(s, take, arg);
		if (rc)
			return rc;
	}
	return 0;
}

bool splitter_between(const struct splitter *s)
{
	return s->head_size == 0;
}

void splitter_release(struct splitter *s)
{
	buf_release(&s->whole);
	*s = (struct splitter){ 0 };
}
