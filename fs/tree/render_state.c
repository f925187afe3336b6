#include "fs/tree/render.h"

void render_account_root(const struct chain_account *a, struct buf *out)
{
	if (!a->root_size)
		return;
	buf_hex(out, SLICE(a->root, a->root_size));
	buf_u8(out, '\n');
}

void render_counts(const struct chain_ops *ops, const struct chain_account *a, struct buf *out)
{
	uint64_t total = 0;

	for (size_t i = 0; i < ops->set_count; i++) {
		buf_str(out, ops->sets[i].name);
		buf_u8(out, ' ');
		buf_u64(out, a->sets[i].records);
		buf_u8(out, '\n');
		total += a->sets[i].records;
	}
	buf_fmt(out, "total %" PRIu64 "\n", total);
}

/* Fixed widths give the file its size without a look at any account. */
void render_account_line(unsigned vshard, uint64_t account, const struct chain_account *a,
			 struct buf *out)
{
	size_t shown = MIN((size_t)a->root_size, (size_t)ACCOUNT_LINE_ROOT / 2);

	buf_fmt(out, "%02x\t%010" PRIu64 "\t", vshard, account);
	buf_hex(out, SLICE(a->root, shown));
	for (size_t i = 2 * shown; i < ACCOUNT_LINE_ROOT; i++)
		buf_u8(out, '-');
	buf_fmt(out, "\t%010" PRIu64 "\n", a->records);
}

void render_diverged_line(uint32_t shard, uint64_t height, struct buf *out)
{
	buf_fmt(out, "%02" PRIu32 "\t%010" PRIu64 "\n", shard, height);
}
