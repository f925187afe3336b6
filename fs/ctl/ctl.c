#include "fs/ctl/inside.h"

#include <stdio.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/trace.h"
#include "fs/connection/mountpoint.h"

#define THREADS     1u   /* no handler waits, but for a freeze; more come then */
#define END_WAIT_MS 500u /* for readers to take the end of the file and close */

static const struct fuse_lowlevel_ops ctl_ops = {
	.lookup = ctl_on_lookup,
	.getattr = ctl_on_getattr,
	.readdir = ctl_on_readdir,
	.open = ctl_on_open,
	.release = ctl_on_release,
	.read = ctl_on_read,
	.poll = ctl_on_poll,
	.readlink = ctl_on_readlink,
	.write = ctl_on_write,
	.setattr = ctl_on_setattr,
	.mkdir = ctl_on_mkdir,
	.rmdir = ctl_on_rmdir,
	.mknod = ctl_on_mknod,
	.create = ctl_on_create,
	.unlink = ctl_on_unlink,
	.symlink = ctl_on_symlink,
	.rename = ctl_on_rename,
	.link = ctl_on_link,
	.setxattr = ctl_on_setxattr,
	.getxattr = ctl_on_getxattr,
	.removexattr = ctl_on_removexattr,
};

/* ---- the contract ---- */

/* What a process before left: names that have numbers. An open that nobody was told of is none. */
static int go_on(struct ctl *c)
{
	for (size_t i = 0; i < KEEP_HANDLES; i++) {
		uint32_t taken = 2;

		atomic_compare_exchange_strong(&c->kept->handles[i].used, &taken, 0);
	}
	while (c->name_count < KEEP_PINS && c->kept->pins[c->name_count].network)
		c->name_count++;
	if (!c->name_count)
		return 0;
	c->names = calloc(c->name_count, sizeof *c->names);
	if (!c->names)
		return -ENOMEM;
	for (size_t i = 0; i < c->name_count; i++) {
		const struct keep_pin *k = &c->kept->pins[i];

		for (size_t n = 0; n < store_network_count(c->store); n++)
			if (network_index(store_network_at(c->store, n)) == k->network)
				c->names[i].network = store_network_at(c->store, n);
		snprintf(c->names[i].name, sizeof c->names->name, "%.*s", PIN_NAME_MAX, k->name);
		c->names[i].gone = k->gone || !c->names[i].network;
	}
	return 0;
}

int ctl_fd(const struct ctl *c)
{
	return fuse_session_fd(session_fuse(c->session));
}

void ctl_pause(struct ctl *c)
{
	c->paused = true;
	session_pause(c->session);
}

int ctl_open(struct store *s, struct events *e, struct orders *orders, const struct ctl_options *o,
	     struct ctl **out, struct err *err)
{
	AUTO(ctl_closep) struct ctl *c = calloc(1, sizeof *c);

	if (!c)
		return err_set(err, -ENOMEM, "no memory for ctl");
	c->store = s;
	c->events = e;
	c->orders = orders;
	c->follows = o->follows;
	c->tree_path = strdup(o->tree_path ? o->tree_path : "");
	if (!c->tree_path)
		return err_set(err, -ENOMEM, "no memory for ctl");
	c->uid = o->uid;
	c->gid = o->gid;
	c->folder_mode = 0555 & ~o->umask;
	c->file_mode = 0444 & ~o->umask;
	c->write_mode = 0200;
	c->time = clock_unix_s();
	pthread_mutex_init(&c->parked_lock, NULL);
	pthread_mutex_init(&c->names_lock, NULL);
	pthread_cond_init(&c->woken, NULL);
	c->kept = o->kept_ctl;
	int rc = go_on(c);

	if (rc < 0)
		return err_set(err, rc, "no memory for ctl");
	struct session_options so = {
		.mountpoint = o->mountpoint,
		.source = store_path(s),
		.subtype = MOUNT_SUBTYPE_CTL,
		.allow_other = o->allow_other,
		.read_only = !orders,
		.kept = o->kept,
	};
	rc = session_open(&ctl_ops, c, &so, &c->session, err);

	if (rc < 0)
		return rc;
	*out = TAKE(c);
	return 0;
}

static void on_ended(void *arg)
{
	trace_debug("fs", "ctl was unmounted", "");
}

int ctl_start(struct ctl *c, struct err *err)
{
	uint64_t polls[KEEP_HANDLES];
	size_t count = ctl_polls_of_before(c, polls);
	int rc = -pthread_create(&c->thread, NULL, ctl_answer_parked, c);

	if (rc < 0)
		return err_set(err, rc, "no thread for ctl: %s", strerror(-rc));
	c->started = true;
	rc = session_start(c->session, THREADS, on_ended, c, err);
	if (rc == 0)
		ctl_wake_polls(c, polls, count);
	return rc;
}

void ctl_closep(struct ctl **at)
{
	struct ctl *c = TAKE(*at);

	if (!c)
		return;
	pthread_mutex_lock(&c->parked_lock);
	c->ending = true;
	pthread_cond_signal(&c->woken);
	pthread_mutex_unlock(&c->parked_lock);
	if (c->started) {
		pthread_join(c->thread, NULL);
		if (!c->paused)
			session_end(c->session, END_WAIT_MS);
	}
	session_closep(&c->session);
	for (size_t i = 0; i < KEEP_HANDLES; i++) { /* of readers that never closed */
		struct handle *h = atomic_load(&c->open[i]);

		if (h && h->poll)
			fuse_pollhandle_destroy(h->poll);
		if (h)
			ctl_handle_free(h);
	}
	pthread_cond_destroy(&c->woken);
	pthread_mutex_destroy(&c->parked_lock);
	pthread_mutex_destroy(&c->names_lock);
	free(c->names);
	free(c->tree_path);
	free(c);
}
