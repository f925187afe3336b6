#include "core/chain/snapchain/listing.h"

#include <stdio.h>

#include "core/chain/snapchain/limits.h"
#include "core/chain/snapchain/names.h"

/* In byte order of the names, by enum sc_set. */
#define SET(set, name, about) [set] = { name, (uint8_t)((set) + 1), about }
const struct chain_set sc_sets[] = {
	SET(SC_SET_BORROWS, "borrows",
	    "storage lent to the account; the same messages as in the lenders' lends"),
	SET(SC_SET_CASTS, "casts", "casts, and removes of casts"),
	SET(SC_SET_CHANNEL_MEMBERS, "channel-members",
	    "what the account did to members of channels"),
	SET(SC_SET_CHANNEL_MODERATIONS, "channel-moderations",
	    "casts that the account hid or showed in channels"),
	SET(SC_SET_CHANNEL_PINS, "channel-pins", "casts that the account pinned in channels"),
	SET(SC_SET_CHANNEL_UPDATES, "channel-updates", "what the account said of its channels"),
	SET(SC_SET_FNAMES, "fnames", "names that the registry gave to the account"),
	SET(SC_SET_KEYS, "keys", "signing keys granted by message, and their removals"),
	SET(SC_SET_LENDS, "lends", "storage that the account lent"),
	SET(SC_SET_LINK_COMPACTS, "link-compacts", "compact states: all links of a type at once"),
	SET(SC_SET_LINKS, "links", "links to other accounts, and removes of links"),
	SET(SC_SET_ONCHAIN, "onchain",
	    "events of other chains: registration, signers, storage, tiers, channels"),
	SET(SC_SET_REACTIONS, "reactions", "likes and recasts, and removes of them"),
	SET(SC_SET_USER_DATA, "user-data", "the account's profile"),
	SET(SC_SET_PROOFS, "username-proofs", "proofs of ENS names and basenames"),
	SET(SC_SET_VERIFICATIONS, "verifications",
	    "addresses that the account verified, and removes of them"),
};
const size_t sc_set_count = ARRAY_LEN(sc_sets);
static_assert(ARRAY_LEN(sc_sets) == SC_SET_COUNT, "a set without a name");

/* ---- accounts ---- */

static void add_key(struct buf *out, const struct sc_key *key)
{
	buf_add(out, sc_key_slice(key));
}

void sc_account_key(uint64_t account, struct buf *out)
{
	uint8_t       prefix[TRIE_PREFIX_SIZE];
	struct sc_key key;

	sc_prefix(account, prefix);
	sc_key_account(&key, prefix);
	add_key(out, &key);
}

void sc_account_prefix(unsigned vshard, struct buf *out)
{
	uint8_t       prefix[TRIE_PREFIX_SIZE] = { (uint8_t)vshard };
	struct sc_key key;

	sc_key_account(&key, prefix);
	key.n = 2; /* the kind and the vshard */
	add_key(out, &key);
}

int sc_account_of_key(struct slice key, uint64_t *account)
{
	uint8_t prefix[TRIE_PREFIX_SIZE];

	if (key.n != 1 + TRIE_PREFIX_SIZE || key.p[0] != 'A')
		return -EUCLEAN;
	*account = get_be32(key.p + 2);
	sc_prefix(*account, prefix);
	return memcmp(prefix, key.p + 1, sizeof prefix) == 0 ? 0 : -EUCLEAN;
}

unsigned sc_vshard_of(uint64_t account)
{
	return sc_fid_hash(account) % 256;
}

uint32_t sc_shard_of(const struct chain_params *p, uint64_t account)
{
	return p->data_shards ? sc_fid_hash(account) % p->data_shards + 1 : 0;
}

void sc_vshard_key(unsigned vshard, struct buf *out)
{
	struct sc_key key;

	sc_key_vshard(&key, (uint8_t)vshard);
	add_key(out, &key);
}

int sc_account_read(struct slice value, struct chain_account *out)
{
	struct account_root root;
	struct sc_counts    sets[SC_SET_COUNT];
	uint64_t            rows, records;
	int                 rc = account_row_read(value, &root, &rows, &records, sets);

	if (rc < 0)
		return rc;
	memset(out, 0, sizeof *out);
	memcpy(out->root, root.root, HASH20_SIZE);
	out->root_size = HASH20_SIZE;
	out->records = root.keys;
	for (size_t i = 0; i < SC_SET_COUNT; i++) {
		out->sets[i].records = sets[i].records;
		out->sets[i].line_bytes = sets[i].line_bytes;
	}
	return 0;
}

/* ---- records ---- */

void sc_set_prefix(uint64_t account, uint8_t set_id, struct buf *out)
{
	uint8_t       prefix[TRIE_PREFIX_SIZE];
	struct sc_key key;

	sc_prefix(account, prefix);
	sc_key_set(&key, prefix, (enum sc_set)(set_id - 1));
	add_key(out, &key);
}

static int onchain_name(struct slice key, struct slice value, struct chain_record *out)
{
	struct sc_onchain e;
	int               rc = sc_onchain_read(key, value, &e);

	if (rc < 0)
		return rc;
	out->object = e.object;
	out->line_size = e.line_size;
	out->time = e.time;
	snprintf(out->name, sizeof out->name, "%u-%010" PRIu32 "-%010" PRIu32, e.type, e.block,
		 e.log);
	return 0;
}

static int fname_name(struct slice key, struct slice value, struct chain_record *out)
{
	struct slice name = slice_sub(key, SC_RECORD_HEAD, key.n);
	struct rd    in = rd_of(value);

	out->object = rd_varint(&in);
	out->line_size = (uint32_t)rd_varint(&in);
	(void)rd_varint(&in); /* type */
	out->time = rd_varint(&in);
	(void)rd_blob(&in); /* the name as it came */
	if (rd_done(&in) < 0 || !sc_name_listable(name))
		return -EUCLEAN;
	memcpy(out->name, name.p, name.n);
	out->name[name.n] = '\0';
	return 0;
}

static int message_name(struct slice key, struct slice value, struct chain_record *out)
{
	struct sc_record rec;
	int              rc = sc_record_decode(key, value, &rec);

	if (rc < 0)
		return rc;
	out->object = rec.object;
	out->line_size = rec.line_size;
	out->time = (uint64_t)sc_record_time(&rec) + SC_EPOCH;
	/* By hand, for a folder of a million. */
	size_t digits = dec_put(out->name, out->time, 10);
	out->name[digits] = '-';
	hex_put(out->name + digits + 1, rec.order + 4, HASH20_SIZE);
	return 0;
}

int sc_record_read(struct slice key, struct slice value, struct chain_record *out)
{
	memset(out, 0, offsetof(struct chain_record, name) + 1);
	if (key.n <= SC_RECORD_HEAD || key.p[0] != 'R')
		return -EUCLEAN;
	switch (key.p[SC_RECORD_HEAD - 1] - 1) {
	case SC_SET_ONCHAIN:
		return onchain_name(key, value, out);
	case SC_SET_FNAMES:
		return fname_name(key, value, out);
	default:
		return message_name(key, value, out);
	}
}

int sc_record_listed(struct slice key, uint64_t *account, uint8_t *set_id)
{
	if (key.n <= SC_RECORD_HEAD || key.p[0] != 'R')
		return -EUCLEAN;
	*account = get_be32(key.p + 2);
	*set_id = key.p[SC_RECORD_HEAD - 1];
	return *set_id && *set_id <= SC_SET_COUNT ? 0 : -EUCLEAN;
}

/* "<10 digits>", as a number up to `max`. */
static bool number_at(const char *name, uint64_t max, uint64_t *out)
{
	return strspn(name, "0123456789") >= 10 && dec_get(name, 10, max, out) == 0;
}

static bool onchain_order(const char *name, struct sc_key *key)
{
	uint64_t block, log;

	if (strlen(name) != 23 || name[0] < '0' || name[0] > '6' || name[1] != '-' ||
	    name[12] != '-' || !number_at(name + 2, UINT32_MAX, &block) ||
	    !number_at(name + 13, UINT32_MAX, &log))
		return false;
	sc_key_u8(key, (uint8_t)(name[0] - '0'));
	sc_key_be32(key, (uint32_t)block);
	sc_key_be32(key, (uint32_t)log);
	return true;
}

static bool is_lower_hex(const char *text)
{
	return text[strspn(text, "0123456789abcdef")] == '\0';
}

static bool message_order(const char *name, struct sc_key *key)
{
	uint8_t  hash[HASH20_SIZE];
	uint64_t time;

	if (strlen(name) != 11 + 2 * HASH20_SIZE || name[10] != '-' ||
	    !number_at(name, (uint64_t)UINT32_MAX + SC_EPOCH, &time) || time < SC_EPOCH ||
	    !is_lower_hex(name + 11) || hex_get(name + 11, 2 * HASH20_SIZE, hash, HASH20_SIZE) < 0)
		return false;
	sc_key_be32(key, (uint32_t)(time - SC_EPOCH));
	sc_key_bytes(key, hash, HASH20_SIZE);
	return true;
}

int sc_record_key(uint64_t account, uint8_t set_id, const char *name, struct buf *out)
{
	uint8_t       prefix[TRIE_PREFIX_SIZE];
	struct sc_key key;
	struct slice  text = slice_str(name);

	if (!set_id || set_id > SC_SET_COUNT)
		return -ENOENT;
	sc_prefix(account, prefix);
	sc_key_set(&key, prefix, (enum sc_set)(set_id - 1));
	switch (set_id - 1) {
	case SC_SET_ONCHAIN:
		if (!onchain_order(name, &key))
			return -ENOENT;
		break;
	case SC_SET_FNAMES:
		if (!sc_name_listable(text))
			return -ENOENT;
		sc_key_bytes(&key, text.p, text.n);
		break;
	default:
		if (!message_order(name, &key))
			return -ENOENT;
		break;
	}
	add_key(out, &key);
	return 0;
}

int sc_trie_key(struct slice record_key, struct slice record_value, struct buf *out)
{
	uint8_t rest[TRIE_REST_MAX];
	int     n;

	if (record_key.n <= SC_RECORD_HEAD || record_key.p[0] != 'R')
		return -EUCLEAN;
	n = sc_record_trie_rest(record_key, record_value, rest);
	if (n < 0)
		return n;
	buf_bytes(out, record_key.p + 1, TRIE_PREFIX_SIZE);
	buf_bytes(out, rest, (size_t)n);
	return out->failed;
}

/* ---- names ---- */

void sc_names_prefix(struct buf *out)
{
	struct sc_key key;

	sc_key_names(&key);
	add_key(out, &key);
}

int sc_name_key(const char *name, struct buf *out)
{
	if (!sc_name_listable(slice_str(name)))
		return -ENOENT;
	sc_names_prefix(out);
	buf_str(out, name);
	return 0;
}

int sc_name_read(struct slice key, struct slice value, char name[RECORD_NAME_SIZE],
		 struct buf *text, uint64_t *time)
{
	static const char *const types[] = { "none", "fname", "ens", "basename" };
	struct sc_key   head;
	struct sc_fname f;
	struct slice    listed;
	int             rc = sc_fname_read(value, &f);

	sc_key_names(&head);
	listed = slice_sub(key, head.n, key.n);
	if (rc < 0 || !slice_starts(key, sc_key_slice(&head)) || !sc_name_listable(listed))
		return -EUCLEAN;
	memcpy(name, listed.p, listed.n);
	name[listed.n] = '\0';
	*time = f.timestamp;
	buf_fmt(text, "name %s\nfid %" PRIu64 "\nowner ", name, f.fid);
	buf_hex(text, f.owner);
	buf_fmt(text, "\ntimestamp %" PRIu64 "\ntype ", f.timestamp);
	if (f.type < ARRAY_LEN(types))
		buf_str(text, types[f.type]);
	else
		buf_u64(text, f.type);
	buf_str(text, "\nsignature ");
	buf_hex(text, f.signature);
	buf_str(text, "\n");
	return text->failed;
}

/* ---- limits ---- */

int sc_render_limits(const struct chain_params *p, struct state *st, uint64_t account,
		     uint64_t time, struct buf *out)
{
	struct sc_units_clock clock = { .now = p->wall_clock ? p->wall_clock : time };
	struct sc_slot_units  slots[2];
	bool                  known[2] = { false, false };
	uint8_t               prefix[TRIE_PREFIX_SIZE];
	int                   rc = 0;

	clock.version = sc_engine_version(p->network, clock.now);
	sc_prefix(account, prefix);
	for (size_t i = 0; i < SC_STORE_LIMITS && rc == 0; i++) {
		/* Lends are counted against what the account itself rents. */
		bool                  all = i != SC_LIMIT_LENDS;
		struct sc_units_asked asked = { .lent = all, .borrowed = all };

		if (!known[all])
			rc = sc_units(st, p->network, prefix, &clock, &asked, &slots[all]);
		if (rc == REFUSED)
			return 0; /* a rent that cannot be read: no limits, and nothing is pruned */
		if (rc < 0)
			break;
		known[all] = true;
		buf_fmt(out, "%s %" PRIu32 "\n", sc_limit_names[i],
			sc_units_limit(&slots[all], p->limits, (enum sc_limit)i));
	}
	return rc < 0 ? rc : out->failed;
}
