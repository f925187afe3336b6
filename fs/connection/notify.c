#include "fs/connection/notify.h"

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "core/base/clock.h"
#include "core/base/trace.h"
#include "fs/connection/ino.h"
#include "fs/connection/keep.h"

#define CHAINS     4096u
#define AGAIN_MS   200u   /* longer than a reply takes to be read by who waits for it */
#define TRIM_MS    5000u
#define NEVER      UINT64_MAX
#define ROLLED_MAX (2u << INO_NETWORK_BITS) /* each network is told of twice */

struct folder {
	uint64_t ino;
	uint16_t network;
	uint16_t next; /* in its chain or the free list; 0: the last */
};

struct again {
	uint64_t ino, due_ms;
};

struct marks { /* a bit a network */
	uint64_t bits[(1u << INO_NETWORK_BITS) / 64];
};

struct rolled { /* a network that went back */
	uint64_t          parent, due_ms;
	uint32_t          branch;
	_Atomic uint32_t *told;
};

/* Names below a network that lead to what lives for ever. */
static const char *const lasting[] = { "legacy", "hyper", "by-hash", "diffs", "checkpoints" };

struct notifier {
	struct fuse_session *session;
	bool               (*trim)(void *arg);
	void                *arg;
	pthread_t            thread;
	bool                 started;
	struct keep_notify  *kept; /* NULL: nowhere */
	size_t               left_count;
	uint64_t            *left; /* of another process: to be told of first */

	pthread_mutex_t      notify_lock; /* guards the next ones; a leaf */
	pthread_cond_t       wake;
	bool                 stopping;
	struct rolled        rolled[ROLLED_MAX];
	size_t               rolled_count;
	struct marks         published, later;
	uint64_t             later_ms, trim_ms; /* NEVER: not wanted */
	uint16_t             free_first;
	uint16_t             chains[CHAINS];
	struct folder        folders[NOTIFY_FOLDERS_MAX + 1]; /* from 1 */

	/* the thread's own */
	uint64_t             batch[NOTIFY_FOLDERS_MAX];
	size_t               again_first, again_count;
	struct again         again[2 * NOTIFY_FOLDERS_MAX];
};

static void gather(uint64_t *from, size_t count, uint64_t *out, size_t *found)
{
	for (size_t i = 0; i < count; i++)
		if (from[i] && *found < KEEP_LEFT)
			out[(*found)++] = from[i];
}

static int by_ino(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void zero(uint64_t *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (list[i]) /* a page that was never used stays so */
			list[i] = 0;
}

/* What another process remembered is one list, until the kernel was told: we may die before. */
static bool take_left(struct notifier *n)
{
	struct keep_notify *k = n->kept;
	size_t found = 0, count = 0;

	n->left = calloc(KEEP_LEFT, sizeof *n->left);
	if (!n->left)
		return false;
	gather(k->left, MIN(k->left_count, KEEP_LEFT), n->left, &found);
	gather(k->watched, ARRAY_LEN(k->watched), n->left, &found);
	gather(k->batch, ARRAY_LEN(k->batch), n->left, &found);
	gather(k->again, ARRAY_LEN(k->again), n->left, &found);
	qsort(n->left, found, sizeof *n->left, by_ino);
	for (size_t i = 0; i < found; i++)
		if (i == 0 || n->left[i] != n->left[i - 1])
			n->left[count++] = n->left[i];
	n->left_count = count;
	for (size_t i = 0; i < count; i++)
		k->left[i] = n->left[i];
	__atomic_store_n(&k->left_count, (uint32_t)count, __ATOMIC_RELEASE);
	zero(k->watched, ARRAY_LEN(k->watched));
	zero(k->batch, ARRAY_LEN(k->batch));
	zero(k->again, ARRAY_LEN(k->again));
	return true;
}

struct notifier *notifier_new(bool (*trim)(void *arg), void *arg, struct keep_notify *kept)
{
	struct notifier *n = calloc(1, sizeof *n);

	if (!n)
		return NULL;
	n->kept = kept;
	if (kept && !take_left(n)) {
		free(n);
		return NULL;
	}
	n->trim = trim;
	n->arg = arg;
	n->later_ms = n->trim_ms = NEVER;
	for (uint16_t i = NOTIFY_FOLDERS_MAX; i > 0; i--) {
		n->folders[i].next = n->free_first;
		n->free_first = i;
	}
	pthread_mutex_init(&n->notify_lock, NULL);
	clock_cond_init(&n->wake);
	return n;
}

void notifier_freep(struct notifier **at)
{
	struct notifier *n = TAKE(*at);

	if (!n)
		return;
	notifier_stop(n);
	free(n->left);
	pthread_cond_destroy(&n->wake);
	pthread_mutex_destroy(&n->notify_lock);
	free(n);
}

/* ---- marks ---- */

static void mark(struct marks *m, unsigned network)
{
	m->bits[network / 64 % ARRAY_LEN(m->bits)] |= UINT64_C(1) << network % 64;
}

static bool is_marked(const struct marks *m, unsigned network)
{
	return m->bits[network / 64 % ARRAY_LEN(m->bits)] >> network % 64 & 1;
}

static bool any_marked(const struct marks *m)
{
	for (size_t i = 0; i < ARRAY_LEN(m->bits); i++)
		if (m->bits[i])
			return true;
	return false;
}

static void mark_all(struct marks *to, const struct marks *from)
{
	for (size_t i = 0; i < ARRAY_LEN(to->bits); i++)
		to->bits[i] |= from->bits[i];
}

/* ---- what is remembered ---- */

static uint16_t *chain_of(struct notifier *n, uint64_t ino)
{
	return &n->chains[(ino * UINT64_C(0x9e3779b97f4a7c15)) >> 40 & (CHAINS - 1)];
}

bool notifier_watch(struct notifier *n, uint64_t ino, unsigned network)
{
	LOCKED(&n->notify_lock);
	uint16_t *chain = chain_of(n, ino);

	for (uint16_t at = *chain; at; at = n->folders[at].next)
		if (n->folders[at].ino == ino)
			return true;
	uint16_t free_one = n->free_first;

	if (!free_one)
		return false;
	n->free_first = n->folders[free_one].next;
	n->folders[free_one] = (struct folder){ ino, (uint16_t)network, *chain };
	if (n->kept)
		n->kept->watched[free_one] = ino;
	*chain = free_one;
	return true;
}

/* Moves the folders of the marked networks into the batch. */
static size_t take_marked(struct notifier *n, const struct marks *marks)
{
	size_t taken = 0;

	for (size_t c = 0; c < CHAINS; c++)
		for (uint16_t *at = &n->chains[c]; *at; ) {
			uint16_t i = *at;

			if (!is_marked(marks, n->folders[i].network)) {
				at = &n->folders[i].next;
				continue;
			}
			n->batch[taken] = n->folders[i].ino;
			if (n->kept) {
				n->kept->batch[taken] = n->folders[i].ino;
				n->kept->watched[i] = 0;
			}
			taken++;
			*at = n->folders[i].next;
			n->folders[i].next = n->free_first;
			n->free_first = i;
		}
	return taken;
}

/* ---- speaking to the kernel ---- */

static void invalidate(struct notifier *n, uint64_t ino)
{
	int rc = fuse_lowlevel_notify_inval_inode(n->session, ino, 0, 0);

	if (rc < 0 && rc != -ENOENT) /* absent: it has forgotten the folder already */
		trace_debug("fs", "the kernel did not take a notification",
			    "ino=%" PRIx64 " errno=%d", ino, -rc);
}

static void tell_again(struct notifier *n, bool all)
{
	uint64_t now = clock_mono_ms();

	while (n->again_count && (all || n->again[n->again_first].due_ms <= now)) {
		uint64_t ino = n->again[n->again_first].ino;

		if (n->kept)
			n->kept->again[n->again_first] = 0;
		n->again_first = (n->again_first + 1) % ARRAY_LEN(n->again);
		n->again_count--;
		invalidate(n, ino);
	}
}

static void tell(struct notifier *n, size_t count)
{
	uint64_t due = clock_mono_ms() + AGAIN_MS;

	if (n->again_count + count > ARRAY_LEN(n->again))
		tell_again(n, true);
	for (size_t i = 0; i < count; i++) {
		size_t place = (n->again_first + n->again_count++) % ARRAY_LEN(n->again);

		invalidate(n, n->batch[i]);
		n->again[place] = (struct again){ n->batch[i], due };
		if (n->kept) {
			n->kept->again[place] = n->batch[i];
			n->kept->batch[i] = 0;
		}
	}
}

/* Twice, as of folders: an answer may have been on its way. */
static bool take_rolled(struct notifier *n, struct rolled *out)
{
	uint64_t now = clock_mono_ms();

	LOCKED(&n->notify_lock);
	for (size_t i = 0; i < n->rolled_count; i++)
		if (n->rolled[i].due_ms <= now) {
			*out = n->rolled[i];
			n->rolled[i] = n->rolled[--n->rolled_count];
			return true;
		}
	return false;
}

static void tell_rolled(struct notifier *n)
{
	struct rolled r;

	while (take_rolled(n, &r)) {
		for (size_t i = 0; i < ARRAY_LEN(lasting); i++) {
			int rc = fuse_lowlevel_notify_inval_entry(n->session, r.parent, lasting[i],
								  strlen(lasting[i]));

			if (rc < 0 && rc != -ENOENT)
				trace_debug("fs", "the kernel keeps a name", "name=%s errno=%d",
					    lasting[i], -rc);
		}
		atomic_store(r.told, r.branch);
	}
}

/* What the process before us would have told. */
static void tell_left(struct notifier *n)
{
	for (size_t i = 0; i < n->left_count; i++)
		invalidate(n, n->left[i]);
	if (n->left_count)
		trace_debug("fs", "the kernel was told what another process had not", "folders=%zu",
			    n->left_count);
	n->left_count = 0;
	if (n->kept)
		n->kept->left_count = 0;
	free(n->left);
	n->left = NULL;
}

/* ---- the thread ---- */

static uint64_t next_due(const struct notifier *n)
{
	uint64_t due = MIN(n->later_ms, n->trim_ms);

	for (size_t i = 0; i < n->rolled_count; i++)
		due = MIN(due, n->rolled[i].due_ms);

	return n->again_count ? MIN(due, n->again[n->again_first].due_ms) : due;
}

static void wait_until(struct notifier *n, uint64_t due_ms)
{
	if (due_ms == NEVER)
		pthread_cond_wait(&n->wake, &n->notify_lock);
	else
		clock_cond_wait(&n->wake, &n->notify_lock, due_ms);
}

/* False: stop. Sleeps until there is something to do, and takes it. */
static bool next_work(struct notifier *n, size_t *count, bool *trim)
{
	LOCKED(&n->notify_lock);
	while (!n->stopping && !any_marked(&n->published) && next_due(n) > clock_mono_ms())
		wait_until(n, next_due(n));
	uint64_t now = clock_mono_ms();

	if (n->later_ms <= now) {
		mark_all(&n->published, &n->later);
		n->later = (struct marks){ { 0 } };
		n->later_ms = NEVER;
	}
	*trim = n->trim_ms <= now;
	if (*trim)
		n->trim_ms = NEVER;
	*count = any_marked(&n->published) ? take_marked(n, &n->published) : 0;
	n->published = (struct marks){ { 0 } };
	return !n->stopping;
}

static void *run(void *arg)
{
	struct notifier *n = arg;
	size_t count;
	bool trim;

	tell_left(n);
	while (next_work(n, &count, &trim)) {
		tell_rolled(n);
		tell_again(n, false);
		tell(n, count);
		if (trim && n->trim(n->arg))
			notifier_trim_later(n);
	}
	return NULL;
}

int notifier_start(struct notifier *n, struct fuse_session *session, struct err *err)
{
	n->session = session;
	int rc = -pthread_create(&n->thread, NULL, run, n);

	n->started = rc == 0;
	return rc < 0 ? err_set(err, rc, "no thread for notifications: %s", strerror(-rc)) : 0;
}

void notifier_stop(struct notifier *n)
{
	if (!n->started)
		return;
	pthread_mutex_lock(&n->notify_lock);
	n->stopping = true;
	pthread_cond_signal(&n->wake);
	pthread_mutex_unlock(&n->notify_lock);
	pthread_join(n->thread, NULL);
	n->started = false;
}

/* ---- from other threads ---- */

void notifier_published(struct notifier *n, unsigned network)
{
	LOCKED(&n->notify_lock);
	mark(&n->published, network);
	mark(&n->published, 0); /* the root shows every network */
	pthread_cond_signal(&n->wake);
}

void notifier_rolled_back(struct notifier *n, uint64_t parent, uint32_t branch,
			  _Atomic uint32_t *told)
{
	uint64_t now = clock_mono_ms();

	LOCKED(&n->notify_lock);
	for (size_t i = 0; i < 2 && n->rolled_count < ROLLED_MAX; i++)
		n->rolled[n->rolled_count++] =
			(struct rolled){ parent, now + i * AGAIN_MS, branch, told };
	pthread_cond_signal(&n->wake);
}

void notifier_published_before(struct notifier *n, unsigned network)
{
	LOCKED(&n->notify_lock);
	mark(&n->later, network);
	mark(&n->later, 0);
	if (n->later_ms == NEVER) {
		n->later_ms = clock_mono_ms() + AGAIN_MS;
		pthread_cond_signal(&n->wake);
	}
}

void notifier_trim_later(struct notifier *n)
{
	LOCKED(&n->notify_lock);
	if (n->trim_ms == NEVER) {
		n->trim_ms = clock_mono_ms() + TRIM_MS;
		pthread_cond_signal(&n->wake);
	}
}
