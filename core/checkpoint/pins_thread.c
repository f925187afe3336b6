/* What the daemon does about pins by itself: retention, the building of what is missing, the sweep
 * of what no pin wants. */
#include "core/checkpoint/pins_inside.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/trace.h"

/* ---- retention ---- */

static bool is_automatic(const struct pin_entry *r)
{
	return strncmp(r->is.name, PIN_AUTO, strlen(PIN_AUTO)) == 0;
}

/* An automatic pin that is not among those that stay; the one with the lowest height. What is
 * complete goes when enough newer ones are complete too, so that a failing build costs nothing that
 * is there. */
static bool next_surplus(struct pins *p, const struct book *b, char out[PIN_NAME_MAX + 1])
{
	LOCKED(&p->pins_lock);
	for (size_t i = 0; i < b->pin_count; i++) {
		const struct pin_entry *r = b->pins[i];
		uint64_t newer = 0, complete = 0;

		if (!is_automatic(r) || r->saving || r->damaged)
			continue;
		for (size_t k = 0; k < b->pin_count; k++) {
			const struct pin_entry *other = b->pins[k];
			bool counts = is_automatic(other) && !other->damaged &&
				      other->is.height > r->is.height;

			newer += counts;
			complete += counts && other->is.state == PIN_COMPLETE;
		}
		if ((r->is.state == PIN_COMPLETE ? complete : newer) < p->retention.keep)
			continue;
		memcpy(out, r->is.name, PIN_NAME_MAX + 1);
		return true;
	}
	return false;
}

static void auto_name(uint64_t height, char out[PIN_NAME_MAX + 1])
{
	snprintf(out, PIN_NAME_MAX + 1, PIN_AUTO "%010" PRIu64, height);
}

static void keep_newest(struct pins *p, struct book *b)
{
	AUTO(view_putp) struct view *v = network_view_get(b->network);
	uint64_t every = p->retention.every, height = v->shards[0].replayed / every * every;
	char name[PIN_NAME_MAX + 1];
	struct err err = ERR_INIT;

	auto_name(height, name);
	if (height > 0 && !pins_has(p, b, name)) {
		height = 0;
		if (checkpoint_newest(b->network, &height, &err) == 0)
			height = height / every * every;
		for (uint64_t i = 0; i < p->retention.keep && height >= every; i++) {
			auto_name(height, name);
			if (!pins_has(p, b, name) && pins_add_entry(p, b, name, height, &err) < 0)
				break;
			height -= every;
		}
	}
	while (next_surplus(p, b, name))
		if (pins_drop_entry(p, b, name, &err) < 0) {
			trace_warn("checkpoint", "an automatic pin cannot be let go",
				   "network=%s pin=%s error=\"%s\"", network_name(b->network), name,
				   err.text);
			break;
		}
}

/* ---- the thread ---- */

/* A complete checkpoint that no pin wants leaves the book. */
static bool take_unwanted(struct pins *p, struct book *b, char name[CHECKPOINT_NAME_SIZE])
{
	AUTO(base_freep) struct checkpoint_entry *gone = NULL;

	LOCKED(&p->pins_lock);
	for (size_t i = 0; i < b->pin_count; i++)
		if (b->pins[i]->damaged)
			return false;
	for (size_t i = 0; i < b->checkpoint_count && !gone; i++)
		if (b->checkpoints[i]->complete && !book_wants(b, b->checkpoints[i]->height))
			gone = book_checkpoint_take(b, b->checkpoints[i]->height);
	if (gone)
		memcpy(name, gone->name, CHECKPOINT_NAME_SIZE);
	return gone != NULL;
}

void pins_sweep(struct pins *p, struct book *b)
{
	char path[PINS_PATH_SIZE], name[CHECKPOINT_NAME_SIZE];

	while (take_unwanted(p, b, name)) {
		pins_changed(p, b->network);
		AUTO(base_closep) int folder = -1;
		if (checkpoints_path(p->store, b->network, path, sizeof path, NULL) == 0)
			folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (folder >= 0)
			checkpoint_remove(folder, name);
		if (p->events)
			events_post(p->events, network_name(b->network), "checkpoint",
				    "state=removed name=%s", name);
	}
}

/* The oldest pin whose checkpoint is missing; its pins are being built from now on. */
static bool choose(struct pins *p)
{
	struct pin_entry *oldest = NULL;
	struct book *of = NULL;

	LOCKED(&p->pins_lock);
	if (p->stopping || p->on_hold)
		return false;
	for (size_t n = 0; n < ARRAY_LEN(p->books); n++)
		for (size_t i = 0; p->books[n] && i < p->books[n]->pin_count; i++) {
			struct pin_entry *r = p->books[n]->pins[i];

			if (r->is.state != PIN_WAITING || r->saving ||
			    (oldest && r->made_ns >= oldest->made_ns))
				continue;
			oldest = r;
			of = p->books[n];
		}
	if (!oldest)
		return false;
	p->building = of;
	p->building_height = oldest->is.height;
	memcpy(p->building_name, oldest->is.checkpoint, sizeof p->building_name);
	for (size_t i = 0; i < of->pin_count; i++)
		if (of->pins[i]->is.height == oldest->is.height && !of->pins[i]->saving &&
		    of->pins[i]->is.state != PIN_FAILED)
			of->pins[i]->is.state = PIN_BUILDING;
	atomic_store(&p->build_stop, false);
	atomic_store(&p->progress.records, 0);
	atomic_store(&p->progress.records_total, 0);
	atomic_store(&p->progress.bytes, 0);
	return true;
}

/* What is being built stands among the checkpoints. NULL: no memory, and it is built unseen. */
static void show_building(struct pins *p)
{
	AUTO(base_freep) struct checkpoint_entry *e = calloc(1, sizeof *e);
	struct block_row row;

	if (!e || network_block(p->building->network, 0, p->building_height, &row) != 1)
		return;
	checkpoint_name(row.height, row.hash, e->name);
	e->height = row.height;
	e->time = row.time;
	memcpy(e->prefix, row.hash, sizeof e->prefix);
	LOCKED(&p->pins_lock);
	if (!book_checkpoint(p->building, e->height) && book_checkpoint_put(p->building, e))
		e = NULL;
}

/* What the build came to is written into its pins. */
static void note_built(struct pins *p, int rc, const char *name, const struct err *err)
{
	AUTO(base_freep) struct checkpoint_entry *gone = NULL;
	struct book *b = p->building;

	LOCKED(&p->pins_lock);
	struct checkpoint_entry *e = book_checkpoint(b, p->building_height);

	if (e && rc == 0) {
		e->complete = true;
		e->records = e->records_total = atomic_load(&p->progress.records_total);
		snprintf(e->name, sizeof e->name, "%s", name);
	} else {
		gone = book_checkpoint_take(b, p->building_height);
	}
	for (size_t i = 0; i < b->pin_count; i++) {
		struct pin_entry *r = b->pins[i];

		if (r->is.height != p->building_height || r->is.state != PIN_BUILDING)
			continue;
		if (rc == 0) {
			r->is.state = PIN_COMPLETE;
			snprintf(r->is.checkpoint, sizeof r->is.checkpoint, "%s", name);
			pin_unhold(b->network, r);
		} else if (rc == -EINTR) {
			r->is.state = PIN_WAITING;
		} else {
			pin_fail(r, err, rc);
		}
	}
	p->building = NULL;
}

static void tell_built(struct pins *p, struct network *n, const char *name, int rc,
		       const struct err *err)
{
	uint64_t records = atomic_load(&p->progress.records_total),
		 bytes = atomic_load(&p->progress.bytes);

	if (rc == 0 && p->events)
		events_post(p->events, network_name(n), "checkpoint",
			    "state=complete name=%s records=%" PRIu64 " bytes=%" PRIu64, name,
			    records, bytes);
	if (rc == 0 && p->events) /* in a daemon; a verb tells the person itself */
		trace_info("checkpoint", "complete", "network=%s name=%s bytes=%" PRIu64,
			   network_name(n), name, bytes);
	if (rc == 0 || rc == -EINTR)
		return;
	if (p->events)
		events_post(p->events, network_name(n), "checkpoint",
			    "state=failed name=%s error=\"%s\"", name, err_text(err, rc));
	trace_error("checkpoint", "a checkpoint cannot be built; the next start tries again",
		    "network=%s name=%s error=\"%s\"", network_name(n), name, err_text(err, rc));
}

static void build_one(struct pins *p)
{
	struct network *n = p->building->network;
	char parent[PINS_PATH_SIZE], name[CHECKPOINT_NAME_SIZE], wanted[CHECKPOINT_NAME_SIZE];
	struct err err = ERR_INIT;

	memcpy(wanted, p->building_name, sizeof wanted);
	memcpy(name, wanted, sizeof name);
	show_building(p);
	pins_changed(p, n);
	if (p->events)
		events_post(p->events, network_name(n), "checkpoint", "state=building name=%s",
			    wanted);
	int rc = checkpoints_path(p->store, n, parent, sizeof parent, &err);
	AUTO(base_closep) int folder = rc < 0 ? rc : pin_folder_open(parent, true, &err);

	rc = folder < 0 ? folder : store_writable(p->store, &err);
	if (rc == 0)
		rc = checkpoint_build(n, p->building_height, parent, true, &p->progress,
				      &p->build_stop, name, &err);
	note_built(p, rc, name, &err);
	if (rc < 0 && folder >= 0) {
		char part[CHECKPOINT_NAME_SIZE + sizeof PART_SUFFIX];

		snprintf(part, sizeof part, "%s" PART_SUFFIX, wanted);
		checkpoint_sweep(folder, part);
	}
	pins_changed(p, n);
	tell_built(p, n, name, rc, &err);
}

/* False: stop. */
static bool wait_for_work(struct pins *p)
{
	LOCKED(&p->pins_lock);
	while (!p->stopping && (p->on_hold || !p->look))
		pthread_cond_wait(&p->wake, &p->pins_lock);
	p->look = false;
	if (!p->stopping)
		p->writing++;
	return !p->stopping;
}

static bool is_to_rest(struct pins *p)
{
	LOCKED(&p->pins_lock);
	return p->stopping || p->on_hold;
}

void *pins_run(void *arg)
{
	struct pins *p = arg;

	while (wait_for_work(p)) {
		do {
			if (p->retention.every)
				pins_each_book(p, keep_newest);
			pins_each_book(p, pins_sweep);
			if (!choose(p))
				break;
			build_one(p);
		} while (!is_to_rest(p));
		pins_end_writing(p);
	}
	return NULL;
}
