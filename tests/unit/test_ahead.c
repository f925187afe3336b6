/* What is listed ahead goes out whole and in order, and who lists takes nothing from who reads on. */
#include "fs/connection/ahead.h"

#include <linux/fuse.h>

#include "tests/support/support.h"

#define NAMES 300u

/* One entry behind part->end, as a connection writes it. */
static void add(struct ahead_part *part, const char *name, uint64_t offset)
{
	const size_t head = part->plus ? sizeof(struct fuse_entry_out) : 0;
	const struct fuse_dirent entry = {
		.ino = 7, .off = offset, .namelen = (uint32_t)strlen(name), .type = 8
	};
	char *at = part->bytes + part->end + head;

	assert_true(part->end + head + FUSE_NAME_OFFSET + 256 <= AHEAD_SIZE);
	memset(part->bytes + part->end, 0, head + FUSE_NAME_OFFSET + 256);
	memcpy(at, &entry, FUSE_NAME_OFFSET);
	memcpy(at + FUSE_NAME_OFFSET, name, entry.namelen);
	part->end += FUSE_DIRENT_ALIGN(head + FUSE_NAME_OFFSET + entry.namelen);
}

static struct ahead_part part_of(uint64_t ino, uint64_t stamp)
{
	struct ahead_part p = { .of = { ino, 3, stamp },
				.offset = 10,
				.bytes = malloc(AHEAD_SIZE) };

	assert_non_null(p.bytes);
	add(&p, "a", 11);
	return p;
}

static void put(struct ahead *a, uint64_t ino, uint64_t stamp, uint64_t now_ms)
{
	struct ahead_part p = part_of(ino, stamp);

	ahead_put(a, &p, now_ms);
	assert_null(p.bytes);
}

static bool take(struct ahead *a, uint64_t ino, uint64_t stamp)
{
	AUTO(ahead_part_release) struct ahead_part p = { .bytes = NULL };
	const struct asked_as of = { ino, 3, stamp };

	return ahead_take(a, &of, 10, false, &p);
}

static bool has_room(struct ahead *a, uint64_t ino, uint64_t stamp, uint64_t now_ms)
{
	return ahead_has_room(a, &(struct asked_as){ ino, 3, stamp }, now_ms);
}

static void pieces_of_any_size_are_the_whole_in_order(void **state)
{
	struct random r = random_of_run();

	for (uint64_t round = rounds(50); round; round--) {
		struct ahead_part p = { .plus = random_chance(&r, 50),
					.bytes = malloc(AHEAD_SIZE) };
		size_t ends[NAMES], given = 0, gone = 0;

		assert_non_null(p.bytes);
		for (size_t i = 0; i < NAMES; i++) {
			char name[256] = { 0 };

			memset(name, 'a' + (int)(i % 26), 1 + random_below(&r, 200));
			add(&p, name, 1000 + i);
			ends[i] = p.end;
		}
		while (given < NAMES) {
			size_t room = random_below(&r, 5000), from = given;
			size_t used = ahead_cut(&p, room);

			while (given < NAMES && ends[given] <= gone + used)
				given++;
			/* Whole entries, as many as fit, and it goes on behind the last one. */
			assert_true(used <= room && p.at == gone + used);
			assert_true(used == (given ? ends[given - 1] : 0) - gone);
			assert_true(given == NAMES || ends[given] - gone > room);
			assert_int_equal(p.offset, given == from ? p.offset : 1000 + given - 1);
			gone += used;
		}
		assert_int_equal(ahead_cut(&p, SIZE_MAX), 0);
		ahead_part_release(&p);
	}
}

static void a_part_is_had_once_by_who_goes_on_there(void **state)
{
	AUTO(ahead_freep) struct ahead *a = ahead_new();
	AUTO(ahead_part_release) struct ahead_part out = { .bytes = NULL };

	put(a, 1, 5, 0);
	assert_false(ahead_take(a, &(struct asked_as){ 1, 3, 5 }, 9, false, &out));
	assert_false(ahead_take(a, &(struct asked_as){ 1, 3, 5 }, 10, true, &out));
	assert_false(ahead_take(a, &(struct asked_as){ 1, 4, 5 }, 10, false, &out));
	assert_false(take(a, 2, 5));
	assert_false(take(a, 1, 6));
	assert_true(take(a, 1, 5));
	assert_false(take(a, 1, 5));

	struct ahead_part end = part_of(1, 5);

	end.at = end.end;
	ahead_put(a, &end, 0); /* nothing is left of it */
	assert_null(end.bytes);
	assert_false(take(a, 1, 5));
}

/* Else each of them would be listed ahead for every piece, and thrown away before the next one. */
static void more_readers_than_parts_take_nothing_from_each_other(void **state)
{
	AUTO(ahead_freep) struct ahead *a = ahead_new();

	for (uint64_t ino = 1; ino <= AHEAD_PARTS; ino++) {
		assert_true(has_room(a, ino, 5, 100));
		put(a, ino, 5, 100 + ino);
	}
	assert_false(has_room(a, 99, 5, 100 + AHEAD_PARTS));
	put(a, 99, 5, 100 + AHEAD_PARTS);
	assert_false(take(a, 99, 5));
	for (uint64_t ino = 1; ino <= AHEAD_PARTS; ino++) {
		assert_true(take(a, ino, 5));
		assert_true(has_room(a, 99, 5, 200));
		put(a, ino, 5, 200 + ino);
	}
	/* Who did not come again for a while makes way, the one before all who put his first. */
	assert_false(has_room(a, 99, 5, 200 + AHEAD_OLD_MS));
	assert_true(has_room(a, 99, 5, 201 + AHEAD_OLD_MS));
	put(a, 99, 5, 210 + AHEAD_OLD_MS);
	assert_false(take(a, 1, 5));
	for (uint64_t ino = 2; ino <= AHEAD_PARTS; ino++)
		assert_true(take(a, ino, 5));
	assert_true(take(a, 99, 5));
}

static void what_was_published_since_makes_way_for_what_is_listed_now(void **state)
{
	AUTO(ahead_freep) struct ahead *a = ahead_new();

	for (uint64_t stamp = 1; stamp <= 3 * AHEAD_PARTS; stamp++) {
		assert_true(has_room(a, 1, stamp, 100));
		put(a, 1, stamp, 100);
		put(a, 2, 1, 100);
	}
	assert_true(take(a, 1, 3 * AHEAD_PARTS));
	assert_true(take(a, 2, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_of_any_size_are_the_whole_in_order),
		cmocka_unit_test(a_part_is_had_once_by_who_goes_on_there),
		cmocka_unit_test(more_readers_than_parts_take_nothing_from_each_other),
		cmocka_unit_test(what_was_published_since_makes_way_for_what_is_listed_now),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
