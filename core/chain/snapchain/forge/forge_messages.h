/* forge_messages.h: signed messages of a chain that we make, as a person's client would write them.
 *
 * Each function writes one whole Message into *out and its hash beside it: prost's encoding,
 * BLAKE3-20, Ed25519. Whether a chain's rules let it in is the caller's concern: some are made to
 * be refused.
 * Memory  a struct forge_message is used again for one message after the other.
 * Errors  latch in out->bytes; buf_done() of it tells. */
#ifndef CHAINFS_SNAPCHAIN_FORGE_MESSAGES_H
#define CHAINFS_SNAPCHAIN_FORGE_MESSAGES_H

#include "core/chain/snapchain/forge/forge_seed.h"
#include "core/chain/snapchain/message.h"

#define FORGE_MESSAGE_SIZE_MAX (64u << 10)

enum forge_user_data { /* what a UserDataBody is about */
	FORGE_PFP = 1, FORGE_DISPLAY = 2, FORGE_BIO = 3, FORGE_URL = 5, FORGE_USERNAME = 6,
	FORGE_LOCATION = 7, FORGE_TWITTER = 8, FORGE_GITHUB = 9, FORGE_BANNER = 10,
	FORGE_PRIMARY_ETHEREUM = 11, FORGE_PRIMARY_SOLANA = 12
};

enum forge_reaction { FORGE_LIKE = 1, FORGE_RECAST = 2 };

enum forge_member { /* what is done to a member of a channel */
	FORGE_MEMBER_ADD = 1, FORGE_MEMBER_REMOVE, FORGE_MODERATOR_ADD, FORGE_MODERATOR_REMOVE,
	FORGE_MEMBER_BAN, FORGE_MEMBER_UNBAN
};

struct forge_message {
	struct buf data, bytes;
	uint8_t    hash[HASH20_SIZE];
};

#define FORGE_MESSAGE_INIT \
	{ .data = BUF_INIT(FORGE_MESSAGE_SIZE_MAX), .bytes = BUF_INIT(2 * FORGE_MESSAGE_SIZE_MAX) }

void forge_message_release(struct forge_message *m);

struct forge_stamp { /* who says it, and when */
	uint64_t fid;
	uint32_t time_fc;
	const struct forge_key *key;
	bool data_bytes; /* carry the signed bytes a second time, as many clients do */
};

struct forge_target { /* a cast */
	uint64_t fid;
	uint8_t  hash[HASH20_SIZE];
};

#define FORGE_EMBED_MAX 4

struct forge_cast {
	int32_t                    type; /* 0 cast, 1 long, 2 ten thousand bytes */
	const char                *text;
	const struct forge_target *parent;     /* or */
	const char                *parent_url; /* or neither */
	uint64_t                   mention;    /* 0: nobody */
	uint32_t                   mention_at; /* byte of the text */
	const char                *urls[FORGE_EMBED_MAX];
	size_t                     url_count;
	const struct forge_target *quote;
};

void forge_cast(const struct forge_stamp *s, const struct forge_cast *c, struct forge_message *out);
void forge_cast_remove(const struct forge_stamp *s, const uint8_t hash[HASH20_SIZE],
		       struct forge_message *out);
/* remove: takes the reaction back. target NULL: the reaction is to `url`. */
void forge_reaction(const struct forge_stamp *s, bool remove, enum forge_reaction kind,
		    const struct forge_target *target, const char *url, struct forge_message *out);
void forge_link(const struct forge_stamp *s, bool remove, const char *kind, uint64_t target,
		struct forge_message *out);
void forge_link_compact(const struct forge_stamp *s, const char *kind, const uint64_t *targets,
			size_t target_count, struct forge_message *out);
void forge_user_data(const struct forge_stamp *s, enum forge_user_data kind, const char *text,
		     struct forge_message *out);
/* A name of the Ethereum name service; nobody checks here whose it is. */
void forge_ens_proof(const struct forge_stamp *s, const char *name,
		     const struct forge_wallet *owner, struct forge_message *out);

/* block_hash: 32 bytes that the claim names. */
void forge_verify_ethereum(const struct forge_stamp *s, const struct forge_wallet *w,
			   const uint8_t block_hash[HASH_SIZE], struct forge_message *out);
void forge_verify_solana(const struct forge_stamp *s, const struct forge_key *address,
			 const uint8_t block_hash[HASH_SIZE], struct forge_message *out);
void forge_verification_remove(const struct forge_stamp *s, struct slice address,
			       struct forge_message *out);
void forge_lend(const struct forge_stamp *s, uint64_t to_fid, uint64_t units, int32_t unit_type,
		struct forge_message *out);

struct forge_key_add {
	const uint8_t             *key;          /* 32 bytes: the key that may speak from now on */
	const struct forge_wallet *custody;      /* owner of the account */
	uint64_t                   request_fid;  /* the application that asked for the key */
	const struct forge_wallet *request_custody;
	uint32_t                   nonce, ttl_s;
	const int32_t             *scopes;       /* message types */
	size_t                     scope_count;
};

void forge_key_add(const struct forge_stamp *s, const struct forge_key_add *k,
		   struct forge_message *out);
/* custody NULL: the key takes itself back; then it signs the message (s->key). */
void forge_key_remove(const struct forge_stamp *s, const uint8_t key[ED25519_KEY_SIZE],
		      const struct forge_wallet *custody, uint32_t nonce,
		      struct forge_message *out);

struct forge_channel {
	uint8_t     id[HASH_SIZE]; /* keccak256 of the channel's key */
	const char *key;
};

struct forge_channel forge_channel_of(const char *key);
void forge_channel_update(const struct forge_stamp *s, const struct forge_channel *c,
			  const char *name, const char *description, bool open,
			  struct forge_message *out);
void forge_channel_member(const struct forge_stamp *s, const struct forge_channel *c, uint64_t fid,
			  enum forge_member action, struct forge_message *out);
/* hash NULL: nothing is pinned any more. */
void forge_channel_pin(const struct forge_stamp *s, const struct forge_channel *c,
		       const uint8_t *hash, struct forge_message *out);
void forge_channel_moderate(const struct forge_stamp *s, const struct forge_channel *c,
			    const uint8_t hash[HASH20_SIZE], bool hide, struct forge_message *out);

#endif
