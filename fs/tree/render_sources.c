/* What is told of a source: one value or one table a file. */
#include "fs/tree/render.h"

static void line(const char *text, struct buf *out)
{
	if (!text[0])
		return;
	render_sentence(text, out);
	buf_u8(out, '\n');
}

void render_source_address(const struct sight *s, const struct follow_source_sight *of,
			   struct buf *out)
{
	line(of->entry.url, out);
}

void render_source_error(const struct sight *s, const struct follow_source_sight *of,
			 struct buf *out)
{
	line(of->sync.detail.reason, out);
}

void render_source_faults(const struct sight *s, const struct follow_source_sight *of,
			  struct buf *out)
{
	for (int k = 0; k < FAULT_KIND_COUNT; k++)
		buf_fmt(out, "%s %" PRIu64 "\n", fault_kind_names[k], of->sync.detail.faults[k]);
}

void render_source_operator(const struct sight *s, const struct follow_source_sight *of,
			    struct buf *out)
{
	line(of->entry.operator_name, out);
}

void render_source_range(const struct sight *s, const struct follow_source_sight *of,
			 struct buf *out)
{
	for (uint32_t k = 0; k < s->all.shard_count; k++) {
		struct range r = of->sync.offers[k];

		if (r.first < r.end)
			buf_fmt(out, "%" PRIu32 " %010" PRIu64 " %010" PRIu64 "\n", k, r.first,
				r.end - 1);
	}
}

void render_source_rate(const struct sight *s, const struct follow_source_sight *of,
			struct buf *out)
{
	const struct sync_source_status *y = &of->sync;

	buf_fmt(out, "heights %" PRIu64 "\nbytes %" PRIu64 "\nanswers %" PRIu64 "\n", y->heights,
		y->bytes, y->detail.answers);
	buf_fmt(out, "requests_out %u\nheights_a_request %" PRIu64 "\n", y->requests, y->rate.size);
	buf_fmt(out, "heights_s %.1f\nbytes_a_height %.0f\nround_trip_ms %.1f\n",
		y->rate.per_ms * 1000, y->rate.bytes_a_height, y->rate.round_trip_ms);
}

void render_source_remark(const struct sight *s, const struct follow_source_sight *of,
			  struct buf *out)
{
	line(of->words.remark, out);
}

void render_source_score(const struct sight *s, const struct follow_source_sight *of,
			 struct buf *out)
{
	buf_fmt(out, "%.3f\n", of->sync.score);
}

void render_source_status(const struct sight *s, const struct follow_source_sight *of,
			  struct buf *out)
{
	AUTO(buf_release) struct buf text = BUF_INIT(1024);

	sight_source_state(s, of, &text);
	buf_u8(&text, 0);
	line(buf_done(&text) == 0 ? (const char *)text.p : "", out);
}

void render_source_version(const struct sight *s, const struct follow_source_sight *of,
			   struct buf *out)
{
	line(of->words.version, out);
	line(of->words.peer, out);
}
