/* Whatever is given, forgotten, doubted and compared, in any order: it matches a table of
 * heights. */
#include "core/sync/doubt.h"
#include "tests/support/support.h"

#define HEIGHTS 200
#define VOICES  4

struct known {
	bool there;
	uint64_t voice;
	enum word word;
};

static struct range some_range(struct random *r)
{
	uint64_t first = random_below(r, HEIGHTS - 1), end = first + 1 + random_below(r, 30);

	return (struct range){ first, MIN(end, HEIGHTS) };
}

/* As the follower does it: of the highest doubted heights some are compared. */
static void compare_some(struct doubt *d, struct known *m, struct random *r)
{
	struct doubt_span s;

	if (!doubt_next(d, 0, HEIGHTS, &s))
		return;
	struct range part = { s.range.end - 1 - random_below(r, s.range.end - s.range.first),
			      s.range.end };

	assert_int_equal(doubt_compared(d, 0, part), 0);
	for (uint64_t h = part.first; h < part.end; h++)
		m[h].word = WORD_COMPARED;
}

static void step(struct doubt *d, struct known *m, struct random *r)
{
	struct range at = some_range(r);
	uint64_t voice = 1 + random_below(r, VOICES);

	switch (random_below(r, 8)) {
	case 0:
		doubt_forget(d, 0, at);
		for (uint64_t h = at.first; h < at.end; h++)
			m[h] = (struct known){ .there = false };
		break;
	case 1:
		doubt_all_of(d, voice);
		for (uint64_t h = 0; h < HEIGHTS; h++)
			if (m[h].there && m[h].voice == voice && m[h].word == WORD_TAKEN)
				m[h].word = WORD_DOUBTED;
		break;
	case 2:
		assert_int_equal(doubt_range(d, 0, at), 0);
		for (uint64_t h = at.first; h < at.end; h++) {
			if (!m[h].there)
				m[h] = (struct known){ .there = true };
			if (m[h].word == WORD_TAKEN)
				m[h].word = WORD_DOUBTED;
		}
		break;
	case 3:
		compare_some(d, m, r);
		break;
	default:
		for (uint64_t h = at.first; h < at.end; h++) {
			assert_int_equal(doubt_gave(d, 0, h, voice), 0);
			m[h] = (struct known){ true, voice, WORD_TAKEN };
		}
	}
}

static void check(const struct doubt *d, const struct known *m)
{
	uint64_t doubted = 0, below = HEIGHTS;
	struct doubt_span s;

	for (uint64_t h = 0; h < HEIGHTS; h++) {
		assert_int_equal(doubt_voice(d, 0, h), m[h].there ? m[h].voice : 0);
		doubted += m[h].there && m[h].word == WORD_DOUBTED;
	}
	assert_int_equal(doubt_left(d, 0), doubted);
	assert_int_equal(doubt_left(d, 1), 0);
	for (; doubt_next(d, 0, below, &s); below = s.range.first) {
		for (uint64_t h = s.range.first; h < s.range.end; h++, doubted--)
			assert_true(m[h].there && m[h].voice == s.voice &&
				    m[h].word == WORD_DOUBTED);
		/* It is maximal. */
		if (s.range.first > 0) {
			const struct known *k = &m[s.range.first - 1];

			assert_false(k->there && k->voice == s.voice && k->word == WORD_DOUBTED);
		}
		assert_true(s.range.end <= below);
	}
	assert_int_equal(doubted, 0);
}

static void it_matches_a_table(void **state)
{
	struct random r = random_of_run();

	(void)state;
	for (uint64_t round = rounds(200); round; round--) {
		AUTO(doubt_freep) struct doubt *d = doubt_new(2);
		struct known m[HEIGHTS] = { 0 };

		assert_non_null(d);
		for (int i = 0; i < 100; i++) {
			step(d, m, &r);
			check(d, m);
		}
	}
}

static void what_is_lowest_is_forgotten_first_and_doubts_never(void **state)
{
	AUTO(doubt_freep) struct doubt *d = doubt_new(1);

	(void)state;
	assert_int_equal(doubt_range(d, 0, (struct range){ 1, 5 }), 0);
	/* Neighbours of other voices: a span each. */
	for (uint64_t h = 10; h < 10 + 2 * DOUBT_SPANS_MAX; h++)
		assert_int_equal(doubt_gave(d, 0, h, 1 + h % 2), 0);
	assert_int_equal(doubt_left(d, 0), 4);
	assert_int_equal(doubt_voice(d, 0, 10), 0);
	assert_int_equal(doubt_voice(d, 0, 9 + 2 * DOUBT_SPANS_MAX), 2);
	doubt_all_of(d, 1);
	doubt_all_of(d, 2);
	/* All are doubted, of voices in turns: there is no room for one more. */
	assert_int_equal(doubt_gave(d, 0, 4 * DOUBT_SPANS_MAX, 3), -ENOMEM);
	doubt_forget(d, 0, (struct range){ 100, UINT64_MAX });
	assert_int_equal(doubt_left(d, 0), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_matches_a_table),
		cmocka_unit_test(what_is_lowest_is_forgotten_first_and_doubts_never),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
