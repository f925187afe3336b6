#include "core/chain/snapchain/forge/forge_claims.h"

#define WORD        32
#define WORDS_MAX   12 /* of one struct, its type's hash included */
#define SCOPES_MAX  16

struct words { /* what keccak256 is taken of */
	uint8_t bytes[WORDS_MAX * WORD];
	size_t  count;
};

static uint8_t *word(struct words *w)
{
	assert(w->count < WORDS_MAX);
	uint8_t *at = w->bytes + WORD * w->count++;

	memset(at, 0, WORD);
	return at;
}

static void word_number(struct words *w, uint64_t v)
{
	put_be64(word(w) + WORD - 8, v);
}

static void word_address(struct words *w, const uint8_t address[ETH_ADDRESS_SIZE])
{
	memcpy(word(w) + WORD - ETH_ADDRESS_SIZE, address, ETH_ADDRESS_SIZE);
}

static void word_hash(struct words *w, struct slice content)
{
	hash_keccak256(content, word(w));
}

static struct words words_of(const char *type)
{
	struct words w = { .count = 0 };

	word_hash(&w, slice_str(type));
	return w;
}

static void words_end(const struct words *w, uint8_t out[WORD])
{
	hash_keccak256(SLICE(w->bytes, w->count * WORD), out);
}

static void sign(const uint8_t domain[WORD], const struct words *w, const struct forge_wallet *by,
		 uint8_t signature[ETH_SIGNATURE_SIZE])
{
	uint8_t whole[2 + 2 * WORD] = { 0x19, 0x01 }, digest[WORD];

	memcpy(whole + 2, domain, WORD);
	words_end(w, whole + 2 + WORD);
	hash_keccak256(SLICE_ARRAY(whole), digest);
	int rc = eth_sign(by->secret, digest, signature);
	assert(rc == 0);
	(void)rc;
}

void forge_claim_address(uint64_t fid, const struct forge_wallet *by,
			 const uint8_t block_hash[HASH_SIZE], uint8_t network,
			 uint8_t signature[ETH_SIGNATURE_SIZE])
{
	static const uint8_t salt[WORD] = {
		0xf2, 0xd8, 0x57, 0xf4, 0xa3, 0xed, 0xcb, 0x9b, 0x78, 0xb4, 0xd5, 0x03, 0xbf, 0xe7,
		0x33, 0xdb, 0x1e, 0x3f, 0x6c, 0xdc, 0x2b, 0x79, 0x71, 0xee, 0x73, 0x96, 0x26, 0xc9,
		0x7e, 0x86, 0xa5, 0x58
	};
	uint8_t domain[WORD];
	struct words w = words_of("EIP712Domain(string name,string version,bytes32 salt)");

	word_hash(&w, slice_str("Farcaster Verify Ethereum Address"));
	word_hash(&w, slice_str("2.0.0"));
	memcpy(word(&w), salt, WORD);
	words_end(&w, domain);

	w = words_of(
		"VerificationClaim(uint256 fid,address address,bytes32 blockHash,uint8 network)");
	word_number(&w, fid);
	word_address(&w, by->address);
	memcpy(word(&w), block_hash, WORD);
	word_number(&w, network);
	sign(domain, &w, by, signature);
}

void forge_claim_name(struct slice name, uint64_t time, const struct forge_wallet *by,
		      const uint8_t owner[ETH_ADDRESS_SIZE], uint8_t signature[ETH_SIGNATURE_SIZE])
{
	static const uint8_t contract[ETH_ADDRESS_SIZE] = {
		0xe3, 0xbe, 0x01, 0xd9, 0x9b, 0xaa, 0x8d, 0xb9, 0x90, 0x5b,
		0x33, 0xa3, 0xca, 0x39, 0x12, 0x38, 0x23, 0x4b, 0x79, 0xd1
	};
	uint8_t domain[WORD];
	struct words w = words_of("EIP712Domain(string name,string version,uint256 chainId,"
				  "address verifyingContract)");

	word_hash(&w, slice_str("Farcaster name verification"));
	word_hash(&w, slice_str("1"));
	word_number(&w, 1);
	word_address(&w, contract);
	words_end(&w, domain);

	w = words_of("UserNameProof(string name,uint256 timestamp,address owner)");
	word_hash(&w, name);
	word_number(&w, time);
	word_address(&w, owner);
	sign(domain, &w, by, signature);
}

static void key_domain(uint8_t out[WORD])
{
	struct words w = words_of("EIP712Domain(string name,string version,uint256 chainId)");

	word_hash(&w, slice_str("Farcaster KeyAdd"));
	word_hash(&w, slice_str("1"));
	word_number(&w, 1);
	words_end(&w, out);
}

void forge_claim_key_add(uint64_t fid, const Sc__KeyAddBody *body, const struct forge_wallet *by,
			 uint8_t signature[ETH_SIGNATURE_SIZE])
{
	uint8_t domain[WORD], scopes[SCOPES_MAX * WORD] = { 0 };
	struct words w = words_of("KeyAdd(uint256 fid,bytes key,uint32 keyType,uint32[] scopes,"
				  "uint32 ttl,uint32 nonce,uint256 deadline)");

	assert(body->n_scopes <= SCOPES_MAX);
	for (size_t i = 0; i < body->n_scopes; i++)
		put_be32(scopes + WORD * i + WORD - 4, (uint32_t)body->scopes[i]);
	word_number(&w, fid);
	word_hash(&w, SLICE(body->key.data, body->key.len));
	word_number(&w, body->key_type);
	word_hash(&w, SLICE(scopes, WORD * body->n_scopes));
	word_number(&w, body->ttl);
	word_number(&w, body->nonce);
	word_number(&w, body->deadline);
	key_domain(domain);
	sign(domain, &w, by, signature);
}

void forge_claim_key_remove(uint64_t fid, const Sc__KeyRemoveBody *body,
			    const struct forge_wallet *by, uint8_t signature[ETH_SIGNATURE_SIZE])
{
	uint8_t domain[WORD];
	struct words w =
		words_of("KeyRemove(uint256 fid,bytes key,uint32 nonce,uint256 deadline)");

	word_number(&w, fid);
	word_hash(&w, SLICE(body->key.data, body->key.len));
	word_number(&w, body->nonce);
	word_number(&w, body->deadline);
	key_domain(domain);
	sign(domain, &w, by, signature);
}

void forge_key_request(struct buf *out, uint64_t request_fid, const struct forge_wallet *by,
		       const uint8_t key[ED25519_KEY_SIZE], uint64_t deadline)
{
	uint8_t domain[WORD], signature[ETH_SIGNATURE_SIZE],
		pad[3 * WORD - ETH_SIGNATURE_SIZE] = { 0 };
	struct words w =
		words_of("SignedKeyRequest(uint256 requestFid,bytes key,uint256 deadline)");

	word_number(&w, request_fid);
	word_hash(&w, SLICE(key, ED25519_KEY_SIZE));
	word_number(&w, deadline);
	key_domain(domain);
	sign(domain, &w, by, signature);

	/* A tuple behind its offset: three plain words, and `bytes` behind an offset of its own. */
	w.count = 0;
	word_number(&w, WORD);
	word_number(&w, request_fid);
	word_address(&w, by->address);
	word_number(&w, 4 * WORD);
	word_number(&w, deadline);
	word_number(&w, sizeof signature);
	buf_bytes(out, w.bytes, w.count * WORD);
	buf_bytes(out, signature, sizeof signature);
	buf_bytes(out, pad, sizeof pad);
}
