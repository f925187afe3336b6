/* chainfs fsck: walks a store and says what is wrong with it; --repair mends what can be mended. */
#include <stdio.h>

#include "core/base/clock.h"
#include "core/checkpoint/pins.h"
#include "core/checkpoint/sums.h"
#include "core/control/verb.h"
#include "core/fsck/fsck.h"
#include "core/fsck/rebuild.h"

#define PATH_SIZE       4096
#define PROGRESS_TTY_MS 200u
#define CHECKPOINTS_MENDED 256u /* at a time */

struct call {
	struct verb_call *call;
	struct network *network;
	char name[NETWORK_NAME_MAX + 1];
	uint64_t shown_ms;
	uint64_t checkpoints[CHECKPOINTS_MENDED]; /* heights of those that are to be mended */
	size_t checkpoint_count;
	bool shown; /* a line of progress stands on the terminal */
};

static void clear_progress(struct call *k)
{
	if (k->shown)
		verb_say(k->call, "\r\033[K");
	k->shown = false;
}

static void progress(void *arg, const char *stage, uint64_t done, uint64_t total)
{
	struct call *k = arg;
	uint64_t now;
	if (!k->call->io->terminal || verb_has(k->call, OPTION_QUIET))
		return;
	now = clock_mono_ms();
	if (now - k->shown_ms < PROGRESS_TTY_MS)
		return;
	k->shown_ms = now;
	k->shown = true;
	if (total)
		verb_say(k->call, "\r\033[K%s: %s %" PRIu64 " of %" PRIu64,
			 k->name, stage, done, total);
	else
		verb_say(k->call, "\r\033[K%s: %s %" PRIu64, k->name, stage, done);
}

static bool is_stopped(void *arg)
{
	const struct call *k = arg;
	return verb_stopped(k->call);
}

static void report_json(struct call *k, const struct fsck_fault *f)
{
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 16);
	struct json j = json_of(&out, JSON_LINE);
	json_object(&j, NULL);
	json_str(&j, "class", fsck_class_names[f->class]);
	json_str(&j, "error", f->sentence);
	if (f->height != FSCK_NOWHERE)
		json_u64(&j, "height", f->height);
	json_str(&j, "network", k->name);
	json_str(&j, "part", f->part);
	json_bool(&j, "repairable", f->repairable);
	json_u64(&j, "shard", f->shard);
	json_end(&j);
	if (json_done(&j) == 0)
		verb_write(k->call, buf_slice(&out));
}

/* class, network, part, shard, height, sentence: one fault a line. */
static void report(void *arg, const struct fsck_fault *f)
{
	struct call *k = arg;
	char height[24] = "-";
	if (strcmp(f->part, "checkpoint") == 0 && f->height != FSCK_NOWHERE &&
	    k->checkpoint_count < CHECKPOINTS_MENDED &&
	    (!k->checkpoint_count || k->checkpoints[k->checkpoint_count - 1] != f->height))
		k->checkpoints[k->checkpoint_count++] = f->height;
	clear_progress(k);
	if (verb_has(k->call, OPTION_JSON)) {
		report_json(k, f);
		return;
	}
	if (f->height != FSCK_NOWHERE)
		snprintf(height, sizeof height, "%010" PRIu64, f->height);
	verb_print(k->call, "%s\t%s\t%s\t%u\t%s\t%s\n", fsck_class_names[f->class],
		   k->name, f->part, f->shard, height, f->sentence);
}

static void told(void *arg, const char *sentence)
{
	struct call *k = arg;
	if (verb_has(k->call, OPTION_JSON)) {
		AUTO(buf_release) struct buf out = BUF_INIT(1u << 16);
		struct json j = json_of(&out, JSON_LINE);
		json_object(&j, NULL);
		json_str(&j, "network", k->name);
		json_str(&j, "repaired", sentence);
		json_end(&j);
		if (json_done(&j) == 0)
			verb_write(k->call, buf_slice(&out));
		return;
	}
	verb_print(k->call, "repaired\t%s\t%s\n", k->name, sentence);
}

static void summary(struct call *k, const struct fsck_counts *n, int repaired)
{
	if (!verb_has(k->call, OPTION_JSON)) {
		verb_print(k->call,
			   "%s: %" PRIu64 " blocks with %" PRIu64 " items, %" PRIu64
			   " rows and %" PRIu64 " checkpoints checked: %" PRIu64
			   " damaged, %" PRIu64 " missing, %" PRIu64 " contradictions, %" PRIu64
			   " orphans",
			   k->name, n->blocks, n->items, n->rows, n->checkpoints,
			   n->faults[FSCK_DAMAGED], n->faults[FSCK_MISSING],
			   n->faults[FSCK_CONTRADICTION], n->faults[FSCK_ORPHAN]);
		if (n->faults[FSCK_UNSEALED])
			verb_print(k->call, "; %" PRIu64 " checkpoints without sums",
				   n->faults[FSCK_UNSEALED]);
		if (n->waiting)
			verb_print(k->call, "; %" PRIu64 " damaged blocks are gaps already",
				   n->waiting);
		if (n->unreferenced_bytes)
			verb_print(k->call,
				   "; %" PRIu64 " bytes of segments that nothing refers to",
				   n->unreferenced_bytes);
		if (repaired >= 0)
			verb_print(k->call, "; %d repaired", repaired);
		else if (n->repairable && !verb_has(k->call, OPTION_REPAIR))
			verb_print(k->call, "; --repair mends %" PRIu64, n->repairable);
		verb_print(k->call, "\n");
		return;
	}
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 16);
	struct json j = json_of(&out, JSON_LINE);
	json_object(&j, NULL);
	json_u64(&j, "blocks", n->blocks);
	json_u64(&j, "checkpoints", n->checkpoints);
	json_u64(&j, "contradictions", n->faults[FSCK_CONTRADICTION]);
	json_u64(&j, "damaged", n->faults[FSCK_DAMAGED]);
	json_u64(&j, "items", n->items);
	json_u64(&j, "missing", n->faults[FSCK_MISSING]);
	json_str(&j, "network", k->name);
	json_u64(&j, "orphans", n->faults[FSCK_ORPHAN]);
	json_u64(&j, "repairable", n->repairable);
	json_u64(&j, "repaired", repaired > 0 ? (uint64_t)repaired : 0);
	json_u64(&j, "rows", n->rows);
	json_u64(&j, "unreferenced_bytes", n->unreferenced_bytes);
	json_u64(&j, "unsealed", n->faults[FSCK_UNSEALED]);
	json_u64(&j, "waiting", n->waiting);
	json_end(&j);
	if (json_done(&j) == 0)
		verb_write(k->call, buf_slice(&out));
}

/* ---- a network made anew ---- */

static void rebuild_progress(void *arg, uint64_t blocks)
{
	struct call *k = arg;
	uint64_t now;
	if (!k->call->io->terminal || verb_has(k->call, OPTION_QUIET))
		return;
	now = clock_mono_ms();
	if (now - k->shown_ms < PROGRESS_TTY_MS)
		return;
	k->shown_ms = now;
	k->shown = true;
	verb_say(k->call, "\r\033[K%s: %" PRIu64 " blocks taken over", k->name, blocks);
}

static int make_anew(struct verb_call *c, const char *name, struct err *err)
{
	struct call k = { .call = c };
	struct rebuild_options o = { rebuild_progress, &k, c->io->stop };
	struct rebuild_totals t;
	char text[256];
	snprintf(k.name, sizeof k.name, "%s", name);
	int rc = rebuild(c->store, k.name, &o, &t, err);
	clear_progress(&k);
	if (rc < 0)
		return rc;
	snprintf(text, sizeof text,
		 "made anew of %" PRIu64 " blocks; %" PRIu64 " were damaged, %" PRIu64
		 " heights are gaps now: import them again",
		 t.blocks, t.damaged, t.missing);
	told(&k, text);
	return 0;
}

/* Of a network that does not open. */
static int check_pins_alone(struct call *k, struct err *err)
{
	char path[PATH_SIZE];
	struct fsck_options o = { .report = report, .arg = k, .pins = path };
	struct fsck_counts counts;
	if (snprintf(path, sizeof path, "%s/networks/%s/pins", store_path(k->call->store),
		     k->name) >= (int)sizeof path)
		return err_set(err, -ENAMETOOLONG, "network %s: the path is too long", k->name);
	return fsck_pins(&o, &counts, err);
}

static int mend_pins(struct verb_call *c, const char *name, struct err *err)
{
	struct call k = { .call = c, .network = store_network_find(c->store, name) };
	snprintf(k.name, sizeof k.name, "%s", name);
	int rc = pins_mend(c->pins, c->store, k.network, told, &k, err);
	return MIN(rc, 0);
}

/* The ones that did not open. Faults, or negative. */
static int check_damaged(struct verb_call *c, struct err *err)
{
	const struct err *why;
	const char *name;
	int rc = 0;
	for (size_t i = 0; rc >= 0 && (name = store_damaged(c->store, i, &why)); i++) {
		struct call k = { .call = c };
		struct fsck_fault f = {
			FSCK_DAMAGED, "database", 0, FSCK_NOWHERE, true, why->text
		};
		if (c->options[OPTION_NETWORK] && strcmp(c->options[OPTION_NETWORK], name) != 0)
			continue;
		snprintf(k.name, sizeof k.name, "%s", name);
		report(&k, &f);
		rc = check_pins_alone(&k, err);
		if (rc == 0 && verb_has(c, OPTION_REPAIR)) {
			rc = make_anew(c, name, err);
			if (rc == 0)
				rc = mend_pins(c, k.name, err);
		}
		rc = rc < 0 ? rc : 1;
	}
	return rc;
}

/* Damaged checkpoints, and those without sums, are built again, where their state can still be read. */
static int mend_checkpoints(struct call *k, const char *folder)
{
	int mended = 0;
	checkpoint_mend_sweep(folder);
	for (size_t i = 0; i < k->checkpoint_count; i++) {
		struct err err = ERR_INIT;
		struct block_row row;
		char name[CHECKPOINT_NAME_SIZE], text[CHECKPOINT_NAME_SIZE + 64];
		int rc = network_block(k->network, 0, k->checkpoints[i], &row);
		if (rc == 1) {
			checkpoint_name(row.height, row.hash, name);
			rc = checkpoint_mend(k->network, folder, name, row.height,
					     k->call->io->stop, &err);
		} else {
			rc = err_set(&err, rc ? rc : -ENODATA, "its block cannot be read");
		}
		if (rc == -EINTR || rc == -ENOMEM)
			return rc;
		mended += rc == 0;
		if (rc < 0)
			verb_say(k->call,
				 "chainfs fsck: the checkpoint of height %" PRIu64
				 " cannot be built again: %s\n",
				 k->checkpoints[i], err_text(&err, rc));
		snprintf(text, sizeof text, "checkpoint %s: built again", name);
		if (rc == 0)
			told(k, text);
	}
	return mended;
}

/* Faults, those left out that harm nobody; negative. */
static int check_network(struct verb_call *c, struct network *n, struct err *err)
{
	AUTO(turn_release) struct turn turn = { NULL, NULL };
	AUTO(repair_freep) struct repair *repair = NULL;
	AUTO(fsck_fixes_freep) struct fsck_fixes *fixes = NULL;
	struct call k = { .call = c, .network = n };
	struct fsck_counts counts;
	snprintf(k.name, sizeof k.name, "%s", network_name(n));
	char checkpoints[PATH_SIZE], pins[PATH_SIZE];
	struct fsck_options o = { report, progress, &k, is_stopped, checkpoints, pins };
	int repaired = -1;
	int rc = checkpoints_path(c->store, n, checkpoints, sizeof checkpoints, err);
	if (rc == 0)
		rc = store_network_path(c->store, n, "pins", pins, sizeof pins, err);
	/* Before the walk, so that what it found is what is mended. */
	if (rc == 0 && verb_has(c, OPTION_REPAIR)) {
		verb_turn(c, n, &turn);
		rc = repair_begin(n, c->events, c->gate, c->io->stop, &repair, err);
	}
	if (rc == 0)
		rc = fsck_run(n, &o, &counts, &fixes, err);
	clear_progress(&k);
	/* What is made anew needs no mending first. */
	bool anew = repair && counts.beyond && !c->events;
	if (rc == 0 && repair && !anew)
		rc = verb_wait(c, network_name(n), err);
	if (rc == 0 && repair && !anew)
		rc = repaired = fsck_repair(repair, fixes, told, &k, err);
	/* Of a state that is whole: else it is made anew first, and the next repair builds them. */
	if (rc >= 0 && repair && !counts.beyond) {
		rc = mend_checkpoints(&k, checkpoints);
		repaired += MAX(rc, 0);
	}
	/* Before it is made anew, which takes them over. */
	if (rc >= 0 && repair) {
		rc = pins_mend(c->pins, c->store, n, told, &k, err);
		if (rc > 0)
			repaired = MAX(repaired, 0) + rc;
	}
	if (rc < 0)
		return rc;
	summary(&k, &counts, repaired);
	if (repair && counts.beyond && c->events)
		verb_say(c,
			 "chainfs fsck: %" PRIu64 " faults are mended by making %s anew, which "
			 "needs the store alone: unmount it and run this again\n",
			 counts.beyond, k.name);
	else if (anew) {
		repair_freep(&repair);
		rc = make_anew(c, k.name, err);
		if (rc < 0)
			return rc;
	}
	uint64_t faults = counts.faults[FSCK_DAMAGED] + counts.faults[FSCK_MISSING] +
			  counts.faults[FSCK_CONTRADICTION];
	return faults > 0;
}

/* Of a store that is mounted; else it was mended before it opened. */
static int mend_format(struct verb_call *c, struct err *err)
{
	struct call k = { .call = c, .name = "-" };
	int rc = verb_has(c, OPTION_REPAIR) ? store_format_mend(c->store, err) : 0;
	if (rc > 0)
		told(&k, "the file chainfs-store: written anew");
	return MIN(rc, 0);
}

int verb_fsck(struct verb_call *c)
{
	struct err err = ERR_INIT;
	char names[NETWORKS_MAX][NETWORK_NAME_MAX + 1];
	size_t count = 0;
	/* Names, because a network that is made anew is another one. */
	for (struct network *n; (n = store_network_at(c->store, count)); count++)
		snprintf(names[count], sizeof names[count], "%s", network_name(n));
	int rc = mend_format(c, &err);
	if (rc == 0)
		rc = check_damaged(c, &err);
	bool faults = rc > 0;
	if (rc == 0 && c->options[OPTION_NETWORK]) {
		struct network *n = NULL;
		rc = verb_network(c, &n, &err);
		if (rc == 0)
			rc = check_network(c, n, &err);
		faults |= rc > 0;
	} else if (rc >= 0 && !c->options[OPTION_NETWORK]) {
		for (size_t i = 0; rc >= 0 && i < count; i++) {
			rc = check_network(c, store_network_find(c->store, names[i]), &err);
			faults |= rc > 0;
		}
	}
	if (rc < 0)
		return verb_fail(c, rc, &err);
	return faults ? EXIT_FAULTS : EXIT_DONE;
}
