#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/support.h"

size_t unhex(const char *text, uint8_t *out, size_t out_size)
{
	size_t n = strlen(text) / 2;

	if (n > out_size || hex_get(text, strlen(text), out, n) < 0)
		fail_msg("not %zu bytes of hex: %s", out_size, text);
	return n;
}

uint8_t *file_read(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");

	if (!file)
		fail_msg("%s does not open: %s", path, strerror(errno));
	size_t n = 0, cap = 4096;
	uint8_t *bytes = malloc(cap);

	for (;;) {
		if (!bytes)
			fail_msg("no memory for %s", path);
		n += fread(bytes + n, 1, cap - n, file);
		if (n < cap)
			break;
		cap *= 2;
		bytes = realloc(bytes, cap);
	}
	if (ferror(file))
		fail_msg("%s does not read", path);
	fclose(file);
	*size = n;
	return bytes;
}

const char *program_path(void)
{
	static char path[PATH_MAX];
	ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);

	assert_true(size > 0);
	path[size] = '\0';
	return path;
}
