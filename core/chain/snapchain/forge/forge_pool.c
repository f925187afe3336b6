#include "core/chain/snapchain/forge/forge_pool.h"

#include "core/chain/chain.h"
#include "proto/wire.h"

#define FIELD_FID    1
#define FIELD_USER   2
#define FIELD_SYSTEM 3
#define FIELD_ROOT   4

void forge_pool_release(struct forge_pool *p)
{
	for (size_t i = 0; i < p->cap; i++) {
		buf_release(&p->list[i].user);
		buf_release(&p->list[i].system);
	}
	free(p->list);
	*p = (struct forge_pool){ 0 };
}

void forge_pool_clear(struct forge_pool *p)
{
	p->count = 0;
	p->failed = 0;
}

struct forge_transaction *forge_pool_find(const struct forge_pool *p, uint64_t fid)
{
	/* Whoever added something last is likely to add more. */
	for (size_t i = p->count; i-- > 0;)
		if (p->list[i].fid == fid)
			return &p->list[i];
	return NULL;
}

static int grow(struct forge_pool *p)
{
	size_t cap = p->cap ? 2 * p->cap : 16;
	struct forge_transaction *list = realloc(p->list, cap * sizeof *list);

	if (!list)
		return -ENOMEM;
	for (size_t i = p->cap; i < cap; i++)
		list[i] = (struct forge_transaction){
			.user = BUF_INIT(BLOCK_SIZE_MAX),
			.system = BUF_INIT(BLOCK_SIZE_MAX),
		};
	p->list = list;
	p->cap = cap;
	return 0;
}

/* The account's transaction, made when there is none; NULL without memory. */
static struct forge_transaction *transaction_of(struct forge_pool *p, uint64_t fid)
{
	struct forge_transaction *t = forge_pool_find(p, fid);

	if (t)
		return t;
	if (p->count == p->cap && grow(p) < 0) {
		p->failed = -ENOMEM;
		return NULL;
	}
	t = &p->list[p->count++];
	t->fid = fid;
	buf_clear(&t->user);
	buf_clear(&t->system);
	return t;
}

static void latch(struct forge_pool *p, const struct buf *b)
{
	if (b->failed && !p->failed)
		p->failed = b->failed;
}

void forge_pool_user(struct forge_pool *p, uint64_t fid, struct slice message)
{
	struct forge_transaction *t = transaction_of(p, fid);

	if (!t)
		return;
	wire_put_message(&t->user, FIELD_USER, message);
	latch(p, &t->user);
}

void forge_pool_system(struct forge_pool *p, uint64_t fid, struct slice message)
{
	struct forge_transaction *t = transaction_of(p, fid);

	if (!t)
		return;
	wire_put_message(&t->system, FIELD_SYSTEM, message);
	latch(p, &t->system);
}

void forge_pool_append(struct forge_pool *p, const struct forge_pool *from)
{
	if (from->failed && !p->failed)
		p->failed = from->failed;
	for (size_t i = 0; i < from->count; i++) {
		struct forge_transaction *t = transaction_of(p, from->list[i].fid);

		if (!t)
			return;
		buf_add(&t->user, buf_slice(&from->list[i].user));
		buf_add(&t->system, buf_slice(&from->list[i].system));
		latch(p, &t->user);
		latch(p, &t->system);
	}
}

static size_t field_size(uint64_t content_size)
{
	return 1 + varint_size(content_size) + content_size;
}

void forge_pool_write(const struct forge_pool *p, const struct slice *roots, uint32_t number,
		      struct buf *out)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct forge_transaction *t = &p->list[i];
		struct slice root = roots ? roots[i] : SLICE_EMPTY;
		size_t size = t->user.n + t->system.n + (t->fid ? 1 + varint_size(t->fid) : 0) +
			      (root.n ? field_size(root.n) : 0);

		/* Its size first, so that a transaction is copied once. */
		buf_varint(out, number << 3 | WIRE_BYTES);
		buf_varint(out, size);
		wire_put_varint(out, FIELD_FID, t->fid);
		buf_add(out, buf_slice(&t->user));
		buf_add(out, buf_slice(&t->system));
		wire_put_bytes(out, FIELD_ROOT, root);
	}
	if (p->failed && !out->failed)
		out->failed = p->failed;
}
