/* listing.h: how Snapchain's accounts, records and names are listed: the listing half of struct
 * chain_ops, which says what each function does.
 *
 * File names are in the order of the keys: messages "<unix time>-<hash>", onchain events
 * "<type>-<block>-<log>" with type's number, names as they are escaped (keyspace.h). */
#ifndef CHAINFS_SNAPCHAIN_LISTING_H
#define CHAINFS_SNAPCHAIN_LISTING_H

#include "core/chain/chain.h"

extern const struct chain_set sc_sets[];
extern const size_t sc_set_count;

void     sc_account_key(uint64_t account, struct buf *out);
void     sc_account_prefix(unsigned vshard, struct buf *out);
int      sc_account_of_key(struct slice key, uint64_t *account);
unsigned sc_vshard_of(uint64_t account);
uint32_t sc_shard_of(const struct chain_params *p, uint64_t account);
void     sc_vshard_key(unsigned vshard, struct buf *out);
void     sc_set_prefix(uint64_t account, uint8_t set_id, struct buf *out);
int      sc_account_read(struct slice value, struct chain_account *out);
/* json_size stays 0: the record's stat has it. */
int      sc_record_read(struct slice key, struct slice value, struct chain_record *out);
int      sc_record_listed(struct slice key, uint64_t *account, uint8_t *set_id);
int      sc_record_key(uint64_t account, uint8_t set_id, const char *name, struct buf *out);
void     sc_names_prefix(struct buf *out);
int sc_name_read(struct slice key, struct slice value, char name[RECORD_NAME_SIZE],
		 struct buf *text, uint64_t *time);
int      sc_name_key(const char *name, struct buf *out);
int sc_render_limits(const struct chain_params *p, struct state *st, uint64_t account,
		     uint64_t time, struct buf *out);
int      sc_trie_key(struct slice record_key, struct slice record_value, struct buf *out);

#endif
