#include "core/chain/snapchain/block.h"

#include "core/chain/snapchain/codec.h"
#include "core/chain/snapchain/commit.h"
#include "core/chain/snapchain/kinds.h"
#include "core/chain/snapchain/render.h"
#include "core/chain/snapchain/versions.h"
#include "proto/prost.h"

#define ACCOUNT_ROOT_SIZE HASH20_SIZE

/* What block 1 of a shard names as its parent (snapchain.md 1.4): for chunks a slip of upstream's,
 * meant to be 32 zero bytes. */
static const char genesis_block[] =
	"It occurs to me that our survival may depend upon our talking to one another.";
static const uint8_t genesis_chunk[] = { 0x00, 0x20 };

/* What Block and ShardChunk have in common. */
struct parts {
	const Sc__Height       *height;
	uint64_t                timestamp;
	struct slice            header, hash, parent, root;
	Sc__Transaction *const *transactions;
	size_t                  transaction_count;
};

struct decoder {
	const struct chain_params *params;
	struct sc_block           *b;
	bool                       verify;  /* check signatures */
	struct buf                 scratch; /* renderings, to know their sizes */
	size_t                     refused, refused_first; /* items; index of the first */
	struct err                *err;
};

/* ---- the shape of a block ---- */

static void parts_of_block(const Sc__Block *block, struct parts *p)
{
	*p = (struct parts){
		.height = block->header->height,
		.timestamp = block->header->timestamp,
		.header = wire_bytes_of(&block->header->base),
		.hash = sc_bytes(block->hash),
		.parent = sc_bytes(block->header->parent_hash),
		.root = sc_bytes(block->header->state_root),
		.transactions = block->transactions,
		.transaction_count = block->n_transactions,
	};
}

static void parts_of_chunk(const Sc__ShardChunk *chunk, struct parts *p)
{
	*p = (struct parts){
		.height = chunk->header->height,
		.timestamp = chunk->header->timestamp,
		.header = wire_bytes_of(&chunk->header->base),
		.hash = sc_bytes(chunk->hash),
		.parent = sc_bytes(chunk->header->parent_hash),
		.root = sc_bytes(chunk->header->shard_root),
		.transactions = chunk->transactions,
		.transaction_count = chunk->n_transactions,
	};
}

static int unpack(struct decoder *d, bool main_shard, struct parts *parts)
{
	struct sc_block *b = d->b;
	struct slice in = buf_slice(&b->base.canonical);
	const ProtobufCMessageDescriptor *type =
		main_shard ? &sc__block__descriptor : &sc__shard_chunk__descriptor;
	ProtobufCMessage *m = NULL;
	int rc = wire_unpack(type, in, &sc_strict, b->arena, &m, d->err);

	if (rc < 0)
		return rc;
	sc_say(&b->base.levels[LEVEL_STRUCTURE], VERDICT_OK, "%s",
	       wire_is_in_prost_order(m) ? ""
					 : "structure: some fields are not where nodes put them");
	if (main_shard) {
		b->block = (const Sc__Block *)m;
		if (!b->block->header || !b->block->header->height)
			return err_set(d->err, -EBADMSG, "no header");
		b->version = b->block->header->version;
		parts_of_block(b->block, parts);
	} else {
		b->chunk = (const Sc__ShardChunk *)m;
		if (!b->chunk->header || !b->chunk->header->height)
			return err_set(d->err, -EBADMSG, "no header");
		parts_of_chunk(b->chunk, parts);
	}
	return 0;
}

static int read_header(struct decoder *d, bool main_shard, const struct parts *parts)
{
	struct sc_block *b = d->b;
	uint32_t shard = parts->height->shard_index;

	if ((shard == 0) != main_shard || shard > d->params->data_shards)
		return err_set(d->err, -EBADMSG, "header: shard %" PRIu32 " of %" PRIu32, shard,
			       d->params->data_shards);
	if (parts->height->block_number == 0)
		return err_set(d->err, -EBADMSG, "header: height 0");
	if (parts->timestamp > UINT32_MAX)
		return err_set(d->err, -EBADMSG, "header: timestamp over 32 bits");
	if (parts->parent.n > PARENT_SIZE_MAX)
		return err_set(d->err, -EBADMSG, "header: parent of %zu bytes", parts->parent.n);
	if (parts->root.n != 0 && parts->root.n != HASH20_SIZE)
		return err_set(d->err, -EBADMSG, "header: root of %zu bytes", parts->root.n);

	b->header = parts->header;
	b->time_fc = (uint32_t)parts->timestamp;
	b->base.shard = shard;
	b->base.height = parts->height->block_number;
	b->base.time = parts->timestamp + SC_EPOCH;
	/* Where validators are known, nobody may leave out what ties a block to the one below. */
	b->unlinked = d->params->validators_count == 0 && b->base.certificate.n == 0 &&
		      parts->parent.n == 0;
	/* A hash of another size stays zero, which the header level finds to differ. */
	if (parts->hash.n == HASH_SIZE)
		memcpy(b->base.hash, parts->hash.p, HASH_SIZE);
	else if (b->unlinked && parts->hash.n == 0)
		hash_blake3(b->header, b->base.hash);
	b->base.parent_size = (uint8_t)parts->parent.n;
	if (parts->parent.n)
		memcpy(b->base.parent, parts->parent.p, parts->parent.n);
	b->base.root_size = (uint8_t)parts->root.n;
	if (parts->root.n)
		memcpy(b->base.root, parts->root.p, parts->root.n);
	return 0;
}

/* ---- items ---- */

static int no_room(const struct decoder *d)
{
	if (arena_full(d->b->arena))
		return err_set(d->err, -EMSGSIZE, "needs more memory than its size allows");
	return err_set(d->err, -ENOMEM, "no memory");
}

static void set_hash(uint8_t out[HASH_SIZE], uint8_t *out_size, struct slice carried,
		     struct slice raw)
{
	/* Whatever a hostile block carries as a hash, the item can be found by one. */
	if (carried.n < HASH20_SIZE || carried.n > HASH_SIZE) {
		hash_blake3_20(raw, out);
		*out_size = HASH20_SIZE;
		return;
	}
	memcpy(out, carried.p, carried.n);
	*out_size = (uint8_t)carried.n;
}

static void set_message_hash(uint8_t out[HASH_SIZE], uint8_t *out_size, const struct sc_message *m)
{
	struct slice carried = sc_bytes(m->pb->hash);

	set_hash(out, out_size, carried.n == HASH20_SIZE ? carried : SLICE_EMPTY, m->raw);
}

static uint32_t offset_of(const struct decoder *d, struct slice s)
{
	return (uint32_t)(s.p - d->b->base.canonical.p);
}

static bool lies_in(struct slice s, struct slice whole)
{
	return s.n && (uintptr_t)s.p >= (uintptr_t)whole.p &&
	       (uintptr_t)s.p + s.n <= (uintptr_t)whole.p + whole.n;
}

/* A message tells the hash of the data in front of it or of the data_bytes behind it, unless its
 * data was encoded in another order when it was signed. */
static void set_told(const struct decoder *d, struct chain_item *item, const struct sc_message *m)
{
	struct slice hash = sc_bytes(m->pb->hash);

	if (!m->hash_ok || hash.n != HASH20_SIZE || !lies_in(hash, m->raw) ||
	    !lies_in(m->preimage, m->raw))
		return;
	item->told_at = offset_of(d, hash);
	item->told_from = offset_of(d, m->preimage);
	item->told_size = (uint32_t)m->preimage.n;
	struct slice signature = sc_bytes(m->pb->signature);

	if (!lies_in(signature, m->raw) || signature.p < hash.p)
		return;
	item->signature_at = offset_of(d, signature);
	item->signature_size = (uint32_t)signature.n;
}

static struct chain_item *add_item(struct decoder *d, struct slice raw, uint16_t form,
				   const char *kind)
{
	struct chain_item *item = &d->b->base.items[d->b->base.item_count++];

	*item = (struct chain_item){
		.offset = offset_of(d, raw),
		.size = (uint32_t)raw.n,
		.form = form,
		.kind = kind,
		.time = d->b->base.time,
	};
	return item;
}

static uint32_t item_index(const struct decoder *d, const struct chain_item *item)
{
	return (uint32_t)(item - d->b->base.items);
}

static int set_sizes(struct decoder *d, struct chain_item *item, const struct sc_object *o)
{
	return sc_object_sizes(o, &d->scratch, &item->json_size, &item->line_size);
}

static int set_inner(struct decoder *d, struct chain_item *item, struct slice raw,
		     const struct sc_object *o)
{
	item->has_inner = true;
	item->inner_form = o->form;
	item->inner_offset = offset_of(d, raw);
	item->inner_size = (uint32_t)raw.n;
	return sc_object_sizes(o, &d->scratch, &item->inner_json_size, &item->inner_line_size);
}

static uint64_t message_time(const struct decoder *d, const struct sc_message *m)
{
	return m->content ? (uint64_t)m->content->timestamp + SC_EPOCH : d->b->base.time;
}

static const char *refusal_of(const struct sc_message *m)
{
	if (!m->hash_ok)
		return "hash differs";
	if (!m->signature_ok)
		return "signature fails";
	if (!m->content)
		return "data_bytes do not parse";
	return m->differs ? "data and data_bytes differ" : NULL;
}

static void refuse(struct decoder *d, struct chain_item *item, const char *refusal)
{
	if (!refusal || item->refusal || !d->verify)
		return;
	item->refusal = refusal;
	if (d->refused++ == 0)
		d->refused_first = item_index(d, item);
}

static int add_message(struct decoder *d, const Sc__Message *pb, struct sc_message *m)
{
	int rc = sc_message_of(pb, d->b->arena, d->verify, m, d->err);

	if (rc < 0)
		return rc;
	struct chain_item *item = add_item(d, m->raw, SC_FORM_MESSAGE, sc_message_kind(m));

	m->item = item_index(d, item);
	item->time = message_time(d, m);
	set_message_hash(item->hash, &item->hash_size, m);
	set_told(d, item, m);
	refuse(d, item, refusal_of(m));
	return set_sizes(d, item, &(struct sc_object){ .form = SC_FORM_MESSAGE, .message = m });
}

static int add_onchain(struct decoder *d, const Sc__OnChainEvent *e)
{
	struct slice raw = wire_bytes_of(&e->base);
	struct chain_item *item = add_item(d, raw, SC_FORM_ONCHAIN, sc_onchain_kind(e));

	item->time = e->block_timestamp;
	set_hash(item->hash, &item->hash_size, sc_bytes(e->transaction_hash), raw);
	return set_sizes(d, item, &(struct sc_object){ .form = SC_FORM_ONCHAIN, .pb = &e->base });
}

static int add_fname(struct decoder *d, const Sc__FnameTransfer *f)
{
	struct slice raw = wire_bytes_of(&f->base);
	struct chain_item *item = add_item(d, raw, SC_FORM_FNAME, SC_KIND_FNAME);
	int rc = set_sizes(d, item, &(struct sc_object){ .form = SC_FORM_FNAME, .pb = &f->base });

	set_hash(item->hash, &item->hash_size, SLICE_EMPTY, raw);
	if (rc < 0 || !f->proof)
		return rc;
	struct slice proof = wire_bytes_of(&f->proof->base);

	item->time = item->inner_time = f->proof->timestamp;
	set_hash(item->inner_hash, &item->inner_hash_size, SLICE_EMPTY, proof);
	return set_inner(d, item, proof,
			 &(struct sc_object){ .form = SC_FORM_PROOF, .pb = &f->proof->base });
}

static int add_inner_message(struct decoder *d, struct chain_item *item, const Sc__Message *pb,
			     struct sc_block_event *e)
{
	struct sc_message *m = &e->message;
	int rc = sc_message_of(pb, d->b->arena, d->verify, m, d->err);

	if (rc < 0)
		return rc;
	e->has_message = true;
	m->item = item_index(d, item);
	m->inner = true;
	item->inner_time = message_time(d, m);
	set_message_hash(item->inner_hash, &item->inner_hash_size, m);
	refuse(d, item, refusal_of(m));
	return set_inner(d, item, m->raw,
			 &(struct sc_object){ .form = SC_FORM_MESSAGE, .message = m });
}

static int add_inner_onchain(struct decoder *d, struct chain_item *item,
			     const Sc__OnChainEvent *o, struct sc_block_event *e)
{
	struct slice raw = wire_bytes_of(&o->base);

	e->has_onchain = true;
	item->inner_time = o->block_timestamp;
	set_hash(item->inner_hash, &item->inner_hash_size, sc_bytes(o->transaction_hash), raw);
	return set_inner(d, item, raw,
			 &(struct sc_object){ .form = SC_FORM_ONCHAIN, .pb = &o->base });
}

/* BLAKE3 of the event's data; for writers other than prost, of data as prost would have it. */
static int event_hash_ok(const Sc__BlockEvent *e, bool *ok)
{
	AUTO(buf_release) struct buf again = BUF_INIT(BLOCK_SIZE_MAX);
	uint8_t hash[HASH_SIZE];

	*ok = false;
	if (!e->data || e->hash.len != HASH_SIZE)
		return 0;
	hash_blake3(wire_bytes_of(&e->data->base), hash);
	*ok = memcmp(hash, e->hash.data, HASH_SIZE) == 0;
	if (*ok)
		return 0;
	prost_encode(&e->data->base, &again);
	if (buf_done(&again) < 0)
		return buf_done(&again);
	hash_blake3(buf_slice(&again), hash);
	*ok = memcmp(hash, e->hash.data, HASH_SIZE) == 0;
	return 0;
}

static int add_event(struct decoder *d, const Sc__BlockEvent *pb, struct sc_block_event *e,
		     bool *ok)
{
	struct slice raw = wire_bytes_of(&pb->base);
	struct chain_item *item = add_item(d, raw, SC_FORM_BLOCK_EVENT, sc_event_kind(pb));
	const Sc__BlockEventData *data = pb->data;
	int rc = event_hash_ok(pb, ok);

	if (rc < 0)
		return rc;
	*e = (struct sc_block_event){ .pb = pb, .item = item_index(d, item) };
	set_hash(item->hash, &item->hash_size, sc_bytes(pb->hash), raw);
	refuse(d, item, *ok ? NULL : "hash differs");
	if (data && data->body_case == SC__BLOCK_EVENT_DATA__BODY_MERGE_MESSAGE &&
	    data->merge_message->message)
		rc = add_inner_message(d, item, data->merge_message->message, e);
	else if (data && data->body_case == SC__BLOCK_EVENT_DATA__BODY_MERGE_ON_CHAIN_EVENT &&
		 data->merge_on_chain_event->on_chain_event)
		rc = add_inner_onchain(d, item, data->merge_on_chain_event->on_chain_event, e);
	if (rc < 0)
		return rc;
	return set_sizes(d, item, &(struct sc_object){
		.form = SC_FORM_BLOCK_EVENT,
		.pb = &pb->base,
		.message = e->has_message ? &e->message : NULL,
	});
}

static int add_empty_system(struct decoder *d, const Sc__ValidatorMessage *v)
{
	struct slice raw = wire_bytes_of(&v->base);
	struct chain_item *item = add_item(d, raw, SC_FORM_SYSTEM, SC_KIND_SYSTEM);

	set_hash(item->hash, &item->hash_size, SLICE_EMPTY, raw);
	return set_sizes(d, item, &(struct sc_object){ .form = SC_FORM_SYSTEM, .pb = &v->base });
}

static int add_system(struct decoder *d, const Sc__ValidatorMessage *v, struct sc_system *s)
{
	*s = (struct sc_system){
		.item = (uint32_t)d->b->base.item_count,
		.onchain = v->on_chain_event,
		.fname = v->fname_transfer,
	};
	if (!!v->on_chain_event + !!v->fname_transfer + !!v->block_event > 1)
		return err_set(d->err, -EBADMSG, "more than one message in one");
	if (v->on_chain_event)
		return add_onchain(d, v->on_chain_event);
	if (v->fname_transfer)
		return add_fname(d, v->fname_transfer);
	if (!v->block_event)
		return add_empty_system(d, v);

	struct sc_block_event *e = arena_zalloc(d->b->arena, 1, sizeof *e);
	bool ok;

	if (!e)
		return no_room(d);
	s->event = e;
	return add_event(d, v->block_event, e, &ok);
}

static int add_transaction(struct decoder *d, const Sc__Transaction *pb, struct sc_transaction *t)
{
	*t = (struct sc_transaction){
		.fid = pb->fid,
		.account_root = sc_bytes(pb->account_root),
		.system = arena_zalloc(d->b->arena, pb->n_system_messages, sizeof *t->system),
		.system_count = pb->n_system_messages,
		.user = arena_zalloc(d->b->arena, pb->n_user_messages, sizeof *t->user),
		.user_count = pb->n_user_messages,
	};
	if (!t->system || !t->user)
		return no_room(d);
	if (t->account_root.n != 0 && t->account_root.n != ACCOUNT_ROOT_SIZE)
		return err_set(d->err, -EBADMSG, "account_root of %zu bytes", t->account_root.n);
	for (size_t i = 0; i < t->system_count; i++) {
		int rc = add_system(d, pb->system_messages[i], &t->system[i]);

		if (rc < 0)
			return err_note(d->err, rc, "system message %zu", i);
	}
	for (size_t i = 0; i < t->user_count; i++) {
		int rc = add_message(d, pb->user_messages[i], &t->user[i]);

		if (rc < 0)
			return err_note(d->err, rc, "message %zu", i);
	}
	return 0;
}

static int read_items(struct decoder *d, const struct parts *parts, ssize_t *bad_event)
{
	struct sc_block *b = d->b;
	size_t count = b->block ? b->block->n_events : 0;

	for (size_t i = 0; i < parts->transaction_count; i++)
		count += parts->transactions[i]->n_system_messages +
			 parts->transactions[i]->n_user_messages;
	b->transaction_count = parts->transaction_count;
	b->event_count = b->block ? b->block->n_events : 0;
	b->base.items = arena_zalloc(b->arena, count, sizeof *b->base.items);
	b->transactions = arena_zalloc(b->arena, b->transaction_count, sizeof *b->transactions);
	b->events = arena_zalloc(b->arena, b->event_count, sizeof *b->events);
	if (!b->base.items || !b->transactions || !b->events)
		return no_room(d);
	for (size_t i = 0; i < b->transaction_count; i++) {
		int rc = add_transaction(d, parts->transactions[i], &b->transactions[i]);

		if (rc < 0)
			return err_note(d->err, rc, "transaction %zu", i);
	}
	for (size_t i = 0; i < b->event_count; i++) {
		bool ok;
		int rc = add_event(d, b->block->events[i], &b->events[i], &ok);

		if (rc < 0)
			return err_note(d->err, rc, "event %zu", i);
		if (!ok && *bad_event < 0)
			*bad_event = (ssize_t)i;
	}
	return 0;
}

/* ---- levels ---- */

/* Witnesses of shards 1, 2, … in this order, one each (snapchain.md 1.3, 1.4). */
static int read_witnesses(struct decoder *d)
{
	struct sc_block *b = d->b;
	struct level_result *out = &b->base.levels[LEVEL_STRUCTURE];
	const Sc__ShardWitness *w = b->block->shard_witness;
	size_t count = w ? w->n_shard_chunk_witnesses : 0;

	if (count == 0 && b->unlinked)
		return 0;
	if (count != d->params->data_shards)
		return sc_say(out, VERDICT_FAILED, "structure: %zu witnesses of %" PRIu32 " shards",
			      count, d->params->data_shards);
	b->base.witnesses = arena_zalloc(b->arena, count, sizeof *b->base.witnesses);
	if (!b->base.witnesses)
		return no_room(d);
	for (size_t i = 0; i < count; i++) {
		const Sc__ShardChunkWitness *one = w->shard_chunk_witnesses[i];

		if (!one->height || one->height->shard_index != i + 1)
			return sc_say(out, VERDICT_FAILED, "structure: witness %zu: shard differs",
				      i);
		if (one->shard_hash.len != HASH_SIZE)
			return sc_say(out, VERDICT_FAILED,
				      "structure: witness %zu: hash of %zu bytes", i,
				      one->shard_hash.len);
		b->base.witnesses[i] = (struct chain_witness){
			.shard = one->height->shard_index,
			.height = one->height->block_number,
		};
		memcpy(b->base.witnesses[i].hash, one->shard_hash.data, HASH_SIZE);
	}
	b->base.witness_count = count;
	return 0;
}

static bool blake3_is(struct slice in, struct slice hash)
{
	uint8_t computed[HASH_SIZE];

	hash_blake3(in, computed);
	return slice_eq(SLICE_ARRAY(computed), hash);
}

/* BLAKE3 of the events' hashes one after the other; without events there is no hash. */
static bool events_hash_ok(const Sc__Block *block)
{
	struct blake3 h;
	uint8_t hash[HASH_SIZE];

	if (block->n_events == 0)
		return block->header->events_hash.len == 0;
	blake3_init(&h);
	for (size_t i = 0; i < block->n_events; i++)
		blake3_add(&h, sc_bytes(block->events[i]->hash));
	blake3_end(&h, hash, sizeof hash);
	return slice_eq(SLICE_ARRAY(hash), sc_bytes(block->header->events_hash));
}

/* An engine without consensus makes blocks that name no parent: nothing ties them to a chain. */
static int say_linked(const struct sc_block *b, struct level_result *out)
{
	if (b->unlinked)
		return sc_say(out, VERDICT_ABSENT, "header: names no parent");
	return sc_say(out, VERDICT_OK, "%s", "");
}

static int check_version(const struct decoder *d, struct level_result *out)
{
	const struct sc_block *b = d->b;
	uint32_t expected =
		sc_protocol_version(sc_engine_version(d->params->network, b->base.time));

	if (b->version > SC_PROTOCOL_NEWEST)
		return sc_say(out, VERDICT_UNSUPPORTED,
			      "header: protocol version %" PRIu32 " is newer than this program",
			      b->version);
	if (b->version != expected)
		return sc_say(out, VERDICT_FAILED,
			      "header: protocol version %" PRIu32 ", by the schedule %" PRIu32,
			      b->version, expected);
	return say_linked(b, out);
}

static int check_header(const struct decoder *d, ssize_t bad_event)
{
	const struct sc_block *b = d->b;
	struct level_result *out = &d->b->base.levels[LEVEL_HEADER];

	if (!blake3_is(b->header, SLICE_ARRAY(b->base.hash)))
		return sc_say(out, VERDICT_FAILED, "header: hash differs");
	if (!b->block)
		return say_linked(b, out);

	const Sc__BlockHeader *header = b->block->header;
	struct slice witnesses = b->block->shard_witness
					 ? wire_bytes_of(&b->block->shard_witness->base)
					 : SLICE_EMPTY;

	bool witnessed = !b->unlinked || header->shard_witnesses_hash.len;

	if (witnessed && !blake3_is(witnesses, sc_bytes(header->shard_witnesses_hash)))
		return sc_say(out, VERDICT_FAILED, "header: hash of the witnesses differs");
	if (bad_event >= 0)
		return sc_say(out, VERDICT_FAILED, "header: event %zd: hash differs", bad_event);
	if (!events_hash_ok(b->block))
		return sc_say(out, VERDICT_FAILED, "header: hash of the events differs");
	if (b->unlinked && !witnessed && header->chain_id == 0 && b->version == 0)
		return say_linked(b, out);
	if ((uint32_t)header->chain_id != d->params->network)
		return sc_say(out, VERDICT_FAILED, "header: of network %" PRIi32 ", not %" PRIu32,
			      header->chain_id, d->params->network);
	return check_version(d, out);
}

/* The chain lets refused messages into a block, so they are a remark and no failure. */
static void say_messages(const struct decoder *d)
{
	const struct chain_block *base = &d->b->base;
	struct level_result *out = &d->b->base.levels[LEVEL_MESSAGES];

	if (d->refused)
		sc_say(out, VERDICT_OK, "%zu refused, first item %zu: %s", d->refused,
		       d->refused_first, base->items[d->refused_first].refusal);
	else
		sc_say(out, VERDICT_OK, "%s", "");
}

static int check_levels(struct decoder *d, ssize_t bad_event)
{
	struct chain_block *base = &d->b->base;
	uint8_t hash[HASH_SIZE];
	int rc;

	rc = d->b->block ? read_witnesses(d) : 0;
	if (rc < 0)
		return rc;
	check_header(d, bad_event);
	if (!d->verify)
		return 0;
	hash_blake3(d->b->header, hash);
	rc = sc_commit_check(d->params, base->shard, base->height, hash,
			     buf_slice(&base->certificate), &base->levels[LEVEL_COMMIT]);
	if (rc < 0)
		return err_note(d->err, rc, "commit");
	say_messages(d);
	return 0;
}

static int set_file_sizes(struct decoder *d)
{
	struct chain_block *base = &d->b->base;
	int rc;

	buf_clear(&d->scratch);
	rc = sc_render_header(base, false, &d->scratch);
	base->header_size = (uint32_t)d->scratch.n;
	buf_clear(&d->scratch);
	if (rc == 0)
		rc = sc_render_header(base, true, &d->scratch);
	base->header_json_size = (uint32_t)d->scratch.n;
	buf_clear(&d->scratch);
	if (rc == 0)
		rc = sc_render_parent(base, &d->scratch);
	base->parent_file_size = (uint32_t)d->scratch.n;
	return rc;
}

/* ---- decode ---- */

void sc_block_freep(struct sc_block **b)
{
	if (!*b)
		return;
	buf_release(&(*b)->base.canonical);
	buf_release(&(*b)->base.certificate);
	arena_freep(&(*b)->arena);
	free(*b);
	*b = NULL;
}

static void decoder_release(struct decoder *d)
{
	sc_block_freep(&d->b);
	buf_release(&d->scratch);
}

static struct buf take_buf(struct buf *b)
{
	struct buf taken = *b;

	*b = (struct buf)BUF_INIT(taken.size_max);
	return taken;
}

static int decode(struct decoder *d, bool main_shard)
{
	struct parts parts = { 0 };
	ssize_t bad_event = -1;
	int rc = unpack(d, main_shard, &parts);

	if (rc == 0)
		rc = read_header(d, main_shard, &parts);
	if (rc == 0)
		rc = read_items(d, &parts, &bad_event);
	if (rc == 0)
		rc = check_levels(d, bad_event);
	if (rc == 0)
		rc = set_file_sizes(d);
	return rc;
}

int sc_block_decode(const struct chain_params *p, bool main_shard, bool verify,
		    struct buf *canonical, struct buf *certificate, struct sc_block **out,
		    struct err *err)
{
	AUTO(buf_release) struct buf bytes = take_buf(canonical);
	AUTO(buf_release) struct buf commits = take_buf(certificate);
	AUTO(decoder_release) struct decoder d = {
		.params = p,
		.verify = verify,
		.scratch = BUF_INIT(BLOCK_SIZE_MAX),
		.err = err,
	};

	if (bytes.n > BLOCK_SIZE_MAX)
		return err_set(err, -EMSGSIZE, "structure: a block of %zu bytes", bytes.n);
	d.b = calloc(1, sizeof *d.b);
	if (!d.b)
		return err_set(err, -ENOMEM, "no memory for a block");
	d.b->base.canonical = take_buf(&bytes);
	d.b->base.certificate = take_buf(&commits);
	d.b->arena = arena_new(SC_ARENA_SIZE(d.b->base.canonical.n));
	if (!d.b->arena)
		return err_set(err, -ENOMEM, "no memory for a block");

	int rc = decode(&d, main_shard);

	if (rc < 0)
		return err_note(err, rc, "structure");
	*out = TAKE(d.b);
	return 0;
}

int sc_block_link(const struct chain_block *b, const uint8_t *prev_hash, struct err *err)
{
	struct slice parent = SLICE(b->parent, b->parent_size);
	struct slice genesis = b->shard == 0 ? SLICE(genesis_block, sizeof genesis_block - 1)
					     : SLICE_ARRAY(genesis_chunk);

	if (sc_block_of(b)->unlinked)
		return 0; /* the header level says so */
	if (slice_eq(parent, prev_hash ? SLICE(prev_hash, HASH_SIZE) : genesis))
		return 0;
	return err_set(err, -EBADMSG, prev_hash ? "header: parent differs"
						: "header: not the parent of height 1");
}
