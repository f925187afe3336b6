/* quorum.h: did enough of a set of members sign a message? One verifier for every chain; what
 * differs is data.
 *
 * A rule says which part of the set must have signed: more than num/den of it (strict) or at least
 * that much, by weight or by count. The whole set counts, whoever signed; each member counts once;
 * who is no member counts nothing, but is told. A set without weight approves nothing.
 * Weights are 128 bits wide, as stakes in the smallest unit need; nothing is divided, and what does
 * not fit is refused.
 * Memory   everything is borrowed for the call.
 * Threads  any. Errors  -EKEYREJECTED: not enough, with how much there is and how much it takes;
 *          -EINVAL: a set or rule that can approve nothing (empty, without weight, two members of
 *          one key, a weight that overflows, num over den or none); -ENOTSUP: a scheme that is not
 *          there. */
#ifndef CHAINFS_SYNC_QUORUM_H
#define CHAINFS_SYNC_QUORUM_H

#include "core/base/bytes.h"
#include "core/base/err.h"

typedef unsigned __int128 quorum_weight;

#define QUORUM_KEY_SIZE_MAX       64
#define QUORUM_SIGNATURE_SIZE_MAX 96
#define QUORUM_MEMBERS_MAX        4096u

enum quorum_scheme {
	SCHEME_ED25519,           /* key 32, signature 64, over the message */
	SCHEME_SECP256K1_RECOVER, /* key: an address of 20, signature r, s, v of 65, over a digest
				   * of 32; v of 0, 1, 27, 28 */
	SCHEME_SECP256K1,         /* key: a point of 33 or 65, signature r, s of 64, over a digest
				   * of 32; s is the lower of its two values */
	SCHEME_BLS12381,          /* not there yet: an aggregate over a bitmap */
	SCHEME_COUNT
};
extern const char *const quorum_scheme_names[SCHEME_COUNT];

struct quorum_rule {
	uint64_t num, den; /* 2, 3 */
	bool strict;       /* more than that, not just as much */
	bool by_count;     /* every member weighs one */
};

struct quorum_member {
	uint8_t scheme; /* enum quorum_scheme */
	uint8_t key_size;
	uint8_t key[QUORUM_KEY_SIZE_MAX];
	quorum_weight weight;
};

struct quorum_signature {
	struct slice key;       /* whose it says it is */
	struct slice signature;
	struct slice message;   /* what this member signed: votes may name their voter */
};

enum quorum_fault { QUORUM_FORGED, QUORUM_UNKNOWN, QUORUM_REPEATED, QUORUM_FAULT_COUNT };

struct quorum_result {
	quorum_weight signed_weight, total_weight;
	size_t valid, forged, unknown, repeated; /* signatures */
	/* Of the first signature that counts nothing; only where there is one. */
	size_t first_fault_at;
	uint8_t first_fault; /* enum quorum_fault */
};

/* Whether S of T is enough: no division, no overflow. */
bool quorum_is_met(const struct quorum_rule *rule, quorum_weight s, quorum_weight t);
/* The least that is enough of T; of a rule that can approve something, and T up to 2^63. */
uint64_t quorum_least(const struct quorum_rule *rule, uint64_t t);

/* 0, or -EKEYREJECTED and *out all the same. `signer` may be NULL; called once for each member that
 * signed, by its place in the set. */
int quorum_verify(const struct quorum_rule *rule, const struct quorum_member *members,
		  size_t member_count, const struct quorum_signature *signatures,
		  size_t signature_count, void (*signer)(void *arg, size_t member), void *arg,
		  struct quorum_result *out, struct err *err) MUST_CHECK;

/* The members by what decides: SHA-256 over scheme, key and weight of each, in the order of their
 * keys. Equal sets have equal hashes, in whatever order they came; it is kept beside what it
 * approved. */
int quorum_set_hash(const struct quorum_member *members, size_t member_count,
		    uint8_t out[32]) MUST_CHECK;

#endif
