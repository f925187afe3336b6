#include <dirent.h>

#include "tests/support/support.h"

static __thread struct {
	uint64_t left, met;
	bool     armed, paused;
} fault;

static __thread uint64_t folder_entries = ALLOC_FAULT_NONE; /* that can be read still */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
struct dirent *__real_readdir64(DIR *d);
struct dirent *__wrap_readdir64(DIR *d);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

static bool fails(void)
{
	if (!fault.armed || fault.paused)
		return false;
	if (fault.left > 0) {
		fault.left--;
		return false;
	}
	fault.met++;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

struct dirent *__wrap_readdir64(DIR *d)
{
	if (folder_entries == ALLOC_FAULT_NONE || folder_entries-- > 0)
		return __real_readdir64(d);
	folder_entries = ALLOC_FAULT_NONE;
	errno = EIO;
	return NULL;
}

void folder_fault_at(uint64_t nth)
{
	folder_entries = nth;
}

void alloc_fault_at(uint64_t nth)
{
	fault.left = nth;
	fault.met = 0;
	fault.armed = nth != ALLOC_FAULT_NONE;
	fault.paused = false;
}

uint64_t alloc_fault_met(void)
{
	return fault.met;
}

void alloc_fault_pause(void)
{
	fault.paused = true;
}

void alloc_fault_resume(void)
{
	fault.paused = false;
}

struct alloc_fault alloc_fault_first(void)
{
	return (struct alloc_fault){ 0, false };
}

bool alloc_fault_begin(struct alloc_fault *f)
{
	if (f->done) {
		alloc_fault_at(ALLOC_FAULT_NONE);
		return false;
	}
	alloc_fault_at(f->nth);
	return true;
}

void alloc_fault_end(struct alloc_fault *f)
{
	f->done = fault.met == 0;
	f->nth++;
	fault.armed = false;
}
