#include "core/hyper/span.h"

#include "core/base/clock.h"

#define KEY_BYTES_MAX 512
#define OBJECT_MAX    (64u << 20)
#define LINE_FIELDS   128 /* of a line, beside set and name */

enum sign { LOST, GAINED };

/* One change of a shard's blocks, by place in the order of changes. */
struct touch {
	struct slice key; /* its bytes are at `key_at` until all are there */
	size_t key_at;
	uint64_t height;
	size_t turn;
	uint8_t space, reason;
	bool deleted;
};

struct told { /* one line */
	uint64_t height, account;
	uint8_t set, sign, reason;
	size_t name_at; /* in the names, NUL-terminated */
};

struct work { /* one shard */
	const struct view *view;
	const struct chain_ops *ops;
	const struct span_options *o;
	struct span *out;
	struct span_shard *shard;
	struct touch *touches;
	size_t touch_count, touch_cap;
	struct buf keys;
	struct held_state before, after;
	struct told *told[CONTEXT_COUNT];
	size_t told_count[CONTEXT_COUNT], told_cap[CONTEXT_COUNT], told_bytes[CONTEXT_COUNT];
	struct buf names;
	struct err *err;
};

static void work_release(struct work *w)
{
	free(w->touches);
	buf_release(&w->keys);
	held_state_release(&w->before);
	held_state_release(&w->after);
	for (size_t c = 0; c < CONTEXT_COUNT; c++)
		free(w->told[c]);
	buf_release(&w->names);
}

static int too_much(struct work *w)
{
	uint64_t from = w->o->from, to = w->o->to;

	if (to - from > 1)
		return err_set(w->err, -EFBIG,
			       "%" PRIu64 "..%" PRIu64 " has more changes than one file holds; ask "
			       "for %" PRIu64 "..%" PRIu64 " and what follows",
			       from, to, from, from + (to - from) / 2);
	return err_set(w->err, -EFBIG,
		       "height %" PRIu64 " alone has more changes than one file holds; compare "
		       "legacy/at/%" PRIu64 " and at/%" PRIu64 " by account",
		       to, from, to);
}

/* ---- the blocks in between ---- */

static int add_touch(struct work *w, uint64_t height, const struct chain_change *c)
{
	if (w->ops->row_kind(c->key) != CHAIN_ROW_RECORD)
		return 0;
	if (w->keys.n + c->key.n + (w->touch_count + 1) * sizeof *w->touches > SPAN_MEMORY_MAX)
		return too_much(w);
	int rc = base_grow(&w->touches, &w->touch_cap, w->touch_count + 1, sizeof *w->touches);

	if (rc < 0)
		return rc;
	w->touches[w->touch_count] = (struct touch){
		.key = { NULL, c->key.n },
		.key_at = w->keys.n,
		.height = height,
		.turn = w->touch_count,
		.space = c->space,
		.reason = c->reason,
		.deleted = c->deleted,
	};
	w->touch_count++;
	buf_add(&w->keys, c->key);
	return buf_done(&w->keys);
}

static int add_block(struct work *w, uint64_t height)
{
	AUTO(change_list_release) struct change_list list = { .bytes = { 0 } };
	int rc = network_changes(w->view->network, w->shard->shard, height, &list);

	if (rc <= 0)
		return err_set(w->err, rc ? rc : -EUCLEAN,
			       "shard %u height %" PRIu64 ": its changes cannot be read",
			       w->shard->shard, height);
	for (size_t i = 0; i < list.change_count; i++) {
		rc = add_touch(w, height, &list.changes[i]);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int by_key(const void *x, const void *y)
{
	const struct touch *a = x, *b = y;
	int order = slice_cmp(a->key, b->key);

	return order ? order : a->turn < b->turn ? -1 : 1;
}

static int gather(struct work *w)
{
	for (uint64_t h = w->shard->from + 1; h <= w->shard->to; h++) {
		if (w->o->stop && atomic_load(w->o->stop))
			return err_set(w->err, -EINTR, "interrupted");
		int rc = add_block(w, h);

		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; i < w->touch_count; i++)
		w->touches[i].key.p = w->keys.p + w->touches[i].key_at;
	if (w->touch_count > 1)
		qsort(w->touches, w->touch_count, sizeof *w->touches, by_key);
	return 0;
}

/* ---- one record ---- */

/* Did this change give the record to the context, or take it? A prune takes it from legacy alone,
 * and a merge that finds it retained moves it within hyper. */
static bool decides(const struct touch *t, enum context context, enum sign sign)
{
	if (t->deleted != (sign == LOST))
		return false;
	if (context == CONTEXT_LEGACY)
		return t->space == SPACE_BOTH;
	if (sign == GAINED)
		return t->space == SPACE_BOTH;
	return t->space == SPACE_BOTH ? t->reason != REASON_PRUNED : t->reason != REASON_MERGED;
}

static const struct touch *decisive(const struct touch *list, size_t count, enum context context,
				    enum sign sign)
{
	for (size_t i = count; i-- > 0;)
		if (decides(&list[i], context, sign))
			return &list[i];
	return NULL;
}

static int set_of_id(const struct chain_ops *ops, uint8_t id)
{
	for (size_t i = 0; i < ops->set_count; i++)
		if (ops->sets[i].id == id)
			return (int)i;
	return -EUCLEAN;
}

static int tell(struct work *w, enum context context, enum sign sign, const struct touch *list,
		size_t count, const char *name)
{
	const struct touch *by = decisive(list, count, context, sign);
	uint64_t account;
	uint8_t id;
	int rc = w->ops->record_place(list->key, &account, &id), set;

	if (!by)
		return err_set(w->err, -EUCLEAN,
			       "shard %u: no change between heights %" PRIu64 " and %" PRIu64
			       " tells why %s has %s %s",
			       w->shard->shard, w->shard->from, w->shard->to,
			       context_rules[context].name, sign == GAINED ? "gained" : "lost",
			       name);
	rc = rc < 0 ? rc : (set = set_of_id(w->ops, id));
	if (rc >= 0)
		rc = base_grow(&w->told[context], &w->told_cap[context], w->told_count[context] + 1,
			       sizeof **w->told);
	if (rc < 0)
		return rc;
	w->told_bytes[context] += strlen(name) + strlen(w->ops->sets[set].name) + LINE_FIELDS / 4;
	if (w->told_bytes[context] > w->o->lines_size_max)
		return too_much(w);
	w->told[context][w->told_count[context]++] = (struct told){
		.height = by->height,
		.account = account,
		.set = (uint8_t)set,
		.sign = (uint8_t)sign,
		.reason = by->reason,
		.name_at = w->names.n,
	};
	buf_bytes(&w->names, name, strlen(name) + 1);
	w->shard->records[context][sign]++;
	w->out->reasons[context][sign][by->reason]++;
	return buf_done(&w->names);
}

static int json_of_object(struct work *w, uint64_t object, struct buf *out)
{
	AUTO(block_bytes_putp) const struct block_bytes *owner = NULL;
	struct network *n = w->view->network;
	struct stat_record stat;
	struct chain_object o;
	int rc = network_stat(n, object, &stat);

	if (rc <= 0)
		return err_set(w->err, rc ? rc : -ESTALE, "object %" PRIu64 " is gone", object);
	rc = network_object_bytes(n, &stat, &owner, &o.bytes, w->err);
	o.form = stat.form;
	o.time = stat.time;
	return rc < 0 ? rc : w->ops->render_object(&o, false, out);
}

/* A record may be put anew: do the two files differ? */
static int same_file(struct work *w, const struct chain_record *a, const struct chain_record *b)
{
	AUTO(buf_release) struct buf one = BUF_INIT(OBJECT_MAX);
	AUTO(buf_release) struct buf other = BUF_INIT(OBJECT_MAX);

	if (a->object == b->object)
		return true;
	int rc = json_of_object(w, a->object, &one);
	if (rc == 0)
		rc = json_of_object(w, b->object, &other);
	return rc < 0 ? rc : slice_eq(buf_slice(&one), buf_slice(&other));
}

/* What the state has of the key: 1 and the record, 0, negative. */
static int record_at(struct work *w, struct held_state *h, enum context context, struct slice key,
		     struct chain_record *out)
{
	const struct shard_view *sv = &w->view->shards[h->shard];
	struct slice value;
	int rc = held_state_get(h, cuts_spaces(sv, context, h->height), key, &value);

	if (rc == 1)
		rc = w->ops->record_read(key, value, out);
	else
		return rc;
	return rc < 0 ? rc : 1;
}

static int compare(struct work *w, enum context context, const struct touch *list, size_t count)
{
	struct chain_record was, is;
	int before = record_at(w, &w->before, context, list->key, &was);
	int after = before < 0 ? before : record_at(w, &w->after, context, list->key, &is);
	int rc = before < 0 ? before : MIN(after, 0);

	if (rc == 0 && before && after) {
		rc = same_file(w, &was, &is);
		if (rc != 0)
			return MIN(rc, 0);
	}
	if (rc == 0 && before)
		rc = tell(w, context, LOST, list, count, was.name);
	if (rc == 0 && after)
		rc = tell(w, context, GAINED, list, count, is.name);
	return rc;
}

static int compare_all(struct work *w)
{
	int rc = 0;

	for (size_t i = 0, end; rc == 0 && i < w->touch_count; i = end) {
		const struct touch *first = &w->touches[i];

		for (end = i + 1; end < w->touch_count;)
			if (slice_eq(w->touches[end].key, first->key))
				end++;
			else
				break;
		if (w->o->stop && atomic_load(w->o->stop))
			return err_set(w->err, -EINTR, "interrupted");
		for (int c = 0; rc == 0 && c < CONTEXT_COUNT; c++)
			if (w->o->contexts[c])
				rc = compare(w, c, first, end - i);
		if (rc == 0)
			rc = held_state_trim(&w->before, w->err);
		if (rc == 0)
			rc = held_state_trim(&w->after, w->err);
	}
	return rc;
}

/* ---- lines ---- */

static int in_order(const void *x, const void *y, void *names)
{
	const struct told *a = x, *b = y;

	if (a->height != b->height)
		return a->height < b->height ? -1 : 1;
	if (a->account != b->account)
		return a->account < b->account ? -1 : 1;
	if (a->set != b->set)
		return a->set < b->set ? -1 : 1;
	int order = strcmp((const char *)names + a->name_at, (const char *)names + b->name_at);

	return order ? order : (int)a->sign - (int)b->sign;
}

static int write_lines(struct work *w, enum context context)
{
	struct buf *out = &w->out->lines[context];

	if (w->told_count[context] > 1)
		qsort_r(w->told[context], w->told_count[context], sizeof **w->told, in_order,
			w->names.p);
	for (size_t i = 0; i < w->told_count[context]; i++) {
		const struct told *t = &w->told[context][i];

		buf_fmt(out, "%c\t%02" PRIu32 "\t%010" PRIu64 "\t%010" PRIu64 "\t%s\t%s\t%s\n",
			t->sign == GAINED ? '+' : '-', w->shard->shard, t->height, t->account,
			w->ops->sets[t->set].name, (const char *)w->names.p + t->name_at,
			reason_names[t->reason]);
	}
	if (out->failed == -EMSGSIZE)
		return too_much(w);
	return buf_done(out);
}

static int one_shard(const struct view *v, const struct span_options *o, struct span *out,
		     struct span_shard *shard, struct err *err)
{
	AUTO(work_release)
	struct work w = {
		.view = v,
		.ops = out->ops,
		.o = o,
		.out = out,
		.shard = shard,
		.keys = BUF_INIT(SPAN_MEMORY_MAX),
		.names = BUF_INIT(SPAN_MEMORY_MAX),
		.err = err,
	};
	int rc = held_state_open(v, shard->shard, shard->from, &w.before, err);

	if (rc == 0)
		rc = held_state_open(v, shard->shard, shard->to, &w.after, err);
	if (rc == 0)
		rc = report_roots(v, shard->shard, shard->from, &shard->before, err);
	if (rc == 0)
		rc = report_roots(v, shard->shard, shard->to, &shard->after, err);
	if (rc == 0)
		rc = gather(&w);
	if (rc == 0)
		rc = compare_all(&w);
	for (int c = 0; rc == 0 && c < CONTEXT_COUNT; c++)
		if (o->contexts[c])
			rc = write_lines(&w, c);
	return rc < 0 && rc != -EFBIG && rc != -EINTR ? err_note(err, rc, "shard %u", shard->shard)
						      : rc;
}

static int make(const struct view *v, const struct span_options *o, struct span *out,
		struct err *err)
{
	AUTO(span_release)
	struct span s = { .ops = network_ops(v->network), .from = o->from, .to = o->to };
	struct cuts from, to;

	for (int c = 0; c < CONTEXT_COUNT; c++)
		s.lines[c] = (struct buf)BUF_INIT(o->lines_size_max);
	int rc = cuts_at(v, o->from, &from, err);

	if (rc == 0)
		rc = cuts_at(v, o->to, &to, err);
	if (rc == 0)
		rc = cuts_readable(v, &from, err);
	if (rc == 0)
		rc = cuts_readable(v, &to, err);
	if (rc < 0)
		return rc;
	memcpy(s.from_hash, from.hash, HASH_SIZE);
	memcpy(s.to_hash, to.hash, HASH_SIZE);
	s.from_time = from.time;
	s.to_time = to.time;
	for (uint32_t i = 0; rc == 0 && i < v->shard_count; i++) {
		if (o->one_shard && i != o->shard)
			continue;
		struct span_shard *shard = &s.shards[s.shard_count++];

		shard->shard = i;
		shard->from = from.heights[i];
		shard->to = to.heights[i];
		rc = one_shard(v, o, &s, shard, err);
	}
	if (rc < 0)
		return rc;
	*out = s;
	s = (struct span){ 0 };
	return 0;
}

int span_make(const struct view *v, const struct span_options *o, struct span *out, struct err *err)
{
	return hyper_ended(make(v, o, out, err));
}

void span_release(struct span *s)
{
	for (int c = 0; c < CONTEXT_COUNT; c++)
		buf_release(&s->lines[c]);
	*s = (struct span){ 0 };
}

/* ---- texts ---- */

static uint64_t total(const struct span *s, enum context context, enum sign sign)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < s->shard_count; i++)
		sum += s->shards[i].records[context][sign];
	return sum;
}

static void end_text(const char *name, uint64_t height, const uint8_t hash[HASH_SIZE],
		     uint64_t time, struct buf *out)
{
	char text[TIME_TEXT_SIZE];

	time_text(time, text);
	buf_fmt(out, "%s %" PRIu64 " ", name, height);
	buf_hex(out, SLICE(hash, HASH_SIZE));
	buf_fmt(out, " %s\n", text);
}

static void report_text(const struct span *s, struct buf *out)
{
	end_text("from", s->from, s->from_hash, s->from_time, out);
	end_text("to", s->to, s->to_hash, s->to_time, out);
	for (int c = 0; c < CONTEXT_COUNT; c++)
		buf_fmt(out, "%s +%" PRIu64 " -%" PRIu64 "\n", context_rules[c].name,
			total(s, c, GAINED), total(s, c, LOST));
	for (uint32_t i = 0; i < s->shard_count; i++) {
		const struct span_shard *h = &s->shards[i];

		buf_fmt(out, "shard %" PRIu32 " %" PRIu64 " %" PRIu64, h->shard, h->from, h->to);
		for (int c = 0; c < CONTEXT_COUNT; c++)
			buf_fmt(out, " +%" PRIu64 " -%" PRIu64, h->records[c][GAINED],
				h->records[c][LOST]);
		buf_fmt(out, " %" PRIu64 " %" PRIu64 "\n", h->before.retained, h->after.retained);
	}
}

static void signs_json(const uint64_t records[2], const char *name, struct json *j)
{
	json_object(j, name);
	json_u64(j, "gained", records[GAINED]);
	json_u64(j, "lost", records[LOST]);
	json_end(j);
}

static void end_json(const char *name, uint64_t height, const uint8_t hash[HASH_SIZE],
		     uint64_t time, struct json *j)
{
	char text[TIME_TEXT_SIZE];

	time_text(time, text);
	json_object(j, name);
	json_hex(j, "hash", SLICE(hash, HASH_SIZE));
	json_u64(j, "height", height);
	json_str(j, "time", text);
	json_end(j);
}

static void shards_json(const struct span *s, struct json *j)
{
	json_array(j, "shards");
	for (uint32_t i = 0; i < s->shard_count; i++) {
		const struct span_shard *h = &s->shards[i];

		json_object(j, NULL);
		json_u64(j, "from", h->from);
		signs_json(h->records[CONTEXT_HYPER], "hyper", j);
		signs_json(h->records[CONTEXT_LEGACY], "legacy", j);
		json_object(j, "retained");
		json_u64(j, "from", h->before.retained);
		json_u64(j, "to", h->after.retained);
		json_end(j);
		json_u64(j, "shard", h->shard);
		json_u64(j, "to", h->to);
		json_end(j);
	}
	json_end(j);
}

void span_json(const struct span *s, struct json *j)
{
	const uint64_t hyper[2] = { total(s, CONTEXT_HYPER, LOST),
				    total(s, CONTEXT_HYPER, GAINED) };
	const uint64_t legacy[2] = { total(s, CONTEXT_LEGACY, LOST),
				     total(s, CONTEXT_LEGACY, GAINED) };

	end_json("from", s->from, s->from_hash, s->from_time, j);
	signs_json(hyper, "hyper", j);
	signs_json(legacy, "legacy", j);
	shards_json(s, j);
	end_json("to", s->to, s->to_hash, s->to_time, j);
}

void span_report(const struct span *s, bool json, struct buf *out)
{
	struct json j = json_of(out, JSON_PRETTY);

	if (!json) {
		report_text(s, out);
		return;
	}
	json_object(&j, NULL);
	span_json(s, &j);
	json_end(&j);
	if (json_done(&j) < 0 && !out->failed)
		out->failed = -EINVAL;
}

void span_reasons(const struct span *s, struct buf *out)
{
	static const char signs[] = { [LOST] = '-', [GAINED] = '+' };

	for (int c = 0; c < CONTEXT_COUNT; c++)
		for (int sign = GAINED; sign >= LOST; sign--)
			for (int r = 0; r < REASON_COUNT; r++)
				if (s->reasons[c][sign][r])
					buf_fmt(out, "%s\t%c\t%s\t%" PRIu64 "\n",
						context_rules[c].name, signs[sign], reason_names[r],
						s->reasons[c][sign][r]);
}
