#include "core/hyper/audit.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/control/metrics.h"
#include "core/ingest/envelope.h"
#include "core/ingest/pipeline.h"

#define ENVELOPE_SIZE_MAX (64u << 20)

struct audit {
	const struct view *view;
	const struct shard_view *sv;
	const struct chain_ops *ops;
	uint32_t shard;
	audit_fault *fault;
	void *arg;
	const atomic_bool *stop;
	struct audit_totals *totals;
	uint64_t prunes; /* of this shard */
	bool skipped;    /* a height whose changes were not read */
	struct err *err;
};

static void note(struct audit *a, uint64_t height, const char *what, const char *format, ...)
	PRINTF_LIKE(4, 5);

static void note(struct audit *a, uint64_t height, const char *what, const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	a->totals->faults++;
	metrics_add(COUNTER_HYPER_DIFF_FAILURES, 1);
	a->fault(a->arg, a->shard, height, what, text);
}

/* What is a fault of the data, and no failure of this check. */
static bool is_fault(int rc)
{
	return rc == -EUCLEAN || rc == -EBADMSG || rc == -ENODATA || rc == -ESTALE;
}

/* ---- the envelope ---- */

static int check_envelope(struct audit *a, uint64_t height, const struct roots_row *roots)
{
	AUTO(buf_release) struct buf out = BUF_INIT(ENVELOPE_SIZE_MAX);

	for (int json = 0; json < 2; json++) {
		uint64_t wanted = json ? roots->envelope_json_size : roots->envelope_size;
		struct err why = ERR_INIT;

		buf_clear(&out);
		int rc = envelope_read(a->view, a->shard, height, json, &out, &why);
		if (rc == 0)
			rc = buf_done(&out);
		if (rc < 0 && !is_fault(rc))
			return err_set(a->err, rc, "%s", err_text(&why, rc));
		if (rc < 0)
			note(a, height, "envelope", "%s", err_text(&why, rc));
		else if (out.n != wanted)
			note(a, height, "envelope",
			     "the rows make %zu bytes of %s, it had %" PRIu64 " when it was made",
			     out.n, json ? "JSON" : "it", wanted);
		if (rc < 0)
			return 0;
	}
	return 0;
}

static int check_hash(struct audit *a, uint64_t height)
{
	AUTO(job_freep) struct job *job = calloc(1, sizeof *job);
	struct chain_block *block = NULL;
	struct block_row row;
	struct err why = ERR_INIT;
	int rc = job ? network_block(a->view->network, a->shard, height, &row) : -ENOMEM;

	if (rc == 0) {
		note(a, height, "hash", "the block is not held any more");
		return 0;
	}
	if (rc > 0)
		rc = job_load(a->view->network, &row, job, &why);
	if (rc == 0)
		rc = a->ops->decode(network_params(a->view->network), a->shard == 0, false,
				    &job->canonical, &job->certificate, &block, &why);
	if (rc < 0 && !is_fault(rc))
		return err_set(a->err, rc, "%s", err_text(&why, rc));
	if (rc < 0)
		note(a, height, "hash", "%s", err_text(&why, rc));
	else if (memcmp(block->hash, row.hash, HASH_SIZE) != 0)
		note(a, height, "hash", "the bytes held have another hash than the index says");
	if (block)
		a->ops->block_free(block);
	return 0;
}

/* ---- the change list ---- */

static int by_key(const void *x, const void *y)
{
	return slice_cmp(*(const struct slice *)x, *(const struct slice *)y);
}

struct moved {
	uint64_t object;
	int by;
};

static int by_object(const void *x, const void *y)
{
	const struct moved *a = x, *b = y;

	return (a->object > b->object) - (a->object < b->object);
}

/* Records that hyper came to retain, less those that it dropped. One record may lie in two rows (a
 * lend, with who lends and with who borrows): it has one object. */
static int64_t retained_by(struct moved *list, size_t count, uint64_t *dropped)
{
	int64_t sum = 0;

	if (count > 1)
		qsort(list, count, sizeof *list, by_object);
	for (size_t i = 0, end; i < count; i = end) {
		int by = 0;

		for (end = i; end < count && list[end].object == list[i].object; end++)
			by += list[end].by;
		sum += (by > 0) - (by < 0);
		*dropped += by < 0;
	}
	return sum;
}

/* Pruned from legacy, and put into hyper for it: the same keys? */
static void check_prunes(struct audit *a, uint64_t height, struct slice *pruned,
			 size_t pruned_count, struct slice *kept, size_t kept_count)
{
	size_t i = 0, k = 0, lost = 0, alone = 0;

	if (pruned_count > 1)
		qsort(pruned, pruned_count, sizeof *pruned, by_key);
	if (kept_count > 1)
		qsort(kept, kept_count, sizeof *kept, by_key);
	while (i < pruned_count || k < kept_count) {
		int order = i == pruned_count ? 1
			    : k == kept_count ? -1
					      : by_key(&pruned[i], &kept[k]);

		lost += order < 0;
		alone += order > 0;
		i += order <= 0;
		k += order >= 0;
	}
	if (lost)
		note(a, height, "prune", "%zu of %zu prunes of legacy are not no-ops of hyper",
		     lost, pruned_count);
	if (alone)
		note(a, height, "prune", "%zu records are retained that no prune took from legacy",
		     alone);
	a->prunes += pruned_count;
}

static int check_changes(struct audit *a, uint64_t height, uint64_t before, uint64_t after)
{
	AUTO(change_list_release) struct change_list list = { .bytes = { 0 } };
	int rc = network_changes(a->view->network, a->shard, height, &list);

	if (rc < 0 && !is_fault(rc))
		return err_set(a->err, rc, "shard %u height %" PRIu64 ": its changes: %s", a->shard,
			       height, strerror(-rc));
	if (rc <= 0) {
		note(a, height, "retained", "its change list cannot be read");
		a->skipped = true;
		return 0;
	}
	AUTO(base_freep) struct slice *pruned = calloc(list.change_count + 1, sizeof *pruned);
	AUTO(base_freep) struct slice *kept = calloc(list.change_count + 1, sizeof *kept);
	AUTO(base_freep) struct moved *moved = calloc(list.change_count + 1, sizeof *moved);
	size_t pruned_count = 0, kept_count = 0, moved_count = 0;

	if (!pruned || !kept || !moved)
		return -ENOMEM;
	for (size_t i = 0; i < list.change_count; i++) {
		const struct chain_change *c = &list.changes[i];

		if (c->space == SPACE_HYPER)
			moved[moved_count++] = (struct moved){ c->object, c->deleted ? -1 : 1 };
		if (c->space == SPACE_BOTH && c->deleted && c->reason == REASON_PRUNED)
			pruned[pruned_count++] = c->key;
		if (c->space == SPACE_HYPER && !c->deleted)
			kept[kept_count++] = c->key;
	}
	check_prunes(a, height, pruned, pruned_count, kept, kept_count);
	int64_t by = retained_by(moved, moved_count, &a->totals->dropped);
	if ((int64_t)(after - before) != by)
		note(a, height, "retained",
		     "%" PRIu64 " records are retained, %" PRIu64
		     " were one height below, and the changes say %+" PRId64,
		     after, before, by);
	return 0;
}

/* ---- roots ---- */

struct side {
	struct state_scan *scan;
	struct slice key, value;
	bool there;
};

static int step(struct side *s)
{
	int rc = state_scan_next(s->scan, &s->key, &s->value);

	s->there = rc == 1;
	return MIN(rc, 0);
}

/* All records in key order, of either space. */
static int add_records(struct audit *a, struct state *st, struct chain_rooter *r, bool hyper)
{
	static const enum space spaces[] = { SPACE_BOTH, SPACE_HYPER };
	struct side sides[2] = { { .there = false } };
	int rc = 0;

	for (int i = 0; rc == 0 && i < 1 + hyper; i++) {
		rc = state_scan_new(st, spaces[i], SLICE_EMPTY, SLICE_EMPTY, false, &sides[i].scan);
		if (rc == 0)
			rc = step(&sides[i]);
	}
	while (rc == 0 && (sides[0].there || sides[1].there)) {
		int i = !sides[0].there ||
			(sides[1].there && slice_cmp(sides[1].key, sides[0].key) < 0);

		if (a->stop && atomic_load(a->stop))
			rc = err_set(a->err, -EINTR, "interrupted");
		else if (a->ops->row_kind(sides[i].key) == CHAIN_ROW_RECORD)
			rc = a->ops->root_add(r, spaces[i], sides[i].key, sides[i].value, a->err);
		if (rc == 0)
			rc = step(&sides[i]);
	}
	for (int i = 0; i < 2; i++)
		state_scan_freep(&sides[i].scan);
	return rc;
}

static int check_roots(struct audit *a, uint64_t height, const struct roots_row *roots)
{
	AUTO(held_state_release) struct held_state held = { .shard = a->shard };
	struct chain_root made[CONTEXT_COUNT];
	struct chain_rooter *r = NULL;
	struct err why = ERR_INIT;
	uint64_t retained = 0;
	int rc = held_state_open(a->view, a->shard, height, &held, a->err);

	if (rc == 0)
		rc = a->ops->root_new(a->shard, true, NULL, NULL, &r, a->err);
	if (rc < 0)
		return rc;
	rc = add_records(a, held.state, r, true);
	if (rc == 0)
		rc = a->ops->root_end(r, made, &retained, &why);
	a->ops->root_free(r);
	if (rc < 0 && !is_fault(rc))
		return rc;
	a->totals->roots++;
	if (rc < 0)
		note(a, height, "root", "%s",
		     why.text[0] ? err_text(&why, rc) : err_text(a->err, rc));
	for (int c = 0; rc == 0 && c < CONTEXT_COUNT; c++)
		if (!chain_root_eq(&made[c], c == CONTEXT_HYPER ? &roots->hyper : &roots->legacy))
			note(a, height, "root", "the records make another root of %s",
			     context_rules[c].name);
	if (rc == 0 && retained != roots->retained)
		note(a, height, "root",
		     "%" PRIu64 " records are retained, %" PRIu64 " were counted", retained,
		     roots->retained);
	return 0;
}

/* ---- heights ---- */

/* 1: the row is there. */
static int roots_at(struct audit *a, uint64_t height, struct roots_row *out)
{
	struct err why = ERR_INIT;
	int rc = network_roots(a->view->network, a->shard, height, out);

	if (rc < 0 && !is_fault(rc))
		return err_set(a->err, rc, "shard %u height %" PRIu64 ": its roots: %s", a->shard,
			       height, strerror(-rc));
	if (rc < 0)
		note(a, height, "gap", "its roots cannot be read: %s", err_text(&why, rc));
	else if (rc == 0)
		note(a, height, "gap", "it is replayed, and its roots are missing");
	return rc == 1;
}

static int check_height(struct audit *a, uint64_t height, uint64_t *before, bool *known)
{
	struct roots_row roots;
	int rc = roots_at(a, height, &roots);

	a->totals->heights++;
	if (rc <= 0 || !roots.has_hyper) {
		if (rc == 1)
			note(a, height, "gap", "it was replayed without hyper");
		*known = false;
		a->skipped = true;
		return MIN(rc, 0);
	}
	rc = check_envelope(a, height, &roots);
	if (rc == 0)
		rc = check_hash(a, height);
	a->skipped |= !*known;
	if (rc == 0 && *known)
		rc = check_changes(a, height, *before, roots.retained);
	*before = roots.retained;
	*known = true;
	if (rc == 0 && height == a->sv->replayed && a->ops->root_new)
		rc = check_roots(a, height, &roots);
	return rc;
}

int audit_shard(const struct view *v, uint32_t shard, uint64_t latest, audit_fault *fault,
		void *arg, const atomic_bool *stop, struct audit_totals *totals, struct err *err)
{
	const struct shard_view *sv = &v->shards[shard];
	struct audit a = { v,     sv, network_ops(v->network), shard, fault, arg, stop, totals, 0,
			   false, err };
	uint64_t lowest = MAX(sv->base_height, sv->begins) + 1, before = 0;
	uint64_t first = sv->replayed > latest ? sv->replayed - latest + 1 : 1;
	bool known = true;
	int rc = 0;

	if (!sv->hyper_on)
		return err_set(err, -ENODATA, "shard %u: hyper is off", shard);
	first = MAX(first, lowest);
	/* At its base hyper retains nothing; elsewhere the height below says how much. */
	if (first > lowest || (sv->begins && sv->begins >= sv->base_height)) {
		struct roots_row roots;

		known = network_roots(v->network, shard, first - 1, &roots) == 1;
		before = known ? roots.retained : 0;
	}
	for (uint64_t h = first; rc == 0 && h <= sv->replayed; h++) {
		if (stop && atomic_load(stop))
			return err_set(err, -EINTR, "interrupted");
		rc = check_height(&a, h, &before, &known);
	}
	if (rc < 0)
		return err_note(err, rc, "shard %u", shard);
	if (first == 1 && !a.skipped && sv->changes[REASON_PRUNED] != a.prunes)
		note(&a, sv->replayed, "prune",
		     "%" PRIu64 " records were pruned so far, the change lists have %" PRIu64,
		     sv->changes[REASON_PRUNED], a.prunes);
	totals->prunes += a.prunes;
	totals->retained += sv->retained;
	return 0;
}
