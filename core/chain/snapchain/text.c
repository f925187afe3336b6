#include "core/chain/snapchain/text.h"

#include "core/base/hash.h"

static const char base58_digits[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

void sc_eip55(const uint8_t address[20], char out[SC_EIP55_SIZE])
{
	uint8_t hash[HASH_SIZE];
	char *digits = out + 2;

	out[0] = '0';
	out[1] = 'x';
	hex_put(digits, address, 20);
	hash_keccak256(SLICE(digits, 40), hash);
	for (size_t i = 0; i < 40; i++) {
		unsigned nibble = i % 2 ? hash[i / 2] & 15 : hash[i / 2] >> 4;

		if (digits[i] >= 'a' && nibble >= 8)
			digits[i] = (char)(digits[i] - 'a' + 'A');
	}
}

/* number = number * factor + add, of big-endian bytes; false when it does not fit. */
static bool mul_add(uint8_t *number, size_t size, unsigned factor, unsigned add)
{
	for (size_t i = size; i-- > 0;) {
		add += number[i] * factor;
		number[i] = (uint8_t)add;
		add >>= 8;
	}
	return add == 0;
}

/* number = number / divisor; returns the remainder. */
static unsigned divide(uint8_t *number, size_t size, unsigned divisor)
{
	unsigned rest = 0;

	for (size_t i = 0; i < size; i++) {
		rest = rest << 8 | number[i];
		number[i] = (uint8_t)(rest / divisor);
		rest %= divisor;
	}
	return rest;
}

void sc_base58(struct slice bytes, char out[SC_BASE58_TEXT_SIZE])
{
	uint8_t number[SC_BASE58_BYTES_MAX];
	char reversed[SC_BASE58_TEXT_SIZE];
	size_t zeros = 0, count = 0, n = 0;

	assert(bytes.n <= sizeof number);
	while (zeros < bytes.n && bytes.p[zeros] == 0)
		zeros++;
	if (bytes.n)
		memcpy(number, bytes.p, bytes.n);
	for (size_t first = zeros; first < bytes.n;) {
		reversed[count++] = base58_digits[divide(number + first, bytes.n - first, 58)];
		while (first < bytes.n && number[first] == 0)
			first++;
	}
	while (n < zeros)
		out[n++] = base58_digits[0];
	while (count > 0)
		out[n++] = reversed[--count];
	out[n] = '\0';
}

int sc_base58_get(struct slice text, uint8_t out[SC_BASE58_BYTES_MAX])
{
	uint8_t number[SC_BASE58_BYTES_MAX] = { 0 };
	size_t zeros = 0, first = 0;

	while (zeros < text.n && text.p[zeros] == base58_digits[0])
		zeros++;
	for (size_t i = zeros; i < text.n; i++) {
		const char *digit = memchr(base58_digits, text.p[i], sizeof base58_digits - 1);

		if (!digit ||
		    !mul_add(number, sizeof number, 58, (unsigned)(digit - base58_digits)))
			return -EINVAL;
	}
	while (first < sizeof number && number[first] == 0)
		first++;
	size_t size = sizeof number - first;

	if (zeros + size > SC_BASE58_BYTES_MAX)
		return -EINVAL;
	memset(out, 0, zeros);
	memcpy(out + zeros, number + first, size);
	return (int)(zeros + size);
}

uint32_t sc_time_of_unix(uint64_t unix_s)
{
	if (unix_s < SC_EPOCH)
		return 0;
	return (uint32_t)MIN(unix_s - SC_EPOCH, (uint64_t)UINT32_MAX);
}
