#include "core/checkpoint/fill.h"

#include "core/checkpoint/pack.h"

#define CARRIER_TARGET (128u << 10) /* bytes of one carrier: what is unpacked to read one object */
#define RUN_BYTES_MAX  (32u << 20)  /* rows and bytes of a batch */
#define ROW_COST       200u         /* of memory and batch, beside a row's own bytes */

struct fill_waiting { /* a stat record that waits for its carrier */
	uint64_t object;
	struct stat_record stat;
};

int fill_init(struct fill *f, const struct store *s, struct network *n, struct err *err)
{
	*f = (struct fill){
		.store = s,
		.network = n,
		.ops = network_ops(n),
		.carried = BUF_INIT(CARRIER_TARGET + PACK_ENTRY_MAX),
		.text = BUF_INIT(BLOCK_SIZE_MAX),
		.value = BUF_INIT(STATE_VALUE_MAX),
	};
	int rc = commit_new(n, &f->commit);

	return rc < 0 ? err_set(err, rc, "no batch can begin: %s", strerror(-rc)) : 0;
}

void fill_release(struct fill *f)
{
	if (f->rooter)
		f->ops->root_free(f->rooter);
	f->rooter = NULL;
	state_freep(&f->state);
	commit_freep(&f->commit);
	buf_release(&f->carried);
	buf_release(&f->text);
	buf_release(&f->value);
	free(f->waiting);
	f->waiting = NULL;
}

/* ---- batches ---- */

/* Objects whose bytes were gathered get their carrier. */
static int put_carrier(struct fill *f, struct err *err)
{
	uint64_t carrier;

	if (f->waiting_count == 0)
		return 0;
	int rc = commit_carried(f->commit, buf_slice(&f->carried), &carrier, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < f->waiting_count; i++) {
		f->waiting[i].stat.carrier = carrier;
		rc = commit_stat(f->commit, f->waiting[i].object, &f->waiting[i].stat);
	}
	f->waiting_count = 0;
	buf_clear(&f->carried);
	return rc < 0 ? err_set(err, rc, "no memory for stat records") : 0;
}

static int apply(struct fill *f, struct err *err)
{
	int rc = put_carrier(f, err);

	if (rc < 0)
		return rc;
	rc = state_block_end(f->state);
	if (rc == 0)
		rc = commit_state(f->commit, f->state);
	if (rc < 0)
		return err_set(err, rc, "the rows of shard %u cannot be written: %s", f->shard,
			       strerror(-rc));
	rc = store_space(f->store, err);
	if (rc == 0)
		rc = commit_apply(f->commit, err);
	f->run_bytes = 0;
	return rc;
}

/* Rows of one height in several batches. */
static int next_batch(struct fill *f, struct err *err)
{
	int rc = f->run_bytes < RUN_BYTES_MAX ? 1 : apply(f, err);

	if (rc)
		return MIN(rc, 0);
	rc = state_block_begin(f->state, f->height);
	return rc < 0 ? err_set(err, rc, "the next batch cannot begin: %s", strerror(-rc)) : 0;
}

static int put_row(void *arg, enum space space, struct slice key, struct slice value)
{
	struct fill *f = arg;

	f->run_bytes += key.n + value.n + ROW_COST;
	return state_put(f->state, space, key, value, true);
}

/* ---- records ---- */

static int object_sizes(struct fill *f, const struct chain_object *o, struct stat_record *out)
{
	for (int line = 0; line < 2; line++) {
		buf_clear(&f->text);
		int rc = f->ops->render_object(o, line, &f->text);

		if (rc == 0)
			rc = buf_done(&f->text);
		if (rc < 0)
			return rc;
		*(line ? &out->line_size : &out->json_size) = (uint32_t)f->text.n;
	}
	return 0;
}

/* The object gets an id of this store; its bytes and stat record wait for their carrier. */
static int put_object(struct fill *f, const struct fill_record *rec, uint64_t *object)
{
	struct view *v = commit_view(f->commit);
	struct stat_record stat = {
		.type = rec->inner ? OBJECT_INNER : OBJECT_ITEM,
		.form = rec->object.form,
		.shard = f->shard,
		.height = rec->height,
		.item = rec->item,
		.time = rec->object.time,
		.offset = (uint32_t)f->carried.n,
		.size = (uint32_t)rec->object.bytes.n,
		.renderer = f->ops->renderer,
	};
	int rc = object_sizes(f, &rec->object, &stat);

	if (rc < 0)
		return rc;
	if (base_grow(&f->waiting, &f->waiting_cap, f->waiting_count + 1, sizeof *f->waiting) < 0)
		return -ENOMEM;
	buf_add(&f->carried, rec->object.bytes);
	if (buf_done(&f->carried) < 0)
		return buf_done(&f->carried);
	*object = v->next_object++;
	f->waiting[f->waiting_count++] = (struct fill_waiting){ *object, stat };
	f->run_bytes += rec->object.bytes.n + sizeof(struct fill_waiting);
	return 0;
}

int fill_record(struct fill *f, const struct fill_record *rec, struct err *err)
{
	uint64_t object = 0;

	if (f->carried.n && f->carried.n + rec->object.bytes.n > CARRIER_TARGET) {
		int rc = put_carrier(f, err);

		if (rc < 0)
			return rc;
	}
	int rc = put_object(f, rec, &object);

	buf_clear(&f->value);
	if (rc == 0)
		rc = f->ops->record_join(object, rec->rest, &f->value);
	if (rc == 0)
		rc = buf_done(&f->value);
	if (rc == 0)
		rc = put_row(f, rec->space, rec->key, buf_slice(&f->value));
	if (rc < 0)
		return err_set(err, rc, "a record of height %" PRIu64 " cannot be put: %s",
			       rec->height, strerror(-rc));
	rc = f->ops->root_add(f->rooter, rec->space, rec->key, buf_slice(&f->value), err);
	if (rc < 0)
		return rc;
	f->records++;
	return next_batch(f, err);
}

int fill_rule(struct fill *f, enum space space, struct slice key, struct slice value,
	      struct err *err)
{
	int rc = put_row(f, space, key, value);

	return rc < 0 ? err_set(err, rc, "a row cannot be put: %s", strerror(-rc))
		      : next_batch(f, err);
}

/* ---- a shard ---- */

int fill_begin(struct fill *f, uint32_t shard, uint64_t height, bool hyper, struct err *err)
{
	int rc = state_open(f->network, shard, UINT64_MAX, &f->state, err);

	f->shard = shard;
	f->height = height;
	if (rc == 0)
		rc = f->ops->root_new(shard, hyper, put_row, f, &f->rooter, err);
	if (rc < 0)
		return rc;
	rc = state_block_begin(f->state, height);
	return rc < 0 ? err_set(err, rc, "shard %u: %s", shard, strerror(-rc)) : 0;
}

int fill_roots(struct fill *f, struct chain_root out[CONTEXT_COUNT], uint64_t *retained,
	       struct err *err)
{
	int rc = f->ops->root_end(f->rooter, out, retained, err);

	f->ops->root_free(TAKE(f->rooter));
	return rc;
}

int fill_end(struct fill *f, struct err *err)
{
	int rc = apply(f, err);

	state_freep(&f->state);
	return rc;
}
