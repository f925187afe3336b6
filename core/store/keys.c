#include "core/store/keys.h"

#include "core/store/rows.h"

#define MIB (1u << 20)
#define KIB (1u << 10)

/* Write buffers: rows get the most, since a replay reads there what it wrote lately. Then blocks:
 * the shards grow in places of the keys that lie far apart, so that each file overlaps all that is
 * between them and is merged with it; fewer files are fewer merges. Blocks of 16 KiB pack better
 * than RocksDB's 4 KiB; stat records are read one by one and get smaller ones, deaths in one go and
 * once. Level 6 packs the keys of rows by a fiftieth better than 3 for a third more of its time,
 * and what stands above it by a hundredth, which deaths alone are small and alike enough for. */
const struct family_rules families[FAMILY_COUNT] = {
	[FAMILY_META]   = { "default", 1 * MIB, 4 * KIB, 3, .filter = false },
	[FAMILY_BLOCKS] = { "blocks", 32 * MIB, 16 * KIB, 6, .filter = true,
			    .mostly_hits = true },
	[FAMILY_ROWS]   = { "rows", 64 * MIB, 16 * KIB, 6, .placed = true, .filter = true },
	[FAMILY_DEATHS] = { "deaths", 8 * MIB, 64 * KIB, 9, .filter = false },
	[FAMILY_STATS]  = { "stats", 8 * MIB, 8 * KIB, 6, .filter = false },
	[FAMILY_HASHES] = { "hashes", 16 * MIB, 16 * KIB, 6, .filter = false },
	[FAMILY_REPLAY] = { "replay", 16 * MIB, 16 * KIB, 6, .filter = true,
			    .mostly_hits = true },
};

static_assert(SHARD_MAX <= 256, "a shard is one byte in keys");

static void add(struct short_key *k, const void *p, size_t n)
{
	assert(k->n + n <= sizeof k->bytes);
	memcpy(k->bytes + k->n, p, n);
	k->n += n;
}

static void add_u8(struct short_key *k, uint8_t v)
{
	add(k, &v, 1);
}

static void add_be64(struct short_key *k, uint64_t v)
{
	uint8_t bytes[8];

	put_be64(bytes, v);
	add(k, bytes, sizeof bytes);
}

/* A number in as few bytes as it needs, behind their count: order is kept. */
static void add_counted(struct short_key *k, uint64_t v)
{
	uint8_t bytes[8];
	size_t skip = v ? (size_t)__builtin_clzll(v) / 8 : sizeof bytes;

	put_be64(bytes, v);
	add_u8(k, (uint8_t)(sizeof bytes - skip));
	add(k, bytes + skip, sizeof bytes - skip);
}

static uint64_t rd_counted(struct rd *r)
{
	uint8_t n = rd_u8(r), bytes[8] = { 0 };

	if (n > sizeof bytes) {
		r->failed = true;
		return 0;
	}
	struct slice s = rd_bytes(r, n);

	if (s.n)
		memcpy(bytes + sizeof bytes - s.n, s.p, s.n);
	return get_be64(bytes);
}

/* A number in its bits by seven a byte, the first of which begins with a one for each that follows
 * it: order is kept, and most need no byte that counts. */
static void add_ones(struct short_key *k, uint64_t v)
{
	uint8_t bytes[9] = { 0 };
	size_t more = 0;

	while (more < 8 && v >> (7 * (more + 1)))
		more++;
	put_be64(bytes + 1, v);
	if (more < 8) { /* else the first byte is ones alone */
		bytes[8 - more] |= (uint8_t)(0xff00u >> more);
		add(k, bytes + 8 - more, more + 1);
		return;
	}
	bytes[0] = 0xff;
	add(k, bytes, sizeof bytes);
}

static uint64_t rd_ones(struct rd *r)
{
	uint8_t first = rd_u8(r), bytes[8] = { 0 };
	size_t more = first == 0xff ? 8 : (size_t)__builtin_clz(~((uint32_t)first << 24));
	struct slice s = rd_bytes(r, more);

	if (s.n)
		memcpy(bytes + sizeof bytes - s.n, s.p, s.n);
	uint64_t v = get_be64(bytes);

	return more < 8 ? v | (uint64_t)(first & (0x7f >> more)) << (8 * more) : v;
}

struct short_key key_meta_shard(const char *what, uint32_t shard)
{
	struct short_key k = { .n = 0 };

	add(&k, what, strlen(what));
	add_u8(&k, (uint8_t)shard);
	return k;
}

struct short_key key_block(uint32_t shard, uint64_t height)
{
	struct short_key k = { .n = 0 };

	add_u8(&k, (uint8_t)shard);
	add_be64(&k, height);
	return k;
}

struct short_key key_stat(uint64_t object)
{
	struct short_key k = { .n = 0 };

	add_be64(&k, object);
	return k;
}

struct short_key key_hash(bool packed, const uint8_t hash[8], uint32_t shard, uint64_t height,
			  uint32_t item)
{
	struct short_key k = { .n = 0 };

	add(&k, hash, HASH_PREFIX_SIZE(packed));
	add_u8(&k, (uint8_t)shard);
	if (packed) {
		add_ones(&k, height);
		add_ones(&k, item + 1); /* of the block itself 0: one byte and not five */
	} else {
		add_counted(&k, height);
		add_counted(&k, item);
	}
	return k;
}

struct short_key key_replay(enum replay_kind kind, uint32_t shard, uint64_t height)
{
	struct short_key k = { .n = 0 };

	add_u8(&k, (uint8_t)kind);
	add_u8(&k, (uint8_t)shard);
	add_be64(&k, height);
	return k;
}

struct short_key key_deaths(uint32_t shard, uint64_t height, uint32_t branch)
{
	struct short_key k = { .n = 0 };
	uint8_t bytes[4];

	add_u8(&k, (uint8_t)shard);
	add_be64(&k, height);
	put_be32(bytes, branch);
	add(&k, bytes, sizeof bytes);
	return k;
}

static int read_done(const struct rd *r)
{
	return rd_done(r) < 0 ? -EUCLEAN : 0;
}

int key_block_read(struct slice key, uint32_t *shard, uint64_t *height)
{
	struct rd r = rd_of(key);

	*shard = rd_u8(&r);
	*height = rd_be64(&r);
	return read_done(&r);
}

int key_hash_read(bool packed, struct slice key, uint8_t prefix[8], uint32_t *shard,
		  uint64_t *height, uint32_t *item)
{
	struct rd r = rd_of(key);
	struct slice hash = rd_bytes(&r, HASH_PREFIX_SIZE(packed));

	memset(prefix, 0, 8);
	if (hash.n)
		memcpy(prefix, hash.p, hash.n);
	*shard = rd_u8(&r);
	*height = packed ? rd_ones(&r) : rd_counted(&r);
	*item = packed ? (uint32_t)rd_ones(&r) - 1 : (uint32_t)rd_counted(&r);
	return read_done(&r);
}

int key_replay_read(struct slice key, uint8_t *kind, uint32_t *shard, uint64_t *height)
{
	struct rd r = rd_of(key);

	*kind = rd_u8(&r);
	*shard = rd_u8(&r);
	*height = rd_be64(&r);
	return read_done(&r);
}

int key_deaths_read(struct slice key, uint32_t *shard, uint64_t *height)
{
	struct rd r = rd_of(key);

	*shard = rd_u8(&r);
	*height = rd_be64(&r);
	rd_be32(&r);
	return read_done(&r);
}

void key_escape(struct buf *out, struct slice key)
{
	if (buf_reserve(out, 2 * key.n + 2) < 0)
		return;
	uint8_t *to = out->p + out->n;

	for (size_t i = 0; i < key.n; i++) {
		*to++ = key.p[i];
		if (key.p[i] == 0)
			*to++ = 0xff;
	}
	*to++ = 0;
	*to++ = 0;
	out->n = (size_t)(to - out->p);
}

int key_unescape(struct rd *r, struct buf *out)
{
	for (;;) {
		size_t left = rd_left(r);
		const uint8_t *zero = left ? memchr(r->p, 0, left) : NULL;

		if (!zero || (size_t)(zero - r->p) + 2 > left)
			return -EUCLEAN;
		size_t plain = (size_t)(zero - r->p);

		buf_add(out, rd_bytes(r, plain));
		rd_u8(r);
		uint8_t mark = rd_u8(r);

		if (mark == 0)
			return buf_done(out);
		if (mark != 0xff)
			return -EUCLEAN;
		buf_u8(out, 0);
	}
}

/* ---- keys of rows, packed ---- */

#define HEIGHT_SIZE 8

static_assert(ROW_STORED_KEY_MAX == 2 * ROW_KEY_MAX + 4 + ROW_SUFFIX_SIZE, "every byte escaped");

/* Bytes up to the terminator, and it; 0: there is none. */
static size_t stem_size(struct slice key)
{
	for (size_t i = 2; i < key.n; i += 2) {
		const uint8_t *zero = memchr(key.p + i, 0, key.n - i);

		if (!zero || (size_t)(zero - key.p) + 1 >= key.n)
			return 0;
		i = (size_t)(zero - key.p);
		if (zero[1] != 0xff)
			return zero[1] ? 0 : i + 2;
	}
	return 0;
}

size_t key_row_stem(struct slice key)
{
	size_t stem = stem_size(key), place = key.n - stem;

	return stem && (place == HEIGHT_SIZE || place == ROW_SUFFIX_SIZE) ? stem : 0;
}

/* What a place of branch 0 has behind its height: the first that is ever stored there. */
static const uint8_t first_place[] = { 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0 };
static_assert(PLACE_INDEX == 0 && sizeof first_place == ROW_SUFFIX_SIZE - HEIGHT_SIZE,
	      "~index, then the branch");

struct slice key_row_pack(struct slice key)
{
	size_t stem = stem_size(key);

	if (!stem || key.n - stem < HEIGHT_SIZE)
		return key;
	struct slice at = SLICE(key.p, stem + HEIGHT_SIZE);

	/* What is sought need be no place: it may stand before all of that height. */
	return slice_cmp(SLICE(key.p + at.n, key.n - at.n), SLICE_ARRAY(first_place)) > 0 ? key
											  : at;
}

bool key_row_is_own(struct slice key, struct slice packed)
{
	if (packed.n < key.n)
		return slice_eq(SLICE(key.p + packed.n, key.n - packed.n),
				SLICE_ARRAY(first_place));
	size_t stem = key_row_stem(key);

	return !stem || key.n - stem != HEIGHT_SIZE;
}

struct slice key_row_unpack(struct slice key, uint8_t out[ROW_STORED_KEY_MAX])
{
	size_t stem = stem_size(key);

	if (!stem || key.n - stem != HEIGHT_SIZE || key.n + sizeof first_place > ROW_STORED_KEY_MAX)
		return key;
	memcpy(out, key.p, key.n);
	memcpy(out + key.n, first_place, sizeof first_place);
	return SLICE(out, key.n + sizeof first_place);
}
