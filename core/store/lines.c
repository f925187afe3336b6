#include "core/store/lines.h"

#include "core/base/clock.h"

#define HEIGHT_DIGITS 10

static size_t digits(uint64_t v)
{
	size_t n = 1;

	for (; v >= 10; v /= 10)
		n++;
	return n;
}

void line_index(const struct block_row *row, struct buf *out)
{
	char time[TIME_TEXT_SIZE];

	time_text(row->time, time);
	buf_fmt(out, "%010" PRIu64 "\t", row->height);
	buf_hex(out, SLICE_ARRAY(row->hash));
	buf_fmt(out, "\t%s\t%" PRIu32 "\t%" PRIu32 "\n", time, row->items, row->canonical_size);
}

size_t line_index_size(const struct block_row *row)
{
	char time[TIME_TEXT_SIZE];

	time_text(row->time, time);
	return MAX(digits(row->height), HEIGHT_DIGITS) + 2 * HASH_SIZE + strlen(time) +
	       digits(row->items) + digits(row->canonical_size) + 5;
}

void line_roots(uint64_t height, const struct chain_root *root, struct buf *out)
{
	buf_fmt(out, "%010" PRIu64 "\t", height);
	if (root->root_size)
		buf_hex(out, SLICE(root->root, root->root_size));
	else
		buf_u8(out, '-');
	buf_fmt(out, "\t%" PRIu64 "\n", root->records);
}

size_t line_roots_size(uint64_t height, const struct chain_root *root)
{
	return MAX(digits(height), HEIGHT_DIGITS) + 1 +
	       (root->root_size ? 2 * (size_t)root->root_size : 1) + 1 + digits(root->records) + 1;
}
