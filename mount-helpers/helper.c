/* What mount(8), umount(8) and mount.fuse(8) start: their words, their exit codes, our mounts. */
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "fs/mount/mount.h"
#include "mount-helpers/following.h"
#include "mount-helpers/verbs.h"

/* As mount(8) documents them. */
enum helper_exit {
	HELPER_USAGE = 1,
	HELPER_SYSTEM = 2,
	HELPER_INTERRUPTED = 8,
	HELPER_FAILED = 32
};

struct helper {
	struct verb_io *io;
	const char *name; /* as it was called, without folders */
	const char *words[2];
	int word_count;
	const char *namespace;
	bool fake, sloppy, verbose, lazy, force;
};

static int PRINTF_LIKE(2, 3) complain(const struct helper *h, const char *format, ...)
{
	char line[PATH_MAX + ERR_TEXT_SIZE];
	va_list ap;
	va_start(ap, format);
	int n = snprintf(line, sizeof line, "%s: ", h->name);
	n += vsnprintf(line + n, sizeof line - (size_t)n, format, ap);
	va_end(ap);
	h->io->err(h->io->arg, line, MIN((size_t)n, sizeof line - 1));
	return HELPER_USAGE;
}

/* The code of one of our verbs, as mount(8) would have it. */
static int helper_exit_of(int code)
{
	switch (code) {
	case EXIT_DONE:
		return 0;
	case EXIT_USAGE:
		return HELPER_USAGE;
	case EXIT_SYSTEM:
		return HELPER_SYSTEM;
	case EXIT_INTERRUPTED:
		return HELPER_INTERRUPTED;
	default:
		return HELPER_FAILED;
	}
}

/* mount -N: the folder is that of another mount namespace, and so is everything from here on. */
static int enter_namespace(const struct helper *h)
{
	char path[PATH_MAX];
	bool number = h->namespace[strspn(h->namespace, "0123456789")] == '\0';
	if (!h->namespace[0] ||
	    (size_t)snprintf(path, sizeof path, number ? "/proc/%s/ns/mnt" : "%s", h->namespace) >=
		    sizeof path)
		return -EINVAL;
	AUTO(base_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNS) < 0)
		return -errno;
	return 0;
}

/* ---- mount ---- */

static void mount_usage(const struct helper *h)
{
	complain(h, "usage: %s STORE MOUNTPOINT [-sfnv] [-N NAMESPACE] [-o LIST] [-t TYPE]\n",
		 h->name);
}

/* -o may stand before the words and behind them, more than once. */
static void join_options(struct buf *all, const char *list)
{
	if (all->n)
		buf_u8(all, ',');
	buf_str(all, list);
}

static int parse_mount(struct helper *h, int argc, char **argv, struct buf *all)
{
	int letter;
	while ((letter = getopt(argc, argv, "+sfnvrwN:o:t:h")) != -1) {
		switch (letter) {
		case 's':
			h->sloppy = true;
			break;
		case 'f':
			h->fake = true;
			break;
		case 'v':
			h->verbose = true;
			break;
		case 'N':
			h->namespace = optarg;
			break;
		case 'o':
			join_options(all, optarg);
			break;
		case 'n': /* there is no mtab */
		case 'r': /* it always is */
		case 'w': /* it never is; mount(8) says so as "rw", too */
		case 't': /* one of our own names */
			break;
		default:
			return -EINVAL;
		}
	}
	return 0;
}

static int mount_words(struct helper *h, int argc, char **argv, struct buf *all)
{
	optind = 1;
	opterr = 0;
	while (optind < argc) {
		int rc = parse_mount(h, argc, argv, all);
		if (rc < 0)
			return rc;
		if (optind >= argc)
			break;
		if (h->word_count == (int)ARRAY_LEN(h->words))
			return -E2BIG;
		h->words[h->word_count++] = argv[optind++];
	}
	buf_u8(all, 0);
	return h->word_count == (int)ARRAY_LEN(h->words) ? buf_done(all) : -EINVAL;
}

static int mount_main(struct helper *h, int argc, char **argv)
{
	AUTO(buf_release) struct buf list = BUF_INIT(1u << 16);
	AUTO(mount_options_release) struct mount_options o = { 0 };
	struct err err = ERR_INIT;
	int rc = mount_words(h, argc, argv, &list);
	if (rc < 0) {
		mount_usage(h);
		return HELPER_USAGE;
	}
	const char *store = h->words[0], *at = h->words[1];
	rc = mount_options_parse((const char *)list.p, h->sloppy, getuid(), getgid(), &o, &err);
	if (rc < 0) {
		complain(h, "%s: %s\n", at, err_text(&err, rc));
		return rc == -EINVAL ? HELPER_USAGE : HELPER_SYSTEM;
	}
	if (h->fake)
		return 0;
	if (h->namespace && (rc = enter_namespace(h)) < 0) {
		complain(h, "%s: the mount namespace %s cannot be entered: %s\n", at, h->namespace,
			 strerror(-rc));
		return HELPER_FAILED;
	}
	int used;
	char *verb[] = { "mount", NULL };
	struct verb_call c = { .io = h->io, .verb = verb_find(verbs, verb_count, 1, verb, &used) };
	char path[PATH_MAX];
	rc = following_prepare(&c, &o, store, path, sizeof path, &err);
	if (rc < 0) {
		complain(h, "%s: %s\n", at, err_text(&err, rc));
		return helper_exit_of(exit_of(rc));
	}
	int code = mount_start(&c, &o, path, at, false, &err);
	if (code != EXIT_DONE)
		complain(h, "%s: %s\n", at, err_text(&err, -EIO));
	else if (h->verbose)
		complain(h, "%s mounted on %s\n", store, at);
	return helper_exit_of(code);
}

/* ---- umount ---- */

static int parse_umount(struct helper *h, int argc, char **argv)
{
	int letter;
	optind = 1;
	opterr = 0;
	while ((letter = getopt(argc, argv, "lfnrvN:t:h")) != -1) {
		switch (letter) {
		case 'l':
			h->lazy = true;
			break;
		case 'f':
			h->force = true;
			break;
		case 'v':
			h->verbose = true;
			break;
		case 'N':
			h->namespace = optarg;
			break;
		case 'n': /* there is no mtab */
		case 'r': /* it is read-only already */
		case 't':
			break;
		default:
			return -EINVAL;
		}
	}
	if (optind + 1 != argc)
		return -EINVAL;
	h->words[0] = argv[optind];
	return 0;
}

static int umount_main(struct helper *h, int argc, char **argv)
{
	struct err err = ERR_INIT;
	int rc = parse_umount(h, argc, argv);
	if (rc < 0)
		return complain(h, "usage: %s MOUNTPOINT [-lfnrv] [-N NAMESPACE] [-t TYPE]\n",
				h->name);
	if (h->namespace && (rc = enter_namespace(h)) < 0) {
		complain(h, "%s: the mount namespace %s cannot be entered: %s\n", h->words[0],
			 h->namespace, strerror(-rc));
		return HELPER_FAILED;
	}
	rc = fs_unmount(h->words[0],
			h->lazy    ? UNMOUNT_LAZY
			: h->force ? UNMOUNT_FORCE
				   : UNMOUNT_PLAIN,
			&err);
	if (rc < 0)
		complain(h, "%s\n", err_text(&err, rc));
	else if (h->verbose)
		complain(h, "%s unmounted\n", h->words[0]);
	if (rc == -EBUSY)
		mount_tell_occupants(h->io, h->words[0]);
	return rc < 0 ? HELPER_FAILED : 0;
}

/* ---- which one ---- */

static const struct {
	const char *name;
	int (*run)(struct helper *h, int argc, char **argv);
} helpers[] = {
	{ "mount.chainfs", mount_main },
	{ "mount.fuse.chainfs", mount_main },
	{ "umount.chainfs", umount_main },
	{ "umount.fuse.chainfs", umount_main },
};

/* mount.fuse(8) gives the source first, which is a path; no verb is one. */
static bool as_from_mount_fuse(int argc, char **argv)
{
	int used;
	return argc > 2 && argv[1][0] != '-' && strchr(argv[1], '/') &&
	       !verb_find(verbs, verb_count, argc - 1, argv + 1, &used);
}

int helper_main(int argc, char **argv, struct verb_io *io)
{
	const char *name = argc > 0 ? argv[0] : "", *slash = strrchr(name, '/');
	struct helper h = { .io = io, .name = slash ? slash + 1 : name };
	for (size_t i = 0; i < ARRAY_LEN(helpers); i++)
		if (strcmp(h.name, helpers[i].name) == 0)
			return helpers[i].run(&h, argc, argv);
	if (!as_from_mount_fuse(argc, argv))
		return -1;
	h.name = "chainfs";
	return mount_main(&h, argc, argv);
}
