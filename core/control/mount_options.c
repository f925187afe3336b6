#include "core/control/mount_options.h"

#include <stdio.h>

#define ID_MAX    (UINT32_MAX - 1) /* the last one means "nobody said" to the kernel */
#define UMASK_MAX 0777u

enum taken {
	TAKEN_RO,
	TAKEN_ALLOW_OTHER,
	TAKEN_UID,
	TAKEN_GID,
	TAKEN_UMASK,
	TAKEN_THREADS,
	TAKEN_TRANSPORT,
	TAKEN_FETCH,
	TAKEN_SETTINGS,
	TAKEN_HYPER,
	TAKEN_NETWORK,
	TAKEN_CONFIG,
	TAKEN_STORE,
	TAKEN_SOURCE,
	TAKEN_COUNT
};

/* The first rows are those of the enum. */
const struct mount_option_row mount_option_rows[] = {
	[TAKEN_RO] = { "ro", NULL, MOUNT_OPTION_TAKEN, "read-only, as every mount of chainfs is" },
	[TAKEN_ALLOW_OTHER] = { "allow_other", NULL, MOUNT_OPTION_TAKEN,
				"other users may look, too, as far as the modes allow" },
	[TAKEN_UID] = { "uid", "N", MOUNT_OPTION_TAKEN,
			"owner of everything (default: who mounts)" },
	[TAKEN_GID] = { "gid", "N", MOUNT_OPTION_TAKEN, "group of everything" },
	[TAKEN_UMASK] = { "umask", "N", MOUNT_OPTION_TAKEN,
			  "taken from the modes 0444 and 0555; octal" },
	[TAKEN_THREADS] = { "threads", "N", MOUNT_OPTION_TAKEN,
			    "threads that answer the kernel; 0: as many as pay" },
	[TAKEN_TRANSPORT] = { "transport", "NAME", MOUNT_OPTION_TAKEN,
			      "how requests come: classic, uring (fast), or auto" },
	[TAKEN_FETCH] = { "fetch", "[=SECONDS]", MOUNT_OPTION_TAKEN,
			  "a look at a missing block waits for it, at most so long (default 5)" },
	[TAKEN_SETTINGS] = { "settings", "FILE", MOUNT_OPTION_TAKEN,
			     "read settings from this file and no other" },
	[TAKEN_HYPER] = { "hyper", "on|off", MOUNT_OPTION_TAKEN,
			  "keep what legacy prunes; written to the store" },
	[TAKEN_NETWORK] = { "network", "NAME", MOUNT_OPTION_TAKEN,
			    "the network that is followed; of a new store: a preset" },
	[TAKEN_CONFIG] = { "config", "FILE", MOUNT_OPTION_TAKEN,
			   "of a new store: parameters of that network" },
	[TAKEN_STORE] = { "store", "DIR", MOUNT_OPTION_TAKEN,
			  "where what is followed is kept, when a source is mounted" },
	[TAKEN_SOURCE] = { "source", "URL", MOUNT_OPTION_TAKEN,
			   "follow this node, too: grpc://HOST:PORT; several by blanks, or again" },
	/* mount(8) adds rw whenever nobody said ro. */
	{ "rw", NULL, MOUNT_OPTION_IGNORED, "the mount is read-only all the same" },
	{ "defaults", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "auto", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "noauto", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "nofail", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "_netdev", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "_rnetdev", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "user", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "nouser", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "users", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "nousers", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "owner", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "noowner", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "group", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "nogroup", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "comment", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "uhelper", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "x-*", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "X-*", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "nosuid", NULL, MOUNT_OPTION_IGNORED, "always so" },
	{ "suid", NULL, MOUNT_OPTION_IGNORED, "it stays nosuid" },
	{ "nodev", NULL, MOUNT_OPTION_IGNORED, "always so" },
	{ "dev", NULL, MOUNT_OPTION_IGNORED, "it stays nodev" },
	{ "noexec", NULL, MOUNT_OPTION_IGNORED, "always so" },
	{ "exec", NULL, MOUNT_OPTION_IGNORED, "it stays noexec" },
	{ "default_permissions", NULL, MOUNT_OPTION_IGNORED, "always so" },
	/* Times are those of blocks and records; reading moves none. */
	{ "atime", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "noatime", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "diratime", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "nodiratime", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "relatime", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "norelatime", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "strictatime", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "nostrictatime", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "lazytime", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "nolazytime", NULL, MOUNT_OPTION_IGNORED, NULL },
	/* Nothing is written, so nothing is written late. */
	{ "sync", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "async", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "dirsync", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "iversion", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "noiversion", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "mand", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "nomand", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "silent", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "loud", NULL, MOUNT_OPTION_IGNORED, NULL },
	{ "remount", NULL, MOUNT_OPTION_REFUSED,
	  "a mounted store takes no new options; unmount it and mount it again" },
	{ "auto_unmount", NULL, MOUNT_OPTION_REFUSED,
	  "a dead mount point is cleared by the next mount, nothing else takes it down" },
	{ "allow_root", NULL, MOUNT_OPTION_REFUSED, "allow_other with a umask is what there is" },
	{ "nonempty", NULL, MOUNT_OPTION_REFUSED, "only an empty folder is mounted on" },
};
const size_t mount_option_row_count = ARRAY_LEN(mount_option_rows);

static const struct mount_option_row *find_row(const char *name)
{
	for (size_t i = 0; i < mount_option_row_count; i++) {
		const char *row = mount_option_rows[i].name;
		size_t size = strlen(row);
		if (row[size - 1] == '*' ? strncmp(row, name, size - 1) == 0
					 : strcmp(row, name) == 0)
			return &mount_option_rows[i];
	}
	return NULL;
}

/* ---- values ---- */

static const char *const transports[] = { "classic", "uring", "auto" };

static int parse_transport(const char *value, const char **out, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(transports); i++)
		if (strcmp(value, transports[i]) == 0) {
			*out = transports[i];
			return 0;
		}
	return err_set(err, -EINVAL, "-o transport=%s: it is classic, uring or auto", value);
}

static int parse_number(const char *name, const char *value, uint32_t most, uint32_t *out,
			struct err *err)
{
	uint64_t v;
	if (dec_get(value, strlen(value), most, &v) < 0)
		return err_set(err, -EINVAL, "-o %s=%s: it is a number up to %" PRIu32, name, value,
			       most);
	*out = (uint32_t)v;
	return 0;
}

static int parse_umask(const char *value, uint32_t *out, struct err *err)
{
	char *end;
	unsigned long v = strtoul(value, &end, 8);
	if (*value < '0' || *value > '7' || *end || v > UMASK_MAX)
		return err_set(err, -EINVAL, "-o umask=%s: it is an octal number up to 0777",
			       value);
	*out = (uint32_t)v;
	return 0;
}

static int take_text(const char *value, char **out, struct err *err)
{
	char *copy = strdup(value);
	if (!copy)
		return err_set(err, -ENOMEM, "no memory for the mount options");
	free(*out);
	*out = copy;
	return 0;
}

/* Given again it is one more, behind a blank. */
static int add_word(const char *value, char **out, struct err *err)
{
	char *both = NULL;
	if (!*out)
		return take_text(value, out, err);
	if (asprintf(&both, "%s %s", *out, value) < 0)
		return err_set(err, -ENOMEM, "no memory for the mount options");
	free(*out);
	*out = both;
	return 0;
}

static int take(struct mount_options *o, int id, const char *value, struct err *err)
{
	uint32_t number = 0;
	int rc = 0;
	switch (id) {
	case TAKEN_ALLOW_OTHER:
		o->allow_other = true;
		break;
	case TAKEN_UID:
		return parse_number("uid", value, ID_MAX, &o->uid, err);
	case TAKEN_GID:
		return parse_number("gid", value, ID_MAX, &o->gid, err);
	case TAKEN_UMASK:
		return parse_umask(value, &o->umask, err);
	case TAKEN_THREADS:
		rc = parse_number("threads", value, MOUNT_THREADS_MAX, &number, err);
		if (rc == 0)
			o->threads = number;
		break;
	case TAKEN_TRANSPORT:
		return parse_transport(value, &o->transport, err);
	case TAKEN_FETCH:
		number = MOUNT_FETCH_S;
		if (value)
			rc = parse_number("fetch", value, MOUNT_FETCH_S_MAX, &number, err);
		if (rc == 0)
			o->fetch_ms = number * 1000;
		break;
	case TAKEN_SETTINGS:
		return take_text(value, &o->settings, err);
	case TAKEN_NETWORK:
		return take_text(value, &o->network, err);
	case TAKEN_CONFIG:
		return take_text(value, &o->config, err);
	case TAKEN_STORE:
		return take_text(value, &o->store, err);
	case TAKEN_SOURCE:
		return add_word(value, &o->source, err);
	case TAKEN_HYPER:
		if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
			return err_set(err, -EINVAL, "-o hyper=%s: it is on or off", value);
		o->hyper = value[1] == 'n' ? MOUNT_HYPER_ON : MOUNT_HYPER_OFF;
		break;
	default: /* ro */
		break;
	}
	return rc;
}

/* ---- the list ---- */

/* Cuts the first option off *rest and takes quotes and backslashes away; NULL: no more. */
static char *next_option(char **rest)
{
	char *start = *rest, *to = start, *from = start;
	bool quoted = false;
	if (!start)
		return NULL;
	for (; *from && (quoted || *from != ','); from++) {
		if (*from == '"')
			quoted = !quoted;
		else if (*from == '\\' && from[1])
			*to++ = *++from;
		else
			*to++ = *from;
	}
	*rest = *from ? from + 1 : NULL;
	*to = '\0';
	return start;
}

static int one_option(struct mount_options *o, char *word, bool sloppy, struct err *err)
{
	char *value = strchr(word, '=');
	if (value)
		*value++ = '\0';
	const struct mount_option_row *row = find_row(word);
	if (!row && sloppy)
		return 0;
	if (!row)
		return err_set(
			err, -EINVAL,
			"-o %s: there is no such mount option; chainfs mount --help lists them",
			word);
	if (row->kind == MOUNT_OPTION_REFUSED)
		return err_set(err, -EINVAL, "-o %s: %s", word, row->about);
	if (row->kind == MOUNT_OPTION_IGNORED)
		return 0;
	bool optional = row->argument && row->argument[0] == '[';
	if (row->argument && !optional && (!value || !*value))
		return err_set(err, -EINVAL, "-o %s: it is written %s=%s", word, word,
			       row->argument);
	if (!row->argument && value)
		return err_set(err, -EINVAL, "-o %s=%s: it takes no value", word, value);
	return take(o, (int)(row - mount_option_rows), value, err);
}

int mount_options_parse(const char *list, bool sloppy, uint32_t uid, uint32_t gid,
			struct mount_options *out, struct err *err)
{
	*out = (struct mount_options){ 0 };
	AUTO(mount_options_release) struct mount_options o = { .uid = uid, .gid = gid };
	AUTO(base_freep) char *copy = strdup(list ? list : "");
	if (!copy)
		return err_set(err, -ENOMEM, "no memory for the mount options");
	char *rest = copy;
	for (char *word; (word = next_option(&rest));) {
		int rc = *word ? one_option(&o, word, sloppy, err) : 0;
		if (rc < 0)
			return rc;
	}
	*out = o;
	o = (struct mount_options){ 0 };
	return 0;
}

/* ---- said again ---- */

/* No default: the compiler asks for every option that comes. */
static void write_one(const struct mount_options *o, enum taken id, struct buf *out)
{
	switch (id) {
	case TAKEN_RO:
		buf_str(out, "ro");
		break;
	case TAKEN_ALLOW_OTHER:
		buf_str(out, o->allow_other ? ",allow_other" : "");
		break;
	case TAKEN_UID:
		buf_fmt(out, ",uid=%" PRIu32, o->uid);
		break;
	case TAKEN_GID:
		buf_fmt(out, ",gid=%" PRIu32, o->gid);
		break;
	case TAKEN_UMASK:
		buf_fmt(out, ",umask=%o", (unsigned)o->umask);
		break;
	case TAKEN_THREADS:
		buf_fmt(out, ",threads=%u", o->threads);
		break;
	case TAKEN_TRANSPORT:
		if (o->transport)
			buf_fmt(out, ",transport=%s", o->transport);
		break;
	case TAKEN_FETCH:
		if (o->fetch_ms)
			buf_fmt(out, ",fetch=%u", o->fetch_ms / 1000);
		break;
	case TAKEN_SETTINGS:
	case TAKEN_HYPER:
	case TAKEN_NETWORK:
	case TAKEN_CONFIG:
	case TAKEN_STORE:
	case TAKEN_SOURCE:
	case TAKEN_COUNT:
		break;
	}
}

void mount_options_write(const struct mount_options *o, struct buf *out)
{
	for (enum taken id = 0; id < TAKEN_COUNT; id++)
		write_one(o, id, out);
}

void mount_options_release(struct mount_options *o)
{
	free(o->settings);
	free(o->network);
	free(o->config);
	free(o->store);
	free(o->source);
	*o = (struct mount_options){ 0 };
}

/* ---- help ---- */

void mount_options_help(struct buf *out)
{
	buf_str(out, "\nmount options, behind -o with commas between them:\n\n");
	for (size_t i = 0; i < TAKEN_COUNT; i++) {
		const struct mount_option_row *row = &mount_option_rows[i];
		char left[40];
		snprintf(left, sizeof left, "%s%s%s", row->name,
			 row->argument && row->argument[0] != '[' ? "=" : "",
			 row->argument ? row->argument : "");
		buf_fmt(out, "  %-18s %s\n", left, row->about);
	}
	buf_str(out, "\nIgnored, so that a line of fstab may have them: ");
	size_t column = 48;
	bool any = false;
	for (size_t i = TAKEN_COUNT; i < mount_option_row_count; i++) {
		const struct mount_option_row *row = &mount_option_rows[i];
		if (row->kind != MOUNT_OPTION_IGNORED)
			continue;
		column += strlen(row->name) + 2;
		if (any)
			buf_str(out, column > 92 ? ",\n" : ", ");
		if (column > 92)
			column = strlen(row->name) + 2;
		buf_str(out, row->name);
		any = true;
	}
	buf_str(out, ".\n");
}
