/* After a block whose root did not come out, and that names no account of its own: a source whose
 * state is that of the block, if there is one, is asked which account differs first. A thread of
 * its own compares (compare.h), since that waits and reads; what it asks goes over the loop, one
 * node at a time. A source moves on with its tip: unless the root that it tells is the one that the
 * block signs, nothing is said of it. */
#include "core/sync/compare.h"
#include "core/sync/follow_inside.h"

#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/trace.h"
#include "core/chain/trie.h"

#define NODE_TIMEOUT_MS 5000u
#define NODE_LATE_MS    (2 * NODE_TIMEOUT_MS) /* without a word of the source */
#define REQUESTS_MAX    512u

enum mail { MAIL_NONE, MAIL_WANTED, MAIL_OUT, MAIL_CAME };

struct comparison {
	struct follow *follow;
	pthread_t thread;
	uint32_t shard;
	uint64_t height;
	atomic_bool stop;
	uint64_t request_last; /* the loop's */
	unsigned source;       /* who is asked: the thread's, and what the mail says */
	uint64_t generation;
	char source_name[SOURCE_NAME_MAX + 1];
	bool found; /* the thread's, until it has ended */
	struct compare_difference first;

	pthread_mutex_t mail_lock; /* guards the rest; a leaf */
	pthread_cond_t came;
	enum mail mail;
	uint64_t request;
	uint8_t prefix[TRIE_PREFIX_SIZE];
	size_t prefix_size;
	int rc;
	struct source_node node;
	char sentence[REASON_SIZE];
	bool ended;
};

/* ---- the thread ---- */

static int ask(void *arg, uint32_t shard, struct slice prefix, struct source_node *out,
	       struct err *err)
{
	struct comparison *c = arg;
	struct follow *f = c->follow;
	uint64_t late_ms = clock_mono_ms() + NODE_LATE_MS;
	{
		LOCKED(&c->mail_lock);
		memcpy(c->prefix, prefix.p ? prefix.p : c->prefix, prefix.n);
		c->prefix_size = prefix.n;
		c->mail = MAIL_WANTED;
	}
	f->env.wake(f->env.arg);
	LOCKED(&c->mail_lock);
	while (c->mail != MAIL_CAME && !atomic_load(&c->stop))
		if (clock_cond_wait(&c->came, &c->mail_lock, late_ms) && c->mail != MAIL_CAME) {
			c->mail = MAIL_NONE;
			return err_set(err, -EHOSTUNREACH, "no answer");
		}
	if (c->mail != MAIL_CAME)
		return err_set(err, -EINTR, "interrupted");
	c->mail = MAIL_NONE;
	*out = c->node;
	return c->rc < 0 ? err_set(err, c->rc, "%s", c->sentence) : 0;
}

/* The next source that can be asked, from number `from` on. */
static bool next_source(struct comparison *c, unsigned from)
{
	struct follow *f = c->follow;
	uint64_t now_ms = follow_now_ms(f);

	LOCKED(&f->follow_lock);
	for (unsigned i = from; i < SYNC_SOURCES_MAX; i++) {
		const struct seat *seat = &f->seats[i];
		struct sync_source_status status;

		if (!seat->used || !seat->source || !seat->ops->node || !seat->words.connected ||
		    !sync_source_status(f->sync, i, now_ms, &status) ||
		    status.circuit == CIRCUIT_BANNED)
			continue;
		c->source = i;
		c->generation = seat->generation;
		snprintf(c->source_name, sizeof c->source_name, "%s", seat->entry.name);
		return true;
	}
	return false;
}

static void found(void *arg, const struct compare_difference *d)
{
	struct comparison *c = arg;

	c->found = true;
	c->first = *d;
}

/* 0: it was compared; negative: this one cannot be, perhaps another source. */
static int compare_with(struct comparison *c, const struct view *v,
			const struct compare_root *signed_root, struct compare_state **state,
			struct err *err)
{
	struct compare_theirs theirs = { c, NULL, ask };
	struct compare_options o = {
		.shard = c->shard,
		.differences_max = 1,
		.requests_max = REQUESTS_MAX,
		.root = signed_root->root,
		.stop = &c->stop,
		.found = found,
		.arg = c,
	};
	struct compare_totals totals;
	struct source_node top;
	int rc = ask(c, c->shard, SLICE_EMPTY, &top, err);

	/* Ours is made only when there is something to compare it with. */
	if (rc == 0 &&
	    (top.hash_size != HASH20_SIZE || memcmp(top.hash, signed_root->root, HASH20_SIZE) != 0))
		rc = err_set(err, -ESTALE, "its trie is not that of the block");
	if (rc == 0 && !*state)
		rc = compare_state_open(v, c->shard, c->height, state, err);
	if (rc < 0)
		return rc;
	struct compare_ours ours = compare_state_ours(*state);

	c->found = false;
	rc = compare_walk(&ours, &theirs, &o, &totals, err);
	if (rc < 0)
		c->found = false;
	return rc;
}

static void compare_all(struct comparison *c)
{
	AUTO(view_putp) struct view *v = network_view_get(c->follow->env.network);
	AUTO(compare_state_closep) struct compare_state *state = NULL;
	struct compare_root signed_root;
	struct err err = ERR_INIT;
	int rc = compare_aside_root(v, c->shard, c->height, &signed_root, &err);
	bool done = rc < 0 || !signed_root.there || v->shards[c->shard].replayed + 1 != c->height;

	for (unsigned from = 0; !done && !atomic_load(&c->stop) && next_source(c, from);
	     from = c->source + 1) {
		struct err why = ERR_INIT;

		rc = compare_with(c, v, &signed_root, &state, &why);
		done = rc == 0;
		trace_debug("follow", "a source's state was compared with ours",
			    "network=%s shard=%u height=%" PRIu64 " source=%s result=\"%s\"",
			    network_name(c->follow->env.network), c->shard, c->height,
			    c->source_name, rc < 0 ? err_text(&why, rc) : "done");
	}
}

static void *run(void *arg)
{
	struct comparison *c = arg;
	struct follow *f = c->follow;

	compare_all(c);
	{
		LOCKED(&c->mail_lock);
		c->ended = true;
	}
	f->env.wake(f->env.arg);
	return NULL;
}

/* ---- the loop ---- */

static void comparison_free(struct comparison *c)
{
	pthread_cond_destroy(&c->came);
	pthread_mutex_destroy(&c->mail_lock);
	free(c);
}

void follow_compare_begin(struct follow *f, uint32_t shard, uint64_t height)
{
	struct cause *told = &f->causes[shard];
	bool can = false;

	for (unsigned i = 0; i < SYNC_SOURCES_MAX; i++)
		can = can || (f->seats[i].used && f->seats[i].source && f->seats[i].ops->node);
	/* Of the main shard nobody tells a trie. One at a time, and until it is known. */
	if (f->comparison || !can || shard == 0 || told->height == height)
		return;
	struct comparison *c = calloc(1, sizeof *c);

	if (!c)
		return;
	c->follow = f;
	c->shard = shard;
	c->height = height;
	pthread_mutex_init(&c->mail_lock, NULL);
	clock_cond_init(&c->came);
	if (pthread_create(&c->thread, NULL, run, c) != 0) {
		comparison_free(c);
		return;
	}
	f->comparison = c;
}

static void answer(struct comparison *c, int rc, const struct source_node *node,
		   const char *sentence)
{
	LOCKED(&c->mail_lock);
	if (rc == 0)
		c->node = *node;
	c->rc = rc;
	snprintf(c->sentence, sizeof c->sentence, "%s", sentence ? sentence : "");
	c->mail = MAIL_CAME;
	pthread_cond_broadcast(&c->came);
}

void follow_compare_node(struct follow *f, unsigned source, uint64_t request, int rc,
			 const struct source_node *node, const char *sentence)
{
	struct comparison *c = f->comparison;
	bool ours = false;

	if (c) {
		LOCKED(&c->mail_lock);
		ours = c->mail == MAIL_OUT && c->request == request && c->source == source;
	}
	if (ours)
		answer(c, rc, node, sentence);
}

static void send(struct follow *f, struct comparison *c)
{
	struct seat *seat;
	uint8_t prefix[TRIE_PREFIX_SIZE];
	size_t size;
	uint64_t request;
	{
		LOCKED(&c->mail_lock);
		if (c->mail != MAIL_WANTED)
			return;
		c->mail = MAIL_OUT;
		request = c->request = ++f->node_request_last;
		seat = &f->seats[c->source];
		size = c->prefix_size;
		memcpy(prefix, c->prefix, sizeof prefix);
	}
	if (seat->used && seat->source && seat->generation == c->generation)
		seat->ops->node(seat->source, request, c->shard, SLICE(prefix, size),
				NODE_TIMEOUT_MS);
	else
		answer(c, -EHOSTUNREACH, NULL, "the source was removed");
}

void follow_compare_gone(struct follow *f, unsigned source)
{
	struct comparison *c = f->comparison;
	bool out = false;

	if (c) {
		LOCKED(&c->mail_lock);
		out = c->mail == MAIL_OUT && c->source == source;
	}
	if (out)
		answer(c, -EHOSTUNREACH, NULL, "the source was removed");
}

static void short_hex(const struct compare_root *r, char out[17])
{
	snprintf(out, 17, "none");
	if (r->there)
		hex_put(out, r->root, 8);
}

static void tell(struct follow *f, const struct comparison *c)
{
	struct cause *told = &f->causes[c->shard];
	const struct compare_difference *d = &c->first;
	char here[17], there[17];

	short_hex(&d->here, here);
	short_hex(&d->there, there);
	told->height = c->height;
	snprintf(told->text, sizeof told->text,
		 "its root does not come out: account %" PRIu64
		 " differs first, root %s here, %s of %.40s",
		 d->account, here, there, c->source_name);
	trace_warn("follow", "an account differs from that of a source",
		   "network=%s shard=%u height=%" PRIu64 " account=%" PRIu64 " how=%s source=%s",
		   network_name(f->env.network), c->shard, c->height, d->account,
		   compare_how_names[d->how], c->source_name);
	follow_event(f, "state",
		     "shard=%u height=%" PRIu64 " account=%" PRIu64
		     " how=%s here=%s there=%s source=%s",
		     c->shard, c->height, d->account, compare_how_names[d->how], here, there,
		     c->source_name);
	follow_enqueue(f,
		       &(struct sync_event){ .kind = SYNC_CAUSE,
					     .shard = c->shard,
					     .range = { c->height, c->height + 1 } },
		       told->text);
}

void follow_compare_tend(struct follow *f)
{
	struct comparison *c = f->comparison;
	bool ended;

	if (!c)
		return;
	send(f, c);
	{
		LOCKED(&c->mail_lock);
		ended = c->ended;
	}
	if (!ended)
		return;
	pthread_join(c->thread, NULL);
	f->comparison = NULL;
	if (c->found)
		tell(f, c);
	comparison_free(c);
}

void follow_compare_release(struct follow *f)
{
	struct comparison *c = TAKE(f->comparison);

	if (!c)
		return;
	atomic_store(&c->stop, true);
	{
		LOCKED(&c->mail_lock);
		pthread_cond_broadcast(&c->came);
	}
	pthread_join(c->thread, NULL);
	comparison_free(c);
}
