/* What the rows of a store's state take, by what they are.
 *
 *     bench_bytes STORE NETWORK [FAMILY]     FAMILY: a name of keys.c; "rows" by default
 *
 * One line a kind of row (space and first byte of the key; of other families the first byte alone):
 * how many versions, how many of them tombstones, bytes of keys, bytes of values, and what they
 * come to when each 8 KiB of them alone are packed by zstd -3, keys without what they share with
 * the one before: about what they take in the database's files. */
#include "core/base/clock.h"
#include "core/store/inside.h"
#include "core/store/store.h"

#include <stdio.h>
#include <zstd.h>

#define CHUNK (8u << 10)

struct kind {
	uint64_t versions, tombstones, keys, values, packed;
	struct buf chunk, before;
};

static struct kind kinds[3][256];

static uint64_t pack(struct slice s)
{
	static uint8_t out[64u << 20];
	size_t n = ZSTD_compress(out, sizeof out, s.p, s.n, 3);

	return ZSTD_isError(n) ? s.n : MIN(n, s.n);
}

static void add(struct kind *k, struct slice key, struct slice value, bool tombstone)
{
	size_t shared = 0;

	if (!k->chunk.size_max)
		k->chunk.size_max = k->before.size_max = 64u << 20;
	while (shared < key.n && shared < k->before.n && key.p[shared] == k->before.p[shared])
		shared++;
	k->versions++;
	k->tombstones += tombstone;
	k->keys += key.n;
	k->values += value.n;
	buf_varint(&k->chunk, shared);
	buf_varint(&k->chunk, key.n - shared);
	buf_varint(&k->chunk, value.n);
	buf_add(&k->chunk, slice_sub(key, shared, key.n));
	buf_add(&k->chunk, value);
	buf_clear(&k->before);
	buf_add(&k->before, key);
	if (k->chunk.n >= CHUNK) {
		k->packed += pack(buf_slice(&k->chunk));
		buf_clear(&k->chunk);
	}
}

static void print(unsigned space, unsigned letter)
{
	struct kind *k = &kinds[space][letter];

	if (!k->versions)
		return;
	k->packed += pack(buf_slice(&k->chunk));
	printf("%u\t%c %02x\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64
	       "\t%.1f a version\n",
	       space, letter > ' ' && letter < 127 ? (int)letter : '.', letter, k->versions,
	       k->tombstones, k->keys, k->values, k->packed,
	       (double)k->packed / (double)k->versions);
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	struct store *s = NULL;
	enum family family = FAMILY_ROWS;

	if (argc < 3)
		return 1;
	for (enum family f = 0; argc > 3 && f < FAMILY_COUNT; f++)
		if (strcmp(families[f].name, argv[3]) == 0)
			family = f;
	if (store_open(argv[1], &(struct store_options){ .holder = "bench" }, &s, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	struct network *n = store_network_find(s, argv[2]);
	struct db_iter *it = NULL;

	if (!n || db_iter_new(n->db, family, DB_ORDERED, &it) < 0)
		return 1;
	for (enum family f = 0; f < FAMILY_COUNT; f++)
		printf("# %s\t%" PRIu64 " bytes of files\n", families[f].name,
		       db_family_bytes(n->db, f));
	printf("# space\tkind\tversions\ttombstones\tkeys\tvalues\tpacked\n");
	for (int rc = db_iter_seek(it, SLICE_EMPTY, &err); rc == 1; rc = db_iter_next(it, &err)) {
		struct slice key = db_iter_key(it), value = db_iter_value(it);
		bool of_rows = family == FAMILY_ROWS;

		/* X rows are many things: the byte behind the account says which. */
		unsigned letter = of_rows ? key.p[2] : key.p[0];

		if (of_rows && letter == 'X') {
			letter = key.p[3] < 32 ? key.p[3] + 128 : key.p[3];
		}
		if (of_rows && db_is_packed(n->db))
			key = key_row_pack(key);
		add(&kinds[of_rows ? key.p[0] % 3 : 0][letter], key, value,
		    of_rows && value.n && value.p[0] & 0x80);
	}
	db_iter_freep(&it);
	for (unsigned space = 0; space < 3; space++)
		for (unsigned letter = 0; letter < 256; letter++)
			print(space, letter);
	store_closep(&s);
	return 0;
}
