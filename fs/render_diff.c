#include "fs/render.h"

#include "core/base/clock.h"
#include "core/base/json.h"

static struct slice root_of(const struct chain_root *r)
{
	return SLICE(r->root, r->root_size);
}

static uint64_t retained_of(const struct diff_report *r)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < r->shard_count; i++)
		sum += r->shards[i].roots.retained;
	return sum;
}

static void report_text(const struct diff_report *r, struct buf *out)
{
	char time[TIME_TEXT_SIZE];

	time_text(r->time, time);
	buf_fmt(out, "height %" PRIu64 "\nhash ", r->height);
	buf_hex(out, SLICE_ARRAY(r->hash));
	buf_fmt(out, "\ntime %s\nretained %" PRIu64 "\n", time, retained_of(r));
	for (uint32_t i = 0; i < r->shard_count; i++) {
		const struct diff_shard *s = &r->shards[i];

		buf_fmt(out, "shard %" PRIu32 " %" PRIu64 " ", s->shard, s->height);
		render_hex(root_of(&s->roots.legacy), out);
		buf_u8(out, ' ');
		render_hex(root_of(&s->roots.hyper), out);
		buf_fmt(out, " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", s->roots.legacy.records,
			s->roots.hyper.records, s->roots.retained);
	}
	for (uint32_t i = 0; i < r->shard_count; i++) {
		const struct diff_shard *s = &r->shards[i];

		buf_fmt(out, "base %" PRIu32 " %" PRIu64 " ", s->shard, s->base_height);
		render_hex(root_of(&s->base), out);
		buf_u8(out, '\n');
	}
	for (uint32_t i = 0; i < r->shard_count; i++)
		for (size_t k = 0; k < r->ops->set_count; k++)
			if (r->shards[i].sets[k])
				buf_fmt(out, "set %" PRIu32 " %s %" PRIu64 "\n", r->shards[i].shard,
					r->ops->sets[k].name, r->shards[i].sets[k]);
}

static void shard_json(const struct diff_report *r, const struct diff_shard *s, struct json *j)
{
	json_object(j, NULL);
	json_object(j, "base");
	json_u64(j, "height", s->base_height);
	json_hex(j, "root", root_of(&s->base));
	json_end(j);
	json_u64(j, "height", s->height);
	json_u64(j, "hyper_records", s->roots.hyper.records);
	json_hex(j, "hyper_root", root_of(&s->roots.hyper));
	json_u64(j, "legacy_records", s->roots.legacy.records);
	json_hex(j, "legacy_root", root_of(&s->roots.legacy));
	json_u64(j, "retained", s->roots.retained);
	json_object(j, "retained_by_set");
	for (size_t k = 0; k < r->ops->set_count; k++)
		if (s->sets[k])
			json_u64(j, r->ops->sets[k].name, s->sets[k]);
	json_end(j);
	json_u64(j, "shard", s->shard);
	json_end(j);
}

static void report_json(const struct diff_report *r, struct buf *out)
{
	struct json j = json_of(out, JSON_PRETTY);
	char time[TIME_TEXT_SIZE];

	time_text(r->time, time);
	json_object(&j, NULL);
	json_hex(&j, "hash", SLICE_ARRAY(r->hash));
	json_u64(&j, "height", r->height);
	json_u64(&j, "retained", retained_of(r));
	json_array(&j, "shards");
	for (uint32_t i = 0; i < r->shard_count; i++)
		shard_json(r, &r->shards[i], &j);
	json_end(&j);
	json_str(&j, "time", time);
	json_end(&j);
	if (json_done(&j) < 0 && !out->failed)
		out->failed = -EINVAL;
}

void render_report(const struct diff_report *r, bool json, struct buf *out)
{
	if (json)
		report_json(r, out);
	else
		report_text(r, out);
}

void render_diverged_line(uint32_t shard, uint64_t height, struct buf *out)
{
	buf_fmt(out, "%02" PRIu32 "\t%010" PRIu64 "\n", shard, height);
}
