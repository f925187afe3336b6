#include "core/store/segment.h"
#include "core/store/cache.h"
#include "tests/support/store_fixture.h"

#include <sys/stat.h>

struct place {
	char             path[128], folder[160], first[200];
	struct segments *s;
};

static int open_at(struct place *p, struct segments_end end, struct err *err)
{
	segments_closep(&p->s);
	return segments_open(p->folder, end, true, &p->s, err);
}

static void place_open(struct place *p)
{
	*p = (struct place){ .s = NULL };
	fixture_folder(p->path);
	snprintf(p->folder, sizeof p->folder, "%s/segments", p->path);
	snprintf(p->first, sizeof p->first, "%s/000001.seg", p->folder);
	assert_int_equal(open_at(p, (struct segments_end){ 0 }, NULL), 0);
}

static void place_release(struct place *p)
{
	segments_closep(&p->s);
	fixture_remove(p->path);
}

static struct frame_ref append(struct place *p, struct slice bytes)
{
	struct frame_ref ref;

	assert_int_equal(segments_append(p->s, bytes, NULL, 0, &ref, NULL), 0);
	return ref;
}

static void expect(struct place *p, const struct frame_ref *ref, struct slice wanted)
{
	AUTO(base_freep) uint8_t *out = malloc(ref->size + 1);
	struct err err = ERR_INIT;

	assert_int_equal(ref->size, wanted.n);
	if (segments_read(p->s, ref, out, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(slice_eq(SLICE(out, ref->size), wanted));
}

static off_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 ? -1 : st.st_size;
}

static void frames_come_back_packed_where_that_pays(void **state)
{
	AUTO(place_release) struct place p;
	struct random r = random_of(1);
	static uint8_t noise[5000], text[100000];

	place_open(&p);
	random_bytes(&r, noise, sizeof noise);
	memset(text, 'a', sizeof text);
	struct frame_ref a = append(&p, SLICE_ARRAY(noise)), b = append(&p, SLICE_ARRAY(text));
	struct frame_ref c = append(&p, SLICE("x", 1)), d = append(&p, SLICE_EMPTY);

	assert_int_equal(a.stored, sizeof noise);
	assert_true(b.stored < 200);
	assert_int_equal(b.offset, FRAME_HEADER_SIZE + sizeof noise);
	assert_int_equal(segments_sync(p.s, NULL), 0);
	expect(&p, &a, SLICE_ARRAY(noise));
	expect(&p, &b, SLICE_ARRAY(text));
	expect(&p, &c, slice_str("x"));
	expect(&p, &d, SLICE_EMPTY);
	struct segments_end end = segments_end(p.s);

	assert_int_equal(open_at(&p, end, NULL), 0);
	expect(&p, &b, SLICE_ARRAY(text));
}

/* Noise in which `count` hashes stand, each behind (or before) 50 bytes that it is of. */
static size_t tell(struct random *r, uint8_t *bytes, size_t count, bool behind, struct told *told)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		random_bytes(r, bytes + n, 100);
		told[i] = behind ? (struct told){ (uint32_t)n, (uint32_t)n + HASH20_SIZE + 3, 50 }
				 : (struct told){ (uint32_t)n + 52, (uint32_t)n, 50 };
		hash_blake3_20(SLICE(bytes + told[i].from, 50), bytes + told[i].at);
		n += 100;
	}
	random_bytes(r, bytes + n, 7);
	return n + 7;
}

static void hashes_that_bytes_tell_of_themselves_are_not_stored(void **state)
{
	AUTO(place_release) struct place p;
	struct random r = random_of(2);
	static uint8_t bytes[40 * 100 + 7];
	struct told told[40];
	struct frame_ref ref;

	place_open(&p);
	for (int behind = 0; behind < 2; behind++) {
		size_t n = tell(&r, bytes, ARRAY_LEN(told), behind, told);

		assert_int_equal(segments_append(p.s, SLICE(bytes, n), told, ARRAY_LEN(told), &ref,
						 NULL), 0);
		assert_true(ref.stored < n - 15 * ARRAY_LEN(told));
		expect(&p, &ref, SLICE(bytes, n));

		/* One that is not what it is told to be, one that overlaps, one out of bounds. */
		bytes[told[3].at] ^= 1;
		told[5].from = told[4].at;
		told[39].size = UINT32_MAX;
		assert_int_equal(segments_append(p.s, SLICE(bytes, n), told, ARRAY_LEN(told), &ref,
						 NULL), 0);
		assert_true(ref.stored > n - 20 * ARRAY_LEN(told));
		expect(&p, &ref, SLICE(bytes, n));
	}
}

/* A piece at `n`: how many bytes, these, their hash, a signature; or the hash and the signature
 * first. Its end. */
static size_t put_signed(struct random *r, uint8_t *bytes, size_t n, struct told told[2])
{
	size_t size = 30 + random_below(r, 300), head = size > 127 ? 2 : 1;
	size_t first = n + random_below(r, 9), from, hash, signature;

	if (random_chance(r, 30)) {
		hash = first;
		signature = hash + HASH20_SIZE + 4;
		from = signature + 64 + 2 + head;
	} else {
		from = first + head;
		hash = from + size + 2;
		signature = hash + HASH20_SIZE + 4;
	}
	size_t end = MAX(from + size, signature + 64);

	memset(bytes + n, 'x', end - n);
	random_bytes(r, bytes + from, size / 4);
	random_bytes(r, bytes + signature, 64);
	if (random_chance(r, 80)) { /* else nothing in front of them says how many they are */
		bytes[from - head] = (uint8_t)(size > 127 ? size % 128 + 128 : size);
		if (head == 2)
			bytes[from - 1] = (uint8_t)(size / 128);
	}
	hash_blake3_20(SLICE(bytes + from, size), bytes + hash);
	told[0] = (struct told){ (uint32_t)hash, (uint32_t)from, (uint32_t)size };
	told[1] = (struct told){ (uint32_t)signature, (uint32_t)signature, 64 };
	return end;
}

/* As a program before this one wrote it, in a file of its own. */
static void hashes_that_an_older_frame_leaves_out_come_back(void **state)
{
	AUTO(place_release) struct place p;
	AUTO(buf_release) struct buf frame = BUF_INIT(8000), list = BUF_INIT(1000);
	struct random r = random_of(3);
	static uint8_t bytes[40 * 100 + 7];
	struct told told[40];
	uint8_t sum[8] = { 0 };

	place_open(&p);
	append(&p, slice_str("there has to be a file"));
	assert_int_equal(segments_sync(p.s, NULL), 0);
	struct segments_end end = segments_end(p.s);
	size_t n = tell(&r, bytes, ARRAY_LEN(told), false, told), since = 0;

	for (size_t i = 0; i < ARRAY_LEN(told); since = told[i++].at + HASH20_SIZE) {
		buf_varint(&list, told[i].at - since);
		buf_varint(&list, 2 * (told[i].at - told[i].from) - 1);
		buf_varint(&list, told[i].size);
	}
	buf_bytes(&frame, "CFSF\1\2\0\0", 8);
	buf_be32(&frame, (uint32_t)n);
	buf_be32(&frame, (uint32_t)(1 + list.n + n - ARRAY_LEN(told) * HASH20_SIZE));
	buf_bytes(&frame, sum, sizeof sum); /* their place */
	buf_blob(&frame, buf_slice(&list));
	since = 0;
	for (size_t i = 0; i < ARRAY_LEN(told); since = told[i++].at + HASH20_SIZE)
		buf_bytes(&frame, bytes + since, told[i].at - since);
	buf_bytes(&frame, bytes + since, n - since);
	assert_true(list.n < 128 && buf_done(&frame) == 0);
	struct blake3 h;

	blake3_init(&h);
	blake3_add(&h, SLICE(frame.p, 16));
	blake3_add(&h, SLICE(frame.p + FRAME_HEADER_SIZE, frame.n - FRAME_HEADER_SIZE));
	blake3_end(&h, frame.p + 16, 8);

	FILE *file = fopen(p.first, "r+b");

	assert_non_null(file);
	assert_int_equal(fseek(file, (long)end.offset, SEEK_SET), 0);
	assert_int_equal(fwrite(frame.p, 1, frame.n, file), frame.n);
	assert_int_equal(fclose(file), 0);
	struct frame_ref ref = { 1, end.offset, (uint32_t)(frame.n - FRAME_HEADER_SIZE),
				 (uint32_t)n };

	expect(&p, &ref, SLICE(bytes, n));
}

static void signatures_stand_apart_and_come_back(void **state)
{
	AUTO(place_release) struct place p;
	struct random r = random_of_run();
	static uint8_t bytes[60 * 600];
	struct told told[120];
	struct frame_ref ref;

	place_open(&p);
	for (uint64_t round = rounds(200); round; round--) {
		size_t count = 1 + random_below(&r, 60), n = 0;

		for (size_t i = 0; i < count; i++)
			n = put_signed(&r, bytes, n, told + 2 * i);
		assert_int_equal(segments_append(p.s, SLICE(bytes, n), told, 2 * count, &ref, NULL),
				 0);
		expect(&p, &ref, SLICE(bytes, n));
		struct frame_ref whole = append(&p, SLICE(bytes, n));

		assert_true(ref.stored < whole.stored);

		/* Whatever is told of them, bytes come back as they were. */
		for (size_t i = 0; i < 2 * count; i++) {
			struct told *t = &told[random_below(&r, 2 * count)];

			if (random_chance(&r, 50))
				t->size = (uint32_t)random_below(&r, 2 * n);
			else if (random_chance(&r, 50))
				t->from = t->at;
			else
				t->at = t->from = (uint32_t)random_below(&r, n + 9);
			assert_int_equal(
				segments_append(p.s, SLICE(bytes, n), told, 2 * count, &ref, NULL),
				0);
			expect(&p, &ref, SLICE(bytes, n));
		}
	}
}

static void what_was_not_committed_is_cut_when_opened(void **state)
{
	AUTO(place_release) struct place p;

	place_open(&p);
	struct frame_ref a = append(&p, slice_str("committed"));
	struct segments_end end = segments_end(p.s);

	append(&p, slice_str("an orphan"));
	assert_true(size_of(p.first) > (off_t)end.offset);
	trace_set_sink(fixture_silence, NULL);
	assert_int_equal(open_at(&p, end, NULL), 0);
	assert_int_equal(size_of(p.first), end.offset);
	expect(&p, &a, slice_str("committed"));
	/* Nothing was committed at all: the file goes. */
	assert_int_equal(open_at(&p, (struct segments_end){ 0 }, NULL), 0);
	trace_set_sink(NULL, NULL);
	assert_int_equal(size_of(p.first), -1);
}

static void a_rewound_tail_is_written_over(void **state)
{
	AUTO(place_release) struct place p;

	place_open(&p);
	struct frame_ref a = append(&p, slice_str("first"));
	struct segments_end end = segments_end(p.s);
	struct frame_ref b = append(&p, slice_str("dropped"));

	segments_rewind(p.s, end);
	struct frame_ref c = append(&p, slice_str("second"));

	assert_int_equal(b.offset, c.offset);
	expect(&p, &a, slice_str("first"));
	expect(&p, &c, slice_str("second"));
	segments_rewind(p.s, (struct segments_end){ 0 });
	struct frame_ref d = append(&p, slice_str("again"));

	assert_int_equal(d.segment, 1);
	assert_int_equal(d.offset, 0);
	expect(&p, &d, slice_str("again"));
}

static void a_full_segment_is_followed_by_the_next(void **state)
{
	AUTO(place_release) struct place p;
	struct random r = random_of(2);
	static uint8_t noise[400u << 10];
	struct frame_ref refs[4];
	/* A segment that has room for two of the frames: what lies before is a hole. */
	struct segments_end end = { 1, SEGMENT_SIZE_MAX - (1u << 20) };

	place_open(&p);
	append(&p, slice_str("begins the file"));
	assert_int_equal(truncate(p.first, (off_t)end.offset), 0);
	assert_int_equal(open_at(&p, end, NULL), 0);
	random_bytes(&r, noise, sizeof noise);
	for (size_t i = 0; i < ARRAY_LEN(refs); i++) {
		noise[0] = (uint8_t)i;
		refs[i] = append(&p, SLICE_ARRAY(noise));
	}
	assert_int_equal(refs[1].segment, 1);
	assert_int_equal(refs[2].segment, 2);
	assert_int_equal(refs[2].offset, 0);
	assert_int_equal(refs[3].segment, 2);
	assert_true(size_of(p.first) <= (off_t)SEGMENT_SIZE_MAX);
	for (size_t i = 0; i < ARRAY_LEN(refs); i++) {
		noise[0] = (uint8_t)i;
		expect(&p, &refs[i], SLICE_ARRAY(noise));
	}
	/* A commit that began a segment and was dropped. */
	segments_rewind(p.s, (struct segments_end){ 1, refs[1].offset + FRAME_HEADER_SIZE +
							       refs[1].stored });
	noise[0] = 9;
	struct frame_ref again = append(&p, SLICE_ARRAY(noise));

	assert_int_equal(again.segment, 2);
	assert_int_equal(again.offset, 0);
	expect(&p, &again, SLICE_ARRAY(noise));
}

static void what_was_dropped_is_cut_before_the_next_segment_begins(void **state)
{
	AUTO(place_release) struct place p;
	struct random r = random_of(3);
	static uint8_t noise[400u << 10];
	struct segments_end end = { 1, SEGMENT_SIZE_MAX - (600u << 10) };

	place_open(&p);
	append(&p, slice_str("begins the file"));
	assert_int_equal(truncate(p.first, (off_t)end.offset), 0);
	assert_int_equal(open_at(&p, end, NULL), 0);
	random_bytes(&r, noise, sizeof noise);
	append(&p, SLICE(noise, 300u << 10));
	segments_rewind(p.s, end);
	struct frame_ref kept = append(&p, SLICE(noise, 250u << 10));
	off_t wanted = (off_t)segments_end(p.s).offset;

	assert_true(size_of(p.first) > wanted);
	assert_int_equal(append(&p, SLICE_ARRAY(noise)).segment, 2);
	assert_int_equal(size_of(p.first), wanted);
	expect(&p, &kept, SLICE(noise, 250u << 10));
}

static void every_flipped_bit_is_found(void **state)
{
	AUTO(place_release) struct place p;
	uint8_t text[300], out[300];

	place_open(&p);
	memset(text, 'b', sizeof text);
	memcpy(text, "some words", 10);
	struct frame_ref ref = append(&p, SLICE_ARRAY(text));
	size_t n = FRAME_HEADER_SIZE + ref.stored;
	FILE *f = fopen(p.first, "r+b");

	assert_non_null(f);
	for (size_t bit = 0; bit < 8 * n; bit++) {
		fseek(f, (long)(bit / 8), SEEK_SET);
		int c = fgetc(f);

		fseek(f, (long)(bit / 8), SEEK_SET);
		fputc(c ^ (1 << bit % 8), f);
		fflush(f);
		assert_int_equal(segments_read(p.s, &ref, out, NULL), -EBADMSG);
		fseek(f, (long)(bit / 8), SEEK_SET);
		fputc(c, f);
	}
	fclose(f);
	assert_int_equal(segments_read(p.s, &ref, out, NULL), 0);
}

static void a_file_that_is_cut_or_gone_is_damage(void **state)
{
	AUTO(place_release) struct place p;
	struct err err = ERR_INIT;
	uint8_t out[16];

	place_open(&p);
	struct frame_ref ref = append(&p, slice_str("some bytes"));
	struct segments_end end = segments_end(p.s);

	assert_int_equal(truncate(p.first, (off_t)end.offset - 1), 0);
	assert_int_equal(segments_read(p.s, &ref, out, NULL), -EBADMSG);
	assert_int_equal(open_at(&p, end, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "were committed"));
	assert_int_equal(unlink(p.first), 0);
	assert_int_equal(open_at(&p, end, &err), -ENOENT);
	assert_int_equal(open_at(&p, (struct segments_end){ 0 }, &err), 0);
	assert_int_equal(segments_read(p.s, &ref, out, NULL), -EBADMSG);
}

static void a_row_that_names_another_place_is_damage(void **state)
{
	AUTO(place_release) struct place p;
	uint8_t out[64];

	place_open(&p);
	struct frame_ref ref = append(&p, slice_str("some bytes"));

	append(&p, slice_str("other bytes"));
	struct frame_ref odd = ref;

	odd.size++;
	assert_int_equal(segments_read(p.s, &odd, out, NULL), -EBADMSG);
	odd = ref;
	odd.offset++;
	assert_int_equal(segments_read(p.s, &odd, out, NULL), -EBADMSG);
	odd = ref;
	odd.stored++;
	assert_int_equal(segments_read(p.s, &odd, out, NULL), -EBADMSG);
	odd = ref;
	odd.size = UINT32_MAX;
	assert_int_equal(segments_read(p.s, &odd, out, NULL), -EBADMSG);
}

/* ---- the cache ---- */

static struct frame *frame_of(uint64_t offset, size_t size)
{
	struct frame *f = frame_new(1, offset, size);

	assert_non_null(f);
	memset(f->bytes, (int)offset, size);
	return f;
}

static void the_cache_holds_its_bound_and_what_is_read_stays_valid(void **state)
{
	AUTO(cache_freep) struct cache *c = cache_new(1u << 20);
	AUTO(frame_putp) struct frame *first = frame_of(0, 1000);
	size_t found = 0;

	cache_add(c, first);
	for (uint64_t i = 1; i < 5000; i++) {
		AUTO(frame_putp) struct frame *f = frame_of(i, 1000);

		cache_add(c, f);
	}
	for (uint64_t i = 0; i < 5000; i++) {
		AUTO(frame_putp) struct frame *f = cache_get(c, 1, i);

		found += f != NULL;
		assert_true(!f || (f->size == 1000 && f->bytes[999] == (uint8_t)i));
	}
	assert_true(found > 700 && found <= (1u << 20) / 1000);
	assert_int_equal(first->bytes[0], 0);
	assert_null(cache_get(c, 2, 4999));
}

static void a_frame_used_lately_outlives_others(void **state)
{
	AUTO(cache_freep) struct cache *c = cache_new(1u << 20);

	for (uint64_t i = 0; i < 5000; i++) {
		AUTO(frame_putp) struct frame *f = frame_of(i, 1000);

		cache_add(c, f);
		AUTO(frame_putp) struct frame *kept = cache_get(c, 1, 0);

		assert_non_null(kept);
	}
}

static void a_frame_over_the_bound_stays_until_the_next(void **state)
{
	AUTO(cache_freep) struct cache *c = cache_new(1u << 20);
	AUTO(frame_putp) struct frame *big = frame_of(7, 2u << 20), *again = NULL;

	cache_add(c, big);
	again = cache_get(c, 1, 7);
	assert_ptr_equal(again, big);
	cache_add(c, big); /* offering it twice changes nothing */
}

static void *hammer(void *arg)
{
	struct cache *c = arg;
	struct random r = random_of((uintptr_t)&r);

	for (int i = 0; i < 20000; i++) {
		uint64_t at = random_below(&r, 600);
		AUTO(frame_putp) struct frame *f = cache_get(c, 1, at);

		if (!f) {
			f = frame_of(at, 500);
			cache_add(c, f);
		}
		assert(f->bytes[499] == (uint8_t)at);
	}
	return NULL;
}

static void many_readers_share_it(void **state)
{
	AUTO(cache_freep) struct cache *c = cache_new(100u << 10);
	pthread_t threads[4];

	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, c), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_come_back_packed_where_that_pays),
		cmocka_unit_test(hashes_that_bytes_tell_of_themselves_are_not_stored),
		cmocka_unit_test(hashes_that_an_older_frame_leaves_out_come_back),
		cmocka_unit_test(signatures_stand_apart_and_come_back),
		cmocka_unit_test(what_was_not_committed_is_cut_when_opened),
		cmocka_unit_test(a_rewound_tail_is_written_over),
		cmocka_unit_test(a_full_segment_is_followed_by_the_next),
		cmocka_unit_test(what_was_dropped_is_cut_before_the_next_segment_begins),
		cmocka_unit_test(every_flipped_bit_is_found),
		cmocka_unit_test(a_file_that_is_cut_or_gone_is_damage),
		cmocka_unit_test(a_row_that_names_another_place_is_damage),
		cmocka_unit_test(the_cache_holds_its_bound_and_what_is_read_stays_valid),
		cmocka_unit_test(a_frame_used_lately_outlives_others),
		cmocka_unit_test(a_frame_over_the_bound_stays_until_the_next),
		cmocka_unit_test(many_readers_share_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
