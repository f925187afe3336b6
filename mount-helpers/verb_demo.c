/* chainfs demo and forge: chains that we make ourselves. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/chain/snapchain/forge/forge.h"
#include "mount-helpers/verbs.h"

#define PATH_SIZE      4096
#define DEMO_FOLDER    "chainfs-demo"
#define DEMO_NETWORK   "demo"

static int show_progress(void *arg, uint64_t done, uint64_t all)
{
	struct verb_call *c = arg;
	if (c->io->terminal && !verb_has(c, OPTION_QUIET) && (done % 64 == 0 || done == all))
		verb_say(c, "\r\033[Kmaking a chain: %" PRIu64 " of %" PRIu64 " steps%s", done, all,
			 done == all ? "\n" : "");
	return verb_stopped(c) && done < all ? -EINTR : 0;
}


static int parse_count(struct verb_call *c, enum option_id id, uint64_t max, uint64_t *out,
		       struct err *err)
{
	const char *text = c->options[id];
	if (!text || dec_get(text, strlen(text), max, out) == 0)
		return 0;
	return err_set(err, -EINVAL, "--%s %s: it is a number up to %" PRIu64, option_rows[id].name,
		       text, max);
}

static int forge_options_of(struct verb_call *c, struct forge_options *o, struct err *err)
{
	uint64_t accounts = 0;
	int rc = parse_count(c, OPTION_SEED, UINT64_MAX, &o->seed, err);
	if (rc == 0)
		rc = parse_count(c, OPTION_BLOCKS, 100000000, &o->blocks, err);
	if (rc == 0)
		rc = parse_count(c, OPTION_MESSAGES, 100000000, &o->messages, err);
	if (rc == 0)
		rc = parse_count(c, OPTION_ACCOUNTS, 10000000, &accounts, err);
	o->accounts = (uint32_t)accounts;
	return rc;
}

int verb_forge(struct verb_call *c)
{
	struct err err = ERR_INIT;
	struct forge_options o = {
		.kind = verb_has(c, OPTION_BARE) ? FORGE_BARE : FORGE_CROWD,
	};
	int rc = forge_options_of(c, &o, &err);
	if (rc == 0)
		rc = forge_chain(&o, c->words[0], show_progress, c, &err);
	if (rc == -EINTR)
		err_set(&err, rc, "interrupted; %s has no network.json and is not complete",
			c->words[0]);
	return rc < 0 ? verb_fail(c, rc, &err) : EXIT_DONE;
}

/* What a run that did not come to its end left there. */
static void clear_part(const char *part)
{
	static const char *const names[] = { "blocks-0.pbs", "chunks-1.pbs", "chunks-2.pbs",
					     "network.json" };
	char path[PATH_SIZE + 32];
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof path, "%s/%s", part, names[i]);
		unlink(path);
	}
}

/* FOLDER/archive, unless a run before made it whole. It has another name until it is. */
static int make_archive(struct verb_call *c, const char *archive, struct err *err)
{
	char config[PATH_SIZE + 16], part[PATH_SIZE + 16];
	struct forge_options o = { .kind = FORGE_STORY, .name = DEMO_NETWORK };
	snprintf(part, sizeof part, "%s.part", archive);
	snprintf(config, sizeof config, "%s/network.json", archive);
	if (access(config, F_OK) == 0)
		return 0;
	int rc = forge_options_of(c, &o, err);
	if (rc < 0)
		return rc;
	clear_part(part);
	rc = forge_chain(&o, part, show_progress, c, err);
	if (rc == -EINTR)
		return err_set(err, rc, "interrupted; the same command begins anew");
	if (rc == 0 && rename(part, archive) < 0)
		return err_set(err, -errno, "%s: %s", archive, strerror(errno));
	return rc;
}

static int import_archive(struct verb_call *c, const char *store, const char *archive)
{
	struct err err = ERR_INIT;
	struct verb_call import = *c;
	import.word_count = 2;
	import.words[0] = store;
	import.words[1] = archive;
	/* It shows what hyper is for, unless somebody chose. */
	if (!import.options[OPTION_HYPER] &&
	    strcmp(settings_origin(c->settings, SETTING_HYPER_ENABLED), "default") == 0)
		import.options[OPTION_HYPER] = "on";
	struct store_options o = {
		.create = true,
		.holder = "demo",
		.cache_size = settings_number(c->settings, SETTING_LIMITS_CACHE),
	};
	int rc = store_open(store, &o, &import.store, &err);
	if (rc < 0)
		return verb_fail(c, rc, &err);
	int code = verb_import(&import);
	store_closep(&import.store);
	return code;
}

/* Imports in a process of its own: the storage library keeps its threads for good, and a daemon
 * that is forked from a process with threads has none of them and waits for ever for their work. */
static int import_apart(struct verb_call *c, const char *store, const char *archive)
{
	int ends[2], status; /* the child's end closes with it */
	if (pipe2(ends, O_CLOEXEC) < 0)
		return verb_fail(c, -errno, NULL);
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[0]);
		_exit(verbs_tell(import_archive(c, store, archive)));
	}
	int rc = pid < 0 ? -errno : 0;
	close(ends[1]);
	if (rc == 0 && !verbs_wait(ends[0]))
		kill(pid, SIGTERM);
	close(ends[0]);
	while (rc == 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			rc = -errno;
	if (rc < 0)
		return verb_fail(c, rc, NULL);
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_SYSTEM;
}

static int make_folder(const char *path, struct err *err)
{
	if (mkdir(path, 0755) == 0 || errno == EEXIST)
		return 0;
	return err_set(err, -errno, "%s: %s", path, strerror(errno));
}

static void say_what_to_try(struct verb_call *c, const char *mnt)
{
	verb_print(c, "mounted at %s; five lines to try:\n\n", mnt);
	verb_print(c, "  cat %s/README %s/" DEMO_NETWORK "/status\n", mnt, mnt);
	verb_print(c, "  ls %s/" DEMO_NETWORK "/legacy/state/shards/1/accounts/*/\n", mnt);
	verb_print(c, "  head -n 3 %s/" DEMO_NETWORK "/legacy/blocks/*/items.jsonl\n", mnt);
	verb_print(c, "  cat %s/" DEMO_NETWORK "/diffs/latest/report\n", mnt);
	verb_print(c,
		   "  diff -r %s/" DEMO_NETWORK "/legacy/at/200 %s/" DEMO_NETWORK
		   "/hyper/at/200\n\n",
		   mnt, mnt);
	verb_print(c, "umount %s ends it.\n", mnt);
}

static const char *folder_of(const struct verb_call *c)
{
	return c->word_count ? c->words[0] : DEMO_FOLDER;
}

void demo_store(const struct verb_call *c, char *out, size_t size)
{
	snprintf(out, size, "%s/store", folder_of(c));
}

int verb_demo(struct verb_call *c)
{
	struct err err = ERR_INIT;
	const char *folder = folder_of(c);
	char archive[PATH_SIZE], store[PATH_SIZE], mountpoint[PATH_SIZE];
	if (strlen(folder) > PATH_SIZE - 32) {
		err_set(&err, -ENAMETOOLONG, "the path of the folder is too long");
		return verb_fail(c, -ENAMETOOLONG, &err);
	}
	snprintf(archive, sizeof archive, "%s/archive", folder);
	demo_store(c, store, sizeof store);
	snprintf(mountpoint, sizeof mountpoint, "%s/mnt", folder);

	int rc = make_folder(folder, &err);
	if (rc == 0)
		rc = make_archive(c, archive, &err);
	if (rc < 0)
		return verb_fail(c, rc, &err);
	int code = import_apart(c, store, archive);
	if (code != EXIT_DONE || verb_has(c, OPTION_NO_MOUNT))
		return code;
	if (verb_stopped(c)) { /* the import was done by then */
		err_set(&err, -EINTR, "interrupted, nothing is mounted");
		return verb_fail(c, -EINTR, &err);
	}
	/* EEXIST also where a daemon that died left a stale mount point behind; mounting clears
	 * it. */
	rc = make_folder(mountpoint, &err);
	if (rc < 0 && rc != -ENOTCONN)
		return verb_fail(c, rc, &err);
	bool foreground = verb_has(c, OPTION_FOREGROUND);
	if (foreground)
		say_what_to_try(c, mountpoint);
	code = mount_serve(c, store, mountpoint, foreground);
	if (code == EXIT_DONE && !foreground)
		say_what_to_try(c, mountpoint);
	return code;
}
