#include "fs/connection/opcodes.h"

#include <linux/fuse.h>
#include <stdbool.h>
#include <string.h>

#include "core/control/metrics.h"

static bool changes(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_SETATTR:
	case FUSE_SYMLINK:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_UNLINK:
	case FUSE_RMDIR:
	case FUSE_RENAME:
	case FUSE_RENAME2:
	case FUSE_LINK:
	case FUSE_WRITE:
	case FUSE_SETXATTR:
	case FUSE_REMOVEXATTR:
	case FUSE_CREATE:
	case FUSE_FALLOCATE:
	case FUSE_COPY_FILE_RANGE:
		return true;
	default:
		return false;
	}
}

void opcodes_seen(const void *request, size_t size)
{
	struct fuse_in_header header;

	if (size < sizeof header)
		return;
	memcpy(&header, request, sizeof header);
	if (changes(header.opcode))
		metrics_add(COUNTER_FUSE_CHANGES, 1);
}
