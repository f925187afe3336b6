/* The messages of the replication service, and the lists that fill what it refuses. Walked without
 * copies: what they carry is decoded, strictly, where it is looked at. */
#include "core/chain/snapchain/replica.h"

#define ITEMS_MAX    100000 /* of one page; a node sends 1,000 */
#define TRIE_KEY_MAX (TRIE_PREFIX_SIZE + TRIE_REST_MAX)

static int broken(struct err *err, const char *what)
{
	return err_set(err, -EBADMSG, "%s does not parse", what);
}

/* ---- snapshots ---- */

enum { SNAPSHOT_SHARD = 1, SNAPSHOT_HEIGHT = 2, SNAPSHOT_CHUNK = 5, SNAPSHOT_BLOCK = 6 };

static int snapshot_of(struct slice in, struct chain_snapshot *out, struct err *err)
{
	struct wire w = wire_of(in);
	struct wire_field f;

	*out = (struct chain_snapshot){ .shard = 0 };
	while (wire_next(&w, &f)) {
		if (f.number == SNAPSHOT_SHARD && f.type == WIRE_VARINT)
			out->shard = (uint32_t)f.value;
		else if (f.number == SNAPSHOT_HEIGHT && f.type == WIRE_VARINT)
			out->height = f.value;
		else if ((f.number == SNAPSHOT_CHUNK || f.number == SNAPSHOT_BLOCK) &&
			 f.type == WIRE_BYTES)
			out->block = f.bytes;
	}
	return wire_done(&w) < 0 ? broken(err, "a snapshot's metadata") : 1;
}

int sc_replica_snapshot(struct slice message, size_t i, struct chain_snapshot *out, struct err *err)
{
	struct wire w = wire_of(message);
	struct wire_field f;

	while (wire_next(&w, &f))
		if (f.number == 1 && f.type == WIRE_BYTES && i-- == 0)
			return snapshot_of(f.bytes, out, err);
	return wire_done(&w) < 0 ? broken(err, "the metadata of snapshots") : 0;
}

/* ---- pages ---- */

static void *grow(void *list, size_t count, size_t *cap, size_t size)
{
	size_t wider = *cap ? 2 * *cap : 64;
	void *more;

	if (count < *cap)
		return list;
	more = realloc(list, wider * size);
	if (more)
		*cap = wider;
	return more;
}

static int push_item(struct chain_page *p, size_t *cap, const struct chain_page_item *item)
{
	void *more = p->item_count >= ITEMS_MAX
			     ? NULL
			     : grow(p->items, p->item_count, cap, sizeof *p->items);

	if (!more)
		return p->item_count >= ITEMS_MAX ? -EMSGSIZE : -ENOMEM;
	p->items = more;
	p->items[p->item_count++] = *item;
	return 0;
}

static int push_claim(struct chain_page *p, size_t *cap, const struct chain_claim *claim)
{
	void *more = p->claim_count >= ITEMS_MAX
			     ? NULL
			     : grow(p->claims, p->claim_count, cap, sizeof *p->claims);

	if (!more)
		return p->claim_count >= ITEMS_MAX ? -EMSGSIZE : -ENOMEM;
	p->claims = more;
	p->claims[p->claim_count++] = *claim;
	return 0;
}

enum { ITEM_KEY = 1, ITEM_MESSAGE = 2, ITEM_ONCHAIN = 3, ITEM_FNAME = 4 };

/* The proof within a transfer: the rest of one is never there. */
static bool proof_of(struct slice transfer, struct slice *out)
{
	struct wire w = wire_of(transfer);
	struct wire_field f;

	*out = SLICE_EMPTY;
	while (wire_next(&w, &f))
		if (f.number == 4 && f.type == WIRE_BYTES)
			*out = f.bytes;
	return wire_done(&w) == 0;
}

static int item_of(struct slice in, struct chain_page_item *out, struct err *err)
{
	struct wire w = wire_of(in);
	struct wire_field f;
	bool ok = true;

	*out = (struct chain_page_item){ .form = 0 };
	while (wire_next(&w, &f)) {
		ok &= f.type == WIRE_BYTES;
		out->bytes = f.number == ITEM_KEY ? out->bytes : f.bytes;
		switch (f.number) {
		case ITEM_KEY:
			out->key = f.bytes;
			break;
		case ITEM_MESSAGE:
			out->form = SC_FORM_MESSAGE;
			break;
		case ITEM_ONCHAIN:
			out->form = SC_FORM_ONCHAIN;
			break;
		case ITEM_FNAME:
			out->form = SC_FORM_PROOF;
			ok &= proof_of(f.bytes, &out->bytes);
			break;
		default:
			ok = false;
		}
	}
	if (wire_done(&w) < 0 || !ok || !out->form || out->key.n <= TRIE_PREFIX_SIZE ||
	    out->key.n > TRIE_KEY_MAX)
		return broken(err, "an item");
	return 0;
}

static int claim_of(struct slice in, struct chain_claim *out, struct err *err)
{
	struct wire w = wire_of(in);
	struct wire_field f;

	*out = (struct chain_claim){ .account = 0 };
	while (wire_next(&w, &f)) {
		if (f.number == 1 && f.type == WIRE_VARINT)
			out->account = f.value;
		else if (f.number == 3 && f.type == WIRE_VARINT)
			out->records = f.value;
		else if (f.number == 2 && f.type == WIRE_BYTES && f.bytes.n <= ROOT_SIZE_MAX) {
			memcpy(out->root, f.bytes.p, f.bytes.n);
			out->root_size = (uint8_t)f.bytes.n;
		}
	}
	return wire_done(&w) < 0 ? broken(err, "the root of an account") : 0;
}

void sc_replica_page_release(struct chain_page *p)
{
	free(p->items);
	free(p->claims);
	*p = (struct chain_page){ .items = NULL };
}

int sc_replica_page(struct slice message, struct chain_page *out, struct err *err)
{
	struct wire w = wire_of(message);
	struct wire_field f;
	size_t item_cap = 0, claim_cap = 0;
	int rc = 0;

	*out = (struct chain_page){ .items = NULL };
	while (rc == 0 && wire_next(&w, &f)) {
		struct chain_page_item item;
		struct chain_claim claim;

		if (f.type != WIRE_BYTES || f.number < 1 || f.number > 3)
			rc = broken(err, "the page");
		else if (f.number == 1 && (rc = item_of(f.bytes, &item, err)) == 0)
			rc = push_item(out, &item_cap, &item);
		else if (f.number == 2 && (rc = claim_of(f.bytes, &claim, err)) == 0)
			rc = push_claim(out, &claim_cap, &claim);
		else if (f.number == 3)
			out->token = f.bytes;
	}
	if (rc == 0 && wire_done(&w) < 0)
		rc = broken(err, "the page");
	if (rc < 0)
		sc_replica_page_release(out);
	return rc == -ENOMEM || rc == -EMSGSIZE
		       ? err_set(err, rc, "a page of more than %d items", ITEMS_MAX)
		       : rc;
}

/* ---- lists ---- */

static const char *const list_names[SC_LIST_COUNT] = {
	"casts",         "reactions",      "links",       "link compact states", "user data",
	"verifications", "lends",          "names",       "signer events",       "migration events",
	"id events",     "storage events", "tier events", "channel events",
};

const char *sc_replica_list_name(unsigned list)
{
	return list < SC_LIST_COUNT ? list_names[list] : NULL;
}

/* All of them: 1 the objects, 2 the token of the next page. */
int sc_replica_list(unsigned list, struct slice message, struct chain_page *out, struct err *err)
{
	struct wire w = wire_of(message);
	struct wire_field f;
	struct chain_page_item item = {
		.form = list >= SC_LIST_ONCHAIN ? SC_FORM_ONCHAIN
			: list == SC_LIST_NAMES ? SC_FORM_PROOF
						: SC_FORM_MESSAGE,
	};
	size_t cap = 0;
	int rc = 0;

	*out = (struct chain_page){ .items = NULL };
	while (rc == 0 && wire_next(&w, &f)) {
		if (f.type != WIRE_BYTES)
			rc = broken(err, "a list");
		else if (f.number == 2)
			out->token = f.bytes;
		else if (f.number == 1) {
			item.bytes = f.bytes;
			rc = push_item(out, &cap, &item);
		}
	}
	if (rc == 0 && wire_done(&w) < 0)
		rc = broken(err, "a list");
	if (rc < 0)
		sc_replica_page_release(out);
	return rc == -ENOMEM || rc == -EMSGSIZE
		       ? err_set(err, rc, "a list of more than %d objects", ITEMS_MAX)
		       : rc;
}
