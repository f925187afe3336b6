#include "core/chain/snapchain/eip712.h"

#include "core/base/hash.h"

#define WORD      32
#define WORDS_MAX 8

static struct slice bytes_of(ProtobufCBinaryData b)
{
	return SLICE(b.data, b.len);
}

struct typed {
	const char *domain, *type; /* hashes, in hex */
};

static const struct typed verification_claim = {
	"70802279e37e5d8365a9117ca448f717cfc762f7cbc2a8601045b9e280ba2028",
	"37a124457570b0237075d0c477282eaf88b1bb865fe66b41aacfa0259556af08",
};
static const struct typed user_name_proof = {
	"e67d0175c3fc254dfac67cad15ad270621dcda3152f9bb0f6df5bb8f0ec84e71",
	"f4ee36a16c98e12a56b8ff57705cc73c0d6b2a380e9a10727e33386d3e3029b0",
};
#define KEYS_DOMAIN "707019aeb448daaaf80d91a73d5f686b66e14a1a69ba6bf4ed39331d72d9ac2a"
static const struct typed key_add = {
	KEYS_DOMAIN, "877e76191c085cf949012706bb292ce3315d25bf6a49bef6eb74755eef39caa7",
};
static const struct typed key_remove = {
	KEYS_DOMAIN, "c6ce600cc73c69d40a81bb838c7641c348328b963a032ce30dc45b254f9ea5cd",
};
static const struct typed signed_key_request = {
	KEYS_DOMAIN, "16be47f1f1f50a66a48db64eba3fd35c21439c23622e513aab5b902018aec438",
};

/* The type's hash, then a word a field. */
struct words {
	uint8_t p[(1 + WORDS_MAX) * WORD];
	size_t  n;
};

static uint8_t *word(struct words *w)
{
	uint8_t *p = w->p + w->n;

	assert(w->n + WORD <= sizeof w->p);
	memset(p, 0, WORD);
	w->n += WORD;
	return p;
}

static void from_hex(uint8_t out[WORD], const char *text)
{
	int rc = hex_get(text, 2 * WORD, out, WORD);

	assert(rc == 0);
	(void)rc;
}

static void words_begin(struct words *w, const struct typed *t)
{
	w->n = 0;
	from_hex(word(w), t->type);
}

static void number(struct words *w, uint64_t v)
{
	put_be64(word(w) + WORD - 8, v);
}

static void content(struct words *w, struct slice s) /* string, bytes */
{
	hash_keccak256(s, word(w));
}

static void fixed(struct words *w, struct slice s) /* bytes32; addresses lean to the right */
{
	memcpy(word(w) + WORD - s.n, s.p, s.n);
}

static bool signer_of(const struct words *w, const struct typed *t, struct slice signature,
		      uint8_t signer[ETH_ADDRESS_SIZE])
{
	uint8_t in[2 + 2 * WORD] = { 0x19, 0x01 }, digest[HASH_SIZE];

	if (signature.n != ETH_SIGNATURE_SIZE)
		return false;
	from_hex(in + 2, t->domain);
	hash_keccak256(SLICE(w->p, w->n), in + 2 + WORD);
	hash_keccak256(SLICE_ARRAY(in), digest);
	return eth_recover(digest, signature.p, signer);
}

bool sc_eip712_claim_signer(uint64_t fid, int32_t network, const Sc__VerificationAddBody *b,
			    uint8_t signer[ETH_ADDRESS_SIZE])
{
	struct words w;

	if (b->address.len != ETH_ADDRESS_SIZE || b->block_hash.len != WORD)
		return false;
	words_begin(&w, &verification_claim);
	number(&w, fid);
	fixed(&w, bytes_of(b->address));
	fixed(&w, bytes_of(b->block_hash));
	number(&w, (uint64_t)network);
	return signer_of(&w, &verification_claim, bytes_of(b->claim_signature), signer);
}

bool sc_eip712_fname_signer(const Sc__UserNameProof *p, uint8_t signer[ETH_ADDRESS_SIZE])
{
	struct words w;

	if (p->owner.len != ETH_ADDRESS_SIZE)
		return false;
	words_begin(&w, &user_name_proof);
	content(&w, bytes_of(p->name));
	number(&w, p->timestamp);
	fixed(&w, bytes_of(p->owner));
	return signer_of(&w, &user_name_proof, bytes_of(p->signature), signer);
}

static void scopes(struct words *w, const Sc__KeyAddBody *b) /* uint32[] */
{
	uint8_t        *out = word(w);
	AUTO(buf_release) struct buf list = BUF_INIT(BLOCK_SIZE_MAX);

	for (size_t i = 0; i < b->n_scopes; i++) {
		uint8_t one[WORD] = { 0 };

		put_be32(one + WORD - 4, (uint32_t)b->scopes[i]);
		buf_bytes(&list, one, WORD);
	}
	hash_keccak256(buf_slice(&list), out);
}

bool sc_eip712_key_add_signer(uint64_t fid, const Sc__KeyAddBody *b,
			      uint8_t signer[ETH_ADDRESS_SIZE])
{
	struct words w;

	words_begin(&w, &key_add);
	number(&w, fid);
	content(&w, bytes_of(b->key));
	number(&w, b->key_type);
	scopes(&w, b);
	number(&w, b->ttl);
	number(&w, b->nonce);
	number(&w, b->deadline);
	return signer_of(&w, &key_add, bytes_of(b->custody_signature), signer);
}

bool sc_eip712_key_remove_signer(uint64_t fid, const Sc__KeyRemoveBody *b,
				 uint8_t signer[ETH_ADDRESS_SIZE])
{
	struct words w;

	words_begin(&w, &key_remove);
	number(&w, fid);
	content(&w, bytes_of(b->key));
	number(&w, b->nonce);
	number(&w, b->deadline);
	return signer_of(&w, &key_remove, bytes_of(b->signature), signer);
}

bool sc_eip712_key_request_signer(uint64_t request_fid, struct slice key, uint64_t deadline,
				  struct slice signature, uint8_t signer[ETH_ADDRESS_SIZE])
{
	struct words w;

	words_begin(&w, &signed_key_request);
	number(&w, request_fid);
	content(&w, key);
	number(&w, deadline);
	return signer_of(&w, &signed_key_request, signature, signer);
}
