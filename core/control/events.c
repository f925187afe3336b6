#include "core/control/events.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/base/clock.h"

struct line {
	char    *text;  /* NULL: it found no memory */
	uint64_t start; /* where it begins in the text of all lines */
};

/* A ring of lines, each on the heap, so that a post under the lock is a swap of two pointers. */
struct events {
	pthread_mutex_t events_lock; /* guards the rest; a leaf */
	pthread_cond_t  calls_ended;
	uint64_t        last;        /* number of the newest line */
	size_t          lines_max;
	void          (*call)(void *arg);
	void           *call_arg;
	unsigned        calls;       /* of the listener, under way */
	uint64_t        size;        /* of the text of all lines */
	struct line     lines[];     /* line n lies at n % lines_max */
};

struct events *events_new(size_t lines_max)
{
	size_t size;

	if (lines_max == 0 || ckd_mul(&size, lines_max, sizeof(struct line)) ||
	    ckd_add(&size, size, sizeof(struct events)))
		return NULL;
	struct events *e = calloc(1, size);

	if (!e)
		return NULL;
	e->lines_max = lines_max;
	pthread_mutex_init(&e->events_lock, NULL);
	pthread_cond_init(&e->calls_ended, NULL);
	return e;
}

void events_freep(struct events **at)
{
	struct events *e = TAKE(*at);

	if (!e)
		return;
	for (size_t i = 0; i < e->lines_max; i++)
		free(e->lines[i].text);
	pthread_cond_destroy(&e->calls_ended);
	pthread_mutex_destroy(&e->events_lock);
	free(e);
}

void events_go_on(struct events *e, uint64_t last, uint64_t size)
{
	LOCKED(&e->events_lock);
	e->last = last;
	e->size = size;
	/* A line that is not there begins where the text did end. */
	for (size_t i = 0; i < e->lines_max; i++)
		e->lines[i].start = size;
}

/* ---- posting ---- */

/* One line stays one line, whatever came in an argument. */
static void line_end(char *line, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if ((uint8_t)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = ' ';
	line[size] = '\n';
	line[size + 1] = '\0';
}

static size_t line_start(char line[EVENT_LINE_MAX], const char *network, const char *kind)
{
	char time[TIME_TEXT_SIZE];

	time_text(clock_unix_s(), time);
	int n = snprintf(line, EVENT_LINE_MAX - 1, "%s %s %s ", time, network ? network : "-",
			 kind);

	return MIN((size_t)n, (size_t)EVENT_LINE_MAX - 2);
}

void events_post(struct events *e, const char *network, const char *kind, const char *format, ...)
{
	char line[EVENT_LINE_MAX], *old;
	size_t n = line_start(line, network, kind);
	va_list args;

	va_start(args, format);
	int more = vsnprintf(line + n, EVENT_LINE_MAX - 1 - n, format, args);
	va_end(args);
	n = more < 0 ? n : MIN(n + (size_t)more, (size_t)EVENT_LINE_MAX - 2);
	if (n && line[n - 1] == ' ')
		n--; /* nothing came behind the kind */
	line_end(line, n);
	char *kept =
		strdup(line); /* without memory the number is used up: readers are told lost=1 */

	size_t size = n + 1;

	pthread_mutex_lock(&e->events_lock);
	struct line *place = &e->lines[++e->last % e->lines_max];
	void (*call)(void *arg) = e->call;
	void *arg = e->call_arg;

	old = place->text;
	*place = (struct line){ kept, e->size };
	e->size += kept ? size : 0;
	e->calls += call != NULL;
	pthread_mutex_unlock(&e->events_lock);
	free(old);
	if (!call)
		return;
	call(arg);
	pthread_mutex_lock(&e->events_lock);
	if (--e->calls == 0)
		pthread_cond_broadcast(&e->calls_ended);
	pthread_mutex_unlock(&e->events_lock);
}

void events_on_post(struct events *e, void (*call)(void *arg), void *arg)
{
	LOCKED(&e->events_lock);
	e->call = call;
	e->call_arg = arg;
	/* Who leaves frees what the calls use, so none may still be under way. */
	while (!call && e->calls)
		pthread_cond_wait(&e->calls_ended, &e->events_lock);
}

/* ---- reading ---- */

uint64_t events_last(struct events *e)
{
	LOCKED(&e->events_lock);
	return e->last;
}

/* Lines before the oldest that is kept, and such as found no memory; moves *next behind them. */
static uint64_t lost_before(const struct events *e, uint64_t *next)
{
	uint64_t first = *next, oldest = e->last < e->lines_max ? 1 : e->last - e->lines_max + 1;

	*next = MAX(*next, oldest);
	while (*next <= e->last && !e->lines[*next % e->lines_max].text)
		++*next;
	return *next - first;
}

/* One line at `at`, or how many were lost before the next; 0 when it does not fit or there is
 * none. */
static size_t take_line(struct events *e, uint64_t *next, char *at, size_t room)
{
	uint64_t ahead = *next, lost = lost_before(e, &ahead);
	const char *line = ahead <= e->last ? e->lines[ahead % e->lines_max].text : NULL;
	char told[EVENT_LINE_MAX];

	if (lost) {
		size_t n = line_start(told, NULL, "events");

		snprintf(told + n, sizeof told - n, "lost=%" PRIu64 "\n", lost);
		line = told;
	} else if (line) {
		ahead++;
	}
	size_t size = line ? strlen(line) : 0;

	if (size == 0 || size > room)
		return 0;
	memcpy(at, line, size);
	*next = ahead;
	return size;
}

int events_read(struct events *e, uint64_t *next, size_t size_max, struct buf *out)
{
	size_t room = MIN(size_max, out->size_max - MIN(out->n, out->size_max)), size;
	int rc = buf_reserve(out, room); /* before the lock: nothing allocates under it */

	if (rc < 0)
		return rc;
	LOCKED(&e->events_lock);
	*next = MAX(*next, 1);
	while ((size = take_line(e, next, (char *)out->p + out->n, room)) > 0) {
		out->n += size;
		room -= size;
	}
	return 0;
}

uint64_t events_size(struct events *e)
{
	LOCKED(&e->events_lock);
	return e->size;
}

/* The line that holds `offset`, or the first one kept behind it. */
static uint64_t line_at(const struct events *e, uint64_t offset)
{
	uint64_t low = e->last < e->lines_max ? 1 : e->last - e->lines_max + 1, high = e->last + 1;

	while (low + 1 < high) {
		uint64_t middle = low + (high - low) / 2;

		if (e->lines[middle % e->lines_max].start <= offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}

int events_read_at(struct events *e, uint64_t offset, size_t size_max, struct buf *out)
{
	size_t room = MIN(size_max, out->size_max - MIN(out->n, out->size_max));
	int rc = buf_reserve(out, room); /* before the lock: nothing allocates under it */

	if (rc < 0)
		return rc;
	LOCKED(&e->events_lock);
	uint8_t *to = out->p + out->n;
	uint64_t end = MIN(e->size, offset + MIN(room, UINT64_MAX - offset));

	if (offset >= end)
		return 0;
	memset(to, '\n', end - offset);
	for (uint64_t n = line_at(e, offset); n <= e->last; n++) {
		const struct line *l = &e->lines[n % e->lines_max];
		uint64_t first, last;

		if (l->start >= end)
			break;
		if (!l->text)
			continue;
		first = MAX(l->start, offset);
		last = MIN(l->start + strlen(l->text), end);
		if (first < last)
			memcpy(to + (first - offset), l->text + (first - l->start), last - first);
	}
	out->n += end - offset;
	return 0;
}
