/* Changed messages and blocks: none is accepted. What is changed are the recorded blocks of a
 * chain, where they stand, the messages in them, and the fuzzers' corpora; how, a seed says. Half of
 * them are changed byte by byte, which mostly does not decode any more; the other half field by
 * field: sizes and sums of what encloses the change are right again, and a message may be signed
 * anew by a key that is nobody's. A mutant counts as
 *   refused    it does not decode, or some level says no
 *   reported   the block stands, and calls every item that is new in it refused
 *   reordered  the block stands, and has no item that the original has not: each in another place,
 *              again, or missing where replay gives the same state (docs/trust.md)
 *   same       it says what the original says: the canonical bytes are equal, another certificate
 *              holds too
 *   uncovered  what differs lies in fields that docs/trust.md names as covered by nothing; of each
 *              new item that is not refused, set against one of the original
 *   unjudged   of a corpus, and only replay could tell: it stands on no state
 *   accepted   none of these: a failure
 *
 * MUTANTS=1000000 says how many in all; THREADS how many threads share them. */
#include "tests/prop/changed_lab.h"

#include "core/chain/snapchain/codec.h"

#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define MUTANTS      40000u
#define CORPUS       "tests/fuzz/corpus/"
#define THREADS_MAX  64u
#define BLOCK_SHARE  4u /* one mutant in so many is of a whole block */
#define CHAIN_BLOCKS 833u
#define CORPUS_MAX   64u

struct counts {
	uint64_t blocks, messages, foreign; /* mutants of each; foreign: of the corpora */
	uint64_t shaped, decoded;           /* changed field by field; blocks that decode */
	uint64_t by_level[LEVEL_COUNT];     /* blocks that decode, by the level that refuses them */
	uint64_t refused, reported, reordered, same, uncovered, unjudged, accepted;
};

struct sample {
	uint8_t *bytes;
	size_t size;
	int kind; /* 0: a main block, 1: a shard's, 2: a message */
};

struct worker {
	pthread_t thread;
	uint64_t seed, quota;
	const char *trust;
	const struct sample *samples;
	size_t sample_count;
	struct counts counts;
	char first[256]; /* that was accepted */
};

/* ---- changing ---- */

static void put_many(struct random *r, struct buf *b, size_t n)
{
	for (; n; n--)
		buf_u8(b, (uint8_t)random_u64(r));
}

/* One change; `other` lends bytes. */
static void change(struct random *r, struct slice in, struct slice other, struct buf *out)
{
	size_t at = random_below(r, in.n + 1), n = random_below(r, 1u << random_below(r, 7)) + 1;
	struct slice rest = slice_sub(in, at, in.n);

	buf_add(out, slice_sub(in, 0, at));
	switch (random_below(r, 8)) {
	case 0: /* a bit */
		buf_add(out, rest);
		if (rest.n)
			out->p[at] ^= (uint8_t)(1u << random_below(r, 8));
		return;
	case 1: /* some bytes become others */
		put_many(r, out, MIN(n, rest.n));
		buf_add(out, slice_sub(rest, n, rest.n));
		return;
	case 2: /* cut off */
		return;
	case 3: /* taken out */
		buf_add(out, slice_sub(rest, n, rest.n));
		return;
	case 4: /* put in */
		put_many(r, out, n);
		buf_add(out, rest);
		return;
	case 5: /* said twice */
		buf_add(out, slice_sub(rest, 0, n));
		buf_add(out, rest);
		return;
	case 6: /* of another one */
		buf_add(out, slice_sub(other, random_below(r, other.n + 1), n));
		buf_add(out, slice_sub(rest, n, rest.n));
		return;
	default: /* one more, one less: sizes, tags and numbers */
		buf_add(out, rest);
		if (rest.n)
			out->p[at] = (uint8_t)(out->p[at] + (random_chance(r, 50) ? 1 : 255));
	}
}

/* Several changes, most often one. */
static void mutate(struct random *r, struct slice in, struct slice other, struct buf *out)
{
	AUTO(buf_release) struct buf step = BUF_INIT(BLOCK_SIZE_MAX);
	unsigned more = random_chance(r, 70) ? 0 : (unsigned)random_below(r, 4);

	change(r, in, other, out);
	for (; more; more--) {
		buf_clear(&step);
		change(r, buf_slice(out), other, &step);
		struct buf swap = *out;
		*out = step;
		step = swap;
	}
}

/* ---- changing field by field ---- */

#define FIELDS_MAX 4096u
#define DEPTH_MAX  16u

/* The fields of a message, as many as there is room for. */
static size_t fields_of(struct slice message, struct wire_field *list)
{
	struct wire w = wire_of(message);
	size_t count = 0;

	while (count < FIELDS_MAX && wire_next(&w, &list[count]))
		count++;
	return count;
}

struct fields {
	struct wire_field *list;
	size_t count;
};

static void fields_release(struct fields *f)
{
	free(f->list);
}

static struct fields fields_read(struct slice message)
{
	struct wire w = wire_of(message);
	struct wire_field f;
	struct fields out = { NULL, 0 };

	while (out.count < FIELDS_MAX && wire_next(&w, &f))
		out.count++;
	out.list = calloc(out.count + 1, sizeof *out.list);
	assert_non_null(out.list);
	out.count = fields_of(message, out.list);
	return out;
}

/* What lies in a field, if that is a message. */
static const ProtobufCMessageDescriptor *inner_of(const ProtobufCMessageDescriptor *d,
						  const struct wire_field *f)
{
	const ProtobufCFieldDescriptor *field = field_of(d, f->number);

	if (f->type != WIRE_BYTES || !field)
		return NULL;
	if (d == &sc__message__descriptor && strcmp(field->name, "data_bytes") == 0)
		return &sc__message_data__descriptor;
	return field->type == PROTOBUF_C_TYPE_MESSAGE ? field->descriptor : NULL;
}

static void put_field(struct buf *out, uint32_t number, struct slice content)
{
	buf_varint(out, (uint64_t)number << 3 | WIRE_BYTES);
	buf_blob(out, content);
}

/* A number that is near what bounds are made of. */
static uint64_t edge(struct random *r, uint64_t v)
{
	static const uint64_t edges[] = { 0,         1,          127,       128,
					  INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX };

	switch (random_below(r, 4)) {
	case 0:
		return edges[random_below(r, ARRAY_LEN(edges))];
	case 1:
		return v + 1;
	case 2:
		return v - 1;
	default:
		return v ^ UINT64_C(1) << random_below(r, 64);
	}
}

/* The same field, and something else in it. */
static void reshape_field(struct random *r, const struct wire_field *f, struct buf *out)
{
	AUTO(buf_release) struct buf content = BUF_INIT(BLOCK_SIZE_MAX);

	if (f->type == WIRE_VARINT) {
		buf_varint(out, (uint64_t)f->number << 3);
		buf_varint(out, edge(r, f->value));
		return;
	}
	if (f->type != WIRE_BYTES) {
		buf_add(out, f->whole);
		return;
	}
	switch (random_below(r, 5)) {
	case 0: /* nothing */
		break;
	case 1: /* cut off */
		buf_add(&content, slice_sub(f->bytes, 0, random_below(r, f->bytes.n + 1)));
		break;
	case 2: /* longer */
		buf_add(&content, f->bytes);
		put_many(r, &content, 1 + random_below(r, 8));
		break;
	case 3: /* as long, others */
		put_many(r, &content, f->bytes.n);
		break;
	default:
		change(r, f->bytes, f->bytes, &content);
	}
	put_field(out, f->number, buf_slice(&content));
}

/* A change of the list of fields. `other` lends some, of a message of the same kind. */
static void reshape_list(struct random *r, const struct fields *in, const struct fields *other,
			 struct buf *out)
{
	size_t at = random_below(r, in->count), to = random_below(r, in->count);
	unsigned kind = (unsigned)random_below(r, 8);
	const struct wire_field *mine = &in->list[at], *lent = NULL;

	for (size_t i = 0, n = random_below(r, other->count + 1); i < other->count; i++) {
		const struct wire_field *f = &other->list[(i + n) % other->count];

		if (f->number == mine->number && (!lent || !slice_eq(f->whole, mine->whole)))
			lent = f;
	}
	for (size_t i = 0; i < in->count; i++) {
		const struct wire_field *f = &in->list[i];

		if (kind == 0 && i == at) /* missing */
			continue;
		if (kind == 1 && i == at) /* twice */
			buf_add(out, f->whole);
		if (kind == 2 && (i == at || i == to)) /* each other's place */
			f = &in->list[i == at ? to : at];
		if (kind == 3 && i == to) /* once more, elsewhere */
			buf_add(out, mine->whole);
		if (kind == 4 && i == at && lent) /* another one's */
			f = lent;
		if (kind == 5 && i == at && lent) /* another one's besides */
			buf_add(out, lent->whole);
		if (kind == 6 && i == at && f->type == WIRE_BYTES) { /* under another number */
			put_field(out, 1 + (uint32_t)random_below(r, 24), f->bytes);
			continue;
		}
		if (kind == 7 && i == at) { /* something else in it */
			reshape_field(r, f, out);
			continue;
		}
		buf_add(out, f->whole);
	}
}

/* A message whose hash is right, signed by a key that nobody gave. */
static void sign_anew(struct random *r, struct slice message, struct buf *out)
{
	AUTO(fields_release) struct fields all = fields_read(message);
	uint8_t seed[ED25519_SEED_SIZE], key[ED25519_KEY_SIZE], secret[ED25519_SECRET_SIZE];
	uint8_t signature[ED25519_SIGNATURE_SIZE], hash[HASH20_SIZE];
	struct slice said = SLICE_EMPTY;

	for (size_t i = 0; i < all.count; i++)
		if (all.list[i].type == WIRE_BYTES &&
		    (all.list[i].number == 7 || (all.list[i].number == 1 && !said.n)))
			said = all.list[i].bytes;
	hash_blake3_20(said, hash);
	random_bytes(r, seed, sizeof seed);
	ed25519_from_seed(seed, key, secret);
	ed25519_sign(secret, SLICE(hash, sizeof hash), signature);
	for (size_t i = 0; i < all.count; i++)
		switch (all.list[i].number) {
		case 2:
			put_field(out, 2, SLICE(hash, sizeof hash));
			break;
		case 4:
			put_field(out, 4, SLICE(signature, sizeof signature));
			break;
		case 6:
			put_field(out, 6, SLICE(key, sizeof key));
			break;
		default:
			buf_add(out, all.list[i].whole);
		}
}

/* One change of a message or of one inside it; what encloses it fits again. */
static void reshape(struct random *r, const ProtobufCMessageDescriptor *d, struct slice in,
		    struct slice other, bool sign, unsigned depth, struct buf *out)
{
	AUTO(fields_release) struct fields mine = fields_read(in), theirs = fields_read(other);
	AUTO(buf_release) struct buf content = BUF_INIT(BLOCK_SIZE_MAX);

	if (!mine.count)
		return;
	if (sign && d == &sc__message__descriptor && random_chance(r, 50)) {
		if (random_chance(r, 80))
			reshape(r, d, in, other, false, depth + 1, &content);
		else
			buf_add(&content, in);
		sign_anew(r, buf_slice(&content), out);
		return;
	}
	size_t at = random_below(r, mine.count);
	const ProtobufCMessageDescriptor *inner = inner_of(d, &mine.list[at]);

	if (!inner || depth == DEPTH_MAX || random_chance(r, 25)) {
		reshape_list(r, &mine, &theirs, out);
		return;
	}
	struct slice lent = mine.list[at].bytes;

	for (size_t i = 0, n = random_below(r, theirs.count + 1); i < theirs.count; i++) {
		const struct wire_field *f = &theirs.list[(i + n) % theirs.count];

		if (f->number == mine.list[at].number && f->type == WIRE_BYTES)
			lent = f->bytes;
	}
	reshape(r, inner, mine.list[at].bytes, lent, sign, depth + 1, &content);
	for (size_t i = 0; i < mine.count; i++)
		if (i == at)
			put_field(out, mine.list[i].number, buf_slice(&content));
		else
			buf_add(out, mine.list[i].whole);
}

/* Half of the mutants are made so; sign: what is signed anew may be one. */
static void make_mutant(struct counts *counts, struct random *r,
			const ProtobufCMessageDescriptor *d, struct slice in, struct slice other,
			bool sign, struct buf *out)
{
	if (random_chance(r, 50)) {
		mutate(r, in, other, out);
		return;
	}
	AUTO(buf_release) struct buf step = BUF_INIT(BLOCK_SIZE_MAX);

	counts->shaped++;
	reshape(r, d, in, other, sign, 0, out);
	for (unsigned more = random_chance(r, 70) ? 0 : (unsigned)random_below(r, 4); more;
	     more--) {
		buf_clear(&step);
		reshape(r, d, buf_slice(out), other, sign, 0, &step);
		struct buf swap = *out;
		*out = step;
		step = swap;
	}
}

/* ---- where it differs ---- */

static bool only_listed(const ProtobufCMessageDescriptor *d, struct slice was, struct slice is,
			const char *trust, unsigned depth, char field[FIELD_SIZE]);

/* Two fields of one number, or one of them alone. */
static bool field_listed(const ProtobufCMessageDescriptor *d, const struct wire_field *was,
			 const struct wire_field *is, const char *trust, unsigned depth,
			 char field[FIELD_SIZE])
{
	const ProtobufCFieldDescriptor *f = field_of(d, was ? was->number : is->number);

	snprintf(field, FIELD_SIZE, "%s.%s", d->short_name, f ? f->name : "?");
	if (is_listed(trust, field))
		return true;
	if (!f || f->type != PROTOBUF_C_TYPE_MESSAGE || !was || !is || was->type != WIRE_BYTES ||
	    is->type != WIRE_BYTES)
		return false;
	return only_listed(f->descriptor, was->bytes, is->bytes, trust, depth + 1, field);
}

/* Are all fields that differ listed? `field` names the last that was looked at. Sizes of what
 * encloses them differ too, so this goes by fields and not by bytes. */
static bool only_listed(const ProtobufCMessageDescriptor *d, struct slice was, struct slice is,
			const char *trust, unsigned depth, char field[FIELD_SIZE])
{
	AUTO(base_freep) struct wire_field *a = calloc(FIELDS_MAX, sizeof *a);
	AUTO(base_freep) struct wire_field *b = calloc(FIELDS_MAX, sizeof *b);

	assert_true(a && b && depth < DEPTH_MAX);
	size_t a_count = fields_of(was, a), b_count = fields_of(is, b), first = 0, tail = 0;
	size_t most = MIN(a_count, b_count);
	bool good = true;

	while (first < most && slice_eq(a[first].whole, b[first].whole))
		first++;
	while (tail < most - first &&
	       slice_eq(a[a_count - 1 - tail].whole, b[b_count - 1 - tail].whole))
		tail++;
	size_t i = first, k = first, a_end = a_count - tail, b_end = b_count - tail;

	while (good && (i < a_end || k < b_end)) {
		bool pair = i < a_end && k < b_end && a[i].number == b[k].number;
		bool left = pair || (i < a_end && (k == b_end || a[i].number < b[k].number));
		bool right = pair || !left;

		if (!pair || !slice_eq(a[i].whole, b[k].whole))
			good = field_listed(d, left ? &a[i] : NULL, right ? &b[k] : NULL, trust,
					    depth, field);
		i += left;
		k += right;
	}
	return good;
}

static bool only_uncovered(const ProtobufCMessageDescriptor *d, struct slice was, struct slice is,
			   const char *trust, char field[FIELD_SIZE])
{
	snprintf(field, FIELD_SIZE, "nowhere");
	return only_listed(d, was, is, trust, 0, field);
}

static void accepted(struct worker *w, const char *what, const char *field)
{
	if (getenv("SHOW"))
		printf("# accepted: %s, %s\n", what, field);
	if (w->counts.accepted++ == 0)
		snprintf(w->first, sizeof w->first, "%s, changed in %s", what, field);
}

/* ---- messages ---- */

/* Does it verify, and what does it say? */
static bool verifies(struct slice in, struct buf *says)
{
	AUTO(arena_freep) struct arena *arena = arena_new(SC_ARENA_SIZE(in.n));
	struct sc_message m;

	if (!arena || sc_message_decode(in, arena, true, &m, NULL) < 0 || !m.hash_ok ||
	    !m.signature_ok || !m.content || m.differs)
		return false;
	/* What was hashed, whether it came as data or as data_bytes; who signed it, and how. */
	buf_blob(says, m.preimage);
	buf_blob(says, SLICE(m.pb->signer.data, m.pb->signer.len));
	buf_add(says, SLICE(m.pb->signature.data, m.pb->signature.len));
	return true;
}

static void try_message(struct worker *w, struct random *r, struct slice message,
			struct slice other)
{
	AUTO(buf_release) struct buf changed = BUF_INIT(BLOCK_SIZE_MAX);
	AUTO(buf_release) struct buf says = BUF_INIT(BLOCK_SIZE_MAX);
	AUTO(buf_release) struct buf said = BUF_INIT(BLOCK_SIZE_MAX);
	char field[FIELD_SIZE];

	make_mutant(&w->counts, r, &sc__message__descriptor, message, other, false, &changed);
	w->counts.messages++;
	if (!verifies(buf_slice(&changed), &says))
		w->counts.refused++;
	else if (slice_eq(buf_slice(&changed), message) ||
		 (verifies(message, &said) && slice_eq(buf_slice(&says), buf_slice(&said))))
		w->counts.same++;
	else if (slice_eq(buf_slice(&changed), other))
		w->counts.same++; /* it has become the whole other one */
	else if (only_uncovered(&sc__message__descriptor, message, buf_slice(&changed), w->trust,
				field))
		w->counts.uncovered++;
	else
		accepted(w, "a message", field);
}

/* ---- blocks ---- */

static const ProtobufCMessageDescriptor *descriptor_of(const struct chain_item *it)
{
	switch (it->form) {
	case SC_FORM_MESSAGE:
		return &sc__message__descriptor;
	case SC_FORM_ONCHAIN:
		return &sc__on_chain_event__descriptor;
	case SC_FORM_FNAME:
		return &sc__fname_transfer__descriptor;
	case SC_FORM_BLOCK_EVENT:
		return &sc__block_event__descriptor;
	default:
		return &sc__validator_message__descriptor;
	}
}

static struct slice item_bytes(const struct chain_block *b, size_t i)
{
	return SLICE(b->canonical.p + b->items[i].offset, b->items[i].size);
}

/* Has the original an item of these bytes, or one that differs in listed fields alone? */
static bool has_item(const struct chain_block *b, struct slice bytes)
{
	for (size_t i = 0; i < b->item_count; i++)
		if (slice_eq(item_bytes(b, i), bytes))
			return true;
	return false;
}

static bool has_item_but_listed(const struct chain_block *b, const struct chain_item *it,
				struct slice bytes, const char *trust, char field[FIELD_SIZE])
{
	for (size_t i = 0; i < b->item_count; i++)
		if (b->items[i].form == it->form &&
		    only_uncovered(descriptor_of(it), item_bytes(b, i), bytes, trust, field))
			return true;
	return false;
}

/* What a transaction says beside its items. The chain's rules know accounts by 32 bits. */
struct of_account {
	uint32_t fid;
	struct slice root;
	bool items;
};

static struct of_account of_account(struct slice transaction)
{
	struct of_account out = { 0, SLICE_EMPTY, false };
	struct wire_field f;

	for (struct wire w = wire_of(transaction); wire_next(&w, &f);) {
		if (f.number == 1)
			out.fid = (uint32_t)f.value;
		if (f.number == 4)
			out.root = f.bytes;
		out.items |= f.number == 2 || f.number == 3;
	}
	return out;
}

/* Every transaction of `is` is of an account and a root that one of `was` is of; without a root, of
 * any account that has nothing; or it says nothing at all. */
static bool same_accounts(struct slice was, struct slice is, uint32_t number)
{
	AUTO(fields_release) struct fields a = fields_read(was), b = fields_read(is);

	for (size_t i = 0; i < b.count; i++) {
		struct of_account mine = of_account(b.list[i].bytes);
		bool found = b.list[i].number != number || (!mine.items && !mine.root.n);

		for (size_t k = 0; k < a.count && !found; k++) {
			struct of_account theirs = of_account(a.list[k].bytes);

			found = a.list[k].number == number &&
				(mine.fid == theirs.fid || !mine.root.n) &&
				slice_eq(mine.root, theirs.root);
		}
		if (!found)
			return false;
	}
	return true;
}

/* Is it a message that says what one of the block's says, though its bytes are others? */
static bool says_the_same(const struct chain_block *b, struct slice message)
{
	AUTO(buf_release) struct buf says = BUF_INIT(BLOCK_SIZE_MAX);

	if (!verifies(message, &says))
		return false;
	for (size_t i = 0; i < b->item_count; i++) {
		AUTO(buf_release) struct buf said = BUF_INIT(BLOCK_SIZE_MAX);

		if (b->items[i].form != SC_FORM_SYSTEM && verifies(item_bytes(b, i), &said) &&
		    slice_eq(buf_slice(&says), buf_slice(&said)))
			return true;
	}
	return false;
}

/* Of a block that every level let stand. */
static void judge_block(struct worker *w, uint32_t shard, struct slice whole, struct slice changed,
			const struct chain_block *b, const struct chain_block *honest,
			const bool *standing)
{
	bool reported = false, uncovered = false, same = false;
	char field[FIELD_SIZE] = "its transactions";

	if (slice_eq(buf_slice(&b->canonical), buf_slice(&honest->canonical))) {
		w->counts.same++;
		return;
	}
	if (only_uncovered(shard ? &sc__shard_chunk__descriptor : &sc__block__descriptor, whole,
			   changed, w->trust, field)) {
		w->counts.uncovered++;
		return;
	}
	for (size_t i = 0; i < b->item_count; i++) {
		struct slice bytes = item_bytes(b, i);

		if (has_item(honest, bytes))
			continue;
		if (!standing[i]) {
			reported = true;
		} else if (b->items[i].form == SC_FORM_SYSTEM && !bytes.n) {
			uncovered = true; /* it says nothing */
		} else if (b->items[i].form != SC_FORM_SYSTEM && says_the_same(honest, bytes)) {
			same = true;
		} else if (has_item_but_listed(honest, &b->items[i], bytes, w->trust, field)) {
			uncovered = true;
		} else {
			accepted(w, "a block", field);
			return;
		}
	}
	if (uncovered)
		w->counts.uncovered++;
	else if (reported)
		w->counts.reported++;
	else if (same)
		w->counts.same++;
	else if (same_accounts(buf_slice(&honest->canonical), buf_slice(&b->canonical),
			       shard ? 3 : 5))
		w->counts.reordered++;
	else
		accepted(w, "a block", "its transactions");
}

static void try_block(struct worker *w, struct random *r, struct chain *c, uint32_t shard,
		      struct slice whole, const struct chain_block *honest, struct slice other)
{
	AUTO(buf_release) struct buf changed = BUF_INIT(BLOCK_SIZE_MAX);
	struct err why = ERR_INIT;
	bool item = false;

	make_mutant(&w->counts, r, shard ? &sc__shard_chunk__descriptor : &sc__block__descriptor,
		    whole, other, true, &changed);
	w->counts.blocks++;
	struct chain_block *b = decode(c, shard, buf_slice(&changed), &why);

	if (!b) {
		w->counts.refused++;
		return;
	}
	AUTO(base_freep) bool *standing = calloc(b->item_count + 1, sizeof *standing);

	assert_non_null(standing);
	w->counts.decoded++;
	int level = refuses(c, shard, b, honest, &item, standing);

	if (level >= 0) {
		w->counts.refused++;
		w->counts.by_level[level]++;
	} else {
		judge_block(w, shard, whole, buf_slice(&changed), b, honest, standing);
	}
	c->ops->block_free(b);
}

/* Are all items that the original has not refused for what their bytes say, and are there some? */
static bool reports_refused(const struct chain_block *b, const struct chain_block *was)
{
	bool any = false;

	for (size_t i = 0; i < b->item_count; i++) {
		if (has_item(was, item_bytes(b, i)))
			continue;
		if (!b->items[i].refusal)
			return false;
		any = true;
	}
	return any;
}

/* Of the corpora: their blocks are signed by nobody that this chain knows, so all that decodes is
 * refused by a level. */
static void try_foreign(struct worker *w, struct random *r, struct chain *c)
{
	const struct sample *s = &w->samples[random_below(r, w->sample_count)],
			    *o = &w->samples[random_below(r, w->sample_count)];
	AUTO(buf_release) struct buf changed = BUF_INIT(BLOCK_SIZE_MAX);
	struct err why = ERR_INIT;
	char field[FIELD_SIZE];

	w->counts.foreign++;
	if (s->kind == 2) {
		try_message(w, r, SLICE(s->bytes, s->size), SLICE(o->bytes, o->size));
		w->counts.messages--;
		return;
	}
	make_mutant(&w->counts, r, s->kind ? &sc__shard_chunk__descriptor : &sc__block__descriptor,
		    SLICE(s->bytes, s->size), SLICE(o->bytes, o->size), true, &changed);
	struct chain_block *b = decode(c, (uint32_t)s->kind, buf_slice(&changed), &why);
	struct chain_block *was =
		b ? decode(c, (uint32_t)s->kind, SLICE(s->bytes, s->size), &why) : NULL;
	bool stands = b != NULL;

	for (int l = LEVEL_STRUCTURE; b && l <= LEVEL_COMMIT; l++)
		stands &= b->levels[l].verdict == VERDICT_OK;
	/* Some of them are recorded blocks, and verify. */
	if (!stands)
		w->counts.refused++;
	else if (was && slice_eq(buf_slice(&b->canonical), buf_slice(&was->canonical)))
		w->counts.same++;
	else if (was && reports_refused(b, was))
		w->counts.reported++;
	else if (only_uncovered(s->kind ? &sc__shard_chunk__descriptor : &sc__block__descriptor,
				SLICE(s->bytes, s->size), buf_slice(&changed), w->trust, field))
		w->counts.uncovered++;
	else /* what only replay could tell, and this block stands on no state */
		w->counts.unjudged++;
	if (b)
		c->ops->block_free(b);
	if (was)
		c->ops->block_free(was);
}

/* ---- a thread: the chain from its beginning, as often as it takes ---- */

static struct slice message_of(const struct chain_block *b, struct random *r)
{
	for (unsigned tries = 0; b->item_count && tries < 8; tries++) {
		const struct chain_item *it = &b->items[random_below(r, b->item_count)];

		if (it->form == SC_FORM_MESSAGE)
			return SLICE(b->canonical.p + it->offset, it->size);
	}
	return SLICE_EMPTY;
}

static void at_block(struct worker *w, struct random *r, struct chain *c, uint32_t shard,
		     struct slice whole, const struct chain_block *honest, struct buf *before,
		     struct buf *kept, uint64_t n)
{
	struct slice other = before->n ? buf_slice(before) : whole;
	struct slice own = message_of(honest, r);

	/* Many blocks have none: then it is one of an earlier block. */
	if (own.n) {
		buf_clear(kept);
		buf_add(kept, own);
	}

	for (; n; n--) {
		struct slice message = message_of(honest, r), lender = message_of(honest, r);

		if (!message.n)
			message = buf_slice(kept);

		if (random_chance(r, 5))
			try_foreign(w, r, c);
		else if (random_below(r, BLOCK_SHARE) == 0 || !message.n)
			try_block(w, r, c, shard, whole, honest, other);
		else
			try_message(w, r, message, lender.n ? lender : other);
	}
	buf_clear(before);
	buf_add(before, whole);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct random r = random_of(w->seed);
	struct err err = ERR_INIT;
	AUTO(buf_release) struct buf kept = BUF_INIT(BLOCK_SIZE_MAX);
	uint64_t shards;
	struct chain c = { 0 };

	open_chain(&c);
	shards = archive_shards(c.archive);
	for (uint32_t s = 0; s < shards; s++) {
		/* The main shard has no messages. */
		uint64_t left = s ? w->quota * 9 / 10 / (shards - 1) : w->quota / 10;
		uint64_t per = left / (CHAIN_BLOCKS / shards) + 1, share = left;
		AUTO(buf_release) struct buf message = BUF_INIT(BLOCK_SIZE_MAX);
		AUTO(buf_release) struct buf before = BUF_INIT(BLOCK_SIZE_MAX);

		while (left && archive_next(c.archive, s, &message, &err) == 1) {
			struct chain_block *honest = decode(&c, s, buf_slice(&message), &err);
			/* So that few mutants meet blocks all over the chain. */
			uint64_t n = per > 1 ? MIN(per, left)
					     : random_chance(&r, (unsigned)(100 * share * shards /
									    CHAIN_BLOCKS) +
									 1);

			at_block(w, &r, &c, s, buf_slice(&message), honest, &before, &kept, n);
			left -= n;
			advance(&c, s, honest);
			c.ops->block_free(honest);
		}
	}
	close_chain(&c);
	return NULL;
}

/* ---- the corpora ---- */

static size_t read_corpora(struct sample *out)
{
	static const char *const folders[] = { "block", "chunk", "message" };
	size_t count = 0;

	for (int k = 0; k < 3; k++) {
		char path[512];

		snprintf(path, sizeof path, CORPUS "%s", folders[k]);
		DIR *d = opendir(path);

		assert_non_null(d);
		for (const struct dirent *e; count < CORPUS_MAX && (e = readdir(d));) {
			if (e->d_name[0] == '.')
				continue;
			snprintf(path, sizeof path, CORPUS "%s/%s", folders[k], e->d_name);
			out[count].bytes = file_read(path, &out[count].size);
			out[count++].kind = k;
		}
		closedir(d);
	}
	return count;
}

static uint64_t number_from(const char *name, uint64_t usual)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : usual;
}

static void no_mutant_is_accepted(void **state)
{
	struct random r = random_of_run();
	struct sample samples[CORPUS_MAX];
	size_t sample_count = read_corpora(samples);
	AUTO(base_freep) char *trust = read_trust();
	static struct worker workers[THREADS_MAX];
	uint64_t all = number_from("MUTANTS", rounds(MUTANTS));
	uint64_t threads = number_from("THREADS", (uint64_t)MAX(sysconf(_SC_NPROCESSORS_ONLN), 1));
	struct counts t = { 0 };
	struct timespec from, to;

	(void)state;
	threads = MAX(MIN(threads, (uint64_t)THREADS_MAX), 1u);
	assert_int_equal(sign_init(), 0);
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (uint64_t i = 0; i < threads; i++) {
		workers[i] = (struct worker){ .seed = random_u64(&r),
					      .quota = all / threads,
					      .trust = trust,
					      .samples = samples,
					      .sample_count = sample_count };
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (uint64_t i = 0; i < threads; i++) {
		const struct counts *c = &workers[i].counts;

		pthread_join(workers[i].thread, NULL);
		t.blocks += c->blocks;
		t.messages += c->messages;
		t.foreign += c->foreign;
		t.refused += c->refused;
		t.reported += c->reported;
		t.reordered += c->reordered;
		t.shaped += c->shaped;
		t.decoded += c->decoded;
		for (size_t l = 0; l < LEVEL_COUNT; l++)
			t.by_level[l] += c->by_level[l];
		t.same += c->same;
		t.uncovered += c->uncovered;
		t.unjudged += c->unjudged;
		t.accepted += c->accepted;
		if (workers[i].first[0])
			print_message("# accepted: %s (thread %u of %u)\n", workers[i].first,
				      (unsigned)i, (unsigned)threads);
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	double seconds =
		(double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
	uint64_t done = t.refused + t.reported + t.reordered + t.same + t.uncovered + t.unjudged +
			t.accepted;

	print_message("# %" PRIu64 " mutants: %" PRIu64 " of blocks, %" PRIu64
		      " of messages, %" PRIu64 " of corpora: %" PRIu64 " refused, %" PRIu64
		      " reported, %" PRIu64 " reordered, %" PRIu64 " same, %" PRIu64
		      " in fields that nothing covers, %" PRIu64 " for replay alone, %" PRIu64
		      " accepted; %.1f s, %.0f a second\n",
		      done, t.blocks, t.messages, t.foreign, t.refused, t.reported, t.reordered,
		      t.same, t.uncovered, t.unjudged, t.accepted, seconds, (double)done / seconds);
	print_message("# %" PRIu64 " of them changed field by field; %" PRIu64
		      " of the blocks decode: structure refuses %" PRIu64 ", header %" PRIu64
		      ", commit %" PRIu64 ", accounts %" PRIu64 ", state %" PRIu64 "\n",
		      t.shaped, t.decoded, t.by_level[LEVEL_STRUCTURE], t.by_level[LEVEL_HEADER],
		      t.by_level[LEVEL_COMMIT], t.by_level[LEVEL_ACCOUNTS],
		      t.by_level[LEVEL_STATE]);
	for (size_t i = 0; i < sample_count; i++)
		free(samples[i].bytes);
	assert_int_equal(t.accepted, 0);
	assert_true(done >= all / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_mutant_is_accepted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
