#include "fs/tree/render.h"

#include "core/base/clock.h"

static bool hyper_is_on(const struct view *v)
{
	for (uint32_t s = 0; s < v->shard_count; s++)
		if (v->shards[s].hyper_on)
			return true;
	return false;
}

void render_store_line(const struct view *v, const struct sight *s, struct buf *out)
{
	const struct shard_view *first = &v->shards[0];
	uint64_t held = 0, known = 0;

	for (uint32_t k = 0; k < v->shard_count; k++) {
		held += gaps_held(&v->shards[k].gaps);
		known += v->shards[k].known;
	}
	buf_fmt(out, "%s\t%s\t%010" PRIu64 "\t%010" PRIu64 "\t%010" PRIu64 "\t%010" PRIu64,
		network_name(v->network), network_ops(v->network)->kind, first->tip,
		first->replayed, held, known - MIN(held, known));
	if (s)
		buf_fmt(out, "\t%010" PRIu64 "\t%010" PRIu64 "\t%02u\t%02zu\n",
			sight_head(&s->all.shards[0]), s->all.shards[0].lag, sight_connected(s),
			s->source_count);
	else
		buf_str(out, "\t----------\t----------\t--\t--\n");
}

static void number(uint32_t shard, const char *what, uint64_t v, struct buf *out)
{
	buf_fmt(out, "shard %" PRIu32 " %s %" PRIu64 "\n", shard, what, v);
}

static void bytes(uint32_t shard, const char *what, struct slice v, struct buf *out)
{
	buf_fmt(out, "shard %" PRIu32 " %s ", shard, what);
	render_hex(v, out);
	buf_u8(out, '\n');
}

static void place(uint32_t shard, const char *what, uint64_t height, uint64_t time,
		  const uint8_t *hash, struct buf *out)
{
	char text[TIME_TEXT_SIZE];

	number(shard, what, height, out);
	if (!height)
		return;
	time_text(time, text);
	buf_fmt(out, "shard %" PRIu32 " %s_time %s\n", shard, what, text);
	buf_fmt(out, "shard %" PRIu32 " %s_hash ", shard, what);
	buf_hex(out, SLICE(hash, HASH_SIZE));
	buf_u8(out, '\n');
}

static void shard_status(uint32_t shard, const struct shard_view *sv, struct buf *out)
{
	uint64_t held = gaps_held(&sv->gaps);

	place(shard, "tip", sv->tip, sv->tip_time, sv->tip_hash, out);
	number(shard, "known", sv->known, out);
	number(shard, "held", held, out);
	number(shard, "missing", sv->known - MIN(held, sv->known), out);
	number(shard, "items", sv->items, out);
	number(shard, "bytes", sv->bytes, out);
	number(shard, "refused_items", sv->refused_items, out);
	place(shard, "replayed", sv->replayed, sv->replayed_time, sv->replayed_hash, out);
	if (sv->begins)
		number(shard, "begins", sv->begins, out);
	bytes(shard, "legacy_root", SLICE(sv->legacy.root, sv->legacy.root_size), out);
	number(shard, "legacy_records", sv->legacy.records, out);
	if (sv->hyper_on) {
		bytes(shard, "hyper_root", SLICE(sv->hyper.root, sv->hyper.root_size), out);
		number(shard, "hyper_records", sv->hyper.records, out);
		number(shard, "hyper_base", sv->base_height, out);
		number(shard, "retained", sv->retained, out);
	}
	number(shard, "diverged", sv->diverged, out);
	for (int r = 0; r < REASON_COUNT; r++)
		number(shard, reason_names[r], sv->changes[r], out);
}

static void lane_line(uint32_t shard, enum lane lane, const struct follow_rate *r, struct buf *out)
{
	buf_fmt(out, "shard %" PRIu32 " %s_heights_s %.1f\n", shard, lane_names[lane],
		r->heights_s);
	buf_fmt(out, "shard %" PRIu32 " %s_bytes_s %.0f\n", shard, lane_names[lane], r->bytes_s);
	buf_fmt(out, "shard %" PRIu32 " %s_left %" PRIu64 "\n", shard, lane_names[lane], r->left);
	if (r->eta_s == UINT64_MAX)
		buf_fmt(out, "shard %" PRIu32 " %s_eta_s -\n", shard, lane_names[lane]);
	else
		buf_fmt(out, "shard %" PRIu32 " %s_eta_s %" PRIu64 "\n", shard, lane_names[lane],
			r->eta_s);
}

static void following(const struct sight *s, struct buf *out)
{
	const struct follow_sight *a = &s->all;

	buf_fmt(out, "sources %zu\nconnected %u\n", s->source_count, sight_connected(s));
	buf_fmt(out, "backward %s\nimports %s\ncap %" PRIu64 "\n", a->paused ? "off" : "on",
		a->gate_closed ? "held" : "on", a->cap);
	buf_str(out, "stopped ");
	render_sentence(a->stopped[0] ? a->stopped : "-", out);
	buf_fmt(out,
		"\nbytes_out %" PRIu64 "\nfetched_twice %" PRIu64 "\ndoubted %" PRIu64
		"\ntip_latency_us_p50 %" PRIu64 "\ntip_latency_us_p99 %" PRIu64 "\n",
		a->sync.bytes_out, a->fetched_twice, a->doubted, a->latency_us[0],
		a->latency_us[1]);
	for (enum tier t = 0; t < TIER_COUNT; t++)
		buf_fmt(out, "cache_%s_hit_percent %.1f\n", tier_names[t],
			sight_percent(&s->tiers[t]));
	for (uint32_t k = 0; k < a->shard_count; k++) {
		const struct follow_shard_sight *y = &a->shards[k];

		number(k, "base", y->sync.base, out);
		number(k, "head", sight_head(y), out);
		number(k, "confirmed", y->sync.confirmed, out);
		number(k, "lag", y->lag, out);
		number(k, "lag_ms", y->lag_ms, out);
		for (enum lane lane = 0; lane < LANE_COUNT; lane++)
			lane_line(k, lane, &y->lane[lane], out);
	}
}

void render_status(const struct view *v, const struct sight *s, struct buf *out)
{
	buf_fmt(out, "network %s\nkind %s\nvalidators %s\nhyper %s\nshards %" PRIu32 "\n",
		network_name(v->network), network_ops(v->network)->kind, network_trust(v->network),
		hyper_is_on(v) ? "on" : "off", v->shard_count);
	for (uint32_t k = 0; k < v->shard_count; k++)
		shard_status(k, &v->shards[k], out);
	if (s)
		following(s, out);
}

static const char hyper_off[] =
	"Hyper is off: nothing that legacy prunes is retained. hyper/blocks and\n"
	"hyper/shards show the same blocks as legacy; hyper/state and hyper/roots are\n"
	"empty, and hyper/at has no heights.\n";

static void hyper_words(const struct view *v, struct buf *out)
{
	if (!hyper_is_on(v)) {
		buf_str(out, hyper_off);
		return;
	}
	buf_str(out, "Hyper is on: what legacy prunes is retained");
	for (uint32_t s = 0; s < v->shard_count; s++)
		if (v->shards[s].base_height)
			buf_fmt(out, ", in shard %" PRIu32 " above height %" PRIu64, s,
				v->shards[s].base_height);
	buf_str(out, ".\n`diff -r legacy/at/HEIGHT hyper/at/HEIGHT` prints what was retained, and\n"
		     "what that explains.\n");
}

static void trust_words(const struct view *v, struct buf *out)
{
	const char *trust = network_trust(v->network);

	if (strcmp(trust, "archive") == 0)
		buf_str(out, "The validators were named by the archive that brought the blocks:\n"
			     "it vouches for itself.\n");
	else
		buf_fmt(out, "The validators come from the %s.\n", trust);
}

static const char empty_folders[] =
	"Empty folders: by-hash and at list nothing and resolve what they are asked\n"
	"for; gaps is empty when nothing is missing, sources while nobody follows,\n"
	"retained when nothing was; an account's sets are listed also when they hold\n"
	"nothing.\n";

static const char lane_words[] =
	"{lane} is {network}/{context}, for the main shard, or\n"
	"{network}/{context}/shards/{shard}.\n";

static const char state_words[] =
	"{state} is {network}/{context}/state, {lane}/at/{height}, or\n"
	"{state}/shards/{shard} of one of them.\n";

void render_network_readme(const struct view *v, struct buf *out)
{
	buf_fmt(out, "%s: a network of kind %s with %" PRIu32 " shard%s.\n\n",
		network_name(v->network), network_ops(v->network)->kind, v->shard_count,
		v->shard_count == 1 ? "" : "s");
	hyper_words(v, out);
	buf_u8(out, '\n');
	trust_words(v, out);
	buf_fmt(out, "\n%s\n", empty_folders);
	render_rows("{network}/", out);
	buf_fmt(out, "\n%s", lane_words);
	render_rows("{lane}/", out);
	buf_fmt(out, "\n%s", state_words);
	render_rows("{state}/", out);
}
