/* opcodes.h: requests as a transport sees them, before anybody answers.
 *
 * Our mounts are read-only for the kernel, which refuses every change by itself. Should a request
 * come that would change something, a counter tells of it. Every transport says what it takes. */
#ifndef CHAINFS_FS_OPCODES_H
#define CHAINFS_FS_OPCODES_H

#include <stddef.h>

/* `request` begins with the kernel's header. Any thread. */
void opcodes_seen(const void *request, size_t size);

#endif
