#include "fs/render.h"

void render_diverged_line(uint32_t shard, uint64_t height, struct buf *out)
{
	buf_fmt(out, "%02" PRIu32 "\t%010" PRIu64 "\n", shard, height);
}
