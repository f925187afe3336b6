#include "core/hyper/report.h"

#include "core/base/clock.h"

#define KEY_BYTES_MAX 512
#define VSHARDS       256u

const char *const home_names[HOME_COUNT] = { [HOME_OWN] = "own", [HOME_FOREIGN] = "foreign" };

/* ---- counting ---- */

int report_roots(const struct view *v, uint32_t shard, uint64_t height, struct roots_row *out,
		 struct err *err)
{
	*out = (struct roots_row){ .has_hyper = true };
	if (height == 0)
		return 0;
	int rc = network_roots(v->network, shard, height, out);
	return rc == 1 ? 0
		       : err_set(err, rc ? rc : -EUCLEAN,
				 "shard %u height %" PRIu64 ": its roots are missing", shard,
				 height);
}

struct counting {
	const struct view *view;
	const struct chain_ops *ops;
	struct state *state;
	struct diff_shard *out;
};

static enum home home_of(const struct counting *c, uint64_t account)
{
	uint32_t own = c->ops->shard_of(network_params(c->view->network), account);

	return c->out->shard == 0 || own == c->out->shard ? HOME_OWN : HOME_FOREIGN;
}

/* An account that has a row of its own in hyper. */
static int add_account(struct counting *c, struct slice key, struct slice value)
{
	struct chain_account hyper, legacy = { .records = 0 };
	uint64_t account;
	struct slice both;
	int rc = c->ops->account_read(value, &hyper);

	if (rc == 0)
		rc = c->ops->account_of_key(key, &account);
	if (rc == 0)
		rc = state_get(c->state, SPACE_BOTH, key, &both);
	if (rc == 1)
		rc = c->ops->account_read(both, &legacy);
	if (rc < 0)
		return rc;
	enum home home = home_of(c, account);
	for (size_t i = 0; i < c->ops->set_count; i++) {
		uint64_t more =
			hyper.sets[i].records - MIN(legacy.sets[i].records, hyper.sets[i].records);

		c->out->sets[i] += more;
		c->out->why[i][home].records += more;
		c->out->why[i][home].accounts += more > 0;
	}
	return 0;
}

static int count_vshard(struct counting *c, unsigned vshard)
{
	AUTO(state_scan_freep) struct state_scan *scan = NULL;
	AUTO(buf_release) struct buf prefix = BUF_INIT(KEY_BYTES_MAX);
	struct slice key, value;

	c->ops->account_prefix(vshard, &prefix);
	int rc = buf_done(&prefix);
	if (rc == 0)
		rc = state_scan_new(c->state, SPACE_HYPER, buf_slice(&prefix), SLICE_EMPTY, false,
				    &scan);
	while (rc == 0 && (rc = state_scan_next(scan, &key, &value)) == 1)
		rc = add_account(c, key, value);
	return rc;
}

static int count_retained(const struct view *v, struct diff_shard *to, struct err *err)
{
	AUTO(held_state_release) struct held_state held = { .shard = to->shard };
	struct counting c = { v, network_ops(v->network), NULL, to };
	int rc = held_state_open(v, to->shard, to->height, &held, err);

	c.state = held.state;
	for (unsigned s = 0; rc == 0 && s < VSHARDS; s++)
		rc = count_vshard(&c, s);
	return rc < 0 ? err_note(err, rc, "shard %u", to->shard) : 0;
}

static int make(const struct view *v, uint64_t height, struct diff_report *out, struct err *err)
{
	struct cuts cuts;
	int rc = cuts_at(v, height, &cuts, err);

	if (rc == 0)
		rc = cuts_readable(v, &cuts, err);
	if (rc < 0)
		return rc;
	*out = (struct diff_report){ .ops = network_ops(v->network),
				     .height = height,
				     .time = cuts.time };
	memcpy(out->hash, cuts.hash, HASH_SIZE);
	for (uint32_t s = 0; s < v->shard_count; s++) {
		const struct shard_view *sv = &v->shards[s];
		struct diff_shard *to = &out->shards[out->shard_count++];

		rc = report_roots(v, s, cuts.heights[s], &to->roots, err);
		to->shard = s;
		to->height = cuts.heights[s];
		to->base_height = sv->base_height;
		to->base.root_size = sv->base_root_size;
		memcpy(to->base.root, sv->base_root, sv->base_root_size);
		if (rc == 0 && to->roots.retained)
			rc = count_retained(v, to, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int report_make(const struct view *v, uint64_t height, struct diff_report *out, struct err *err)
{
	return hyper_ended(make(v, height, out, err));
}

/* ---- text ---- */

static void put_root(struct slice root, struct buf *out)
{
	if (root.n)
		buf_hex(out, root);
	else
		buf_u8(out, '-');
}

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
		put_root(root_of(&s->roots.legacy), out);
		buf_u8(out, ' ');
		put_root(root_of(&s->roots.hyper), out);
		buf_fmt(out, " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", s->roots.legacy.records,
			s->roots.hyper.records, s->roots.retained);
	}
	for (uint32_t i = 0; i < r->shard_count; i++) {
		const struct diff_shard *s = &r->shards[i];

		buf_fmt(out, "base %" PRIu32 " %" PRIu64 " ", s->shard, s->base_height);
		put_root(root_of(&s->base), out);
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

void report_json(const struct diff_report *r, struct json *j)
{
	char time[TIME_TEXT_SIZE];

	time_text(r->time, time);
	json_hex(j, "hash", SLICE_ARRAY(r->hash));
	json_u64(j, "height", r->height);
	json_u64(j, "retained", retained_of(r));
	json_array(j, "shards");
	for (uint32_t i = 0; i < r->shard_count; i++)
		shard_json(r, &r->shards[i], j);
	json_end(j);
	json_str(j, "time", time);
}

void report_render(const struct diff_report *r, bool json, struct buf *out)
{
	struct json j = json_of(out, JSON_PRETTY);

	if (!json) {
		report_text(r, out);
		return;
	}
	json_object(&j, NULL);
	report_json(r, &j);
	json_end(&j);
	if (json_done(&j) < 0 && !out->failed)
		out->failed = -EINVAL;
}

void report_reasons(const struct diff_report *r, struct buf *out)
{
	for (uint32_t i = 0; i < r->shard_count; i++)
		for (size_t k = 0; k < r->ops->set_count; k++)
			for (size_t h = 0; h < HOME_COUNT; h++) {
				const struct retained_count *c = &r->shards[i].why[k][h];

				if (c->records)
					buf_fmt(out,
						"%02" PRIu32 "\t%s\t%s\t%s\t%" PRIu64 "\t%" PRIu64
						"\n",
						r->shards[i].shard, r->ops->sets[k].name,
						reason_names[REASON_PRUNED], home_names[h],
						c->records, c->accounts);
			}
}
