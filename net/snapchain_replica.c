#include "net/snapchain_replica.h"

#include <stdio.h>

#include "net/snapchain_calls.h"
#include "proto/wire.h"

#define AHEAD     64u /* blocks that are asked for at a time */
#define PAGE_SIZE 1000u

struct from {
	struct snapchain_client *client;
	/* What came of the last request for blocks. */
	struct buf blocks;
	struct slice list[AHEAD];
	size_t count;
	uint32_t shard;
	uint64_t last; /* the height that was asked for last */
};

/* In the order of the chain's lists (replica_list_name). */
static const struct account_list {
	const char *path;
	uint32_t event_type; /* of GetOnChainEvents; 0: messages */
} account_lists[] = {
	{ "/HubService/GetAllCastMessagesByFid", 0 },
	{ "/HubService/GetAllReactionMessagesByFid", 0 },
	{ "/HubService/GetAllLinkMessagesByFid", 0 },
	{ "/HubService/GetLinkCompactStateMessageByFid", 0 },
	{ "/HubService/GetAllUserDataMessagesByFid", 0 },
	{ "/HubService/GetAllVerificationMessagesByFid", 0 },
	{ "/HubService/GetAllLendStorageMessagesByFid", 0 },
	{ "/HubService/GetUserNameProofsByFid", 0 },
	{ "/HubService/GetOnChainEvents", 1 },
	{ "/HubService/GetOnChainEvents", 2 },
	{ "/HubService/GetOnChainEvents", 3 },
	{ "/HubService/GetOnChainEvents", 4 },
	{ "/HubService/GetOnChainEvents", 5 },
	{ "/HubService/GetOnChainEvents", 6 },
};

static int ask(struct from *f, const char *path, const struct buf *request, struct buf *out,
	       struct err *err)
{
	int rc = buf_done(request);
	return rc < 0 ? rc
		      : snapchain_ask(f->client, path, buf_slice(request), false, REPLICA_PAGE_MAX,
				      out, err);
}

static int metadata(void *arg, uint32_t shard, struct buf *out, struct err *err)
{
	AUTO(buf_release) struct buf request = BUF_INIT(REQUEST_SIZE_MAX);
	wire_put_varint(&request, 1, shard);
	return ask(arg, CALL_SNAPSHOTS, &request, out, err);
}

static int page(void *arg, uint32_t shard, uint64_t height, uint32_t vshard, struct slice token,
		struct buf *out, struct err *err)
{
	AUTO(buf_release) struct buf request = BUF_INIT(REQUEST_SIZE_MAX + token.n);
	wire_put_varint(&request, 1, shard);
	wire_put_varint(&request, 2, height);
	wire_put_varint(&request, 3, vshard);
	wire_put_bytes(&request, 4, token);
	return ask(arg, CALL_TRANSACTIONS, &request, out, err);
}

static int account(void *arg, uint32_t shard, uint64_t fid, unsigned list, struct slice token,
		   struct buf *out, struct err *err)
{
	if (list >= ARRAY_LEN(account_lists))
		return err_set(err, -ENODATA, "there is no list %u of an account", list);
	const struct account_list *l = &account_lists[list];
	AUTO(buf_release) struct buf request = BUF_INIT(REQUEST_SIZE_MAX + token.n);
	wire_put_varint(&request, 1, fid);
	if (l->event_type)
		wire_put_varint(&request, 2, l->event_type);
	wire_put_varint(&request, l->event_type ? 3 : 2, PAGE_SIZE);
	wire_put_bytes(&request, l->event_type ? 4 : 3, token);
	return ask(arg, l->path, &request, out, err);
}

/* ---- blocks ---- */

/* An answer of the main shard is a row of sized messages, another's one message with its chunks as
 * field 1. */
static void blocks_find(struct from *f)
{
	f->count = 0;
	if (!f->shard) {
		struct rd r = rd_of(buf_slice(&f->blocks));
		while (f->count < AHEAD && rd_left(&r) && rd_ok(&r))
			f->list[f->count++] = rd_blob(&r);
		return;
	}
	struct wire w = wire_of(buf_slice(&f->blocks));
	struct wire_field field;
	while (f->count < AHEAD && wire_next(&w, &field))
		if (field.number == 1 && field.type == WIRE_BYTES)
			f->list[f->count++] = field.bytes;
}

/* Whoever goes down gets those below beside it, whoever goes up those above. */
static int blocks_ask(struct from *f, uint32_t shard, uint64_t height, struct err *err)
{
	AUTO(buf_release) struct buf request = BUF_INIT(REQUEST_SIZE_MAX);
	bool down = shard == f->shard && height + 1 == f->last;
	uint64_t first = !down ? height : height > AHEAD ? height - AHEAD + 1 : 1;
	struct range range = { first, down ? height + 1 : height + AHEAD };
	f->count = 0;
	f->shard = shard;
	request_of_blocks(shard, range, &request);
	int rc = buf_done(&request);
	if (rc == 0)
		rc = snapchain_ask(f->client, call_of_blocks(shard), buf_slice(&request), !shard,
				   REPLICA_PAGE_MAX, &f->blocks, err);
	if (rc == 0)
		blocks_find(f);
	return rc;
}

static bool blocks_have(const struct from *f, uint32_t shard, uint64_t height, struct slice *out)
{
	for (size_t i = 0; shard == f->shard && i < f->count; i++) {
		*out = f->list[i];
		if (block_height_of(*out) == height)
			return true;
	}
	return false;
}

/* It is not among what came: is that the end, or was it pruned there? */
static int is_end(struct from *f, uint32_t shard, uint64_t height, struct err *err)
{
	AUTO(buf_release) struct buf answer = BUF_INIT(0);
	struct info info;
	int rc = snapchain_ask(f->client, CALL_GET_INFO, SLICE_EMPTY, false, INFO_SIZE_MAX, &answer,
			       err);
	if (rc == 0)
		rc = info_read(buf_slice(&answer), &info, err);
	if (rc < 0)
		return rc;
	if (shard < SHARD_MAX && info.max[shard] >= height)
		return err_set(err, -ENODATA,
			       "shard %u, height %" PRIu64
			       ": it is not given there, perhaps pruned",
			       (unsigned)shard, height);
	return 0;
}

static int block(void *arg, uint32_t shard, uint64_t height, struct buf *out, struct err *err)
{
	struct from *f = arg;
	struct slice found = SLICE_EMPTY;
	if (!blocks_have(f, shard, height, &found)) {
		int rc = blocks_ask(f, shard, height, err);
		if (rc < 0)
			return rc;
		if (!blocks_have(f, shard, height, &found))
			return is_end(f, shard, height, err);
	}
	f->last = height;
	buf_release(out);
	*out = (struct buf)BUF_INIT(found.n);
	buf_add(out, found);
	int rc = buf_done(out);
	return rc < 0 ? err_set(err, rc, "no memory for a block") : 1;
}

/* ---- opening ---- */

int snapchain_replica_open(struct loop *l, const struct snapchain_options *o, uint32_t patience_ms,
			   const atomic_bool *stop, struct replica *out, struct err *err)
{
	struct from *f = calloc(1, sizeof *f);
	if (!f)
		return err_set(err, -ENOMEM, "no memory for a replica");
	f->shard = UINT32_MAX;
	int rc = snapchain_client_open(l, o, patience_ms, stop, &f->client, err);
	if (rc < 0) {
		free(f);
		return rc;
	}
	*out = (struct replica){ f, metadata, page, block, account };
	return 0;
}

void snapchain_replica_close(struct replica *r)
{
	struct from *f = r->arg;
	if (!f)
		return;
	snapchain_client_closep(&f->client);
	buf_release(&f->blocks);
	free(f);
	*r = (struct replica){ 0 };
}

/* ---- whose state is compared with ours ---- */

static int their_heights(void *arg, uint64_t out[SHARD_MAX], struct err *err)
{
	return snapchain_heights(arg, out, err);
}

static int their_node(void *arg, uint32_t shard, struct slice prefix, struct source_node *out,
		      struct err *err)
{
	return snapchain_trie_node(arg, shard, prefix, out, err);
}

int snapchain_theirs_open(struct loop *l, const struct snapchain_options *o, uint32_t patience_ms,
			  const atomic_bool *stop, struct compare_theirs *out, struct err *err)
{
	struct snapchain_client *c = NULL;
	int rc = snapchain_client_open(l, o, patience_ms, stop, &c, err);
	if (rc == 0)
		*out = (struct compare_theirs){ c, their_heights, their_node };
	return rc;
}

void snapchain_theirs_close(struct compare_theirs *t)
{
	struct snapchain_client *c = t->arg;
	snapchain_client_closep(&c);
	*t = (struct compare_theirs){ 0 };
}
