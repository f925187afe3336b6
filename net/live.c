#include "net/live.h"

#include <stdio.h>

#include "core/base/trace.h"
#include "net/loop.h"

#define PATH_SIZE 4096

struct place {                          /* of a source that is followed */
	char name[SOURCE_NAME_MAX + 1]; /* "": free */
	unsigned number;
};

struct followed { /* a network */
	struct live *live;
	struct network *network;
	struct follow *follow;
	struct loop_timer *timer;
	atomic_bool woken;
	struct place places[SYNC_SOURCES_MAX];
	struct followed *next;
};

struct live {
	struct live_env env;
	struct loop *loop;
	struct followed *list;     /* the loop's */
	pthread_mutex_t file_lock; /* one at a time changes a file of sources */
};

/* ---- files ---- */

static int path_of(struct store *s, struct network *n, char path[PATH_SIZE], struct err *err)
{
	return store_network_path(s, n, "sources", path, PATH_SIZE, err);
}

int live_file_read(struct store *s, struct network *n, struct source_entry *out, size_t *count,
		   struct err *err)
{
	char path[PATH_SIZE];
	int rc = path_of(s, n, path, err);

	return rc < 0 ? rc : source_file_read(path, out, SYNC_SOURCES_MAX, count, err);
}

static int check_address(struct network *n, const struct source_entry *e, char *host,
			 const struct source_protocol **protocol, uint16_t *port, struct err *err)
{
	char scheme[16];
	int rc = source_url_parse(e->url, scheme, host, port, err);

	if (rc < 0)
		return rc;
	*protocol = source_protocol_find(scheme, network_ops(n)->kind);
	if (!*protocol)
		return err_set(err, -EINVAL,
			       "%s: no source of a network of the kind %s speaks \"%s\"", e->url,
			       network_ops(n)->kind, scheme);
	if (!*port)
		*port = (*protocol)->port;
	return 0;
}

int live_file_add(struct store *s, struct network *n, const struct source_entry *e, struct err *err)
{
	struct source_entry list[SYNC_SOURCES_MAX];
	const struct source_protocol *protocol;
	char path[PATH_SIZE], host[SOURCE_URL_MAX + 1];
	uint16_t port;
	size_t count = 0;
	int rc = check_address(n, e, host, &protocol, &port, err);

	if (rc == 0)
		rc = live_file_read(s, n, list, &count, err);
	for (size_t i = 0; rc == 0 && i < count; i++)
		if (strcmp(list[i].name, e->name) == 0)
			rc = err_set(err, -EEXIST, "network %s has a source %s already: %s",
				     network_name(n), e->name, list[i].url);
	if (rc == 0 && count == SYNC_SOURCES_MAX)
		rc = err_set(err, -ENOSPC, "network %s has %u sources already", network_name(n),
			     SYNC_SOURCES_MAX);
	if (rc == 0)
		rc = path_of(s, n, path, err);
	if (rc < 0)
		return rc;
	list[count++] = *e;
	return source_file_write(path, list, count, err);
}

int live_file_remove(struct store *s, struct network *n, const char *name, struct err *err)
{
	struct source_entry list[SYNC_SOURCES_MAX];
	char path[PATH_SIZE];
	size_t count = 0, kept = 0;
	int rc = live_file_read(s, n, list, &count, err);

	for (size_t i = 0; rc == 0 && i < count; i++)
		if (strcmp(list[i].name, name) != 0)
			list[kept++] = list[i];
	if (rc == 0 && kept == count)
		rc = err_set(err, -ENOENT, "network %s has no source %s", network_name(n), name);
	if (rc == 0)
		rc = path_of(s, n, path, err);
	return rc < 0 ? rc : source_file_write(path, list, kept, err);
}

/* ---- the loop's ---- */

static void step(struct followed *f)
{
	atomic_store(&f->woken, false);
	loop_timer_at(f->timer, follow_step(f->follow));
}

static void on_timer(void *arg)
{
	step(arg);
}

struct poke {
	struct live *live;
	struct followed *followed;
};

/* The follower may have ended since it was posted. */
static void on_poke(void *arg)
{
	struct poke *p = arg;

	for (struct followed *f = p->live->list; f; f = f->next)
		if (f == p->followed && f->follow)
			step(f);
	free(p);
}

static void wake(void *arg)
{
	struct followed *f = arg;

	if (atomic_exchange(&f->woken, true))
		return;
	struct poke *p = malloc(sizeof *p);

	if (p)
		*p = (struct poke){ f->live, f };
	if (!p || loop_post(f->live->loop, on_poke, p) < 0) {
		atomic_store(&f->woken, false);
		free(p);
	}
}

static uint64_t now_ms(void *arg)
{
	return loop_now_ms(((struct followed *)arg)->live->loop);
}

static void options_of(const struct settings *s, struct follow_options *o)
{
	*o = (struct follow_options){ .sync = sync_options_default };
	unsigned forward = (unsigned)settings_number(s, SETTING_SYNC_WEIGHT_FORWARD);

	o->sync.weight[LANE_FORWARD] = forward;
	o->sync.weight[LANE_BACKWARD] = 100 - forward;
	o->sync.bytes_max = settings_number(s, SETTING_SYNC_MEMORY);
	o->sync.bounds.bytes_max = MAX(o->sync.bytes_max / 16, UINT64_C(512) << 10);
	o->sync.cap = settings_number(s, SETTING_SYNC_BANDWIDTH);
	o->sync.operators = (unsigned)settings_number(s, SETTING_SYNC_OPERATORS);
	o->ingest.checkers = (unsigned)settings_number(s, SETTING_LIMITS_CHECKERS);
	o->ingest.commit_ms = settings_number(s, SETTING_IMPORT_COMMIT);
	o->ingest.history_keep = settings_number(s, SETTING_HISTORY_KEEP);
	o->from = strcmp(settings_text(s, SETTING_SYNC_FROM), "start") == 0 ? FOLLOW_FROM_START
									    : FOLLOW_FROM_HEAD;
	o->paused = !settings_number(s, SETTING_SYNC_BACKWARD);
}

static void end_followed(struct followed *f)
{
	if (f->follow)
		follows_remove(f->live->env.follows, f->network);
	follow_closep(&f->follow);
	loop_timer_freep(&f->timer);
	free(f);
}

static struct followed *find_followed(struct live *l, const struct network *n)
{
	for (struct followed *f = l->list; f; f = f->next)
		if (f->network == n)
			return f;
	return NULL;
}

static int begin(struct live *l, struct network *n, struct followed **out, struct err *err)
{
	struct follow_options o;
	struct followed *f = calloc(1, sizeof *f);

	if (!f)
		return err_set(err, -ENOMEM, "no memory to follow %s", network_name(n));
	f->live = l;
	f->network = n;
	struct follow_env env = {
		.network = n,
		.events = l->env.events,
		.gate = l->env.gate,
		.wake = wake,
		.now_ms = now_ms,
		.arg = f,
	};

	options_of(l->env.settings, &o);
	int rc = loop_timer_new(l->loop, on_timer, f, &f->timer);

	if (rc < 0)
		rc = err_set(err, rc, "no timer to follow %s with", network_name(n));
	if (rc == 0)
		rc = follow_open(&env, &o, &f->follow, err);
	if (rc == 0 && follows_add(l->env.follows, n, f->follow) < 0) {
		follow_closep(&f->follow);
		rc = err_set(err, -EEXIST, "%s is followed already", network_name(n));
	}
	if (rc < 0) {
		end_followed(f);
		return rc;
	}
	f->next = l->list;
	l->list = f;
	*out = f;
	return 0;
}

static int open_source(struct followed *f, const struct source_entry *e, struct err *err)
{
	char host[SOURCE_URL_MAX + 1];
	const struct source_protocol *protocol;
	struct source_listener to;
	struct source *source = NULL;
	uint16_t port;
	int rc = check_address(f->network, e, host, &protocol, &port, err);
	int number = rc < 0 ? rc : follow_source_add(f->follow, e, &to, err);

	if (number < 0)
		return number;
	rc = protocol->open(f->live->loop, f->network, host, port, &to, &source, err);
	if (rc < 0) {
		follow_source_remove(f->follow, (unsigned)number);
		return rc;
	}
	follow_source_open(f->follow, (unsigned)number, protocol->ops, source);
	for (size_t i = 0; i < SYNC_SOURCES_MAX; i++)
		if (!f->places[i].name[0]) {
			snprintf(f->places[i].name, sizeof f->places[i].name, "%s", e->name);
			f->places[i].number = (unsigned)number;
			break;
		}
	return 0;
}

/* Makes a follower where the network has none yet. */
static int add_source(struct live *l, struct network *n, const struct source_entry *e,
		      struct err *err)
{
	struct followed *f = find_followed(l, n);
	int rc = f ? 0 : begin(l, n, &f, err);

	if (rc == 0)
		rc = open_source(f, e, err);
	if (rc == 0)
		step(f);
	return rc;
}

static void begin_all(struct live *l)
{
	for (size_t i = 0; i < store_network_count(l->env.store); i++) {
		struct network *n = store_network_at(l->env.store, i);
		struct source_entry list[SYNC_SOURCES_MAX];
		struct err err = ERR_INIT;
		size_t count = 0;
		int rc = live_file_read(l->env.store, n, list, &count, &err);

		if (rc < 0)
			trace_error("live", "the file of sources is not read; nobody is followed",
				    "network=%s why=\"%s\"", network_name(n), err_text(&err, rc));
		for (size_t k = 0; rc == 0 && k < count; k++) {
			int added = add_source(l, n, &list[k], &err);

			if (added < 0 && added != -EEXIST) /* somebody was quicker */
				trace_error("live", "a source is left out",
					    "network=%s source=%s why=\"%s\"", network_name(n),
					    list[k].name, err_text(&err, added));
		}
	}
}

/* ---- calls onto the loop ---- */

struct call {
	struct live *live;
	struct network *network;
	const struct source_entry *entry;
	const char *name;
	int rc;
	struct err err;
};

static void post_begin(void *arg)
{
	begin_all(arg);
}

static void call_add(void *arg)
{
	struct call *c = arg;

	c->rc = add_source(c->live, c->network, c->entry, &c->err);
}

static void call_remove(void *arg)
{
	struct call *c = arg;
	struct followed *f = find_followed(c->live, c->network);

	for (size_t i = 0; f && i < SYNC_SOURCES_MAX; i++)
		if (strcmp(f->places[i].name, c->name) == 0) {
			follow_source_remove(f->follow, f->places[i].number);
			f->places[i].name[0] = '\0';
			step(f);
		}
}

static void call_end(void *arg)
{
	struct live *l = ((struct call *)arg)->live;

	while (l->list) {
		struct followed *f = l->list;

		l->list = f->next;
		end_followed(f);
	}
}

int live_source_add(struct live *l, struct network *n, const struct source_entry *e,
		    struct err *err)
{
	struct call c = { .live = l, .network = n, .entry = e };

	LOCKED(&l->file_lock);
	int rc = live_file_add(l->env.store, n, e, err);

	if (rc < 0)
		return rc;
	rc = loop_call(l->loop, call_add, &c);
	if (rc == 0)
		rc = c.rc;
	if (rc < 0 && live_file_remove(l->env.store, n, e->name, NULL) < 0)
		trace_warn("live", "a source that cannot be followed stays in the file",
			   "network=%s source=%s", network_name(n), e->name);
	return rc < 0 ? err_set(err, rc, "%s", err_text(&c.err, rc)) : 0;
}

int live_source_remove(struct live *l, struct network *n, const char *name, struct err *err)
{
	struct call c = { .live = l, .network = n, .name = name };

	LOCKED(&l->file_lock);
	int rc = live_file_remove(l->env.store, n, name, err);

	if (rc == 0)
		rc = loop_call(l->loop, call_remove, &c);
	return rc;
}

/* ---- open and close ---- */

int live_open(const struct live_env *env, struct live **out, struct err *err)
{
	AUTO(live_closep) struct live *l = calloc(1, sizeof *l);

	if (!l)
		return err_set(err, -ENOMEM, "no memory to follow anything");
	l->env = *env;
	pthread_mutex_init(&l->file_lock, NULL);
	int rc = loop_open("live", &l->loop, err);

	if (rc < 0)
		return rc;
	*out = TAKE(l);
	return 0;
}

int live_begin(struct live *l)
{
	return loop_post(l->loop, post_begin, l);
}

void live_closep(struct live **at)
{
	struct live *l = TAKE(*at);

	if (!l)
		return;
	struct call c = { .live = l };

	/* While the loop still runs: who stands a follower back waits for it. */
	if (l->loop)
		follows_end(l->env.follows);
	if (l->loop && loop_call(l->loop, call_end, &c) < 0)
		trace_error("live", "the loop does not run; its followers are left", "");
	loop_closep(&l->loop);
	pthread_mutex_destroy(&l->file_lock);
	free(l);
}
