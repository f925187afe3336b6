/* What is listed ahead goes out whole and in order, and who lists takes nothing from who reads on. */
#include "fs/connection/ahead.h"

#include <linux/fuse.h>
#include <pthread.h>

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

/* ---- the thread ---- */

#define FOLDER_NAMES 20000u
#define PIECE        4096u
#define READERS      6u
#define GONE         9u

struct lister {
	struct ahead *ahead;
	pthread_mutex_t lock;
	pthread_cond_t moved;
	bool held; /* who lists waits */
	unsigned begun, ended;
};

static void lister_init(struct lister *l)
{
	*l = (struct lister){ .ahead = ahead_new() };
	assert_non_null(l->ahead);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->moved, NULL);
}

static void lister_release(struct lister *l)
{
	ahead_freep(&l->ahead);
	pthread_cond_destroy(&l->moved);
	pthread_mutex_destroy(&l->lock);
}

/* A folder of FOLDER_NAMES names, each at the offset that it says; generation GONE is gone. */
static void list_names(struct ahead_part *part)
{
	char name[32];

	part->last = 0;
	if (part->of.generation == GONE)
		return;
	part->bytes = malloc(AHEAD_SIZE);
	assert_non_null(part->bytes);
	for (uint64_t at = part->offset + 1; at <= FOLDER_NAMES; at++) {
		if (part->end + FUSE_NAME_OFFSET + sizeof(struct fuse_entry_out) + 256 >
		    AHEAD_SIZE) {
			part->last = at - 1;
			return;
		}
		snprintf(name, sizeof name, "%" PRIu64, at);
		add(part, name, at);
	}
}

static void on_list(void *arg, struct ahead_part *part)
{
	struct lister *l = arg;

	pthread_mutex_lock(&l->lock);
	l->begun++;
	pthread_cond_broadcast(&l->moved);
	while (l->held)
		pthread_cond_wait(&l->moved, &l->lock);
	pthread_mutex_unlock(&l->lock);
	list_names(part);
	LOCKED(&l->lock);
	l->ended++;
	pthread_cond_broadcast(&l->moved);
}

static void wait_for(struct lister *l, const unsigned *what, unsigned count)
{
	LOCKED(&l->lock);
	while (*what < count)
		pthread_cond_wait(&l->moved, &l->lock);
}

static void hold(struct lister *l, bool on)
{
	LOCKED(&l->lock);
	l->held = on;
	pthread_cond_broadcast(&l->moved);
}

/* As a connection answers: what was listed ahead, or as much anew. Returns the offset of the last
 * name of the piece; *taken: it was there. */
static uint64_t ask(struct ahead *a, const struct asked_as *of, uint64_t offset, bool *taken)
{
	AUTO(ahead_part_release) struct ahead_part part = { .bytes = NULL };

	*taken = offset && ahead_take(a, of, offset, false, &part);
	if (!*taken) {
		ahead_part_release(&part);
		part = (struct ahead_part){ .of = *of, .offset = offset };
		list_names(&part);
	}
	size_t from = part.at, used = ahead_cut(&part, PIECE);

	for (size_t at = from; at < from + used; offset++) {
		struct fuse_dirent entry;
		char name[32];

		memcpy(&entry, part.bytes + at, FUSE_NAME_OFFSET);
		assert_int_equal(entry.off, offset + 1);
		int size = snprintf(name, sizeof name, "%" PRIu64, offset + 1);

		assert_int_equal(entry.namelen, size);
		assert_memory_equal(part.bytes + at + FUSE_NAME_OFFSET, name, (size_t)size);
		at += FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + entry.namelen);
	}
	assert_true(part.offset == offset);
	ahead_put(a, &part, 0);
	return offset;
}

/* The first part of a folder, as who listed it puts it back; *behind: where the next one begins. */
static void put_first(struct lister *l, const struct asked_as *of, uint64_t *behind)
{
	struct ahead_part part = { .of = *of };

	list_names(&part);
	*behind = part.last;
	ahead_put(l->ahead, &part, 0);
}

static bool take_whole(struct lister *l, const struct asked_as *of, uint64_t *offset)
{
	AUTO(ahead_part_release) struct ahead_part part = { .bytes = NULL };

	if (!ahead_take(l->ahead, of, *offset, false, &part))
		return false;
	ahead_cut(&part, SIZE_MAX);
	*offset = part.offset;
	ahead_put(l->ahead, &part, 0);
	return true;
}

static void what_is_behind_a_part_is_listed_once_it_is_had(void **state)
{
	const struct asked_as of = { 1, 3, 5 };
	struct lister l;
	struct err err = ERR_INIT;
	uint64_t offset = 0, behind;
	unsigned parts = 0;

	lister_init(&l);
	assert_int_equal(ahead_start(l.ahead, on_list, &l, &err), 0);
	put_first(&l, &of, &behind);
	while (offset < FOLDER_NAMES) {
		wait_for(&l, &l.ended, parts);
		assert_int_equal(l.begun, parts);
		assert_true(take_whole(&l, &of, &offset));
		parts++;
	}
	assert_true(parts > 3);
	lister_release(&l);
	assert_int_equal(l.begun, parts - 1);
}

struct asker {
	struct lister *lister;
	struct asked_as of;
	uint64_t offset;
	bool taken;
	unsigned asking;
};

static void *take_behind(void *arg)
{
	struct asker *a = arg;

	pthread_mutex_lock(&a->lister->lock);
	a->asking++;
	pthread_cond_broadcast(&a->lister->moved);
	pthread_mutex_unlock(&a->lister->lock);
	a->taken = take_whole(a->lister, &a->of, &a->offset);
	return NULL;
}

static void what_is_being_listed_is_waited_for_and_what_will_be_is_not(void **state)
{
	const struct asked_as other = { 2, 3, 5 };
	struct lister l;
	struct err err = ERR_INIT;
	struct asker asker = { .lister = &l, .of = { 1, 3, 5 } };
	uint64_t behind, offset = 0;
	pthread_t thread;

	lister_init(&l);
	assert_int_equal(ahead_start(l.ahead, on_list, &l, &err), 0);
	hold(&l, true);
	put_first(&l, &asker.of, &behind);
	assert_true(take_whole(&l, &asker.of, &asker.offset));
	assert_int_equal(asker.offset, behind);
	wait_for(&l, &l.begun, 1);
	put_first(&l, &other, &behind);
	assert_true(take_whole(&l, &other, &offset));
	assert_false(take_whole(&l, &other, &offset));
	assert_int_equal(pthread_create(&thread, NULL, take_behind, &asker), 0);
	wait_for(&l, &asker.asking, 1);
	hold(&l, false);
	pthread_join(thread, NULL);
	assert_true(asker.taken);
	lister_release(&l);
	assert_true(l.begun <= 2); /* what is behind that, but nothing of the other */
}

static void what_cannot_be_listed_ahead_is_asked_for(void **state)
{
	const struct asked_as gone = { 1, GONE, 5 };
	struct ahead_part part = { .of = { 1, 3, 5 } };
	struct lister l;
	struct err err = ERR_INIT;
	uint64_t offset = 0;

	lister_init(&l);
	assert_int_equal(ahead_start(l.ahead, on_list, &l, &err), 0);
	list_names(&part);
	part.of = gone;
	ahead_put(l.ahead, &part, 0);
	assert_true(take_whole(&l, &gone, &offset));
	wait_for(&l, &l.ended, 1);
	assert_false(take_whole(&l, &gone, &offset));
	lister_release(&l);
}

struct reader {
	struct ahead *ahead;
	struct random random;
	pthread_t thread;
};

static void *read_folders(void *arg)
{
	struct reader *r = arg;
	bool taken;

	for (uint64_t round = rounds(10); round; round--) {
		const struct asked_as of = { 1 + random_below(&r->random, 2), 3,
					     random_below(&r->random, 2) };
		uint64_t until = random_below(&r->random, 2 * FOLDER_NAMES), offset = 0;

		while (offset < MIN(until, FOLDER_NAMES))
			offset = ask(r->ahead, &of, offset, &taken);
	}
	return NULL;
}

static void readers_of_the_same_folders_all_read_every_name(void **state)
{
	struct random random = random_of_run();
	struct reader readers[READERS];
	struct lister l;
	struct err err = ERR_INIT;

	lister_init(&l);
	assert_int_equal(ahead_start(l.ahead, on_list, &l, &err), 0);
	for (size_t i = 0; i < READERS; i++) {
		readers[i] = (struct reader){ .ahead = l.ahead,
					      .random = random_of(random_u64(&random)) };
		assert_int_equal(
			pthread_create(&readers[i].thread, NULL, read_folders, &readers[i]), 0);
	}
	for (size_t i = 0; i < READERS; i++)
		pthread_join(readers[i].thread, NULL);
	ahead_stop(l.ahead);
	assert_true(l.begun > 0 && l.begun == l.ended);
	lister_release(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_of_any_size_are_the_whole_in_order),
		cmocka_unit_test(a_part_is_had_once_by_who_goes_on_there),
		cmocka_unit_test(more_readers_than_parts_take_nothing_from_each_other),
		cmocka_unit_test(what_was_published_since_makes_way_for_what_is_listed_now),
		cmocka_unit_test(what_is_behind_a_part_is_listed_once_it_is_had),
		cmocka_unit_test(what_is_being_listed_is_waited_for_and_what_will_be_is_not),
		cmocka_unit_test(what_cannot_be_listed_ahead_is_asked_for),
		cmocka_unit_test(readers_of_the_same_folders_all_read_every_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
