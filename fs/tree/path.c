#include "fs/tree/path.h"

#include "core/store/network.h"

int path_number(const char *text, size_t size, uint64_t *out)
{
	return dec_get(text, size, UINT64_MAX, out) < 0 ? -ENOENT : 0;
}

int path_padded(const char *text, size_t size, size_t digits, uint64_t *out)
{
	if (size < digits || (size > digits && text[0] == '0'))
		return -ENOENT;
	return path_number(text, size, out);
}

int path_range(const char *text, size_t size, struct range *out)
{
	const char *dash = memchr(text, '-', size);
	uint64_t last;

	if (!dash)
		return -ENOENT;
	size_t before = (size_t)(dash - text);

	if (path_padded(text, before, HEIGHT_DIGITS, &out->first) < 0 ||
	    path_padded(dash + 1, size - before - 1, HEIGHT_DIGITS, &last) < 0 ||
	    last < out->first || last == UINT64_MAX)
		return -ENOENT;
	out->end = last + 1;
	return 0;
}

int path_block_range(const char *text, size_t size, uint64_t *number)
{
	struct range r;

	if (path_range(text, size, &r) < 0 || r.first % RANGE_SIZE || r.end - r.first != RANGE_SIZE)
		return -ENOENT;
	*number = r.first / RANGE_SIZE;
	return 0;
}

int path_byte(const char *text, size_t size, unsigned *out)
{
	uint8_t byte;

	if (size != 2 || hex_get(text, size, &byte, 1) < 0)
		return -ENOENT;
	for (size_t i = 0; i < size; i++)
		if (text[i] >= 'A' && text[i] <= 'F')
			return -ENOENT;
	*out = byte;
	return 0;
}

bool path_ends(const char *name, const char *suffix, size_t *size)
{
	size_t n = strlen(name), tail = strlen(suffix);

	if (n <= tail || strcmp(name + n - tail, suffix) != 0)
		return false;
	*size = n - tail;
	return true;
}

void path_height_name(uint64_t height, char out[PATH_NAME_SIZE])
{
	dec_put(out, height, HEIGHT_DIGITS);
}

void path_range_name(struct range r, char out[PATH_NAME_SIZE])
{
	size_t n = dec_put(out, r.first, HEIGHT_DIGITS);

	out[n++] = '-';
	dec_put(out + n, r.end - 1, HEIGHT_DIGITS);
}

struct range path_range_of(uint64_t number)
{
	return (struct range){ number * RANGE_SIZE, (number + 1) * RANGE_SIZE };
}
