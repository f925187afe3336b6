/* failstop.h: how the process ends when something below us gives up.
 *
 * Debian's RocksDB is built with its assertions on and aborts at some I/O errors; so does a C++
 * library whose exception nobody catches, and an allocator that finds its memory broken. What was
 * acknowledged is synced, so the way on is to end at once, serve nothing any more, and be started
 * again. Instead of a core there is one line on standard error and exit code 74, which the unit
 * and whatever else watches us know. A signal of an outsider (kill -ABRT, a watchdog) ends so too.
 * Threads  armed before the first; the end comes on any, and takes no lock and no memory. */
#ifndef CHAINFS_FAILSTOP_H
#define CHAINFS_FAILSTOP_H

void failstop_arm(void);
/* What the program's own __assert_fail() calls, in place of the C library's. */
__attribute__((noreturn)) void failstop_assert(const char *what, const char *file, unsigned line,
					       const char *function);

#endif
