#include "core/chain/snapchain/render.h"

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/chain/snapchain/codec.h"
#include "core/chain/snapchain/kinds.h"
#include "core/chain/snapchain/versions.h"

/* ---- words ---- */

#define WORDS(...) \
	(const char *const[]){ __VA_ARGS__ }, ARRAY_LEN(((const char *const[]){ __VA_ARGS__ }))

enum show { SHOW_PLAIN, SHOW_TEXT, SHOW_NAME, SHOW_WORD };

/* Fields that are not plain: decimal numbers and hex are. Text is known to the codec already. */
static const struct view {
	const ProtobufCMessageDescriptor *type;
	uint32_t                          number;
	enum show                         show;
	const char *const                *words;
	size_t                            word_count;
} views[] = {
	{ &sc__cast_add_body__descriptor, 8, SHOW_WORD, WORDS("cast", "long-cast", "ten-k-cast") },
	{ &sc__reaction_body__descriptor, 1, SHOW_WORD, WORDS("none", "like", "recast") },
	{ &sc__user_data_body__descriptor, 1, SHOW_WORD,
	  WORDS("none", "pfp", "display", "bio", NULL, "url", "username", "location", "twitter",
		"github", "banner", "primary-address-ethereum", "primary-address-solana",
		"profile-token", "live-at") },
	{ &sc__verification_add_body__descriptor, 7, SHOW_WORD, WORDS("ethereum", "solana") },
	{ &sc__verification_remove_body__descriptor, 2, SHOW_WORD, WORDS("ethereum", "solana") },
	{ &sc__lend_storage_body__descriptor, 3, SHOW_WORD, WORDS("legacy", "2024", "2025") },
	{ &sc__channel_update_body__descriptor, 7, SHOW_WORD,
	  WORDS("none", "everyone", "members-only", "recommended") },
	{ &sc__channel_update_body__descriptor, 8, SHOW_WORD, WORDS("none", "open", "approval") },
	{ &sc__channel_member_body__descriptor, 3, SHOW_WORD,
	  WORDS("none", "add-member", "remove-member", "add-moderator", "remove-moderator", "ban",
		"unban") },
	{ &sc__channel_moderate_body__descriptor, 3, SHOW_WORD, WORDS("none", "hide", "unhide") },
	{ &sc__user_name_proof__descriptor, 6, SHOW_WORD,
	  WORDS("none", "fname", "ens-l1", "basename") },
	{ &sc__user_name_proof__descriptor, 2, SHOW_NAME, NULL, 0 },
	{ &sc__frame_action_body__descriptor, 1, SHOW_NAME, NULL, 0 },
	{ &sc__frame_action_body__descriptor, 4, SHOW_NAME, NULL, 0 },
	{ &sc__signer_event_body__descriptor, 3, SHOW_WORD,
	  WORDS("none", "add", "remove", "admin-reset") },
	{ &sc__id_register_event_body__descriptor, 2, SHOW_WORD,
	  WORDS("none", "register", "transfer", "change-recovery") },
	{ &sc__tier_purchase_body__descriptor, 1, SHOW_WORD, WORDS("none", "pro") },
	{ &sc__channel_register_body__descriptor, 4, SHOW_WORD,
	  WORDS("none", "register", "renew", "transfer") },
};

static const char *const hash_schemes[] = { "none", "blake3" };
static const char *const signature_schemes[] = { "none", "ed25519", "eip712" };
static const char *const event_types[] = { "heartbeat", "merge-message", "merge-onchain" };

/* ---- one writer, two forms ---- */

/* The pretty form is the line plus a line break and blanks before each value and each closing
 * bracket, and a blank behind each name. Counted while the line is written. */
struct writer {
	struct json j;
	size_t      white;
};

static void count(struct writer *w, const char *name)
{
	if (w->j.depth > 0)
		w->white += 1 + 2 * (size_t)w->j.depth;
	w->white += name != NULL;
}

static void put_object(struct writer *w, const char *name)
{
	count(w, name);
	json_object(&w->j, name);
}

static void put_array(struct writer *w, const char *name)
{
	count(w, name);
	json_array(&w->j, name);
}

static void put_end(struct writer *w)
{
	if (!w->j.first)
		w->white += 1 + 2 * (size_t)(w->j.depth - 1);
	json_end(&w->j);
}

static void put_u64(struct writer *w, const char *name, uint64_t v)
{
	count(w, name);
	json_u64(&w->j, name, v);
}

static void put_i64(struct writer *w, const char *name, int64_t v)
{
	count(w, name);
	json_i64(&w->j, name, v);
}

static void put_str(struct writer *w, const char *name, const char *text)
{
	count(w, name);
	json_str(&w->j, name, text);
}

static void put_text(struct writer *w, const char *name, struct slice text)
{
	count(w, name);
	json_text(&w->j, name, text);
}

static void put_hex(struct writer *w, const char *name, ProtobufCBinaryData bytes)
{
	count(w, name);
	json_hex(&w->j, name, sc_bytes(bytes));
}

static void put_word(struct writer *w, const char *name, int32_t number, const char *const *words,
		     size_t word_count)
{
	if (number >= 0 && (size_t)number < word_count && words[number])
		put_str(w, name, words[number]);
	else
		put_i64(w, name, number);
}

static void put_time(struct writer *w, uint64_t unix_s)
{
	char text[TIME_TEXT_SIZE];

	time_text(unix_s, text);
	put_str(w, "time", text);
}

static void put_name(struct writer *w, const char *name, ProtobufCBinaryData bytes)
{
	if (utf8_valid(sc_bytes(bytes)))
		put_text(w, name, sc_bytes(bytes));
	else
		put_hex(w, name, bytes);
}

/* ---- any message, by its descriptor ---- */

static const struct view plain = { .show = SHOW_PLAIN };
static const struct view text_view = { .show = SHOW_TEXT };

static const struct view *view_of(const ProtobufCMessageDescriptor *type, uint32_t number)
{
	for (size_t i = 0; i < ARRAY_LEN(views); i++)
		if (views[i].type == type && views[i].number == number)
			return &views[i];
	for (size_t i = 0; i < sc_strict.text_count; i++)
		if (sc_strict.texts[i].message == type &&
		    (sc_strict.texts[i].numbers >> number & 1))
			return &text_view;
	return &plain;
}

static void put_fields(struct writer *w, const char *name, const ProtobufCMessage *m);

static void put_proof(struct writer *w, const char *name, const Sc__UserNameProof *p);

static void put_value(struct writer *w, const char *name, const ProtobufCFieldDescriptor *d,
		      const struct view *view, const void *at)
{
	switch (d->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		put_fields(w, name, *(ProtobufCMessage *const *)at);
		return;
	case PROTOBUF_C_TYPE_BYTES:
		if (view->show == SHOW_TEXT)
			put_text(w, name, sc_bytes(*(const ProtobufCBinaryData *)at));
		else if (view->show == SHOW_NAME)
			put_name(w, name, *(const ProtobufCBinaryData *)at);
		else
			put_hex(w, name, *(const ProtobufCBinaryData *)at);
		return;
	case PROTOBUF_C_TYPE_UINT32:
		put_u64(w, name, *(const uint32_t *)at);
		return;
	case PROTOBUF_C_TYPE_INT32:
		if (view->show == SHOW_WORD)
			put_word(w, name, *(const int32_t *)at, view->words, view->word_count);
		else
			put_i64(w, name, *(const int32_t *)at);
		return;
	default:
		put_u64(w, name, *(const uint64_t *)at);
		return;
	}
}

static size_t value_step(const ProtobufCFieldDescriptor *d)
{
	switch (d->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(ProtobufCMessage *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_UINT32:
		return 4;
	default:
		return 8;
	}
}

static void put_list(struct writer *w, const ProtobufCMessage *m, const ProtobufCFieldDescriptor *d,
		     const struct view *view)
{
	const uint8_t *base = (const uint8_t *)m;
	size_t n = *(const size_t *)(const void *)(base + d->quantifier_offset);
	const uint8_t *at = *(void *const *)(const void *)(base + d->offset);

	put_array(w, d->name);
	for (size_t i = 0; i < n; i++)
		put_value(w, NULL, d, view, at + i * value_step(d));
	put_end(w);
}

static bool is_there(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *d)
{
	const uint8_t *base = (const uint8_t *)m;

	if (d->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return *(const uint32_t *)(const void *)(base + d->quantifier_offset) == d->id;
	if (d->label != PROTOBUF_C_LABEL_REPEATED && d->type == PROTOBUF_C_TYPE_MESSAGE)
		return *(ProtobufCMessage *const *)(const void *)(base + d->offset) != NULL;
	return true;
}

static void put_fields(struct writer *w, const char *name, const ProtobufCMessage *m)
{
	const ProtobufCMessageDescriptor *type = m->descriptor;

	if (type == &sc__user_name_proof__descriptor) {
		put_proof(w, name, (const Sc__UserNameProof *)m);
		return;
	}
	put_object(w, name);
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *d = &type->fields[type->fields_sorted_by_name[i]];

		if (!is_there(m, d))
			continue;
		const struct view *view = view_of(type, d->id);

		if (d->label == PROTOBUF_C_LABEL_REPEATED)
			put_list(w, m, d, view);
		else
			put_value(w, d->name, d, view, (const uint8_t *)m + d->offset);
	}
	put_end(w);
}

/* ---- the forms ---- */

static void put_proof(struct writer *w, const char *name, const Sc__UserNameProof *p)
{
	const struct view *types = view_of(p->base.descriptor, 6);

	put_object(w, name);
	put_u64(w, "fid", p->fid);
	put_name(w, "name", p->name);
	put_hex(w, "owner", p->owner);
	put_hex(w, "signature", p->signature);
	put_time(w, p->timestamp);
	put_u64(w, "timestamp", p->timestamp);
	put_word(w, "type", p->type, types->words, types->word_count);
	put_end(w);
}

static void put_type(struct writer *w, const char *word, int32_t number)
{
	if (word)
		put_str(w, "type", word);
	else
		put_i64(w, "type", number);
}

static const char *preimage_of(const struct sc_message *m)
{
	if (m->pb->_data_bytes_case == SC__MESSAGE___DATA_BYTES_DATA_BYTES)
		return "data_bytes";
	return m->pb->data ? "data" : "none";
}

static void put_message(struct writer *w, const char *name, const struct sc_message *m)
{
	const Sc__MessageData *content = m->content;
	const ProtobufCMessage *body = NULL;
	const ProtobufCFieldDescriptor *field = content ? sc_body_field(content, &body) : NULL;

	put_object(w, name);
	if (field) {
		put_fields(w, "body", body);
		put_str(w, "body_type", field->name);
	}
	if (content)
		put_u64(w, "fid", content->fid);
	put_hex(w, "hash", m->pb->hash);
	put_word(w, "hash_scheme", m->pb->hash_scheme, hash_schemes, ARRAY_LEN(hash_schemes));
	if (content) {
		const char *network = sc_network_name((uint32_t)content->network);

		if (network)
			put_str(w, "network", network);
		else
			put_i64(w, "network", content->network);
	}
	put_str(w, "preimage", preimage_of(m));
	put_hex(w, "signature", m->pb->signature);
	put_word(w, "signature_scheme", m->pb->signature_scheme, signature_schemes,
		 ARRAY_LEN(signature_schemes));
	put_hex(w, "signer", m->pb->signer);
	if (content) {
		put_time(w, (uint64_t)content->timestamp + SC_EPOCH);
		put_u64(w, "timestamp", content->timestamp);
		put_type(w, sc_message_word(content->type), content->type);
	} else {
		put_type(w, sc_message_kind(m), 0);
	}
	put_end(w);
}

static const ProtobufCFieldDescriptor *onchain_body(const Sc__OnChainEvent *e,
						    const ProtobufCMessage **body)
{
	const ProtobufCMessageDescriptor *type = e->base.descriptor;

	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *d = &type->fields[i];

		if (!(d->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) || !is_there(&e->base, d))
			continue;
		*body = *(ProtobufCMessage *const *)(const void *)((const uint8_t *)e + d->offset);
		return d;
	}
	return NULL;
}

static void put_onchain(struct writer *w, const char *name, const Sc__OnChainEvent *e)
{
	const ProtobufCMessage *body = NULL;
	const ProtobufCFieldDescriptor *field = onchain_body(e, &body);

	put_object(w, name);
	put_hex(w, "block_hash", e->block_hash);
	put_u64(w, "block_number", e->block_number);
	put_u64(w, "block_timestamp", e->block_timestamp);
	if (field) {
		put_fields(w, "body", body);
		put_str(w, "body_type", field->name);
	}
	put_u64(w, "chain_id", e->chain_id);
	put_u64(w, "fid", e->fid);
	put_u64(w, "log_index", e->log_index);
	put_time(w, e->block_timestamp);
	put_hex(w, "transaction_hash", e->transaction_hash);
	put_u64(w, "tx_index", e->tx_index);
	put_type(w, sc_onchain_word(e->type), e->type);
	put_u64(w, "version", e->version);
	put_end(w);
}

static void put_fname(struct writer *w, const char *name, const Sc__FnameTransfer *f)
{
	put_object(w, name);
	put_u64(w, "from_fid", f->from_fid);
	put_u64(w, "id", f->id);
	if (f->proof)
		put_proof(w, "proof", f->proof);
	put_str(w, "type", SC_KIND_FNAME);
	put_end(w);
}

static void put_event(struct writer *w, const Sc__BlockEvent *e, const struct sc_message *message)
{
	const Sc__BlockEventData *data = e->data;
	uint64_t time;

	put_object(w, NULL);
	if (data) {
		put_u64(w, "block_number", data->block_number);
		put_u64(w, "block_timestamp", data->block_timestamp);
		put_u64(w, "event_index", data->event_index);
		put_word(w, "event_type", data->type, event_types, ARRAY_LEN(event_types));
	}
	put_hex(w, "hash", e->hash);
	if (message)
		put_message(w, "message", message);
	if (data && data->body_case == SC__BLOCK_EVENT_DATA__BODY_MERGE_ON_CHAIN_EVENT &&
	    data->merge_on_chain_event->on_chain_event)
		put_onchain(w, "onchain_event", data->merge_on_chain_event->on_chain_event);
	if (data) {
		put_u64(w, "seqnum", data->seqnum);
		if (ckd_add(&time, data->block_timestamp, SC_EPOCH))
			time = UINT64_MAX;
		put_time(w, time);
	}
	put_str(w, "type", sc_event_kind(e));
	put_end(w);
}

static void put_system(struct writer *w)
{
	put_object(w, NULL);
	put_str(w, "type", SC_KIND_SYSTEM);
	put_end(w);
}

static int put_form(struct writer *w, const struct sc_object *o)
{
	switch (o->form) {
	case SC_FORM_MESSAGE:
		put_message(w, NULL, o->message);
		break;
	case SC_FORM_ONCHAIN:
		put_onchain(w, NULL, (const Sc__OnChainEvent *)o->pb);
		break;
	case SC_FORM_FNAME:
		put_fname(w, NULL, (const Sc__FnameTransfer *)o->pb);
		break;
	case SC_FORM_PROOF:
		put_proof(w, NULL, (const Sc__UserNameProof *)o->pb);
		break;
	case SC_FORM_BLOCK_EVENT:
		put_event(w, (const Sc__BlockEvent *)o->pb, o->message);
		break;
	case SC_FORM_SYSTEM:
		put_system(w);
		break;
	default:
		return -EINVAL;
	}
	return json_done(&w->j);
}

int sc_object_render(const struct sc_object *o, bool line, struct buf *out)
{
	struct writer w = { .j = json_of(out, line ? JSON_LINE : JSON_PRETTY) };

	return put_form(&w, o);
}

int sc_object_sizes(const struct sc_object *o, struct buf *scratch, uint32_t *json_size,
		    uint32_t *line_size)
{
	buf_clear(scratch);

	struct writer w = { .j = json_of(scratch, JSON_LINE) };
	int rc = put_form(&w, o);

	if (rc < 0)
		return rc;
	if (scratch->n + w.white > UINT32_MAX)
		return -EMSGSIZE;
	*line_size = (uint32_t)scratch->n;
	*json_size = (uint32_t)(scratch->n + w.white);
	return 0;
}

/* ---- objects by their bytes ---- */

/* The message inside an object, if there is one, decoded into *m. */
static int find_message(struct sc_object *o, struct arena *arena, struct sc_message *m)
{
	const Sc__Message *pb = NULL;

	if (o->form == SC_FORM_MESSAGE) {
		pb = (const Sc__Message *)o->pb;
	} else if (o->form == SC_FORM_BLOCK_EVENT) {
		const Sc__BlockEventData *data = ((const Sc__BlockEvent *)o->pb)->data;

		if (data && data->body_case == SC__BLOCK_EVENT_DATA__BODY_MERGE_MESSAGE)
			pb = data->merge_message->message;
	}
	if (!pb)
		return 0;
	o->message = m;
	return sc_message_of(pb, arena, false, m, NULL);
}

int sc_render_object(const struct chain_object *o, bool line, struct buf *out)
{
	AUTO(arena_freep) struct arena *arena = arena_new(SC_ARENA_SIZE(o->bytes.n));
	ProtobufCMessage *pb = NULL;
	struct sc_message message;

	if (!arena)
		return -ENOMEM;
	int rc = sc_item_unpack(o->form, o->bytes, arena, &pb);

	if (rc < 0)
		return rc;
	struct sc_object decoded = { .form = o->form, .pb = pb };

	rc = find_message(&decoded, arena, &message);
	return rc < 0 ? rc : sc_object_render(&decoded, line, out);
}

/* ---- headers ---- */

static void text_field(struct buf *out, const char *name, const char *value)
{
	buf_fmt(out, "%s %s\n", name, value);
}

static void text_u64(struct buf *out, const char *name, uint64_t v)
{
	buf_fmt(out, "%s %" PRIu64 "\n", name, v);
}

/* An empty root is a dash, so that the line has its two words. */
static void add_hex(struct buf *out, struct slice bytes)
{
	if (bytes.n)
		buf_hex(out, bytes);
	else
		buf_u8(out, '-');
}

static void text_hex(struct buf *out, const char *name, struct slice bytes)
{
	buf_str(out, name);
	buf_u8(out, ' ');
	add_hex(out, bytes);
	buf_u8(out, '\n');
}

static struct slice witness_root(const struct sc_block *b, size_t i)
{
	return sc_bytes(b->block->shard_witness->shard_chunk_witnesses[i]->shard_root);
}

static int header_text(const struct sc_block *b, struct buf *out)
{
	const struct chain_block *base = &b->base;
	char time[TIME_TEXT_SIZE];

	time_text(base->time, time);
	text_u64(out, "shard", base->shard);
	text_u64(out, "height", base->height);
	text_field(out, "time", time);
	text_u64(out, "timestamp", b->time_fc);
	text_hex(out, "hash", SLICE_ARRAY(base->hash));
	text_hex(out, "parent", SLICE(base->parent, base->parent_size));
	text_hex(out, "root", SLICE(base->root, base->root_size));
	text_u64(out, "transactions", b->transaction_count);
	text_u64(out, "items", base->item_count);
	text_u64(out, "bytes", base->canonical.n);
	if (!b->block)
		return buf_done(out);
	text_u64(out, "version", b->version);
	buf_fmt(out, "chain_id %" PRIi32 "\n", b->block->header->chain_id);
	text_u64(out, "events", b->event_count);
	for (size_t i = 0; i < base->witness_count; i++) {
		buf_fmt(out, "witness %" PRIu32 " %" PRIu64 " ", base->witnesses[i].shard,
			base->witnesses[i].height);
		buf_hex(out, SLICE_ARRAY(base->witnesses[i].hash));
		buf_u8(out, ' ');
		add_hex(out, witness_root(b, i));
		buf_u8(out, '\n');
	}
	return buf_done(out);
}

static void json_witnesses(struct json *j, const struct sc_block *b)
{
	json_array(j, "witnesses");
	for (size_t i = 0; i < b->base.witness_count; i++) {
		const struct chain_witness *w = &b->base.witnesses[i];

		json_object(j, NULL);
		json_hex(j, "hash", SLICE_ARRAY(w->hash));
		json_u64(j, "height", w->height);
		json_hex(j, "root", witness_root(b, i));
		json_u64(j, "shard", w->shard);
		json_end(j);
	}
	json_end(j);
}

static int header_json(const struct sc_block *b, struct buf *out)
{
	const struct chain_block *base = &b->base;
	struct json j = json_of(out, JSON_PRETTY);
	char time[TIME_TEXT_SIZE];

	time_text(base->time, time);
	json_object(&j, NULL);
	json_u64(&j, "bytes", base->canonical.n);
	if (b->block) {
		json_i64(&j, "chain_id", b->block->header->chain_id);
		json_u64(&j, "events", b->event_count);
	}
	json_hex(&j, "hash", SLICE_ARRAY(base->hash));
	json_u64(&j, "height", base->height);
	json_u64(&j, "items", base->item_count);
	json_hex(&j, "parent", SLICE(base->parent, base->parent_size));
	json_hex(&j, "root", SLICE(base->root, base->root_size));
	json_u64(&j, "shard", base->shard);
	json_str(&j, "time", time);
	json_u64(&j, "timestamp", b->time_fc);
	json_u64(&j, "transactions", b->transaction_count);
	if (b->block) {
		json_u64(&j, "version", b->version);
		json_witnesses(&j, b);
	}
	json_end(&j);
	return json_done(&j);
}

int sc_render_header(const struct chain_block *b, bool json, struct buf *out)
{
	return json ? header_json(sc_block_of(b), out) : header_text(sc_block_of(b), out);
}

int sc_render_parent(const struct chain_block *b, struct buf *out)
{
	buf_u64(out, b->height - 1);
	buf_u8(out, ' ');
	add_hex(out, SLICE(b->parent, b->parent_size));
	buf_u8(out, '\n');
	return buf_done(out);
}
