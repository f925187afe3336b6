#include "fs/connection/keep.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/trace.h"

static_assert(sizeof(struct keep_request) == 8192, "pages of its own");

static uint64_t mix(uint64_t h, const void *bytes, size_t size)
{
	for (const uint8_t *p = bytes; size; size--)
		h = (h ^ *p++) * UINT64_C(0x100000001b3);
	return h;
}

uint64_t keep_meaning(void)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325),
		 sizes[] = { KEEP_LAYOUT, TREE_BYTES, sizeof(struct keep) };

	h = mix(h, sizes, sizeof sizes);
	for (size_t i = 0; i < tree_count; i++) {
		const uint8_t kind[] = { (uint8_t)tree[i].class, (uint8_t)tree[i].type };

		h = mix(h, tree[i].path, strlen(tree[i].path) + 1);
		h = mix(h, kind, sizeof kind);
	}
	return h;
}

static int map(int fd, struct keep **out, struct err *err)
{
	void *at = mmap(NULL, sizeof **out, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		return err_set(err, -errno, "no memory for what the kernel goes by: %s",
			       strerror(errno));
	*out = at;
	return 0;
}

int keep_new(int *fd, struct keep **out, struct err *err)
{
	AUTO(base_closep) int own = memfd_create("chainfs-keep", MFD_CLOEXEC);

	if (own < 0 || ftruncate(own, sizeof **out) < 0)
		return err_set(err, -errno, "no memory for what the kernel goes by: %s",
			       strerror(errno));
	int rc = map(own, out, err);

	if (rc < 0)
		return rc;
	(*out)->layout = KEEP_LAYOUT;
	(*out)->meaning = keep_meaning();
	for (size_t i = 0; i < KEEP_PLACES; i++)
		(*out)->connections[i].fd = -1;
	*fd = own;
	own = -1;
	return 0;
}

int keep_open(int fd, struct keep **out, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || st.st_size != (off_t)sizeof **out)
		return err_set(err, -EPROTO, "another program made what the kernel goes by");
	AUTO(keep_closep) struct keep *k = NULL;
	int rc = map(fd, &k, err);

	if (rc < 0)
		return rc;
	if (k->layout != KEEP_LAYOUT || k->meaning != keep_meaning())
		return err_set(err, -EPROTO,
			       "another program made what the kernel goes by: inode numbers mean "
			       "something else there");
	*out = TAKE(k);
	return 0;
}

void keep_closep(struct keep **at)
{
	struct keep *k = TAKE(*at);

	if (k)
		munmap(k, sizeof *k);
}

bool keep_is_taken_over(const struct keep *k)
{
	return atomic_load(&k->connections[KEEP_MAIN].init_size) > 0 ||
	       atomic_load(&k->main.slots.made) > 0;
}

uint64_t keep_events_last(const struct keep *k)
{
	uint64_t last = atomic_load(&k->ctl.events_last);

	for (size_t i = 0; i < KEEP_HANDLES; i++)
		if (atomic_load(&k->ctl.handles[i].used) && k->ctl.handles[i].next)
			last = MAX(last, k->ctl.handles[i].next - 1);
	return last;
}
