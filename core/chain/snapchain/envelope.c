#include "core/chain/snapchain/envelope.h"

#include "core/base/json.h"
#include "core/chain/snapchain/hyper.h"
#include "proto/wire.h"

#define PAYLOAD_SIZE_MAX BLOCK_SIZE_MAX

static void put_change(const struct chain_retained *c, struct buf *scratch, struct buf *payload)
{
	buf_clear(scratch);
	wire_put_bytes(scratch, 1, c->trie_key);
	wire_put_varint(scratch, 2, c->dropped);
	wire_put_bytes(scratch, 3, slice_str(reason_names[c->reason]));
	wire_put_message(payload, 3, buf_slice(scratch));
}

static int as_bytes(const struct chain_envelope *e, struct buf *out)
{
	AUTO(buf_release) struct buf payload = BUF_INIT(PAYLOAD_SIZE_MAX);
	AUTO(buf_release) struct buf scratch = BUF_INIT(PAYLOAD_SIZE_MAX);

	wire_put_varint(&payload, 1, e->base_height);
	wire_put_bytes(&payload, 2, e->base_root);
	for (size_t i = 0; i < e->change_count; i++)
		put_change(&e->changes[i], &scratch, &payload);
	if (buf_done(&payload) < 0 || buf_done(&scratch) < 0)
		return payload.failed ? payload.failed : scratch.failed;
	wire_put_bytes(out, 1, SLICE_ARRAY(e->hash));
	wire_put_bytes(out, 2, e->parent);
	wire_put_bytes(out, 3, e->root);
	wire_put_varint(out, 4, HYPER_EXTRA_RULES);
	wire_put_varint(out, 5, e->retained);
	wire_put_message(out, 6, buf_slice(&payload));
	return out->failed;
}

static int as_json(const struct chain_envelope *e, struct buf *out)
{
	struct json j = json_of(out, JSON_PRETTY);

	json_object(&j, NULL);
	json_hex(&j, "canonical_block_id", SLICE_ARRAY(e->hash));
	json_u64(&j, "extra_rules_version", HYPER_EXTRA_RULES);
	json_hex(&j, "hyper_state_root", e->root);
	json_hex(&j, "parent_hash", e->parent);
	json_object(&j, "payload");
	json_u64(&j, "base_height", e->base_height);
	json_hex(&j, "base_root", e->base_root);
	json_array(&j, "changes");
	for (size_t i = 0; i < e->change_count; i++) {
		json_object(&j, NULL);
		json_bool(&j, "dropped", e->changes[i].dropped);
		json_str(&j, "reason", reason_names[e->changes[i].reason]);
		json_hex(&j, "trie_key", e->changes[i].trie_key);
		json_end(&j);
	}
	json_end(&j);
	json_end(&j);
	json_u64(&j, "retained_message_count", e->retained);
	json_end(&j);
	return json_done(&j);
}

int sc_render_envelope(const struct chain_envelope *e, bool json, struct buf *out)
{
	return json ? as_json(e, out) : as_bytes(e, out);
}
