#include "core/chain/snapchain/keyspace.h"

#include "core/base/hash.h"

#define TAIL_MAX 32 /* bytes of a last part that stay as they are */

uint32_t sc_fid_hash(uint64_t fid)
{
	uint8_t in[4], digest[HASH_SIZE];

	put_be32(in, (uint32_t)fid);
	hash_sha256(SLICE_ARRAY(in), digest);
	return get_be32(digest);
}

void sc_prefix(uint64_t fid, uint8_t out[TRIE_PREFIX_SIZE])
{
	out[0] = (uint8_t)sc_fid_hash(fid);
	put_be32(out + 1, (uint32_t)fid);
}

void sc_key_bytes(struct sc_key *k, const void *p, size_t n)
{
	assert(n <= SC_KEY_MAX - (size_t)k->n);
	if (n)
		memcpy(k->p + k->n, p, n);
	k->n = (uint16_t)(k->n + n);
}

void sc_key_u8(struct sc_key *k, uint8_t v)
{
	sc_key_bytes(k, &v, 1);
}

void sc_key_be32(struct sc_key *k, uint32_t v)
{
	uint8_t p[4];

	put_be32(p, v);
	sc_key_bytes(k, p, sizeof p);
}

void sc_key_tail(struct sc_key *k, struct slice s)
{
	uint8_t digest[HASH_SIZE];

	if (s.n <= TAIL_MAX) {
		sc_key_bytes(k, s.p, s.n);
		return;
	}
	hash_blake3(s, digest);
	sc_key_u8(k, 0);
	sc_key_bytes(k, digest, sizeof digest);
}

static void start(struct sc_key *k, uint8_t kind)
{
	k->n = 1;
	k->p[0] = kind;
}

/* ---- records and accounts ---- */

void sc_key_account_records(struct sc_key *k, const uint8_t prefix[TRIE_PREFIX_SIZE])
{
	start(k, 'R');
	sc_key_bytes(k, prefix, TRIE_PREFIX_SIZE);
}

void sc_key_set(struct sc_key *k, const uint8_t prefix[TRIE_PREFIX_SIZE], enum sc_set set)
{
	sc_key_account_records(k, prefix);
	sc_key_u8(k, (uint8_t)(set + 1));
}

void sc_key_record(struct sc_key *k, const uint8_t prefix[TRIE_PREFIX_SIZE], enum sc_set set,
		   const uint8_t order[SC_ORDER_SIZE])
{
	sc_key_set(k, prefix, set);
	sc_key_bytes(k, order, SC_ORDER_SIZE);
}

void sc_key_onchain_type(struct sc_key *k, const uint8_t prefix[TRIE_PREFIX_SIZE], uint8_t type)
{
	sc_key_set(k, prefix, SC_SET_ONCHAIN);
	sc_key_u8(k, type);
}

void sc_key_onchain(struct sc_key *k, const uint8_t prefix[TRIE_PREFIX_SIZE], uint8_t type,
		    uint32_t block, uint32_t log)
{
	sc_key_onchain_type(k, prefix, type);
	sc_key_be32(k, block);
	sc_key_be32(k, log);
}

void sc_key_account(struct sc_key *k, const uint8_t prefix[TRIE_PREFIX_SIZE])
{
	start(k, 'A');
	sc_key_bytes(k, prefix, TRIE_PREFIX_SIZE);
}

void sc_key_vshard(struct sc_key *k, uint8_t vshard)
{
	start(k, 'V');
	sc_key_u8(k, vshard);
}

/* ---- names ---- */

/* A leading dot is escaped too: no name may be "." or "..". */
static bool plain(struct slice name, size_t i)
{
	uint8_t c = name.p[i];

	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
	       (c == '.' && i > 0);
}

void sc_name_escape(struct slice name, char out[SC_NAME_MAX + 1])
{
	uint8_t digest[HASH20_SIZE];
	size_t  n = 0;

	for (size_t i = 0; i < name.n && n <= SC_NAME_MAX; i++)
		n += plain(name, i) ? 1 : 3;
	if (n > SC_NAME_MAX || !n) {
		hash_blake3_20(name, digest);
		memcpy(out, "%h", 2);
		hex_put(out + 2, digest, sizeof digest);
		return;
	}
	n = 0;
	for (size_t i = 0; i < name.n; i++) {
		if (plain(name, i)) {
			out[n++] = (char)name.p[i];
		} else {
			out[n++] = '%';
			hex_put(out + n, name.p + i, 1);
			n += 2;
		}
	}
	out[n] = '\0';
}

static bool is_hex(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

bool sc_name_listable(struct slice s)
{
	if (s.n > SC_NAME_MAX || !s.n)
		return false;
	if (s.n == 2 + 2 * HASH20_SIZE && s.p[0] == '%' && s.p[1] == 'h') {
		for (size_t i = 2; i < s.n; i++)
			if (!is_hex(s.p[i]))
				return false;
		return true;
	}
	for (size_t i = 0; i < s.n; i++) {
		if (plain(s, i))
			continue;
		if (s.p[i] != '%' || s.n - i < 3 || !is_hex(s.p[i + 1]) || !is_hex(s.p[i + 2]))
			return false;
		i += 2;
	}
	return true;
}

struct slice sc_name_padless(struct slice name)
{
	if (name.n <= 20)
		while (name.n && !name.p[name.n - 1])
			name.n--;
	return name;
}

static void add_name(struct sc_key *k, struct slice name)
{
	char escaped[SC_NAME_MAX + 1];

	sc_name_escape(name, escaped);
	sc_key_bytes(k, escaped, strlen(escaped));
}

void sc_key_fname_record(struct sc_key *k, const uint8_t prefix[TRIE_PREFIX_SIZE],
			 struct slice name)
{
	sc_key_set(k, prefix, SC_SET_FNAMES);
	add_name(k, sc_name_padless(name));
}

/* ---- what the rules need beyond records ---- */

static void rule(struct sc_key *k, uint8_t first, uint8_t second)
{
	start(k, 'X');
	sc_key_u8(k, first);
	if (second)
		sc_key_u8(k, second);
}

void sc_key_selector(struct sc_key *k, uint32_t fid, uint8_t selector)
{
	rule(k, 0x03, 0);
	sc_key_be32(k, fid);
	sc_key_u8(k, selector);
}

void sc_key_link_type(struct sc_key *k, struct slice link_type)
{
	uint8_t padded[8] = { 0 };

	if (link_type.n)
		memcpy(padded, link_type.p, MIN(link_type.n, sizeof padded));
	sc_key_bytes(k, padded, sizeof padded);
}

void sc_key_compact(struct sc_key *k, uint32_t fid, struct slice link_type)
{
	sc_key_selector(k, fid, 0x64);
	sc_key_link_type(k, link_type);
}

void sc_key_proof_owner(struct sc_key *k, struct slice name)
{
	rule(k, 0x10, 0);
	sc_key_tail(k, name);
}

void sc_key_by_address(struct sc_key *k, struct slice address)
{
	rule(k, 0x0e, 0);
	sc_key_u8(k, (uint8_t)MIN(address.n, 255u));
	sc_key_tail(k, address);
}

void sc_key_names(struct sc_key *k)
{
	rule(k, 0x0b, 0);
}

void sc_key_fname(struct sc_key *k, struct slice name)
{
	sc_key_names(k);
	add_name(k, name);
}

void sc_key_fname_gone(struct sc_key *k, struct slice name)
{
	/* A prefix that upstream has no use for. Apart, so that names/ lists owners. */
	rule(k, 0x0a, 0);
	add_name(k, name);
}

void sc_key_signer(struct sc_key *k, uint32_t fid, struct slice key)
{
	rule(k, 0x0c, 0x33);
	sc_key_be32(k, fid);
	sc_key_tail(k, key);
}

void sc_key_custody(struct sc_key *k, uint32_t fid)
{
	rule(k, 0x0c, 0x34);
	sc_key_be32(k, fid);
}

void sc_key_channel(struct sc_key *k, struct slice channel_key)
{
	rule(k, 0x0c, 0x37);
	sc_key_tail(k, channel_key);
}

void sc_key_channel_label(struct sc_key *k, const uint8_t label[32])
{
	rule(k, 0x0c, 0x38);
	sc_key_bytes(k, label, 32);
}

void sc_key_block_seqnum(struct sc_key *k)
{
	rule(k, 0x13, 0);
}

void sc_key_marks(struct sc_key *k)
{
	rule(k, 0xff, 0); /* a prefix that upstream has no use for */
}

void sc_key_gasless(struct sc_key *k, enum sc_gasless what, uint32_t fid, const uint8_t key[32])
{
	rule(k, 0x17, (uint8_t)what);
	if (what != SC_GASLESS_OWNER)
		sc_key_be32(k, fid);
	if (key)
		sc_key_bytes(k, key, 32);
}

void sc_key_slot(struct sc_key *k, enum sc_slot slot, const uint8_t channel[32])
{
	rule(k, 0x18, (uint8_t)slot);
	sc_key_bytes(k, channel, 32);
}

/* ---- retained records ---- */

void sc_key_retained(struct sc_key *k, enum sc_set set, uint32_t fid, const struct sc_key *conflict)
{
	start(k, 'K');
	sc_key_u8(k, (uint8_t)set);
	sc_key_be32(k, fid);
	sc_key_u8(k, (uint8_t)conflict->n);
	sc_key_bytes(k, conflict->p, conflict->n);
}

/* ---- short forms ---- */

#define RECORD_SHORT (SC_RECORD_HEAD + 4 + 1) /* time, a byte of the hash */
#define CONTEST_HEAD 7                        /* of a selector's key and of a retained one's */

/* Bytes of what messages of a set or a selector contest that tell it, or 0: all. Two of a hash do
 * for an account's, which are walked over where they are not enough. */
static size_t contest_short(struct slice key)
{
	bool retained = key.p[0] == 'K';
	uint8_t what = retained ? key.p[1] : key.p[6];

	if (!retained && (key.p[0] != 'X' || key.p[1] != 0x03))
		return 0;
	if (retained ? what == SC_SET_CASTS : what == 0x57 || what == 0x58)
		return 2;
	if (retained ? what == SC_SET_REACTIONS : what == 0x5b || what == 0x5c)
		return 1 + 4 + 2; /* type, fid */
	return 0;
}

/* Keys of a kind are cut at the same size, so that no short form begins another. */
size_t sc_key_short(struct slice key)
{
	if (key.n <= CONTEST_HEAD)
		return key.n;
	if (key.p[0] == 'R' && key.n == SC_RECORD_HEAD + SC_ORDER_SIZE)
		return RECORD_SHORT;
	size_t contest = contest_short(key);

	return contest ? MIN(key.n, CONTEST_HEAD + contest) : key.n;
}
