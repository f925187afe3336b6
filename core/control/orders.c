#include "core/control/orders.h"

#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/trace.h"
#include "core/control/trust_orders.h"
#include "core/control/verb.h"
#include "core/sync/follow.h"

#define REPORT_SIZE_MAX (4u << 20) /* of a verification: what comes behind is left out */

/* Heights that somebody asked for. */
struct wanted {
	struct network *network;
	uint32_t shard;
	struct range range;
};

struct orders {
	struct orders_env env;
	pthread_mutex_t freeze_lock; /* held while it freezes or thaws; not a leaf */
	pthread_t thawer, verifier;
	bool thawer_started, verifier_started;
	atomic_bool verify_stop;

	pthread_mutex_t orders_lock; /* guards the rest; a leaf */
	pthread_cond_t changed;
	bool stopping;
	uint64_t thaw_ms; /* 0: not frozen */
	bool verifying;
	char asked[ORDER_SIZE_MAX]; /* of the verification */
	struct buf report;
	struct err last;
	struct wanted wanted[ORDER_WANTS_MAX]; /* the oldest first */
	size_t wanted_count;
	char trust_said[ORDER_SIZE_MAX]; /* of the newest decision */
};

/* ---- freezing ---- */

static int quiet_all(struct orders *o, bool on, struct err *err)
{
	size_t count = store_network_count(o->env.store);
	int rc = 0;

	for (size_t i = 0; i < count; i++) {
		struct network *n = store_network_at(o->env.store, i);
		int one = network_quiet(n, on, FREEZE_WAIT_MS, rc == 0 ? err : NULL);

		rc = rc < 0 ? rc : one;
		if (rc == 0 || !on)
			continue;
		while (i-- > 0)
			(void)!network_quiet(store_network_at(o->env.store, i), false, 0, NULL);
		break;
	}
	return rc;
}

static void set_deadline(struct orders *o, uint64_t thaw_ms)
{
	LOCKED(&o->orders_lock);
	o->thaw_ms = thaw_ms;
	pthread_cond_broadcast(&o->changed);
}

static void thaw(struct orders *o, const char *why)
{
	struct err err = ERR_INIT;

	LOCKED(&o->freeze_lock);
	if (!gate_is_frozen(o->env.gate))
		return;
	set_deadline(o, 0);
	if (quiet_all(o, false, &err) < 0)
		trace_error("control",
			    "a database does not go on after a freeze; restart the daemon",
			    "error=\"%s\"", err.text);
	pins_hold(o->env.pins, false);
	gate_thaw(o->env.gate);
	events_post(o->env.events, NULL, "freeze", "state=thawed reason=%s", why);
}

static int freeze(struct orders *o, uint64_t seconds, struct err *err)
{
	LOCKED(&o->freeze_lock);
	int rc = gate_freeze(o->env.gate, FREEZE_WAIT_MS);

	if (rc == -EAGAIN)
		return err_set(err, rc, "an import did not come to a commit within %u s",
			       FREEZE_WAIT_MS / 1000);
	if (rc == -EALREADY) { /* it is frozen: for so long from now on */
		set_deadline(o, clock_mono_ms() + seconds * 1000);
		return 0;
	}
	pins_hold(o->env.pins, true);
	rc = quiet_all(o, true, err);
	if (rc < 0) {
		pins_hold(o->env.pins, false);
		gate_thaw(o->env.gate);
		return rc;
	}
	set_deadline(o, clock_mono_ms() + seconds * 1000);
	events_post(o->env.events, NULL, "freeze", "state=frozen seconds=%" PRIu64, seconds);
	return 0;
}

/* True: the time of a freeze is over. False: the end. */
static bool wait_for_deadline(struct orders *o)
{
	LOCKED(&o->orders_lock);
	while (!o->stopping) {
		uint64_t due = o->thaw_ms;

		if (due && due <= clock_mono_ms())
			return true;
		if (due)
			clock_cond_wait(&o->changed, &o->orders_lock, due);
		else
			pthread_cond_wait(&o->changed, &o->orders_lock);
	}
	return false;
}

static void *watch_deadline(void *arg)
{
	struct orders *o = arg;

	while (wait_for_deadline(o))
		thaw(o, "time");
	return NULL;
}

/* ---- verifying ---- */

static void add_report(void *arg, const char *text, size_t size)
{
	struct orders *o = arg;

	LOCKED(&o->orders_lock);
	if (o->report.n + size <= REPORT_SIZE_MAX - ORDER_SIZE_MAX)
		buf_bytes(&o->report, text, size);
}

static void end_verification(struct orders *o, const char *network, int code)
{
	const char *result = code == EXIT_DONE          ? "ok"
			     : code == EXIT_FAULTS      ? "faults"
			     : code == EXIT_INTERRUPTED ? "interrupted"
							: "failed";

	pthread_mutex_lock(&o->orders_lock);
	buf_fmt(&o->report, "result %s\n", result);
	o->verifying = false;
	pthread_mutex_unlock(&o->orders_lock);
	events_post(o->env.events, network, "verify", "state=ended result=%s", result);
}

static void *verify(void *arg)
{
	struct orders *o = arg;
	char text[ORDER_SIZE_MAX], path[4096 + CHECKPOINT_NAME_SIZE];
	static const struct verb verb = { .name = "verify" };
	struct verb_io io = { add_report, add_report, o, .stop = &o->verify_stop };
	struct verb_call call = {
		.verb = &verb,
		.words = { store_path(o->env.store) },
		.word_count = 1,
		.io = &io,
		.store = o->env.store,
		.events = o->env.events,
		.pins = o->env.pins,
		.gate = o->env.gate,
	};
	uint64_t height;
	uint8_t prefix[4];

	memcpy(text, o->asked, sizeof text); /* nobody changes it while `verifying` */
	char *rest = text, *network = strsep(&rest, " ");

	call.options[OPTION_NETWORK] = network;
	if (rest && checkpoint_name_read(rest, &height, prefix) == 0) {
		struct network *n = store_network_find(o->env.store, network);
		int rc = checkpoints_path(o->env.store, n, path, 4096, NULL);

		snprintf(path + strlen(path), sizeof path - strlen(path), "/%s", rest);
		call.words[0] = path;
		call.store = NULL;
		call.options[OPTION_NETWORK] = NULL;
		end_verification(o, network, rc < 0 ? EXIT_SYSTEM : verb_verify(&call));
		return NULL;
	}
	call.options[OPTION_RANGE] = rest;
	end_verification(o, network, verb_verify(&call));
	return NULL;
}

/* What is asked for is there; *rest is the second word, NULL: none. */
static int check_verify(struct orders *o, char *text, struct err *err)
{
	char *rest = text, *network = strsep(&rest, " ");
	struct network *n = store_network_find(o->env.store, network);
	struct checkpoint_entry e;
	uint64_t height;
	uint8_t prefix[4];
	struct range range;
	uint32_t shard;
	bool has_shard;

	if (!n)
		return err_set(err, -ENOENT, "%s holds no network %.80s", store_path(o->env.store),
			       network);
	if (!rest)
		return 0;
	if (checkpoint_name_read(rest, &height, prefix) < 0)
		return verb_range_read(rest, &has_shard, &shard, &range, err);
	if (checkpoints_get(o->env.pins, n, height, &e) != 1 || strcmp(e.name, rest) != 0 ||
	    !e.complete)
		return err_set(err, -ENOENT, "network %s has no checkpoint %s", network, rest);
	return 0;
}

static int begin_verification(struct orders *o, const char *text, struct err *err)
{
	LOCKED(&o->orders_lock);
	if (o->verifying)
		return err_set(err, -EBUSY, "a verification runs already: %s", o->asked);
	o->verifying = true;
	snprintf(o->asked, sizeof o->asked, "%s", text);
	buf_clear(&o->report);
	return 0;
}

static int order_verify(struct orders *o, const char *text, struct err *err)
{
	char copy[ORDER_SIZE_MAX];

	snprintf(copy, sizeof copy, "%s", text);
	int rc = check_verify(o, copy, err);

	if (rc == 0)
		rc = begin_verification(o, text, err);
	if (rc < 0)
		return rc;
	if (o->verifier_started) /* it has ended */
		pthread_join(o->verifier, NULL);
	rc = -pthread_create(&o->verifier, NULL, verify, o);
	o->verifier_started = rc == 0;
	if (rc == 0)
		return 0;
	LOCKED(&o->orders_lock);
	o->verifying = false;
	return err_set(err, rc, "no thread to verify with: %s", strerror(-rc));
}

/* ---- following ---- */

static int nobody(struct err *err)
{
	return err_set(err, -EOPNOTSUPP, "no network is followed here");
}

/* How many networks were told. */
static size_t tell_each(struct orders *o, void (*tell)(struct follow *f, uint64_t value),
			uint64_t value)
{
	size_t told = 0;

	for (size_t i = 0; i < store_network_count(o->env.store); i++) {
		struct follow *f =
			follows_get(o->env.follows, store_network_at(o->env.store, i));

		if (!f)
			continue;
		tell(f, value);
		follows_put(o->env.follows, &f);
		told++;
	}
	return told;
}

static void pause_backward(struct follow *f, uint64_t on)
{
	follow_pause_backward(f, on);
}

static int order_backward(struct orders *o, const char *text, struct err *err)
{
	bool off = strcmp(text, "off") == 0;

	if (!off && strcmp(text, "on") != 0)
		return err_set(err, -EINVAL, "backward takes on or off");
	if (!tell_each(o, pause_backward, off))
		return nobody(err);
	events_post(o->env.events, NULL, "sync", "backward=%s", text);
	return 0;
}

/* "512k" */
static int rate_read(const char *text, uint64_t *out)
{
	static const char units[] = "kMG";
	size_t size = strlen(text);
	const char *unit = size ? strchr(units, text[size - 1]) : NULL;
	unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;

	return dec_get(text, size - (unit != NULL), UINT64_MAX >> shift, out) < 0
		       ? -EINVAL
		       : (*out <<= shift, 0);
}

static int order_cap(struct orders *o, const char *text, struct err *err)
{
	uint64_t cap;

	if (rate_read(text, &cap) < 0)
		return err_set(err, -EINVAL,
			       "cap takes bytes a second, with k, M or G behind it, or 0 for none");
	if (!tell_each(o, follow_cap, cap))
		return nobody(err);
	events_post(o->env.events, NULL, "sync", "cap=%" PRIu64, cap);
	return 0;
}

/* "[NETWORK] SHARD FIRST-LAST" */
static int wanted_read(struct orders *o, char *text, struct wanted *out, struct err *err)
{
	char *words[4] = { NULL }, *rest = text, shard_range[ORDER_SIZE_MAX];
	size_t count = 0;
	bool has_shard;

	for (char *word; count < 4 && (word = strsep(&rest, " "));)
		if (*word)
			words[count++] = word;
	if (count < 2 || count > 3)
		return err_set(err, -EINVAL, "fetch takes \"[NETWORK] SHARD FIRST-LAST\"");
	size_t networks = store_network_count(o->env.store);

	if (count == 2 && networks != 1)
		return err_set(err, -EINVAL,
			       "the store holds %zu networks; say NETWORK SHARD FIRST-LAST",
			       networks);
	out->network = count == 2 ? store_network_at(o->env.store, 0)
				  : store_network_find(o->env.store, words[0]);
	if (!out->network)
		return err_set(err, -ENOENT, "%s holds no network %.80s", store_path(o->env.store),
			       words[0]);
	snprintf(shard_range, sizeof shard_range, "%s:%s", words[count - 2], words[count - 1]);
	int rc = verb_range_read(shard_range, &has_shard, &out->shard, &out->range, NULL);

	if (rc < 0)
		return err_set(err, rc, "fetch takes \"[NETWORK] SHARD FIRST-LAST\"");
	AUTO(view_putp) struct view *v = network_view_get(out->network);

	return out->shard < v->shard_count
		       ? 0
		       : err_set(err, -ENOENT, "network %s has no shard %" PRIu32,
				 network_name(out->network), out->shard);
}

/* Is a height of it missing? */
static bool is_missing(const struct wanted *w, const struct view *v)
{
	const struct gaps *g = &v->shards[w->shard].gaps;
	size_t at = gaps_range_at(g, w->range.first);

	return at == g->held_count || g->held[at].first > w->range.first ||
	       g->held[at].end < w->range.end;
}

static void remember(struct orders *o, const struct wanted *w)
{
	LOCKED(&o->orders_lock);
	if (o->wanted_count == ORDER_WANTS_MAX)
		memmove(o->wanted, o->wanted + 1, --o->wanted_count * sizeof *o->wanted);
	o->wanted[o->wanted_count++] = *w;
}

static int order_fetch(struct orders *o, const char *text, struct err *err)
{
	char copy[ORDER_SIZE_MAX];
	struct wanted w;

	snprintf(copy, sizeof copy, "%s", text);
	int rc = wanted_read(o, copy, &w, err);

	if (rc < 0)
		return rc;
	struct follow *f = follows_get(o->env.follows, w.network);

	if (!f)
		return err_set(err, -EOPNOTSUPP, "nobody follows network %s here",
			       network_name(w.network));
	rc = follow_want(f, w.shard, w.range, 0);
	follows_put(o->env.follows, &f);
	if (rc < 0)
		return err_set(err, rc, "the request was not taken; ask again");
	remember(o, &w);
	return 0;
}

static void read_wanted(struct orders *o, struct buf *out)
{
	struct wanted list[ORDER_WANTS_MAX];
	size_t count;

	pthread_mutex_lock(&o->orders_lock);
	count = o->wanted_count;
	memcpy(list, o->wanted, count * sizeof *list);
	pthread_mutex_unlock(&o->orders_lock);
	for (size_t i = 0; i < count; i++) {
		AUTO(view_putp) struct view *v = network_view_get(list[i].network);

		if (is_missing(&list[i], v))
			buf_fmt(out, "%s %" PRIu32 " %010" PRIu64 "-%010" PRIu64 "\n",
				network_name(list[i].network), list[i].shard, list[i].range.first,
				list[i].range.end - 1);
	}
}

/* Of the first network that is followed: an order goes to all of them. */
static bool any_sight(struct orders *o, struct follow_sight *out)
{
	for (size_t i = 0; i < store_network_count(o->env.store); i++) {
		struct follow *f =
			follows_get(o->env.follows, store_network_at(o->env.store, i));

		if (!f)
			continue;
		follow_sight(f, out);
		follows_put(o->env.follows, &f);
		return true;
	}
	return false;
}

static void read_following(struct orders *o, enum order which, struct buf *out)
{
	struct follow_sight sight;

	if (which == ORDER_FETCH)
		read_wanted(o, out);
	else if (!any_sight(o, &sight))
		return; /* nothing to say is an empty file */
	else if (which == ORDER_CAP)
		buf_fmt(out, "%" PRIu64 "\n", sight.cap);
	else
		buf_str(out, sight.paused ? "off\n" : "on\n");
}

/* ---- orders as text ---- */

static int order_pause(struct orders *o, const char *text, struct err *err)
{
	bool on = strcmp(text, "1") == 0;

	if (!on && strcmp(text, "0") != 0)
		return err_set(err, -EINVAL, "pause takes 1 or 0");
	if (gate_is_paused(o->env.gate) != on)
		events_post(o->env.events, NULL, "pause", "state=%s", on ? "paused" : "going-on");
	gate_pause(o->env.gate, on);
	return 0;
}

static int order_freeze(struct orders *o, const char *text, struct err *err)
{
	uint64_t seconds = FREEZE_SECONDS;

	if (strcmp(text, "0") == 0) {
		thaw(o, "asked");
		return 0;
	}
	if (strncmp(text, "1 ", 2) == 0 &&
	    dec_get(text + 2, strlen(text + 2), FREEZE_SECONDS_MAX, &seconds) == 0 && seconds > 0)
		return freeze(o, seconds, err);
	if (strcmp(text, "1") != 0)
		return err_set(err, -EINVAL, "freeze takes 1, \"1 SECONDS\" (up to %u) or 0",
			       FREEZE_SECONDS_MAX);
	return freeze(o, seconds, err);
}

static int order_log_level(struct orders *o, const char *text, struct err *err)
{
	for (size_t i = 0; i < TRACE_LEVEL_COUNT; i++)
		if (strcmp(text, trace_level_names[i]) == 0) {
			trace_set_level((enum trace_level)i);
			return 0;
		}
	return err_set(err, -EINVAL, "log-level takes error, warn, info or debug");
}

/* Not behind a closed gate: who opens it would wait behind us. */
static int order_trust(struct orders *o, const char *text, struct err *err)
{
	AUTO(buf_release) struct buf said = BUF_INIT(ORDER_SIZE_MAX - 1);
	struct trust_order t = {
		.store = o->env.store,
		.events = o->env.events,
		.gate = o->env.gate,
		.stop = &o->verify_stop,
		.said = &said,
		.follows = o->env.follows,
	};

	if (gate_closing(o->env.gate))
		return err_set(err, -EAGAIN, "imports are paused or frozen; nothing was decided");
	int rc = trust_order_line(&t, text, err);

	LOCKED(&o->orders_lock);
	snprintf(o->trust_said, sizeof o->trust_said, "%.*s", (int)said.n,
		 said.n ? (const char *)said.p : "");
	return rc;
}

static int refuse(struct orders *o, int rc, const struct err *err)
{
	LOCKED(&o->orders_lock);
	err_set(&o->last, rc, "%s", err_text(err, rc));
	return rc;
}

int orders_write(struct orders *o, enum order which, struct slice text)
{
	static int (*const orders[ORDER_COUNT])(struct orders * o, const char *text,
						struct err *err) = {
		[ORDER_PAUSE] = order_pause,
		[ORDER_FREEZE] = order_freeze,
		[ORDER_LOG_LEVEL] = order_log_level,
		[ORDER_VERIFY] = order_verify,
		[ORDER_BACKWARD] = order_backward,
		[ORDER_CAP] = order_cap,
		[ORDER_FETCH] = order_fetch,
		[ORDER_TRUST] = order_trust,
	};
	char copy[ORDER_SIZE_MAX + 1];
	struct err err = ERR_INIT;
	int rc = 0;

	if (text.n > ORDER_SIZE_MAX) {
		rc = err_set(&err, -EMSGSIZE, "an order has at most %u bytes", ORDER_SIZE_MAX);
		return refuse(o, rc, &err);
	}
	if (!orders[which])
		rc = err_set(&err, -EACCES, "it takes no orders");
	else if (memchr(text.p, 0, text.n))
		rc = err_set(&err, -EINVAL, "an order is text");
	if (rc < 0)
		return refuse(o, rc, &err);
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	if (text.n && copy[text.n - 1] == '\n')
		copy[text.n - 1] = '\0';
	if (strlen(copy) >= ORDER_SIZE_MAX)
		rc = err_set(&err, -EMSGSIZE, "an order has at most %u bytes", ORDER_SIZE_MAX);
	else
		rc = orders[which](o, copy, &err);
	return rc < 0 ? refuse(o, rc, &err) : 0;
}

int orders_read(struct orders *o, enum order which, struct buf *out)
{
	switch (which) {
	case ORDER_PAUSE:
		buf_str(out, gate_is_paused(o->env.gate) ? "1\n" : "0\n");
		break;
	case ORDER_FREEZE:
		buf_str(out, gate_is_frozen(o->env.gate) ? "1\n" : "0\n");
		break;
	case ORDER_LOG_LEVEL:
		buf_fmt(out, "%s\n", trace_level_names[trace_get_level()]);
		break;
	case ORDER_BACKWARD:
	case ORDER_CAP:
	case ORDER_FETCH:
		read_following(o, which, out);
		break;
	default: {
		AUTO(buf_release) struct buf copy = BUF_INIT(REPORT_SIZE_MAX);

		if (buf_reserve(&copy, REPORT_SIZE_MAX) < 0) /* nothing allocates under the lock */
			return -ENOMEM;
		pthread_mutex_lock(&o->orders_lock);
		if (which == ORDER_LAST_ERROR && o->last.text[0])
			buf_fmt(&copy, "%s\n", o->last.text);
		if (which == ORDER_TRUST)
			buf_str(&copy, o->trust_said);
		if (which == ORDER_VERIFY && o->verifying)
			buf_fmt(&copy, "running %s\n", o->asked);
		if (which == ORDER_VERIFY)
			buf_add(&copy, buf_slice(&o->report));
		pthread_mutex_unlock(&o->orders_lock);
		buf_add(out, buf_slice(&copy));
	}
	}
	return buf_done(out);
}

/* ---- pins ---- */

/* Parts "[NETWORK:]NAME". */
static int pin_of(struct orders *o, const char *text, struct network **n, const char **name,
		  struct err *err)
{
	const char *colon = strchr(text, ':');
	char network[NETWORK_NAME_MAX + 1];
	size_t count = store_network_count(o->env.store);

	*name = colon ? colon + 1 : text;
	if (!colon) {
		*n = count == 1 ? store_network_at(o->env.store, 0) : NULL;
		return *n ? 0
			  : err_set(err, -EINVAL, "the store holds %zu networks; say NETWORK:NAME",
				    count);
	}
	snprintf(network, sizeof network, "%.*s", (int)MIN(colon - text, NETWORK_NAME_MAX), text);
	*n = store_network_find(o->env.store, network);
	return *n ? 0
		  : err_set(err, -EINVAL, "%s holds no network %s", store_path(o->env.store),
			    network);
}

int orders_pin(struct orders *o, const char *text)
{
	AUTO(base_freep) char *copy = strdup(text);
	struct err err = ERR_INIT;
	struct network *n;
	const char *name;
	uint64_t height = UINT64_MAX;

	if (!copy)
		return -ENOMEM;
	char *at = strchr(copy, '@');
	int rc = 0;

	if (at && (dec_get(at + 1, strlen(at + 1), UINT64_MAX - 1, &height) < 0 || height == 0))
		rc = err_set(&err, -EINVAL, "%.80s: behind the @ stands a height", text);
	if (at)
		*at = '\0';
	if (rc == 0)
		rc = pin_of(o, copy, &n, &name, &err);
	if (rc == 0)
		rc = pins_add(o->env.pins, n, name, height, &err);
	return rc < 0 ? refuse(o, rc, &err) : 0;
}

int orders_unpin(struct orders *o, const char *name)
{
	struct err err = ERR_INIT;
	struct network *n;
	int rc = pin_of(o, name, &n, &name, &err);

	if (rc == 0)
		rc = pins_remove(o->env.pins, n, name, &err);
	return rc < 0 ? refuse(o, rc, &err) : 0;
}

int orders_pin_find(struct orders *o, const char *name, struct network **network, struct pin *out)
{
	if (pin_of(o, name, network, &name, NULL) < 0)
		return -ENOENT;
	int rc = pins_get(o->env.pins, *network, name, out);

	return rc < 0 ? rc : rc == 0 ? -ENOENT : 0;
}

int orders_pin_next(struct orders *o, struct network *after_network, const char *after,
		    struct network **network, struct pin *out, char name[ORDER_PIN_NAME_SIZE])
{
	size_t count = store_network_count(o->env.store);
	bool reached = !after_network;

	for (size_t i = 0; i < count; i++) {
		struct network *n = store_network_at(o->env.store, i);
		bool here = n == after_network;

		reached |= here;
		if (!reached)
			continue;
		int rc = pins_next(o->env.pins, n, here ? after : "", out);

		if (rc < 0)
			return rc;
		if (rc == 0)
			continue;
		*network = n;
		if (count > 1)
			snprintf(name, ORDER_PIN_NAME_SIZE, "%s:%s", network_name(n), out->name);
		else
			snprintf(name, ORDER_PIN_NAME_SIZE, "%s", out->name);
		return 1;
	}
	return 0;
}

void orders_pin_state(const struct pin *p, struct buf *out)
{
	buf_str(out, pin_state_names[p->state]);
	if (p->state == PIN_BUILDING)
		buf_fmt(out, " %" PRIu64 " of %" PRIu64, p->records, p->records_total);
	if (p->state == PIN_FAILED)
		buf_fmt(out, ": %s", p->failure);
	buf_u8(out, '\n');
}

/* ---- the contract ---- */

int orders_open(const struct orders_env *env, struct orders **out, struct err *err)
{
	AUTO(orders_closep) struct orders *o = calloc(1, sizeof *o);

	if (!o)
		return err_set(err, -ENOMEM, "no memory for orders");
	o->env = *env;
	o->report = (struct buf)BUF_INIT(REPORT_SIZE_MAX);
	pthread_mutex_init(&o->freeze_lock, NULL);
	pthread_mutex_init(&o->orders_lock, NULL);
	clock_cond_init(&o->changed);
	/* All of it now: nothing allocates under the lock, and what is not written takes no
	 * memory. */
	if (buf_reserve(&o->report, REPORT_SIZE_MAX) < 0)
		return err_set(err, -ENOMEM, "no memory for orders");
	int rc = -pthread_create(&o->thawer, NULL, watch_deadline, o);

	if (rc < 0)
		return err_set(err, rc, "no thread for orders: %s", strerror(-rc));
	o->thawer_started = true;
	*out = TAKE(o);
	return 0;
}

void orders_closep(struct orders **at)
{
	struct orders *o = TAKE(*at);

	if (!o)
		return;
	atomic_store(&o->verify_stop, true);
	pthread_mutex_lock(&o->orders_lock);
	o->stopping = true;
	pthread_cond_broadcast(&o->changed);
	pthread_mutex_unlock(&o->orders_lock);
	if (o->thawer_started)
		pthread_join(o->thawer, NULL);
	if (o->verifier_started)
		pthread_join(o->verifier, NULL);
	thaw(o, "end");
	gate_pause(o->env.gate, false);
	buf_release(&o->report);
	pthread_cond_destroy(&o->changed);
	pthread_mutex_destroy(&o->freeze_lock);
	pthread_mutex_destroy(&o->orders_lock);
	free(o);
}
