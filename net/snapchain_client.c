#include "net/snapchain_client.h"

#include <stdio.h>

#include "core/base/clock.h"
#include "net/grpc.h"
#include "net/snapchain_calls.h"
#include "proto/snapchain_rpc.pb-c.h"
#include "proto/wire.h"

#define LOOK_MS      200u /* how soon `stop` is seen */
#define AGAIN_MIN_MS 250u
#define AGAIN_MAX_MS 8000u
#define RESETS_MAX   3u /* a handler that breaks off each time will go on to */

/* One try of one call. The loop's, but for what the lock guards. */
struct ask {
	struct snapchain_client *client;
	struct ask *next; /* of those that wait for the connection */
	const char *path;
	struct slice request;
	bool stream, waits;
	size_t size_max;
	uint32_t timeout_ms;
	unsigned messages;
	struct buf *out;
	struct grpc_call *call;

	pthread_mutex_t ask_lock; /* guards the rest; a leaf */
	pthread_cond_t cond;
	bool done;
	int status;
	bool local;
	char sentence[GRPC_SENTENCE_MAX];
};

struct snapchain_client {
	struct loop *loop;
	struct snapchain_options options;
	char host[H2_HOST_MAX];
	uint32_t patience_ms;
	const atomic_bool *stop;
	atomic_bool met; /* it was connected once */
	struct h2 *h2; /* the loop's, as the rest */
	bool ready;
	struct ask *waiting;
};

/* ---- on the loop ---- */

static void ask_done(struct ask *a, int status, bool local, const char *sentence)
{
	LOCKED(&a->ask_lock);
	a->status = status;
	a->local = local;
	snprintf(a->sentence, sizeof a->sentence, "%s", sentence);
	a->done = true;
	pthread_cond_signal(&a->cond);
}

static void ask_message(void *arg, struct buf *message)
{
	struct ask *a = arg;
	if (a->stream)
		buf_blob(a->out, buf_slice(message));
	else if (!a->messages++)
		buf_add(a->out, buf_slice(message));
	buf_release(message);
}

static void ask_ended(void *arg, int status, bool local, const char *sentence)
{
	struct ask *a = arg;
	a->call = NULL;
	ask_done(a, status, local, sentence);
}

static void ask_start(struct ask *a)
{
	const struct grpc_options o = { .timeout_ms = a->timeout_ms,
					.message_max = a->size_max,
					.bytes_max = a->size_max };
	const struct grpc_listener to = { a, ask_message, NULL, ask_ended };
	int rc = grpc_start(a->client->h2, a->client->loop, a->path, a->request, &o, &to, &a->call);
	if (rc < 0)
		ask_done(a, GRPC_UNAVAILABLE, true,
			 rc == -ENOMEM ? "no memory" : "the connection takes no more requests");
}

static void is_ready(void *arg)
{
	struct snapchain_client *c = arg;
	c->ready = true;
	atomic_store(&c->met, true);
	while (c->waiting) {
		struct ask *a = c->waiting;
		c->waiting = a->next;
		a->waits = false;
		ask_start(a);
	}
}

static void has_ended(void *arg, int rc, const char *sentence)
{
	struct snapchain_client *c = arg;
	h2_closep(&c->h2);
	c->ready = false;
	while (c->waiting) {
		struct ask *a = c->waiting;
		c->waiting = a->next;
		a->waits = false;
		ask_done(a, GRPC_UNAVAILABLE, true, sentence);
	}
}

static void ask_begin(void *arg)
{
	struct ask *a = arg;
	struct snapchain_client *c = a->client;
	if (c->h2 && c->ready) {
		ask_start(a);
		return;
	}
	const struct h2_options o = { .host = c->host,
				      .port = c->options.port,
				      .tls = c->options.tls,
				      .ca_file = c->options.ca_file,
				      .silent_ms = c->options.silent_ms };
	const struct h2_listener to = { c, is_ready, has_ended };
	struct err err = ERR_INIT;
	int rc = c->h2 ? 0 : h2_open(c->loop, &o, &to, &c->h2, &err);
	if (rc < 0) {
		ask_done(a, GRPC_UNAVAILABLE, true, err_text(&err, rc));
		return;
	}
	a->waits = true;
	a->next = c->waiting;
	c->waiting = a;
}

static void ask_stop(void *arg)
{
	struct ask *a = arg, **at = &a->client->waiting;
	grpc_cancel(&a->call);
	while (a->waits && *at && *at != a)
		at = &(*at)->next;
	if (a->waits && *at)
		*at = a->next;
	a->waits = false;
}

static void client_end(void *arg)
{
	struct snapchain_client *c = arg;
	h2_closep(&c->h2);
}

/* ---- on the thread that waits ---- */

static bool stopped(const struct snapchain_client *c)
{
	return c->stop && atomic_load(c->stop);
}

/* False: it was stopped before there was an answer. */
static bool ask_wait(struct ask *a)
{
	bool done = false;
	while (!done && !stopped(a->client)) {
		LOCKED(&a->ask_lock);
		if (!a->done)
			clock_cond_wait(&a->cond, &a->ask_lock, clock_mono_ms() + LOOK_MS);
		done = a->done;
	}
	return done;
}

static void rest(const struct snapchain_client *c, uint64_t ms)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t never;
	clock_cond_init(&never);
	for (uint64_t until = clock_mono_ms() + ms; clock_mono_ms() < until && !stopped(c);) {
		LOCKED(&lock);
		clock_cond_wait(&never, &lock, MIN(until, clock_mono_ms() + LOOK_MS));
	}
	pthread_cond_destroy(&never);
}

static int ask_once(struct ask *a, struct err *err)
{
	buf_clear(a->out);
	a->done = false;
	a->messages = 0;
	int rc = loop_call(a->client->loop, ask_begin, a);
	if (rc < 0)
		return err_set(err, rc, "the network's thread has ended");
	if (ask_wait(a))
		return 0;
	/* After this nothing of it is known on the loop. */
	rc = loop_call(a->client->loop, ask_stop, a);
	return rc < 0 ? rc : err_set(err, -EINTR, "%s: stopped", a->path);
}

enum reply { ANSWERED, REFUSED, TOO_LARGE, BAD, AGAIN };

static enum reply reply_of(const struct ask *a, unsigned *resets)
{
	if (a->status == GRPC_OK)
		return ANSWERED;
	bool later = a->status == GRPC_UNAVAILABLE || a->status == GRPC_DEADLINE_EXCEEDED ||
		     (!a->local &&
		      (a->status == GRPC_RESOURCE_EXHAUSTED || a->status == GRPC_CANCELLED));
	if (later)
		return AGAIN;
	if (!a->local)
		return REFUSED;
	if (a->status == GRPC_RESOURCE_EXHAUSTED)
		return TOO_LARGE;
	/* A handler that fails within breaks off without a word. */
	if (a->status == GRPC_CANCELLED)
		return ++*resets < RESETS_MAX ? AGAIN : REFUSED;
	return BAD;
}

/* A node that was there comes back; an address where nobody was is a mistake, more likely. */
static uint32_t patience_of(const struct snapchain_client *c)
{
	return atomic_load(&c->met) ? c->patience_ms : MIN(c->patience_ms, CLIENT_UNMET_MS);
}

static int ask_all(struct ask *a, struct err *err)
{
	uint64_t began = clock_mono_ms(), wait = AGAIN_MIN_MS;
	unsigned resets = 0;
	for (;;) {
		uint64_t now = clock_mono_ms(), until = began + a->client->patience_ms;
		a->timeout_ms =
			(uint32_t)MIN(until > now ? until - now : 1, (uint64_t)CLIENT_TIMEOUT_MS);
		int rc = ask_once(a, err);
		if (rc < 0)
			return rc;
		const char *name = a->local ? "" : grpc_status_name(a->status);
		switch (reply_of(a, &resets)) {
		case ANSWERED:
			rc = buf_done(a->out);
			return rc < 0 ? err_set(err, rc, "%s: no memory for its answer", a->path)
				      : 0;
		case REFUSED:
			return err_set(err, -ENODATA, "%s: %s%s%s", a->path, name,
				       *name ? ": " : "", a->sentence);
		case TOO_LARGE:
			return err_set(err, -EMSGSIZE, "%s: %s", a->path, a->sentence);
		case BAD:
			return err_set(err, -EPROTO, "%s: %s", a->path, a->sentence);
		case AGAIN:
			break;
		}
		if (clock_mono_ms() + wait >= began + patience_of(a->client))
			return err_set(err, -EHOSTUNREACH, "%s: %s%s%s", a->path, name,
				       *name ? ": " : "", a->sentence);
		rest(a->client, wait);
		wait = MIN(wait * 2, (uint64_t)AGAIN_MAX_MS);
	}
}

int snapchain_ask(struct snapchain_client *c, const char *path, struct slice request, bool stream,
		  size_t size_max, struct buf *out, struct err *err)
{
	/* Of a stream each message stands behind its size. */
	size_t room = size_max;
	if (stream && ckd_mul(&room, size_max, (size_t)2))
		room = size_max;
	buf_release(out);
	*out = (struct buf)BUF_INIT(room);
	struct ask a = { .client = c,
			 .path = path,
			 .request = request,
			 .stream = stream,
			 .size_max = size_max,
			 .out = out };
	pthread_mutex_init(&a.ask_lock, NULL);
	clock_cond_init(&a.cond);
	int rc = ask_all(&a, err);
	pthread_cond_destroy(&a.cond);
	pthread_mutex_destroy(&a.ask_lock);
	return rc;
}

int snapchain_client_open(struct loop *l, const struct snapchain_options *o, uint32_t patience_ms,
			  const atomic_bool *stop, struct snapchain_client **out, struct err *err)
{
	if (strlen(o->host) >= H2_HOST_MAX)
		return err_set(err, -EINVAL, "a host's name has up to %u bytes", H2_HOST_MAX - 1);
	struct snapchain_client *c = calloc(1, sizeof *c);
	if (!c)
		return err_set(err, -ENOMEM, "no memory for a client");
	c->loop = l;
	c->options = *o;
	snprintf(c->host, sizeof c->host, "%s", o->host);
	c->patience_ms = patience_ms ? patience_ms : CLIENT_PATIENCE_MS;
	c->stop = stop;
	*out = c;
	return 0;
}

void snapchain_client_closep(struct snapchain_client **out)
{
	struct snapchain_client *c = *out;
	if (!c)
		return;
	/* A loop that has ended has closed nothing of ours that is still there. */
	if (loop_call(c->loop, client_end, c) == 0)
		free(c);
	*out = NULL;
}

/* ---- what it has, and its trie ---- */

int snapchain_heights(struct snapchain_client *c, uint64_t out[SHARD_MAX], struct err *err)
{
	AUTO(buf_release) struct buf answer = BUF_INIT(0);
	struct info info;
	int rc = snapchain_ask(c, CALL_GET_INFO, SLICE_EMPTY, false, INFO_SIZE_MAX, &answer, err);
	if (rc == 0)
		rc = info_read(buf_slice(&answer), &info, err);
	for (uint32_t i = 0; rc == 0 && i < SHARD_MAX; i++)
		out[i] = info.has[i] ? info.max[i] : 0;
	return rc;
}

int snapchain_trie_node(struct snapchain_client *c, uint32_t shard, struct slice prefix,
			struct source_node *out, struct err *err)
{
	AUTO(buf_release) struct buf request = BUF_INIT(REQUEST_SIZE_MAX);
	AUTO(buf_release) struct buf answer = BUF_INIT(0);
	request_of_node(shard, prefix, &request);
	int rc = buf_done(&request);
	if (rc == 0)
		rc = snapchain_ask(c, CALL_TRIE, buf_slice(&request), false, INFO_SIZE_MAX, &answer,
				   err);
	return rc < 0 ? rc : node_read(buf_slice(&answer), out, err);
}
