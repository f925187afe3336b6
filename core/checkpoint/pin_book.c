#include "core/checkpoint/pin_book.h"

#include <stdio.h>

/* ---- heights ---- */

/* What the main block at `height` witnesses of the other shards. 1: all of it is replayed and can
 * still be read; 0: not so. */
static int heights_of(struct network *n, const struct view *v, uint64_t height,
		      uint64_t out[SHARD_MAX], uint64_t *time, uint8_t hash[HASH_SIZE])
{
	struct block_row row;

	memset(out, 0, SHARD_MAX * sizeof *out);
	if (height == 0 || height > v->shards[0].replayed || height < v->shards[0].kept_from)
		return 0;
	int rc = network_block(n, 0, height, &row);

	if (rc <= 0)
		return rc;
	out[0] = height;
	*time = row.time;
	memcpy(hash, row.hash, HASH_SIZE);
	for (uint32_t i = 0; i < row.witness_count; i++) {
		uint32_t s = row.witnesses[i].shard;
		uint64_t at = row.witnesses[i].height;

		if (s == 0 || s >= v->shard_count || at == 0)
			continue;
		if (at > v->shards[s].replayed || at < v->shards[s].kept_from)
			return 0;
		out[s] = at;
	}
	return 1;
}

void pin_unhold(struct network *n, struct pin_entry *r)
{
	for (uint32_t s = 0; r->held && s < SHARD_MAX; s++)
		if (r->heights[s])
			network_unpin(n, s, r->heights[s]);
	r->held = false;
}

/* Holds what the pin needs against the collector, and names its checkpoint. */
int pin_hold(struct network *n, struct pin_entry *r, uint64_t *time, struct err *err)
{
	AUTO(view_putp) struct view *v = network_view_get(n);
	uint8_t hash[HASH_SIZE];
	int rc = heights_of(n, v, r->is.height, r->heights, time, hash);

	if (rc == 0)
		return err_set(err, -ENODATA,
			       "the state of main height %" PRIu64
			       " cannot be read: it is not replayed in all shards, or not kept "
			       "any more",
			       r->is.height);
	for (uint32_t s = 0; rc >= 0 && s < SHARD_MAX; s++) {
		if (!r->heights[s])
			continue;
		rc = network_pin(n, s, r->heights[s]);
		if (rc == 0)
			continue;
		while (s-- > 0)
			if (r->heights[s])
				network_unpin(n, s, r->heights[s]);
		break;
	}
	if (rc == -ESTALE)
		return err_set(err, -ENODATA,
			       "the state of main height %" PRIu64 " is not kept "
			       "any more",
			       r->is.height);
	if (rc < 0)
		return err_set(err, rc, "main height %" PRIu64 ": %s", r->is.height, strerror(-rc));
	r->held = true;
	checkpoint_name(r->is.height, hash, r->is.checkpoint);
	return 0;
}

/* ---- places ---- */

/* Index of the pin of that name, or where it belongs. */
size_t book_place(const struct book *b, const char *name, bool *found)
{
	size_t low = 0, high = b->pin_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(b->pins[middle]->is.name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*found = low < b->pin_count && strcmp(b->pins[low]->is.name, name) == 0;
	return low;
}

void book_put(struct book *b, size_t at, struct pin_entry *r)
{
	memmove(b->pins + at + 1, b->pins + at, (b->pin_count - at) * sizeof *b->pins);
	b->pins[at] = r;
	b->pin_count++;
}

struct pin_entry *book_take(struct book *b, size_t at)
{
	struct pin_entry *r = b->pins[at];

	b->pin_count--;
	memmove(b->pins + at, b->pins + at + 1, (b->pin_count - at) * sizeof *b->pins);
	return r;
}

size_t book_checkpoint_place(const struct book *b, uint64_t height)
{
	size_t low = 0, high = b->checkpoint_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (b->checkpoints[middle]->height < height)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct checkpoint_entry *book_checkpoint(const struct book *b, uint64_t height)
{
	size_t at = book_checkpoint_place(b, height);

	return at < b->checkpoint_count && b->checkpoints[at]->height == height ? b->checkpoints[at]
										: NULL;
}

bool book_checkpoint_put(struct book *b, struct checkpoint_entry *e)
{
	size_t at = book_checkpoint_place(b, e->height);

	if (b->checkpoint_count == ARRAY_LEN(b->checkpoints))
		return false;
	memmove(b->checkpoints + at + 1, b->checkpoints + at,
		(b->checkpoint_count - at) * sizeof *b->checkpoints);
	b->checkpoints[at] = e;
	b->checkpoint_count++;
	return true;
}

struct checkpoint_entry *book_checkpoint_take(struct book *b, uint64_t height)
{
	struct checkpoint_entry *e = book_checkpoint(b, height);
	size_t at = book_checkpoint_place(b, height);

	if (!e)
		return NULL;
	b->checkpoint_count--;
	memmove(b->checkpoints + at, b->checkpoints + at + 1,
		(b->checkpoint_count - at) * sizeof *b->checkpoints);
	return e;
}

void book_freep(struct book **at)
{
	struct book *b = TAKE(*at);

	if (!b)
		return;
	for (size_t i = 0; i < b->pin_count; i++) {
		pin_unhold(b->network, b->pins[i]);
		free(b->pins[i]);
	}
	for (size_t i = 0; i < b->checkpoint_count; i++)
		free(b->checkpoints[i]);
	free(b);
}

bool book_wants(const struct book *b, uint64_t height)
{
	for (size_t i = 0; i < b->pin_count; i++)
		if (b->pins[i]->is.height == height)
			return true;
	return false;
}

/* ---- a network's book ---- */

void pin_fail(struct pin_entry *r, const struct err *err, int rc)
{
	r->is.state = PIN_FAILED;
	snprintf(r->is.failure, sizeof r->is.failure, "%.*s", (int)sizeof r->is.failure - 1,
		 err_text(err, rc));
}

/* What is complete needs no state any more; the rest is held, or has failed. */
static void settle(struct book *b, struct pin_entry *r)
{
	struct checkpoint_entry *e = r->damaged ? NULL : book_checkpoint(b, r->is.height);
	struct err err = ERR_INIT;
	uint64_t time;

	if (r->damaged)
		return;
	if (e && e->complete) {
		memcpy(r->is.checkpoint, e->name, sizeof r->is.checkpoint);
		r->is.state = PIN_COMPLETE;
		return;
	}
	int rc = pin_hold(b->network, r, &time, &err);

	if (rc < 0)
		pin_fail(r, &err, rc);
}

int book_load(const struct store *s, struct network *n, struct book **out, struct err *err)
{
	AUTO(book_freep) struct book *b = calloc(1, sizeof *b);

	if (!b)
		return err_set(err, -ENOMEM, "no memory for pins");
	b->network = n;
	int rc = book_load_pins(s, b, err);

	if (rc == 0)
		rc = book_load_checkpoints(s, b, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < b->pin_count; i++)
		settle(b, b->pins[i]);
	*out = TAKE(b);
	return 0;
}
