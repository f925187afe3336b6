/* chainfs pin, unpin and checkpoints: in the daemon that holds the store, or on the store
 * itself. */
#include <unistd.h>

#include "core/base/clock.h"
#include "core/checkpoint/pins.h"
#include "core/control/verb.h"

#define POLL_US         20000u
#define PROGRESS_TTY_MS 200u
#define PROGRESS_MS     5000u
#define REPORT_SIZE_MAX (64u << 20)

/* The daemon's pins, or those of the store, which are closed again. */
struct lent {
	struct pins *pins, *own;
};

static void lent_release(struct lent *l)
{
	pins_closep(&l->own);
}

static int lend(struct verb_call *c, bool builds, struct lent *l, struct err *err)
{
	struct retention none = { 0 };

	if (c->pins) {
		l->pins = c->pins;
		return 0;
	}
	int rc = pins_open(c->store, c->events, builds ? &none : NULL, &l->own, err);

	l->pins = l->own;
	return rc;
}

/* ---- pin ---- */

static void progress(struct verb_call *c, const struct pin *pin, uint64_t *shown_ms)
{
	uint64_t now = clock_mono_ms();

	if (verb_has(c, OPTION_QUIET) || pin->state != PIN_BUILDING ||
	    now - *shown_ms < (c->io->terminal ? PROGRESS_TTY_MS : PROGRESS_MS))
		return;
	*shown_ms = now;
	verb_say(c, "%s%s: %" PRIu64 " of %" PRIu64 " records%s", c->io->terminal ? "\r\033[K" : "",
		 pin->checkpoint, pin->records, pin->records_total, c->io->terminal ? "" : "\n");
}

/* Until it is built, or cannot be. */
static int await(struct verb_call *c, struct pins *pins, struct network *n, const char *name,
		 struct err *err)
{
	uint64_t shown_ms = clock_mono_ms();
	struct pin pin;

	for (;;) {
		if (pins_get(pins, n, name, &pin) != 1)
			return err_set(err, -ENOENT, "the pin %s was removed", name);
		progress(c, &pin, &shown_ms);
		if (pin.state == PIN_COMPLETE || pin.state == PIN_FAILED)
			break;
		if (verb_stopped(c))
			return err_set(err, -EINTR,
				       "interrupted; the pin is kept, and built with the next "
				       "mount or pin");
		usleep(POLL_US);
	}
	if (c->io->terminal && !verb_has(c, OPTION_QUIET))
		verb_say(c, "\r\033[K");
	if (pin.state == PIN_FAILED)
		return err_set(err, -EIO, "%s", pin.failure);
	verb_print(c, "%s\n", pin.checkpoint);
	return 0;
}

int verb_pin(struct verb_call *c)
{
	AUTO(lent_release) struct lent l = { NULL, NULL };
	const char *text = c->options[OPTION_HEIGHT], *name = c->words[1];
	struct err err = ERR_INIT;
	uint64_t height = UINT64_MAX;
	struct network *n;
	struct pin pin;
	int rc = verb_network(c, &n, &err);

	if (rc == 0)
		rc = store_writable(c->store, &err);
	if (rc == 0 && text &&
	    (dec_get(text, strlen(text), UINT64_MAX - 1, &height) < 0 || !height))
		rc = err_set(&err, -EINVAL, "--height %s is no height", text);
	if (rc == 0)
		rc = lend(c, true, &l, &err);
	if (rc == 0)
		rc = pins_add(l.pins, n, name, height, &err);
	if (rc == 0 && !l.own && pins_get(l.pins, n, name, &pin) == 1)
		verb_print(c, "%s\n", pin.checkpoint);
	if (rc == 0 && l.own)
		rc = await(c, l.pins, n, name, &err);
	return rc < 0 ? verb_fail(c, rc, &err) : EXIT_DONE;
}

int verb_unpin(struct verb_call *c)
{
	AUTO(lent_release) struct lent l = { NULL, NULL };
	struct err err = ERR_INIT;
	struct network *n;
	int rc = verb_network(c, &n, &err);

	if (rc == 0)
		rc = lend(c, false, &l, &err);
	if (rc == 0)
		rc = pins_remove(l.pins, n, c->words[1], &err);
	return rc < 0 ? verb_fail(c, rc, &err) : EXIT_DONE;
}

/* ---- checkpoints ---- */

static void pin_json(struct json *j, const struct pin *p)
{
	json_object(j, NULL);
	json_str(j, "checkpoint", p->checkpoint);
	json_str(j, "failure", p->failure);
	json_u64(j, "height", p->height);
	json_str(j, "name", p->name);
	json_u64(j, "records", p->records);
	json_u64(j, "records_total", p->records_total);
	json_str(j, "state", pin_state_names[p->state]);
	json_end(j);
}

static void checkpoint_json(struct json *j, const struct checkpoint_entry *e)
{
	json_object(j, NULL);
	json_bool(j, "complete", e->complete);
	json_u64(j, "height", e->height);
	json_str(j, "name", e->name);
	json_u64(j, "records", e->records);
	json_end(j);
}

static void network_json(struct pins *pins, struct network *n, struct json *j)
{
	struct checkpoint_entry e = { .height = 0 };
	struct pin pin = { .name = "" };

	json_object(j, NULL);
	json_array(j, "checkpoints");
	while (checkpoints_next(pins, n, e.height, &e) == 1)
		checkpoint_json(j, &e);
	json_end(j);
	json_str(j, "network", network_name(n));
	json_array(j, "pins");
	while (pins_next(pins, n, pin.name, &pin) == 1)
		pin_json(j, &pin);
	json_end(j);
	json_end(j);
}

static bool is_named(struct pins *pins, struct network *n, uint64_t height)
{
	struct pin pin = { .name = "" };

	while (pins_next(pins, n, pin.name, &pin) == 1)
		if (pin.height == height)
			return true;
	return false;
}

static void network_text(struct pins *pins, struct network *n, struct buf *out)
{
	struct checkpoint_entry e = { .height = 0 };
	struct pin p = { .name = "" };

	while (pins_next(pins, n, p.name, &p) == 1) {
		buf_fmt(out, "%s\t%s\t%010" PRIu64 "\t%s\t%s", network_name(n), p.name, p.height,
			pin_state_names[p.state], p.state == PIN_FAILED ? p.failure : p.checkpoint);
		if (p.state == PIN_BUILDING)
			buf_fmt(out, "\t%" PRIu64 " of %" PRIu64, p.records, p.records_total);
		buf_u8(out, '\n');
	}
	while (checkpoints_next(pins, n, e.height, &e) == 1)
		if (!is_named(pins, n, e.height))
			buf_fmt(out, "%s\t-\t%010" PRIu64 "\t%s\t%s\n", network_name(n), e.height,
				e.complete ? "complete" : "building", e.name);
}

int verb_checkpoints(struct verb_call *c)
{
	AUTO(buf_release) struct buf out = BUF_INIT(REPORT_SIZE_MAX);
	AUTO(lent_release) struct lent l = { NULL, NULL };
	struct json j = json_of(&out, JSON_PRETTY);
	struct network *only = NULL;
	struct err err = ERR_INIT;
	bool json = verb_has(c, OPTION_JSON);
	int rc = verb_has(c, OPTION_NETWORK) ? verb_network(c, &only, &err) : 0;

	if (rc == 0)
		rc = lend(c, false, &l, &err);
	if (rc < 0)
		return verb_fail(c, rc, &err);
	if (json)
		json_array(&j, NULL);
	for (size_t i = 0; i < store_network_count(c->store); i++) {
		struct network *n = store_network_at(c->store, i);

		if (only && n != only)
			continue;
		if (json)
			network_json(l.pins, n, &j);
		else
			network_text(l.pins, n, &out);
	}
	if (json)
		json_end(&j);
	rc = json ? json_done(&j) : buf_done(&out);
	if (rc < 0)
		return verb_fail(c, rc, NULL);
	verb_write(c, buf_slice(&out));
	return EXIT_DONE;
}
