/* trie.h: the 16-way Merkle trie over account records (snapchain.md 3.2, 3.3).
 *
 * A key is prefix(account) = 5 bytes, then at least one byte of type, then the rest. Node hashes:
 *   depth >= 12 nibbles and one key below: BLAKE3-20 of all its nibbles, one byte each
 *   else: BLAKE3-20 of the concatenated child hashes by ascending nibble; empty: no bytes
 * The root is a function of the key set alone.
 *
 * Two parts, so that memory follows what is touched and not what the state holds:
 *   struct account_trie   the subtree below one account's prefix, from depth 10; built from the
 *                         account's keys when a block first touches it, kept while it is warm
 *   struct trie           the levels above, one leaf an account: (root, keys) pairs
 * A change costs the nodes on its path; hashes are recomputed when a root is asked for.
 * Memory   counted; trie_bytes() tells. Threads: one. Errors: -ENOMEM; then nothing has changed. */
#ifndef CHAINFS_CHAIN_TRIE_H
#define CHAINFS_CHAIN_TRIE_H

#include "core/base/bytes.h"
#include "core/base/hash.h"

#define TRIE_PREFIX_SIZE 5
#define TRIE_REST_MAX    512 /* bytes of a key behind the prefix; ours, the chain has no bound */

struct account_trie;

struct account_trie *account_trie_new(const uint8_t prefix[TRIE_PREFIX_SIZE]);
void account_trie_freep(struct account_trie **t);
/* `rest` is the key behind the prefix. 1: inserted or deleted; 0: was there, or was not. */
int  account_trie_insert(struct account_trie *t, struct slice rest) MUST_CHECK;
int  account_trie_delete(struct account_trie *t, struct slice rest) MUST_CHECK;
bool account_trie_has(const struct account_trie *t, struct slice rest);
uint64_t account_trie_count(const struct account_trie *t);
/* Keys whose byte behind the prefix is `type`. */
uint64_t account_trie_count_type(const struct account_trie *t, uint8_t type);
/* True and 20 bytes, or false for an empty account. */
bool   account_trie_root(struct account_trie *t, uint8_t out[HASH20_SIZE]);
size_t account_trie_bytes(const struct account_trie *t);
struct account_trie *account_trie_copy(const struct account_trie *from); /* NULL: no memory */

struct trie;

struct trie *trie_new(void);
void trie_freep(struct trie **t);
/* Sets an account's root and number of keys; root NULL or keys 0 takes the account out. */
int  trie_set(struct trie *t, const uint8_t prefix[TRIE_PREFIX_SIZE], const uint8_t *root,
	      uint64_t keys) MUST_CHECK;
bool trie_root(struct trie *t, uint8_t out[HASH20_SIZE]); /* false: empty */
uint64_t trie_count(const struct trie *t, struct slice prefix); /* whole bytes, 0 to 5 of them */
size_t trie_bytes(const struct trie *t);

#endif
