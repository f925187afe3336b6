/* What a replay costs in the store: microseconds of this thread's CPU a read, a write, a scan, and
 * commits a second. CPU and not the clock, since the machine may be shared.
 *
 *     bench_rows [ROWS]        default 1000000 rows of 40-byte values in 20,000 accounts
 *
 * Keys look like a chain's: account 5 bytes, set 1, time 4, hash 20. One line a figure. */
#include "core/base/clock.h"
#include "core/store/db.h"
#include "core/store/inside.h"
#include "core/store/network.h"

#include <ftw.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define ACCOUNTS    20000u
#define KEY_SIZE    30
#define VALUE_SIZE  40
#define BLOCK_ROWS  500   /* of a block */
#define RUN_BLOCKS  20    /* of a commit */
#define SHARD       1u

struct chain_params {
	int unused;
};

static int parse(struct slice text, struct chain_params **out, struct err *err)
{
	*out = calloc(1, sizeof **out);
	return *out ? 0 : -ENOMEM;
}

static void params_free(struct chain_params *p)
{
	free(p);
}

static uint32_t shards(const struct chain_params *p)
{
	return 2;
}

static const struct chain_ops ops = {
	.kind = "bench", .params_parse = parse, .params_free = params_free, .shard_count = shards,
};

static const struct chain_ops *kind(const char *name)
{
	return &ops;
}

static void must(int rc, const char *what)
{
	if (rc < 0) {
		fprintf(stderr, "bench_rows: %s: %s\n", what, strerror(-rc));
		exit(1);
	}
}

static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* Row i: of a random account, its hash as random as a hash is. */
static struct slice key_of(uint64_t i, uint8_t out[KEY_SIZE])
{
	uint64_t account = mix(i + 1) % ACCOUNTS;

	out[0] = (uint8_t)(account % 256);
	put_be32(out + 1, (uint32_t)account);
	out[5] = 1;
	put_be32(out + 6, (uint32_t)i);
	for (size_t at = 10; at < KEY_SIZE; at += 4)
		put_be32(out + at, (uint32_t)mix(i * 31 + at));
	return SLICE(out, KEY_SIZE);
}

static struct slice value_of(uint64_t i, uint8_t out[VALUE_SIZE])
{
	memset(out, 0, VALUE_SIZE);
	put_be64(out, i);
	put_be64(out + 8, mix(i));
	return SLICE(out, VALUE_SIZE);
}

static void figure(const char *name, double value, const char *unit)
{
	printf("%-34s %10.3f %s\n", name, value, unit);
	fflush(stdout);
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static double us_since(uint64_t from_ns, uint64_t count)
{
	return (double)(cpu_ns() - from_ns) / 1e3 / (double)count;
}

static void open_state(struct network *n, struct state **st)
{
	state_freep(st);
	must(state_open(n, SHARD, UINT64_MAX, st, NULL), "state");
}

/* Writes rows [first, end), with an account row rewritten for each, as replay does. */
static void fill(struct network *n, uint64_t first, uint64_t end, uint64_t height)
{
	AUTO(state_freep) struct state *st = NULL;
	AUTO(commit_freep) struct commit *c = NULL;
	uint64_t commits = 0, begun = clock_mono_ns(), begun_cpu = cpu_ns(), in_commit = 0;

	open_state(n, &st);
	must(commit_new(n, &c), "commit");
	for (uint64_t i = first; i < end; height++) {
		must(state_block_begin(st, height), "begin");
		for (size_t row = 0; row < BLOCK_ROWS && i < end; row++, i++) {
			uint8_t key[KEY_SIZE], value[VALUE_SIZE];

			must(state_put(st, SPACE_BOTH, key_of(i, key), value_of(i, value), true),
			     "put");
			must(state_put(st, SPACE_BOTH, SLICE(key, 5), SLICE_ARRAY(value), false),
			     "put");
		}
		must(state_block_end(st), "end");
		if (height % RUN_BLOCKS == 0 || i == end) {
			uint64_t from = clock_mono_ns();

			must(commit_state(c, st), "state of a commit");
			must(commit_apply(c, NULL), "apply");
			in_commit += clock_mono_ns() - from;
			commits++;
		}
	}
	double seconds = (double)(clock_mono_ns() - begun) / 1e9;

	figure("put, with its commit", us_since(begun_cpu, 2 * (end - first)), "us");
	figure("commit, by the clock", (double)in_commit / 1e6 / (double)commits, "ms");
	figure("versions stored, by the clock", 2 * (double)(end - first) / seconds, "a second");
}

static void reads(struct network *n, uint64_t rows, uint64_t count, const char *when)
{
	AUTO(state_freep) struct state *st = NULL;
	uint8_t key[KEY_SIZE];
	struct slice value;
	char name[64];

	open_state(n, &st);
	uint64_t from = cpu_ns();

	for (uint64_t i = 0; i < count; i++)
		must(state_get(st, SPACE_BOTH, key_of(mix(i) % rows, key), &value), "get");
	snprintf(name, sizeof name, "get, present, %s", when);
	figure(name, us_since(from, count), "us");

	open_state(n, &st);
	from = cpu_ns();
	for (uint64_t i = 0; i < count; i++) {
		key_of(mix(i) % rows, key);
		key[KEY_SIZE - 1] ^= 0x55; /* a key that was never written, among those that were */
		must(state_get(st, SPACE_BOTH, SLICE_ARRAY(key), &value), "get");
	}
	snprintf(name, sizeof name, "get, absent, %s", when);
	figure(name, us_since(from, count), "us");

	from = cpu_ns();
	for (uint64_t i = 0; i < count; i++) {
		key_of(mix(i) % rows, key);
		key[KEY_SIZE - 1] ^= 0x55;
		must(state_get(st, SPACE_BOTH, SLICE_ARRAY(key), &value), "get");
	}
	snprintf(name, sizeof name, "get, asked before, %s", when);
	figure(name, us_since(from, count), "us");

	uint64_t found = 0;

	count /= 10;
	from = cpu_ns();
	for (uint64_t i = 0; i < count; i++) {
		AUTO(state_scan_freep) struct state_scan *s = NULL;
		struct slice k;

		key_of(mix(i) % rows, key);
		must(state_scan_new(st, SPACES_LEGACY, SLICE(key, 6), SLICE_EMPTY, false, &s),
		     "scan");
		for (size_t row = 0; row < 10 && state_scan_next(s, &k, &value) == 1; row++)
			found++;
	}
	snprintf(name, sizeof name, "scan of %.1f rows, %s", (double)found / (double)count, when);
	figure(name, us_since(from, count), "us");
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

int main(int argc, char **argv)
{
	char path[] = "/tmp/chainfs-bench-XXXXXX";
	uint64_t rows = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	struct store_options options = { .create = true, .holder = "bench", .kind = kind };
	AUTO(store_closep) struct store *s = NULL;
	struct network *n;
	struct err err = ERR_INIT;
	struct rusage usage;

	if (!mkdtemp(path) || store_open(path, &options, &s, &err) < 0 ||
	    store_network_new(s, "bench", &ops, SLICE_EMPTY, "config", &n, &err) < 0) {
		fprintf(stderr, "bench_rows: %s\n", err.text);
		return 1;
	}
	fill(n, 0, rows, 1);
	reads(n, rows, MIN(rows, 200000), "after filling");
	db_compact(n->db);
	reads(n, rows, MIN(rows, 200000), "after compaction");
	for (size_t f = 0; f < FAMILY_COUNT; f++)
		if (db_family_bytes(n->db, f))
			figure(families[f].name, (double)db_family_bytes(n->db, f) / (double)rows,
			       "bytes a row");
	getrusage(RUSAGE_SELF, &usage);
	figure("memory, at most", (double)usage.ru_maxrss / 1024, "MiB");
	store_closep(&s);
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}
