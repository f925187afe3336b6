/* index.h: the rows that follow from a decoded block alone: one place for who writes them and who
 * checks them. Pure; any thread. */
#ifndef CHAINFS_INGEST_INDEX_H
#define CHAINFS_INGEST_INDEX_H

#include "core/store/network.h"

struct index_visit {
	int (*stat)(void *arg, uint64_t object, const struct stat_record *r);
	int (*hash)(void *arg, struct slice hash, uint32_t item); /* HASH_HIT_BLOCK: of the block */
	void *arg;
};

/* What the decoded block alone says of its row; `row` is all zero but its object and place. */
void block_fill_row(const struct chain_block *b, struct block_row *row);

/* In ascending order of objects. Ends with the first answer that is not 0, and gives it. */
int block_index(const struct chain_block *b, const struct block_row *row,
		const struct index_visit *to) MUST_CHECK;

#endif
