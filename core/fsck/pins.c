/* Pins: does the file of each tell its height, and is it what was written? */
#include "core/fsck/inside.h"

#include "core/base/files.h"
#include "core/checkpoint/pin_book.h"
#include "core/checkpoint/pin_file.h"

static void check_pin(struct fsck *k, int folder, const char *name)
{
	struct err why = ERR_INIT;
	AUTO(base_closep) int fd = pin_file_open(folder, name, false, &why);
	uint64_t height = 0;
	int rc = fd < 0 ? fd : pin_file_read(fd, name, &height, &why);

	if (rc == -ENOENT)
		return; /* it was removed meanwhile */
	if (rc == PIN_FILE_HURT)
		fault(k, FSCK_DAMAGED, "pin", AT(0, height), true,
		      "%.64s: %s; fsck --repair writes it anew", name, why.text);
	else if (rc < 0)
		fault(k, FSCK_DAMAGED, "pin", NOWHERE(0), false,
		      "%.64s: %s; below a mount that has read it fsck --repair writes it anew, "
		      "else pin its height under another name, then unpin this one",
		      name, err_text(&why, rc));
}

int walk_pins(struct fsck *k)
{
	AUTO(files_dir_closep) DIR *dir = k->options->pins ? opendir(k->options->pins) : NULL;

	if (!dir && k->options->pins && errno == ENOMEM)
		return -ENOMEM;
	if (!dir && k->options->pins && errno != ENOENT)
		fault(k, FSCK_DAMAGED, "pin", NOWHERE(0), false, "their folder: %s",
		      strerror(errno));
	const struct dirent *e;
	int rc = 0;

	while (dir && (rc = files_next(dir, &e)) == 1)
		if (pin_name_is_good(e->d_name))
			check_pin(k, dirfd(dir), e->d_name);
	if (rc < 0)
		fault(k, FSCK_DAMAGED, "pin", NOWHERE(0), false, "their folder: %s", strerror(-rc));
	return 0;
}

int fsck_pins(const struct fsck_options *o, struct fsck_counts *out, struct err *err)
{
	AUTO(base_freep) struct fsck *k = calloc(1, sizeof *k);

	*out = (struct fsck_counts){ 0 };
	if (!k)
		return err_set(err, -ENOMEM, "no memory to check pins");
	k->options = o;
	k->counts = out;
	return walk_pins(k);
}
