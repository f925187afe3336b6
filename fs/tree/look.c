#include "fs/tree/look.h"

#include "core/hyper/span.h"

#define KEY_BYTES_MAX 512

void look_release(struct look *l)
{
	state_freep(&l->state);
	look_span_release(l);
	sight_version_putp(&l->sight);
}

void look_span_release(struct look *l)
{
	if (l->span)
		span_release(l->span);
	free(l->span);
	l->span = NULL;
}

const struct chain_ops *look_ops(const struct look *l)
{
	return network_ops(l->view->network);
}

const struct shard_view *look_shard(const struct look *l, uint32_t shard)
{
	return &l->view->shards[shard];
}

/* ---- blocks ---- */

static int gone(struct look *l, uint32_t shard, uint64_t height)
{
	return err_set(l->err, -ESTALE,
		       "shard %u height %" PRIu64 ": the block that stood here is gone", shard,
		       height);
}

int look_held(struct look *l, uint32_t shard, uint64_t height)
{
	const struct shard_view *sv = look_shard(l, shard);
	uint64_t cursor = height;
	struct gap gap;

	if (height == 0 || height > sv->known)
		return err_set(l->err, -ENOENT,
			       "shard %u: height %" PRIu64 " is not known to exist, %" PRIu64
			       " is the newest",
			       shard, height, sv->known);
	if (gaps_has(&sv->gaps, height))
		return 0;
	bool told = gaps_next(&sv->gaps, height, &cursor, &gap) && gap.fault;
	return err_set(l->err, -ENODATA, "shard %u: height %" PRIu64 " is a gap: %s%s%s", shard,
		       height, gap_reason_names[told ? gap.fault->reason : GAP_NOT_FETCHED],
		       told ? ": " : "", told ? gap.fault->error : "");
}

int look_block(struct look *l, uint32_t shard, uint64_t height, const struct block_row **out)
{
	*out = &l->block;
	if (l->has_block && l->block.shard == shard && l->block.height == height)
		return 0;
	int rc = look_held(l, shard, height);
	if (rc < 0)
		return rc;
	l->has_block = false;
	rc = network_block(l->view->network, shard, height, &l->block);
	if (rc < 0)
		return err_note(l->err, rc, "shard %u height %" PRIu64, shard, height);
	if (rc == 0)
		return gone(l, shard, height);
	l->has_block = true;
	return 0;
}

int look_stat(struct look *l, uint64_t object, struct stat_record *out)
{
	int rc = network_stat(l->view->network, object, out);
	if (rc < 0)
		return err_note(l->err, rc, "object %" PRIu64, object);
	return rc == 1 ? 0 : err_set(l->err, -ESTALE, "object %" PRIu64 " is gone", object);
}

int look_block_object(struct look *l, uint64_t object, const struct block_row **out)
{
	*out = &l->block;
	if (l->has_block && l->block.object == object)
		return 0;
	struct stat_record stat;
	int rc = look_stat(l, object, &stat);
	if (rc < 0)
		return rc;
	l->has_block = false;
	rc = network_block(l->view->network, stat.shard, stat.height, &l->block);
	if (rc < 0)
		return err_note(l->err, rc, "shard %u height %" PRIu64, stat.shard, stat.height);
	if (rc == 0 || l->block.object != object)
		return gone(l, stat.shard, stat.height);
	l->has_block = true;
	return 0;
}

/* ---- following ---- */

int look_sight(struct look *l, const struct node *n, const struct sight_version **out)
{
	uint64_t number = n->scope.view_number;

	if (!l->sight || l->sight->number != number || l->sight->view->network != n->network) {
		sight_version_putp(&l->sight);
		l->sight = sights_get(tree_sights(), n->network, number);
	}
	*out = l->sight;
	return l->sight ? 0
			: err_set(l->err, -ESTALE, "what was told of following then is gone");
}

bool look_sight_newest(struct look *l, struct node *n)
{
	struct sight_version *v = sights_newest(tree_sights(), n->network);

	if (!v)
		return false;
	sight_version_putp(&l->sight); /* a name that is interned next finds it held */
	l->sight = v;
	n->scope.kind = SCOPE_SIGHT;
	n->scope.context = 0;
	n->scope.height = n->scope.from = 0;
	n->scope.view_number = v->number;
	return true;
}

/* ---- what can be read ---- */

int look_readable(struct look *l, uint8_t context, uint32_t shard, uint64_t height)
{
	const struct shard_view *sv = look_shard(l, shard);

	if (height > sv->known)
		return err_set(l->err, -ENOENT,
			       "shard %u: height %" PRIu64 " is not known to exist, %" PRIu64
			       " is the newest",
			       shard, height, sv->known);
	if (height > sv->replayed)
		return err_set(l->err, -ENODATA, "shard %u: replayed up to height %" PRIu64 " only",
			       shard, sv->replayed);
	if (height < sv->begins)
		return err_set(l->err, -ENODATA,
			       "shard %u: not replayed: the state here begins at height %" PRIu64,
			       shard, sv->begins);
	if (height < sv->kept_from)
		return err_set(l->err, -ENODATA,
			       "shard %u: the state is kept from height %" PRIu64 " on", shard,
			       sv->kept_from);
	if (context != CONTEXT_HYPER)
		return 0;
	if (!sv->hyper_on)
		return err_set(l->err, -ENODATA, "hyper is off");
	if (sv->base_height > 0 && height <= sv->base_height)
		return err_set(l->err, -ENODATA, "shard %u: hyper begins above height %" PRIu64,
			       shard, sv->base_height);
	return 0;
}

int look_cut(struct look *l, uint64_t height, uint32_t shard, uint64_t *out)
{
	const struct block_row *row;
	int rc = look_block(l, 0, height, &row);

	*out = 0;
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < row->witness_count; i++)
		if (row->witnesses[i].shard == shard)
			*out = row->witnesses[i].height;
	return 0;
}

int look_readable_main(struct look *l, uint8_t context, uint64_t height)
{
	int rc = look_readable(l, context, 0, height);

	for (uint32_t s = 1; rc == 0 && s < l->view->shard_count; s++) {
		const struct shard_view *sv = look_shard(l, s);
		uint64_t cut;
		if (context != CONTEXT_HYPER && sv->kept_from <= 1)
			continue;
		rc = look_cut(l, height, s, &cut);
		if (rc == 0 && cut < sv->kept_from && sv->kept_from > 1)
			rc = err_set(l->err, -ENODATA,
				     "shard %u: the state is kept from height %" PRIu64
				     " on, and this is of %" PRIu64,
				     s, sv->kept_from, cut);
		if (rc == 0 && context == CONTEXT_HYPER &&
		    (!sv->hyper_on || (sv->base_height > 0 && cut <= sv->base_height)))
			rc = err_set(l->err, -ENODATA,
				     "shard %u: hyper begins above height %" PRIu64, s,
				     sv->base_height);
	}
	return rc;
}

/* ---- states ---- */

uint64_t look_height(const struct look *l, const struct scope *s)
{
	return scope_has_height(s) ? s->height : look_shard(l, s->shard)->replayed;
}

int look_time(struct look *l, const struct scope *s, uint64_t *out)
{
	uint64_t height = look_height(l, s);
	const struct block_row *row;

	*out = 0;
	if (height == 0)
		return 0;
	if (!scope_has_height(s)) {
		*out = look_shard(l, s->shard)->replayed_time;
		return 0;
	}
	int rc = look_block(l, s->shard, height, &row);
	if (rc == 0)
		*out = row->time;
	return rc;
}

/* At its base hyper is legacy; what lies in its rows then belongs to an earlier base. */
unsigned look_spaces(const struct look *l, const struct scope *s)
{
	const struct shard_view *sv = look_shard(l, s->shard);

	if (s->context != CONTEXT_HYPER || !sv->hyper_on)
		return SPACES_LEGACY;
	return sv->base_height == 0 || look_height(l, s) > sv->base_height ? SPACES_HYPER
									   : SPACES_LEGACY;
}

int look_state(struct look *l, const struct scope *s, struct state **out)
{
	uint64_t height = look_height(l, s);

	if (!l->state || l->state_shard != s->shard || l->state_height != height) {
		state_freep(&l->state);
		l->has_account = false;
		/* Of the view's own branch: after a rollback the newest one shows less. */
		int rc = state_open_at(l->view->network, l->view->branch, s->shard, height,
				       &l->state, l->err);
		if (rc < 0)
			return rc;
		l->state_shard = s->shard;
		l->state_height = height;
	}
	*out = l->state;
	return 0;
}

int look_row(struct look *l, const struct scope *s, struct slice key, struct slice *value)
{
	struct state *st;
	int rc = look_state(l, s, &st);

	if (rc == 0 && look_spaces(l, s) & SPACE_HYPER)
		rc = state_peek(st, SPACE_HYPER, key, value);
	if (rc == 0)
		rc = state_peek(st, SPACE_BOTH, key, value);
	return rc < 0 ? err_note(l->err, rc, "state of shard %u", s->shard) : rc;
}

void look_account_key(const struct look *l, const struct scope *s, uint64_t account,
		      struct account_key *out)
{
	*out = (struct account_key){
		.epoch = network_epoch(l->view->network),
		.branch = l->view->branch,
		.shard = s->shard,
		.spaces = look_spaces(l, s),
		.height = look_height(l, s),
		.account = account,
	};
}

static int read_account(struct look *l, const struct scope *s, uint64_t account)
{
	AUTO(buf_release) struct buf key = BUF_INIT(KEY_BYTES_MAX);
	struct slice value;

	look_ops(l)->account_key(account, &key);
	int rc = buf_done(&key);
	if (rc == 0)
		rc = look_row(l, s, buf_slice(&key), &value);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return err_set(l->err, -ENOENT,
			       "shard %u has no account %" PRIu64 " at height %" PRIu64, s->shard,
			       account, look_height(l, s));
	rc = look_ops(l)->account_read(value, &l->account);
	return rc < 0 ? err_note(l->err, rc, "account %" PRIu64, account) : 0;
}

int look_account(struct look *l, const struct scope *s, uint64_t account,
		 const struct chain_account **out)
{
	struct account_key key;

	*out = &l->account;
	if (l->has_account && l->account_number == account && scope_eq(&l->account_scope, s))
		return 0;
	look_account_key(l, s, account, &key);
	l->has_account = false;
	if (!accounts_find(&key, &l->account)) {
		int rc = read_account(l, s, account);

		if (rc < 0)
			return rc;
		accounts_keep(&key, &l->account);
	}
	l->has_account = true;
	l->account_scope = *s;
	l->account_number = account;
	return 0;
}

int look_vshard(struct look *l, const struct scope *s, unsigned vshard, uint32_t *count)
{
	AUTO(buf_release) struct buf key = BUF_INIT(KEY_BYTES_MAX);
	struct slice value;

	look_ops(l)->vshard_key(vshard, &key);
	int rc = buf_done(&key);
	if (rc == 0)
		rc = look_row(l, s, buf_slice(&key), &value);
	*count = 0;
	if (rc <= 0)
		return rc;
	if (value.n != 4)
		return err_set(l->err, -EUCLEAN, "vshard %02x: a count of %zu bytes", vshard,
			       value.n);
	*count = get_be32(value.p);
	return 0;
}

/* ---- rows with numbers ---- */

static const char ranked_alphabet[] = "%-.0123456789_abcdefghijklmnopqrstuvwxyz"; /* ascending */
#define RANKED_BASE (sizeof ranked_alphabet) /* and one for "the key has ended" */
#define RANKED_HEAD 4

static unsigned rank_bits(enum ranked_kind kind)
{
	return kind == RANKED_TEXT ? 15 : 22;
}

static int head_of(enum ranked_kind kind, struct slice suffix, uint64_t *out)
{
	if (kind == RANKED_BYTES && suffix.n >= RANKED_HEAD) {
		*out = get_be32(suffix.p);
		return 0;
	}
	*out = 0;
	for (size_t i = 0; i < RANKED_HEAD; i++) {
		if (kind == RANKED_BYTES) {
			*out = *out << 8 | (i < suffix.n ? suffix.p[i] : 0);
			continue;
		}
		const char *at =
			i < suffix.n && suffix.p[i] ? strchr(ranked_alphabet, suffix.p[i]) : NULL;
		if (i < suffix.n && !at)
			return -EUCLEAN;
		*out = *out * RANKED_BASE + (at ? (uint64_t)(at - ranked_alphabet) + 1 : 0);
	}
	return 0;
}

/* The least bytes with this head: zero bytes at the end may stand for a key that ended. */
static size_t head_bytes(enum ranked_kind kind, uint64_t head, uint8_t out[RANKED_HEAD])
{
	size_t n = RANKED_HEAD;

	for (size_t i = RANKED_HEAD; i-- > 0;) {
		uint64_t digit = kind == RANKED_BYTES ? head & 0xff : head % RANKED_BASE;
		head = kind == RANKED_BYTES ? head >> 8 : head / RANKED_BASE;
		out[i] = kind == RANKED_BYTES || digit == 0 ? (uint8_t)digit
							    : (uint8_t)ranked_alphabet[digit - 1];
	}
	while (n > 0 && out[n - 1] == 0)
		n--;
	return n;
}

int ranked_open(struct state *st, unsigned spaces, struct slice prefix, enum ranked_kind kind,
		uint64_t from, struct ranked *out)
{
	uint8_t start[RANKED_HEAD];
	size_t n = from ? head_bytes(kind, (from - 1) >> rank_bits(kind), start) : 0;

	*out = (struct ranked){ .kind = kind, .prefix_size = prefix.n };
	return state_scan_new(st, spaces, prefix, SLICE(start, n), false, &out->scan);
}

int ranked_next(struct ranked *r, uint64_t *number, struct slice *key, struct slice *value)
{
	uint64_t head;
	int rc = state_scan_next(r->scan, key, value);

	if (rc <= 0)
		return rc;
	rc = head_of(r->kind, slice_sub(*key, r->prefix_size, SIZE_MAX), &head);
	if (rc < 0)
		return rc;
	r->rank = r->begun && head == r->head ? r->rank + 1 : 0;
	r->head = head;
	r->begun = true;
	if ((r->rank + 1) >> rank_bits(r->kind))
		return -EOVERFLOW;
	*number = (head << rank_bits(r->kind) | r->rank) + 1;
	return 1;
}

int ranked_number(struct state *st, unsigned spaces, struct slice prefix, enum ranked_kind kind,
		  struct slice key, uint64_t *out)
{
	AUTO(ranked_release) struct ranked r = { .scan = NULL };
	struct slice at, value;
	uint64_t head;
	int rc = head_of(kind, slice_sub(key, prefix.n, SIZE_MAX), &head);

	if (rc == 0)
		rc = ranked_open(st, spaces, prefix, kind, (head << rank_bits(kind)) + 1, &r);
	if (rc < 0)
		return rc;
	while ((rc = ranked_next(&r, out, &at, &value)) == 1)
		if (slice_eq(at, key))
			return 0;
	return rc < 0 ? rc : -ENOENT;
}

void ranked_release(struct ranked *r)
{
	state_scan_freep(&r->scan);
}
