/* support.h: what test programs share: a seeded random generator and failing allocations.
 *
 * Every program is linked so that malloc, calloc, realloc, strdup and readdir of chainfs and of the
 * test go through here; a library's own allocations do not.
 *
 *     FOR_EACH_ALLOC_FAULT {
 *             AUTO(gaps_release) struct gaps g = GAPS_INIT;
 *             int rc = gaps_add(&g, (struct range){ 10, 20 });
 *             assert_true(rc == 0 || (rc == -ENOMEM && g.held_count == 0));
 *     }
 * runs its body with the first allocation failing, then the second, and so on, until it runs
 * through without meeting a failure. Only the thread that runs it is touched. No `break` or return
 * inside. */
#ifndef CHAINFS_TESTS_SUPPORT_H
#define CHAINFS_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/base/bytes.h"

#ifdef malloc
#error "UNIT_TESTING swaps malloc; the fault helper needs the linker's own wrap"
#endif

struct alloc_fault {
	uint64_t nth;
	bool     done;
};

struct alloc_fault alloc_fault_first(void);
bool alloc_fault_begin(struct alloc_fault *f); /* false when the last round met no failure */
void alloc_fault_end(struct alloc_fault *f);

#define FOR_EACH_ALLOC_FAULT                                                                   \
	for (struct alloc_fault fault_ = alloc_fault_first(); alloc_fault_begin(&fault_);      \
	     alloc_fault_end(&fault_))

/* Fails each allocation from the nth on (0: the next), or none again with ALLOC_FAULT_NONE. For
 * what the loop above cannot express. */
#define ALLOC_FAULT_NONE UINT64_MAX
void     alloc_fault_at(uint64_t nth);
uint64_t alloc_fault_met(void); /* how many allocations failed since alloc_fault_at() */

/* Of folders that this thread reads, the nth entry from now on (0: the next) is EIO; none with
 * ALLOC_FAULT_NONE. */
void folder_fault_at(uint64_t nth);

/* Suspends and resumes faults around checks that allocate themselves. */
void alloc_fault_pause(void);
void alloc_fault_resume(void);

/* A small generator (SplitMix64): the same seed is the same run everywhere. */
struct random {
	uint64_t state;
};

/* The seed is TEST_SEED from the environment, or the clock's; printed, so that a failure can be run
 * again. */
struct random random_of_run(void);
struct random random_of(uint64_t seed);
uint64_t random_u64(struct random *r);
uint64_t random_below(struct random *r, uint64_t bound); /* 0 for a bound of 0 */
bool     random_chance(struct random *r, unsigned percent);
void     random_bytes(struct random *r, void *out, size_t n);

/* How many rounds a property test runs: `usual` times TEST_ROUNDS percent (default 100). */
uint64_t rounds(uint64_t usual);

/* How long a test waits for what comes by itself: `usual` times TEST_PATIENCE (default 1), for whom
 * everything is slower, as valgrind. */
uint64_t patience_ms(uint64_t usual);

/* Hex text to bytes, for known answers; the test fails when it is not hex. */
size_t unhex(const char *text, uint8_t *out, size_t out_size);

/* A whole file. The test fails when it cannot be had. Free with free(). */
uint8_t *file_read(const char *path, size_t *size);

/* Where this program lies, to be begun again: run by valgrind, /proc/self/exe is this program to who
 * reads it and valgrind to who begins it. The text stays. */
const char *program_path(void);

#endif
