#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/support/support.h"

struct random random_of(uint64_t seed)
{
	return (struct random){ seed };
}

struct random random_of_run(void)
{
	const char *given = getenv("TEST_SEED");
	struct timespec now;
	uint64_t seed;

	clock_gettime(CLOCK_REALTIME, &now);
	seed = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	if (given)
		seed = strtoull(given, NULL, 10);
	printf("# TEST_SEED=%" PRIu64 "\n", seed);
	fflush(stdout);
	return random_of(seed);
}

uint64_t random_u64(struct random *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

uint64_t random_below(struct random *r, uint64_t bound)
{
	return bound ? random_u64(r) % bound : 0;
}

bool random_chance(struct random *r, unsigned percent)
{
	return random_below(r, 100) < percent;
}

void random_bytes(struct random *r, void *out, size_t n)
{
	uint8_t *p = out;

	for (; n >= 8; p += 8, n -= 8) {
		uint64_t v = random_u64(r);

		memcpy(p, &v, 8);
	}
	if (n) {
		uint64_t v = random_u64(r);

		memcpy(p, &v, n);
	}
}

uint64_t rounds(uint64_t usual)
{
	const char *percent = getenv("TEST_ROUNDS");
	uint64_t n = percent ? usual * strtoull(percent, NULL, 10) / 100 : usual;

	return n ? n : 1;
}

uint64_t patience_ms(uint64_t usual)
{
	const char *times = getenv("TEST_PATIENCE");

	return times ? usual * strtoull(times, NULL, 10) : usual;
}
