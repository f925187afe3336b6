/* Times our BLAKE3: a whole file (seconds of hashing, and the hash), or many small inputs.
 *
 *     bench_blake3 file PATH            prints HASH and the nanoseconds of hashing it from memory
 *     bench_blake3 small [ENGINE...]    nanoseconds a hash for the sizes a trie meets */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "core/base/blake3_impl.h"
#include "core/base/clock.h"
#include "core/base/hash.h"

static int bench_file(const char *path)
{
	AUTO(base_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t hash[HASH_SIZE];
	char hex[2 * HASH_SIZE + 1];

	if (fd < 0 || fstat(fd, &st) < 0) {
		perror(path);
		return 1;
	}
	/* Mapped, as b3sum does it, so that the kernel's share is the same on both sides. */
	uint64_t start = clock_mono_ns();
	void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED) {
		perror(path);
		return 1;
	}
	hash_blake3(SLICE(map, (size_t)st.st_size), hash);
	uint64_t took = clock_mono_ns() - start;

	hex_put(hex, hash, sizeof hash);
	printf("%s %" PRIu64 "\n", hex, took);
	return 0;
}

static void bench_small(void)
{
	static const size_t sizes[] = {
		32, 59, 64, 128, 640, 1024, 2048, 4096, 16384, 65536, 1 << 20,
	};
	static uint8_t in[1 << 20];

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		size_t count = MAX((size_t)20000000 / (sizes[i] + 60), (size_t)20);
		uint64_t best = UINT64_MAX;

		for (int round = 0; round < 7; round++) {
			uint64_t start = clock_mono_ns();

			/* Each input depends on the hash before it: latency, not overlap. */
			for (size_t k = 0; k < count; k++)
				hash_blake3(SLICE(in, sizes[i]), in);
			best = MIN(best, clock_mono_ns() - start);
		}
		double ns = (double)best / (double)count;

		printf("%s %zu bytes: %.1f ns, %.2f GB/s\n", blake3_engine_name(), sizes[i], ns,
		       (double)sizes[i] / ns);
	}
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "file") == 0)
		return bench_file(argv[2]);
	if (argc >= 2 && strcmp(argv[1], "small") == 0) {
		if (argc == 2)
			bench_small();
		for (int i = 2; i < argc; i++)
			if (blake3_use(argv[i]))
				bench_small();
		return 0;
	}
	fprintf(stderr, "usage: bench_blake3 file PATH | small [ENGINE...]\n");
	return 2;
}
