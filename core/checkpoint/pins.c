#include "core/checkpoint/pins_inside.h"

#include <stdio.h>

#include "core/base/files.h"
#include "core/base/trace.h"
#include "core/checkpoint/pin_file.h"

const char *const pin_state_names[] = {
	[PIN_WAITING] = "waiting",
	[PIN_BUILDING] = "building",
	[PIN_COMPLETE] = "complete",
	[PIN_FAILED] = "failed",
};

/* ---- telling ---- */

void pins_changed(struct pins *p, struct network *n)
{
	pthread_mutex_lock(&p->pins_lock);
	void (*call)(void *arg, struct network *network) = p->on_change;
	void *arg = p->on_change_arg;

	p->calls += call != NULL;
	pthread_mutex_unlock(&p->pins_lock);
	if (!call)
		return;
	call(arg, n);
	LOCKED(&p->pins_lock);
	if (--p->calls == 0)
		pthread_cond_broadcast(&p->idle);
}

void pins_on_change(struct pins *p, void (*call)(void *arg, struct network *n), void *arg)
{
	LOCKED(&p->pins_lock);
	p->on_change = call;
	p->on_change_arg = arg;
	while (!call && p->calls)
		pthread_cond_wait(&p->idle, &p->pins_lock);
}

/* ---- books ---- */

/* Its book; read from the disk when the network is asked for the first time. */
static struct book *pins_book(struct pins *p, struct network *n, struct err *err)
{
	unsigned i = network_index(n);

	if (i >= ARRAY_LEN(p->books)) {
		err_set(err, -EINVAL, "too many networks");
		return NULL;
	}
	pthread_mutex_lock(&p->pins_lock);
	struct book *b = p->books[i];

	pthread_mutex_unlock(&p->pins_lock);
	if (b)
		return b;
	AUTO(book_freep) struct book *fresh = NULL;

	if (book_load(p->store, n, &fresh, err) < 0)
		return NULL;
	LOCKED(&p->pins_lock);
	if (!p->books[i])
		p->books[i] = TAKE(fresh);
	return p->books[i];
}

/* Every network that is there by now has its book. */
void pins_each_book(struct pins *p, void (*call)(struct pins *p, struct book *b))
{
	for (size_t i = 0; i < store_network_count(p->store); i++) {
		struct err err = ERR_INIT;
		struct book *b = pins_book(p, store_network_at(p->store, i), &err);

		if (b)
			call(p, b);
		else
			trace_error("checkpoint", "the pins of a network cannot be read",
				    "error=\"%s\"", err.text);
	}
}

/* ---- adding and removing ---- */

/* -EAGAIN while they are held: nothing may be written. */
static int pins_begin_writing(struct pins *p, struct err *err)
{
	LOCKED(&p->pins_lock);
	if (p->on_hold)
		return err_set(err, -EAGAIN, "the store is frozen");
	p->writing++;
	return 0;
}

void pins_end_writing(struct pins *p)
{
	LOCKED(&p->pins_lock);
	p->writing--;
	pthread_cond_broadcast(&p->idle);
}

static int enter_pin(struct pins *p, struct book *b, struct pin_entry *r, struct err *err)
{
	bool found;

	LOCKED(&p->pins_lock);
	size_t at = book_place(b, r->is.name, &found);

	if (found)
		return err_set(err, -EEXIST, "there is a pin %s already, of height %" PRIu64,
			       r->is.name, b->pins[at]->is.height);
	if (b->pin_count == PINS_MAX)
		return err_set(err, -EMSGSIZE, "there are %d pins; remove some first", PINS_MAX);
	book_put(b, at, r);
	return 0;
}

/* What is complete needs no state. Asked of a pin that is entered: nobody takes it away any more. */
static bool is_complete(struct pins *p, const struct book *b, struct pin_entry *r)
{
	LOCKED(&p->pins_lock);
	const struct checkpoint_entry *e = book_checkpoint(b, r->is.height);

	if (!e || !e->complete)
		return false;
	memcpy(r->is.checkpoint, e->name, sizeof r->is.checkpoint);
	return true;
}

static struct pin_entry *leave_pin(struct pins *p, struct book *b, const char *name)
{
	bool found;

	LOCKED(&p->pins_lock);
	size_t at = book_place(b, name, &found);

	return found ? book_take(b, at) : NULL;
}

static void entered(struct pins *p, struct book *b, struct pin_entry *r)
{
	LOCKED(&p->pins_lock);
	struct checkpoint_entry *e = book_checkpoint(b, r->is.height);

	r->saving = false;
	if (e && e->complete)
		r->is.state = PIN_COMPLETE;
	else if (p->building == b && p->building_height == r->is.height)
		r->is.state = PIN_BUILDING;
	if (r->is.state == PIN_COMPLETE)
		pin_unhold(b->network, r);
	p->look = true;
	pthread_cond_signal(&p->wake);
}

int pins_add_entry(struct pins *p, struct book *b, const char *name, uint64_t height,
		   struct err *err)
{
	AUTO(base_freep) struct pin_entry *r = calloc(1, sizeof *r), *owned = NULL;
	uint64_t time;

	if (!r)
		return err_set(err, -ENOMEM, "no memory for a pin");
	snprintf(r->is.name, sizeof r->is.name, "%s", name);
	r->is.height = height;
	r->saving = true;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	r->made_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	struct err why = ERR_INIT;
	int held = pin_hold(b->network, r, &time, &why);

	if (held < 0 && held != -ENODATA)
		return err_set(err, held, "%s", why.text);
	int rc = enter_pin(p, b, r, err);

	if (rc < 0) {
		pin_unhold(b->network, r);
		return rc;
	}
	struct pin_entry *entry = TAKE(r);

	if (held < 0 && !is_complete(p, b, entry))
		rc = err_set(err, held, "%s", why.text);
	else
		rc = pin_save(p->store, b->network, name, height, err);
	if (rc < 0) {
		owned = leave_pin(p, b, name);
		pin_unhold(b->network, owned);
		return rc;
	}
	entered(p, b, entry);
	pins_changed(p, b->network);
	return 0;
}

int pins_add(struct pins *p, struct network *n, const char *name, uint64_t height, struct err *err)
{
	if (!pin_name_is_good(name) || strncmp(name, PIN_AUTO, strlen(PIN_AUTO)) == 0)
		return err_set(err, -EINVAL,
			       "%.80s: a pin's name is letters, digits, dots, dashes and _, at "
			       "most %d, begins with one of the first two and not with " PIN_AUTO,
			       name, PIN_NAME_MAX);
	int rc = height == UINT64_MAX ? checkpoint_newest(n, &height, err) : 0;

	if (rc < 0)
		return rc;
	struct book *b = pins_book(p, n, err);

	rc = b ? pins_begin_writing(p, err) : -EIO;

	if (rc < 0)
		return rc;
	rc = pins_add_entry(p, b, name, height, err);
	pins_end_writing(p);
	return rc;
}

/* Stops the build that nobody wants any more. */
static void removed(struct pins *p, const struct book *b)
{
	LOCKED(&p->pins_lock);
	if (p->building == b && !book_wants(b, p->building_height))
		atomic_store(&p->build_stop, true);
	p->look = true;
	pthread_cond_signal(&p->wake);
}

bool pins_has(struct pins *p, const struct book *b, const char *name)
{
	bool found;

	LOCKED(&p->pins_lock);
	size_t at = book_place(b, name, &found);

	return found && !b->pins[at]->saving;
}

int pins_drop_entry(struct pins *p, struct book *b, const char *name, struct err *err)
{
	if (!pins_has(p, b, name))
		return err_set(err, -ENOENT, "network %s has no pin %.80s",
			       network_name(b->network), name);
	int rc = pin_unsave(p->store, b->network, name, err);

	if (rc < 0)
		return rc;
	AUTO(base_freep) struct pin_entry *r = leave_pin(p, b, name);

	if (!r)
		return err_set(err, -ENOENT, "network %s has no pin %.80s any more",
			       network_name(b->network), name);
	pin_unhold(b->network, r);
	removed(p, b);
	pins_changed(p, b->network);
	return 0;
}

int pins_remove(struct pins *p, struct network *n, const char *name, struct err *err)
{
	struct book *b = pins_book(p, n, err);

	if (!b)
		return -EIO;
	if (p->retention.every && strncmp(name, PIN_AUTO, strlen(PIN_AUTO)) == 0 &&
	    pins_has(p, b, name))
		return err_set(err, -EPERM,
			       "%s is one of retention's: checkpoints.every and checkpoints.keep "
			       "say how long it stays",
			       name);
	int rc = pins_begin_writing(p, err);

	if (rc < 0)
		return rc;
	rc = pins_drop_entry(p, b, name, err);
	pins_end_writing(p);
	return rc;
}

/* ---- mending ---- */

/* What a pin wants whose file was read when it told so. */
static bool is_known(struct pins *p, const struct book *b, const char *name, uint64_t *height)
{
	bool found;

	LOCKED(&p->pins_lock);
	size_t at = book_place(b, name, &found);

	if (!found || b->pins[at]->saving || b->pins[at]->damaged)
		return false;
	*height = b->pins[at]->is.height;
	return true;
}

/* The file is opened before its pin is looked up, so that of one that is removed and made again
 * meanwhile no file gets the height of the other. 1 when it was mended. */
static int mend_one(struct pins *p, const struct book *b, int folder, const char *name,
		    struct err *err)
{
	AUTO(base_closep) int fd = pin_file_open(folder, name, true, err);
	uint64_t height;

	if (fd < 0)
		return fd == -ENOENT || fd == -EBADMSG ? 0 : fd;
	int rc = pin_file_read(fd, name, &height, err);

	if (rc < 0 && (!p || !is_known(p, b, name, &height)))
		return 0; /* nobody knows */
	if (rc == PIN_FILE_WHOLE || rc == PIN_FILE_OLD)
		return 0;
	rc = pin_file_mend(fd, name, height, err);
	return rc < 0 ? rc : 1;
}

static int mend_all(struct pins *p, const struct book *b, const char *path,
		    void (*told)(void *arg, const char *sentence), void *arg, struct err *err)
{
	AUTO(files_dir_closep) DIR *d = opendir(path);
	const struct dirent *e;
	int mended = 0, more;

	if (!d)
		return errno == ENOENT ? 0 : files_error(err, path);
	while ((more = files_next(d, &e)) == 1) {
		char text[PIN_NAME_MAX + 64];
		int rc = pin_name_is_good(e->d_name) ? mend_one(p, b, dirfd(d), e->d_name, err) : 0;

		if (rc < 0)
			return rc;
		if (rc == 0)
			continue;
		mended++;
		snprintf(text, sizeof text, "pin %.64s: its file is written anew", e->d_name);
		told(arg, text);
	}
	return more < 0 ? err_set(err, more, "%s: %s", path, strerror(-more)) : mended;
}

int pins_mend(struct pins *p, const struct store *s, struct network *n,
	      void (*told)(void *arg, const char *sentence), void *arg, struct err *err)
{
	char path[PINS_PATH_SIZE];
	const struct book *b = p ? pins_book(p, n, err) : NULL;
	int rc = store_network_path(s, n, "pins", path, sizeof path, err);

	if (p && !b)
		return -EIO;
	if (rc == 0 && p)
		rc = pins_begin_writing(p, err);
	if (rc < 0)
		return rc;
	rc = mend_all(p, b, path, told, arg, err);
	if (p)
		pins_end_writing(p);
	return rc;
}

/* ---- looking ---- */

static void copy_pin(struct pins *p, const struct book *b, const struct pin_entry *r,
		     struct pin *out)
{
	*out = r->is;
	if (r->is.state == PIN_BUILDING && p->building == b) {
		out->records = atomic_load(&p->progress.records);
		out->records_total = atomic_load(&p->progress.records_total);
	}
}

int pins_next(struct pins *p, struct network *n, const char *after, struct pin *out)
{
	struct book *b = pins_book(p, n, NULL);
	bool found;

	if (!b)
		return -EIO;
	LOCKED(&p->pins_lock);
	size_t at = book_place(b, after, &found);

	for (at += found; at < b->pin_count; at++)
		if (!b->pins[at]->saving) {
			copy_pin(p, b, b->pins[at], out);
			return 1;
		}
	return 0;
}

int pins_get(struct pins *p, struct network *n, const char *name, struct pin *out)
{
	struct book *b = pins_book(p, n, NULL);
	bool found;

	if (!b)
		return -EIO;
	LOCKED(&p->pins_lock);
	size_t at = book_place(b, name, &found);

	if (!found || b->pins[at]->saving)
		return 0;
	copy_pin(p, b, b->pins[at], out);
	return 1;
}

static void copy_entry(struct pins *p, const struct book *b, const struct checkpoint_entry *e,
		       struct checkpoint_entry *out)
{
	*out = *e;
	if (!e->complete && p->building == b) {
		out->records = atomic_load(&p->progress.records);
		out->records_total = atomic_load(&p->progress.records_total);
	}
}

int checkpoints_next(struct pins *p, struct network *n, uint64_t height_after,
		     struct checkpoint_entry *out)
{
	struct book *b = pins_book(p, n, NULL);

	if (!b)
		return -EIO;
	LOCKED(&p->pins_lock);
	size_t at = book_checkpoint_place(b, height_after);

	if (at < b->checkpoint_count && b->checkpoints[at]->height == height_after)
		at++;
	if (at == b->checkpoint_count)
		return 0;
	copy_entry(p, b, b->checkpoints[at], out);
	return 1;
}

int checkpoints_get(struct pins *p, struct network *n, uint64_t height,
		    struct checkpoint_entry *out)
{
	struct book *b = pins_book(p, n, NULL);

	if (!b)
		return -EIO;
	LOCKED(&p->pins_lock);
	const struct checkpoint_entry *e = book_checkpoint(b, height);

	if (!e)
		return 0;
	copy_entry(p, b, e, out);
	return 1;
}

/* ---- from outside ---- */

static void look_again(struct pins *p)
{
	LOCKED(&p->pins_lock);
	p->look = true;
	pthread_cond_signal(&p->wake);
}

void pins_published(struct pins *p)
{
	if (p->retention.every)
		look_again(p);
}

void pins_retry(struct pins *p)
{
	pthread_mutex_lock(&p->pins_lock);
	for (size_t n = 0; n < ARRAY_LEN(p->books); n++)
		for (size_t i = 0; p->books[n] && i < p->books[n]->pin_count; i++) {
			struct pin_entry *r = p->books[n]->pins[i];

			if (r->is.state != PIN_FAILED || r->damaged || !r->held)
				continue;
			r->is.state = PIN_WAITING;
			r->is.failure[0] = '\0';
		}
	pthread_mutex_unlock(&p->pins_lock);
	look_again(p);
}

void pins_hold(struct pins *p, bool on)
{
	LOCKED(&p->pins_lock);
	p->on_hold = on;
	if (on)
		atomic_store(&p->build_stop, true);
	else
		p->look = true;
	pthread_cond_broadcast(&p->wake);
	while (on && p->writing)
		pthread_cond_wait(&p->idle, &p->pins_lock);
}

/* A book is read when it is asked for: at the open, so that what is pinned is held from then on. */
static void touch(struct pins *p, struct book *b)
{
}

int pins_open(struct store *s, struct events *events, const struct retention *r, struct pins **out,
	      struct err *err)
{
	AUTO(pins_closep) struct pins *p = calloc(1, sizeof *p);

	if (!p)
		return err_set(err, -ENOMEM, "no memory for pins");
	p->store = s;
	p->events = events;
	if (r)
		p->retention = *r;
	if (p->retention.every && !p->retention.keep)
		p->retention.keep = 1;
	pthread_mutex_init(&p->pins_lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	pthread_cond_init(&p->idle, NULL);
	pins_each_book(p, touch);
	p->look = true;
	int rc = r ? -pthread_create(&p->thread, NULL, pins_run, p) : 0;

	if (rc < 0)
		return err_set(err, rc, "no thread for checkpoints: %s", strerror(-rc));
	p->started = r != NULL;
	*out = TAKE(p);
	return 0;
}

void pins_closep(struct pins **at)
{
	struct pins *p = TAKE(*at);

	if (!p)
		return;
	pthread_mutex_lock(&p->pins_lock);
	p->stopping = true;
	atomic_store(&p->build_stop, true);
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->pins_lock);
	if (p->started)
		pthread_join(p->thread, NULL);
	else
		pins_each_book(p, pins_sweep);
	for (size_t i = 0; i < ARRAY_LEN(p->books); i++)
		book_freep(&p->books[i]);
	pthread_cond_destroy(&p->wake);
	pthread_cond_destroy(&p->idle);
	pthread_mutex_destroy(&p->pins_lock);
	free(p);
}
