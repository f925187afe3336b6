/* chainfs doctor: looks for what would get in the way, a line a check, and says what to do. */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "fs/mount/features.h"
#include "fs/connection/mountpoint.h"
#include "fs/mount/rundir.h"
#include "mount-helpers/verbs.h"

#define REPORT_SIZE_MAX (1u << 20)
#define FILES_WANTED    1024u
#define MEMORY_WANTED   (512ull << 20)
#define YEAR_2025       1735689600u /* unix s: no clock that is right says less */

enum found { FOUND_OK, FOUND_NOTE, FOUND_FAULT };
static const char *const found_words[] = { "ok", "note", "fault" };

struct doctor {
	struct verb_call *call;
	struct settings *settings; /* NULL: they could not be loaded */
	struct buf out;
	struct json json;
	unsigned counts[ARRAY_LEN(found_words)];
	unsigned mounts;
};

static void doctor_release(struct doctor *d)
{
	settings_freep(&d->settings);
	buf_release(&d->out);
}

/* `advice`: what to do, NULL: nothing. */
static void find(struct doctor *d, enum found v, const char *check, const char *advice,
		 const char *format, ...) PRINTF_LIKE(5, 6);
static void find(struct doctor *d, enum found v, const char *check, const char *advice,
		 const char *format, ...)
{
	char sentence[PATH_MAX + 256];
	va_list ap;
	va_start(ap, format);
	vsnprintf(sentence, sizeof sentence, format, ap);
	va_end(ap);
	d->counts[v]++;
	if (!verb_has(d->call, OPTION_JSON)) {
		buf_fmt(&d->out, "%s\t%s\t%s%s%s\n", found_words[v], check, sentence,
			advice ? "\t" : "", advice ? advice : "");
		return;
	}
	json_object(&d->json, NULL);
	json_str(&d->json, "advice", advice ? advice : "");
	json_str(&d->json, "check", check);
	json_str(&d->json, "found", sentence);
	json_str(&d->json, "verdict", found_words[v]);
	json_end(&d->json);
}

/* ---- the machine ---- */

static void look_at_fuse(struct doctor *d)
{
	struct fs_features f;
	struct utsname u = { 0 };
	fs_features_look(&f);
	uname(&u);
	if (f.device < 0)
		find(d, FOUND_FAULT, "fuse",
		     f.device == -EACCES ? "ask for the right to open /dev/fuse"
					 : "load the kernel's module: modprobe fuse",
		     "/dev/fuse: %s", strerror(-f.device));
	if (geteuid() != 0 && !f.helper)
		find(d, FOUND_FAULT, "fusermount3", "install the package fuse3",
		     "it is not there, and only root mounts without it");
	else
		find(d, FOUND_OK, "fusermount3", NULL, "%s",
		     f.helper ? "it is there" : "it is not there; root needs none");
	if (f.trial < 0)
		find(d, FOUND_FAULT, "mount", "chainfs works without: import, status, export",
		     "a trial mount failed: %s", err_text(&f.why, f.trial));
	else
		find(d, FOUND_OK, "mount", NULL,
		     "a trial mount came: kernel %s, FUSE protocol %u.%u, passthrough %s",
		     u.release, f.major, f.minor, f.passthrough ? "offered" : "not offered");
	find(d, FOUND_OK, "uring", NULL, "-o transport=uring %s%s",
	     f.rings < 0 ? "cannot be had: " : "can be had",
	     f.rings < 0 ? err_text(&f.rings_why, f.rings) : "");
	if (f.trial == 0)
		find(d, FOUND_OK, "plain", NULL, "files below plain are read by %s",
		     !f.passthrough ? "the daemon: Linux 6.9 and newer can pass them through"
		     : !f.may_pass
			     ? "the daemon: the kernel passes through root's alone"
			     : "the kernel, where the store lies on a disk's own file system");
	if (f.allow_other)
		find(d, FOUND_OK, "allow_other", NULL, "-o allow_other may be used");
	else
		find(d, FOUND_NOTE, "allow_other",
		     "for others to read a mount: the line user_allow_other in /etc/fuse.conf",
		     "only root may let others read a mount");
}

static uint64_t memory_available(void)
{
	char line[128];
	uint64_t kib = 0;
	FILE *f = fopen("/proc/meminfo", "re");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib << 10;
}

static void look_at_limits(struct doctor *d)
{
	struct rlimit files = { 0 }, memory = { 0 };
	getrlimit(RLIMIT_NOFILE, &files);
	getrlimit(RLIMIT_AS, &memory);
	if (files.rlim_cur < FILES_WANTED)
		find(d, FOUND_NOTE, "descriptors", "ulimit -n 4096, or LimitNOFILE= of the unit",
		     "%" PRIu64 " open files are allowed; a large store wants %u",
		     (uint64_t)files.rlim_cur, FILES_WANTED);
	else
		find(d, FOUND_OK, "descriptors", NULL, "%" PRIu64 " open files are allowed",
		     (uint64_t)files.rlim_cur);
	uint64_t cache = settings_number(d->settings, SETTING_LIMITS_CACHE) +
			 settings_number(d->settings, SETTING_MOUNT_RENDER_CACHE);
	uint64_t free_bytes = memory_available();
	if (memory.rlim_cur != RLIM_INFINITY && memory.rlim_cur < MEMORY_WANTED)
		find(d, FOUND_FAULT, "memory", "ulimit -v unlimited",
		     "%" PRIu64 " bytes of address space are allowed; a daemon needs %llu",
		     (uint64_t)memory.rlim_cur, MEMORY_WANTED);
	else if (free_bytes && cache > free_bytes)
		find(d, FOUND_NOTE, "memory", "less limits.cache or mount.render_cache",
		     "the caches may take %" PRIu64 " bytes, and %" PRIu64 " are free", cache,
		     free_bytes);
	else
		find(d, FOUND_OK, "memory", NULL,
		     "%" PRIu64 " bytes are free; the caches take up to %" PRIu64, free_bytes,
		     cache);
}

static void look_at_clock(struct doctor *d)
{
	struct timex t = { 0 };
	char text[TIME_TEXT_SIZE];
	uint64_t now = clock_unix_s();
	int state = adjtimex(&t);
	time_text(now, text);
	if (now < YEAR_2025)
		find(d, FOUND_FAULT, "clock", "set it", "it says %s", text);
	else if (state < 0 || (t.status & STA_UNSYNC))
		find(d, FOUND_NOTE, "clock", "keep it right: an NTP service",
		     "it says %s, and nothing keeps it right", text);
	else
		find(d, FOUND_OK, "clock", NULL, "it says %s and is kept right", text);
}

/* ---- settings ---- */

static bool is_setting(const char *variable, size_t size)
{
	if (size == strlen("CHAINFS_SETTINGS") && memcmp(variable, "CHAINFS_SETTINGS", size) == 0)
		return true;
	for (enum setting_id id = 0; id < SETTING_COUNT; id++) {
		char name[96];
		setting_variable(id, name, sizeof name);
		if (strlen(name) == size && memcmp(variable, name, size) == 0)
			return true;
	}
	return false;
}

static void look_at_settings(struct doctor *d, const char *store)
{
	struct verb_call *c = d->call;
	struct err err = ERR_INIT;
	struct settings_sources from = {
		.file = c->options[OPTION_SETTINGS],
		.sets = c->sets,
		.environment = environ,
		.store = store,
	};
	int rc = settings_load(&from, &d->settings, &err);
	if (rc < 0)
		find(d, FOUND_FAULT, "settings", "mend it: chainfs config show lists what there is",
		     "%s", err_text(&err, rc));
	else
		find(d, FOUND_OK, "settings", NULL, "%s%s",
		     *settings_file(d->settings) ? "read from " : "no file",
		     settings_file(d->settings));
	for (char *const *e = environ; *e; e++)
		if (strncmp(*e, "CHAINFS_", 8) == 0 && !is_setting(*e, strcspn(*e, "=")))
			find(d, FOUND_NOTE, "settings", "chainfs config show lists them",
			     "%.*s in the environment is no setting", (int)strcspn(*e, "="), *e);
}

/* ---- what is mounted ---- */

static void look_at_mount(void *arg, const char *path, const struct mount_info *m)
{
	struct doctor *d = arg;
	char advice[PATH_MAX + 32];
	if (strcmp(m->type, "fuse." MOUNT_SUBTYPE) != 0)
		return; /* where ctl is mounted is looked at as a run-time folder */
	d->mounts++;
	enum mount_answer answer = mountpoint_answer(path);
	if (answer == MOUNT_SILENT)
		find(d, FOUND_FAULT, "mounts", "look at its daemon: it is stopped, or hangs",
		     "%s: the daemon of %s does not answer", path, m->source);
	if (answer != MOUNT_STALE)
		return;
	snprintf(advice, sizeof advice, "chainfs umount %s", path);
	find(d, FOUND_FAULT, "mounts", advice, "%s: the daemon of %s is gone", path, m->source);
}

static void look_at_leftover(void *arg, const char *path)
{
	find(arg, FOUND_NOTE, "run-time", "the next mount removes it",
	     "%s was left by a daemon that is gone", path);
}

static void look_at_mounts(struct doctor *d)
{
	struct err err = ERR_INIT;
	unsigned faults = d->counts[FOUND_FAULT], notes = d->counts[FOUND_NOTE];
	int rc = mountpoint_each(look_at_mount, d, &err);
	if (rc < 0)
		find(d, FOUND_FAULT, "mounts", "mount /proc", "%s", err_text(&err, rc));
	if (d->counts[FOUND_FAULT] == faults)
		find(d, FOUND_OK, "mounts", NULL, "%u of chainfs, all answered for", d->mounts);
	rundir_each_dead(look_at_leftover, d);
	if (d->counts[FOUND_NOTE] == notes)
		find(d, FOUND_OK, "run-time", NULL, "no daemon that died left a folder");
}

/* ---- the store and where it will be seen ---- */

static void look_at_space(struct doctor *d, const char *store)
{
	struct statvfs fs;
	struct stat st;
	char reserve[PATH_MAX];
	if (statvfs(store, &fs) < 0) {
		find(d, FOUND_FAULT, "space", NULL, "%s: %s", store, strerror(errno));
		return;
	}
	uint64_t left = (uint64_t)fs.f_bavail * fs.f_frsize;
	bool kept =
		(size_t)snprintf(reserve, sizeof reserve, "%s/reserve", store) < sizeof reserve &&
		stat(reserve, &st) == 0 && (uint64_t)st.st_blocks * 512 >= STORE_RESERVE_SIZE;
	if (left < 2ull * STORE_RESERVE_SIZE)
		find(d, FOUND_FAULT, "space", "make room: nothing can be imported",
		     "%" PRIu64 " bytes are free, %u have to be", left, 2 * STORE_RESERVE_SIZE);
	else
		find(d, FOUND_OK, "space", NULL, "%" PRIu64 " bytes are free", left);
	if (kept)
		find(d, FOUND_OK, "reserve", NULL, "%u bytes are kept for a clean stop",
		     STORE_RESERVE_SIZE);
	else
		find(d, FOUND_NOTE, "reserve", "the next verb that opens the store makes it",
		     "no space is kept for a clean stop");
}

static void look_at_store(struct doctor *d, const char *store)
{
	struct err err = ERR_INIT;
	char holder[256];
	uint64_t format = 0;
	int rc = store_format(store, &format, &err);
	if (rc < 0)
		find(d, FOUND_FAULT, "store", NULL, "%s", err_text(&err, rc));
	else if (rc == 0 && access(store, F_OK) < 0)
		find(d, FOUND_FAULT, "store", "chainfs import makes one", "%s: %s", store,
		     strerror(errno));
	else if (rc == 0)
		find(d, FOUND_FAULT, "store", "chainfs import makes one",
		     "%s is not a store: it names no format", store);
	else if (format < STORE_FORMAT_OLDEST || format > STORE_FORMAT)
		find(d, FOUND_FAULT, "store", "chainfs migrate says more",
		     "%s has format %" PRIu64 "; this program reads formats %d to %d", store,
		     format, STORE_FORMAT_OLDEST, STORE_FORMAT);
	else if (access(store, R_OK | W_OK | X_OK) < 0)
		find(d, FOUND_FAULT, "store", "run as its owner", "%s: %s", store, strerror(errno));
	else
		find(d, FOUND_OK, "store", NULL, "%s has format %" PRIu64, store, format);
	if (rc <= 0)
		return;
	if (store_holder(store, holder, sizeof holder) == 0)
		find(d, FOUND_OK, "holder", NULL, "held by: %s", holder);
	else
		find(d, FOUND_OK, "holder", NULL, "nobody holds it");
	look_at_space(d, store);
}

static void look_at_mountpoint(struct doctor *d, const char *path)
{
	struct mount_info m;
	struct err err = ERR_INIT;
	char full[PATH_MAX];
	int rc = mountpoint_full(path, full, &err);
	if (rc == 0)
		rc = mountpoint_find(full, &m, &err);
	if (rc < 0)
		find(d, FOUND_FAULT, "mountpoint", rc == -ENOENT ? "mkdir makes it" : NULL, "%s",
		     err_text(&err, rc));
	else if (rc == 1 && mountpoint_is_stale(full))
		find(d, FOUND_NOTE, "mountpoint", "chainfs mount clears it",
		     "%s: a dead mount covers it", full);
	else if (rc == 1 && mountpoint_is_ours(&m))
		find(d, FOUND_OK, "mountpoint", NULL, "%s: %s is mounted there", full, m.source);
	else if ((rc = mountpoint_prepare(full, &err)) < 0)
		find(d, FOUND_FAULT, "mountpoint", "take an empty folder of your own", "%s",
		     err_text(&err, rc));
	else
		find(d, FOUND_OK, "mountpoint", NULL, "%s can be mounted on", full);
}

int verb_doctor(struct verb_call *c)
{
	AUTO(doctor_release)
	struct doctor d = { .call = c, .out = BUF_INIT(REPORT_SIZE_MAX) };
	const char *store = c->word_count > 0 ? c->words[0] : NULL;
	d.json = json_of(&d.out, JSON_PRETTY);
	bool json = verb_has(c, OPTION_JSON);
	if (json) {
		json_object(&d.json, NULL);
		json_array(&d.json, "checks");
	}
	look_at_settings(&d, store);
	look_at_fuse(&d);
	look_at_limits(&d);
	look_at_clock(&d);
	look_at_mounts(&d);
	if (store)
		look_at_store(&d, store);
	if (c->word_count > 1)
		look_at_mountpoint(&d, c->words[1]);
	if (json) {
		json_end(&d.json);
		json_u64(&d.json, "faults", d.counts[FOUND_FAULT]);
		json_u64(&d.json, "notes", d.counts[FOUND_NOTE]);
		json_end(&d.json);
	}
	int rc = buf_done(&d.out);
	if (rc < 0)
		return verb_fail(c, rc, NULL);
	verb_write(c, buf_slice(&d.out));
	return d.counts[FOUND_FAULT] ? EXIT_FAULTS : EXIT_DONE;
}
