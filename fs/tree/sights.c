#include "fs/tree/sights.h"

#include <time.h>

#include "core/base/clock.h"

#define GRACE_MS   2000u  /* a version that nobody holds yet may be about to be named */
#define CLAIMS_MAX 16384u /* remembered of one version */

struct known_claim {
	uint32_t shard;
	uint64_t height;
	struct sight_claim claim;
};

struct sights {
	struct follows *follows;
	pthread_mutex_t sights_lock;    /* guards the rest; a leaf */
	struct sight_version *versions; /* newest first, of all networks */
	uint64_t last;                  /* number given last */
};

struct sights *sights_new(struct follows *l)
{
	struct sights *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->follows = l;
	pthread_mutex_init(&s->sights_lock, NULL);
	return s;
}

static void version_free(struct sight_version *v)
{
	sight_release(&v->sight);
	view_putp(&v->view);
	free(v->claims);
	pthread_mutex_destroy(&v->claims_lock);
	free(v);
}

/* The newest of a network stays, whoever holds it, until there is a newer one. */
static bool is_newest(const struct sights *s, const struct sight_version *v)
{
	for (const struct sight_version *at = s->versions; at; at = at->older)
		if (at->network == v->network)
			return at == v;
	return false;
}

static bool is_old(const struct sight_version *v)
{
	return clock_mono_ms() - v->taken_ms > GRACE_MS;
}

static void unlist(struct sights *s, struct sight_version *v)
{
	struct sight_version **at = &s->versions;

	while (*at != v)
		at = &(*at)->older;
	*at = v->older;
}

void sights_freep(struct sights **at)
{
	struct sights *s = TAKE(*at);

	if (!s)
		return;
	for (struct sight_version *v = s->versions, *older; v; v = older) {
		older = v->older;
		version_free(v);
	}
	pthread_mutex_destroy(&s->sights_lock);
	free(s);
}

void sight_version_putp(struct sight_version **at)
{
	struct sight_version *v = TAKE(*at);

	if (!v)
		return;
	struct sights *s = v->of;

	pthread_mutex_lock(&s->sights_lock);
	bool ended = --v->owners == 0 && is_old(v) && !is_newest(s, v);

	if (ended)
		unlist(s, v);
	pthread_mutex_unlock(&s->sights_lock);
	if (ended)
		version_free(v);
}

struct sight_version *sights_get(struct sights *s, const struct network *n, uint64_t number)
{
	if (!s)
		return NULL;
	LOCKED(&s->sights_lock);
	for (struct sight_version *v = s->versions; v; v = v->older)
		if (v->network == n && v->number == number) {
			v->owners++;
			return v;
		}
	return NULL;
}

static uint64_t unix_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The newest one, when it is young enough and of the newest view. */
static struct sight_version *still_new(struct sights *s, const struct network *n,
				       const struct view *view)
{
	LOCKED(&s->sights_lock);
	for (struct sight_version *v = s->versions; v; v = v->older) {
		if (v->network != n)
			continue;
		if (v->view->number != view->number ||
		    clock_mono_ms() - v->taken_ms >= SIGHT_AGE_MS)
			return NULL;
		v->owners++;
		return v;
	}
	return NULL;
}

/* It becomes the newest. Those that nobody holds or is about to hold are returned to be freed. */
static struct sight_version *list_newest(struct sights *s, struct sight_version *v)
{
	struct sight_version *gone = NULL;

	LOCKED(&s->sights_lock);
	s->last = MAX(s->last + 1, unix_ms());
	v->number = s->last;
	v->owners = 1;
	v->older = s->versions;
	s->versions = v;
	for (struct sight_version **at = &v->older; *at;) {
		struct sight_version *old = *at;

		if (old->owners || !is_old(old) || is_newest(s, old)) {
			at = &old->older;
			continue;
		}
		*at = old->older;
		old->older = gone;
		gone = old;
	}
	return gone;
}

struct sight_version *sights_newest(struct sights *s, struct network *n)
{
	if (!s || !s->follows)
		return NULL;
	AUTO(view_putp) struct view *view = network_view_get(n);
	struct sight_version *v = still_new(s, n, view);

	if (v || !(v = calloc(1, sizeof *v)))
		return v;
	pthread_mutex_init(&v->claims_lock, NULL);
	v->of = s;
	v->network = n;
	v->taken_ms = clock_mono_ms();
	if (sight_take(s->follows, n, &v->sight) != 1) {
		version_free(v);
		return NULL;
	}
	v->view = TAKE(view);
	for (struct sight_version *gone = list_newest(s, v), *next; gone; gone = next) {
		next = gone->older;
		version_free(gone);
	}
	return v;
}

uint64_t sights_stamp(struct sights *s)
{
	if (!s)
		return 0;
	LOCKED(&s->sights_lock);
	return s->last;
}

/* ---- claims ---- */

/* Where it is, or would be. */
static size_t place_of(const struct sight_version *v, uint32_t shard, uint64_t height)
{
	size_t low = 0, high = v->claim_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct known_claim *k = &v->claims[middle];

		if (k->shard < shard || (k->shard == shard && k->height < height))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool known(struct sight_version *v, uint32_t shard, uint64_t height, struct sight_claim *out)
{
	size_t at = place_of(v, shard, height);

	if (at == v->claim_count || v->claims[at].shard != shard || v->claims[at].height != height)
		return false;
	*out = v->claims[at].claim;
	return true;
}

static bool look_at(struct sight_version *v, uint32_t shard, uint64_t height,
		    struct sight_claim *out)
{
	struct follow *f = follows_get(v->of->follows, v->network);

	if (!f)
		return false;
	follow_claim(f, shard, height, &out->claim, &out->now_ms);
	follows_put(v->of->follows, &f);
	out->unix_ms = unix_ms();
	return true;
}

bool sight_version_claim(struct sight_version *v, uint32_t shard, uint64_t height,
			 struct sight_claim *out)
{
	bool found;

	pthread_mutex_lock(&v->claims_lock);
	found = known(v, shard, height, out);
	pthread_mutex_unlock(&v->claims_lock);
	if (found || !look_at(v, shard, height, out))
		return found;
	LOCKED(&v->claims_lock);
	if (known(v, shard, height, out)) /* another thread was faster */
		return true;
	/* Claims come in hundreds at most: it may grow here. */
	if (v->claim_count == CLAIMS_MAX)
		return false;
	if ((v->claim_count & (v->claim_count - 1)) == 0) {
		size_t cap = MAX(2 * v->claim_count, 8);
		struct known_claim *more = realloc(v->claims, cap * sizeof *more);

		if (!more)
			return false;
		v->claims = more;
	}
	size_t at = place_of(v, shard, height);

	memmove(v->claims + at + 1, v->claims + at, (v->claim_count - at) * sizeof *v->claims);
	v->claims[at] = (struct known_claim){ shard, height, *out };
	v->claim_count++;
	return true;
}
