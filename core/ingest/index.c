#include "core/ingest/index.h"

int block_index(const struct chain_block *b, const struct block_row *row,
		const struct index_visit *to)
{
	struct stat_record r = {
		.type = OBJECT_BLOCK,
		.shard = b->shard,
		.height = b->height,
		.time = b->time,
		.size = row->canonical_size,
		.renderer = b->ops->renderer,
	};
	int rc = to->stat(to->arg, row->object, &r);
	if (rc == 0)
		rc = to->hash(to->arg, SLICE(b->hash, HASH_SIZE), HASH_HIT_BLOCK);
	for (uint32_t i = 0; i < b->item_count && rc == 0; i++) {
		const struct chain_item *it = &b->items[i];
		uint64_t object = row->object + 1 + 2 * (uint64_t)i;
		r.type = OBJECT_ITEM;
		r.item = i;
		r.form = it->form;
		r.time = it->time;
		r.offset = it->offset;
		r.size = it->size;
		r.json_size = it->json_size;
		r.line_size = it->line_size;
		rc = to->stat(to->arg, object, &r);
		if (rc == 0 && it->hash_size)
			rc = to->hash(to->arg, SLICE(it->hash, it->hash_size), i);
		if (rc || !it->has_inner)
			continue;
		r.type = OBJECT_INNER;
		r.form = it->inner_form;
		r.time = it->inner_time;
		r.offset = it->inner_offset;
		r.size = it->inner_size;
		r.json_size = it->inner_json_size;
		r.line_size = it->inner_line_size;
		rc = to->stat(to->arg, object + 1, &r);
		if (rc == 0 && it->inner_hash_size)
			rc = to->hash(to->arg, SLICE(it->inner_hash, it->inner_hash_size), i);
	}
	return rc;
}

void block_fill_row(const struct chain_block *b, struct block_row *row)
{
	uint8_t digest[HASH_SIZE];
	row->shard = b->shard;
	row->height = b->height;
	memcpy(row->hash, b->hash, HASH_SIZE);
	memcpy(row->parent, b->parent, b->parent_size);
	row->parent_size = b->parent_size;
	row->time = b->time;
	row->items = (uint32_t)b->item_count;
	row->canonical_size = (uint32_t)b->canonical.n;
	row->certificate_size = (uint32_t)b->certificate.n;
	row->header_size = b->header_size;
	row->header_json_size = b->header_json_size;
	row->parent_file_size = b->parent_file_size;
	for (size_t i = 0; i < b->item_count; i++)
		row->line_bytes += b->items[i].line_size;
	row->witness_count = (uint32_t)MIN(b->witness_count, (size_t)SHARD_MAX);
	if (row->witness_count)
		memcpy(row->witnesses, b->witnesses, row->witness_count * sizeof *b->witnesses);
	memcpy(row->levels, b->levels, sizeof row->levels);
	row->uncommitted = b->levels[LEVEL_COMMIT].verdict == VERDICT_ABSENT;
	hash_blake3(buf_slice(&b->canonical), digest);
	memcpy(row->digest, digest, sizeof row->digest);
	row->has_digest = true;
}
