#include "core/chain/snapchain/message.h"

#include "tests/unit/test_snapchain.h"

struct made {
	struct buf        raw;
	struct arena     *arena;
	struct sc_message m;
	struct err        err;
};

static void made_release(struct made *made)
{
	buf_release(&made->raw);
	arena_freep(&made->arena);
}

/* data and data_bytes as given (NULL: none), signed over `hashed`. */
static int make(struct slice data, const struct slice *data_bytes, struct slice hashed,
		struct made *out)
{
	*out = (struct made){ .raw = BUF_INIT(1 << 20), .arena = arena_new(1 << 20) };
	assert_non_null(out->arena);
	message_make(data, data_bytes, hashed, &out->raw);
	return sc_message_decode(buf_slice(&out->raw), out->arena, true, &out->m, &out->err);
}

/* type 1, fid 7, timestamp 100, network 3, cast_add {text "hi"} */
static const struct slice cast = {
	(const uint8_t *)"\x08\x01\x10\x07\x18\x64\x20\x03\x2a\x04\x22\x02hi", 14
};
/* The same with the text first and an unknown field. */
static const struct slice cast_otherwise = {
	(const uint8_t *)"\x2a\x04\x22\x02hi\x08\x01\x10\x07\x18\x64\x20\x03\xfa\x06\x01x", 18
};

static void data_alone_is_what_was_signed(void **state)
{
	AUTO(made_release) struct made m;

	assert_int_equal(make(cast, NULL, cast, &m), 0);
	assert_true(m.m.hash_ok && m.m.signature_ok && !m.m.differs);
	assert_true(slice_eq(m.m.preimage, cast));
	assert_true(slice_eq(m.m.raw, buf_slice(&m.raw)));
	assert_int_equal(m.m.content->type, SC_CAST_ADD);
	assert_int_equal(m.m.content->cast_add->text.len, 2);
}

static void data_bytes_win_over_data(void **state)
{
	AUTO(made_release) struct made m;

	assert_int_equal(make(cast, &cast_otherwise, cast_otherwise, &m), 0);
	assert_true(m.m.hash_ok && m.m.signature_ok && !m.m.differs);
	assert_true(slice_eq(m.m.preimage, cast_otherwise));
	assert_int_equal(m.m.content->fid, 7);
	/* Strict bytes give structs that point into them. */
	assert_true(m.m.preimage.p > m.raw.p && m.m.preimage.p < m.raw.p + m.raw.n);
}

static void data_bytes_alone_do(void **state)
{
	AUTO(made_release) struct made m;

	assert_int_equal(make(SLICE_EMPTY, &cast_otherwise, cast_otherwise, &m), 0);
	assert_true(m.m.hash_ok && m.m.signature_ok && !m.m.differs);
	assert_int_equal(m.m.content->timestamp, 100);
	assert_null(m.m.pb->data);
}

static void data_that_says_otherwise_is_told(void **state)
{
	static const struct slice other = {
		(const uint8_t *)"\x08\x01\x10\x07\x18\x65\x20\x03\x2a\x04\x22\x02hi", 14
	};
	AUTO(made_release) struct made m;

	assert_int_equal(make(other, &cast_otherwise, cast_otherwise, &m), 0);
	assert_true(m.m.hash_ok && m.m.signature_ok && m.m.differs);
	assert_int_equal(m.m.content->timestamp, 100);
}

static void empty_data_bytes_sign_nothing(void **state)
{
	AUTO(made_release) struct made m;

	assert_int_equal(make(cast, &SLICE_EMPTY, cast, &m), 0);
	assert_false(m.m.hash_ok);
	assert_int_equal(m.m.preimage.n, 0);
	assert_int_equal(m.m.content->fid, 7);
}

static void data_bytes_that_do_not_parse_fail_the_message_alone(void **state)
{
	static const struct slice bad[] = {
		{ (const uint8_t *)"\x08", 1 },
		{ (const uint8_t *)"\x2a\x03\x22\x01\xff", 5 }, /* text that is not UTF-8 */
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO(made_release) struct made m;

		assert_int_equal(make(SLICE_EMPTY, &bad[i], bad[i], &m), 0);
		assert_true(m.m.hash_ok && m.m.signature_ok);
		assert_null(m.m.content);
		assert_false(m.m.differs);
	}
	AUTO(made_release) struct made both;

	assert_int_equal(make(cast, &bad[0], bad[0], &both), 0);
	assert_true(both.m.differs);
}

static void a_message_of_nothing_has_no_preimage(void **state)
{
	AUTO(made_release) struct made m;

	assert_int_equal(make(SLICE_EMPTY, NULL, SLICE_EMPTY, &m), 0);
	assert_null(m.m.content);
	assert_false(m.m.hash_ok);
}

static void data_in_the_order_of_other_writers_is_hashed_as_prost_has_it(void **state)
{
	/* cast_add {text "hi", parent_url "u"}: the url at its own number, and at its oneof's. */
	static const struct slice other = {
		(const uint8_t *)"\x08\x01\x10\x07\x2a\x07\x22\x02hi\x3a\x01u", 13
	};
	static const struct slice prost = {
		(const uint8_t *)"\x08\x01\x10\x07\x2a\x07\x3a\x01u\x22\x02hi", 13
	};
	AUTO(made_release) struct made m;

	assert_int_equal(make(other, NULL, prost, &m), 0);
	assert_true(m.m.hash_ok && m.m.signature_ok);
	assert_true(slice_eq(m.m.preimage, prost));

	/* But what was signed in that order is hashed in that order. */
	AUTO(made_release) struct made as_is;

	assert_int_equal(make(other, NULL, other, &as_is), 0);
	assert_true(as_is.m.hash_ok && as_is.m.signature_ok);

	AUTO(made_release) struct made both;

	assert_int_equal(make(other, &prost, prost, &both), 0);
	assert_false(both.m.differs);
}

static void the_signature_covers_the_hash_alone(void **state)
{
	AUTO(made_release) struct made m;
	struct sc_message again;
	uint8_t *at;

	assert_int_equal(make(cast, NULL, cast, &m), 0);
	at = (uint8_t *)(uintptr_t)m.m.pb->signature.data;
	at[3] ^= 1;
	assert_int_equal(sc_message_decode(buf_slice(&m.raw), m.arena, true, &again, NULL), 0);
	assert_true(again.hash_ok && !again.signature_ok);
	at[3] ^= 1;
	at = (uint8_t *)(uintptr_t)m.m.pb->hash.data;
	at[0] ^= 1;
	assert_int_equal(sc_message_decode(buf_slice(&m.raw), m.arena, true, &again, NULL), 0);
	assert_true(!again.hash_ok && !again.signature_ok);
	at[0] ^= 1;
	/* Not asked for, not checked. */
	assert_int_equal(sc_message_decode(buf_slice(&m.raw), m.arena, false, &again, NULL), 0);
	assert_true(again.hash_ok && !again.signature_ok);
}

static void other_schemes_are_not_ours(void **state)
{
	AUTO(made_release) struct made m;
	struct sc_message again;

	assert_int_equal(make(cast, NULL, cast, &m), 0);
	uint8_t *scheme = (uint8_t *)(uintptr_t)(m.m.pb->hash.data + HASH20_SIZE);

	assert_int_equal(scheme[0], 3 << 3);
	scheme[1] = 2;
	assert_int_equal(sc_message_decode(buf_slice(&m.raw), m.arena, true, &again, NULL), 0);
	assert_false(again.hash_ok);
}

static void bytes_that_are_not_prosts_are_refused(void **state)
{
	struct arena *arena = arena_new(1 << 16);
	struct sc_message m;
	struct err err = ERR_INIT;

	assert_non_null(arena);
	assert_int_equal(sc_message_decode(slice_str("\x18\x01\x18\x01"), arena, true, &m, &err),
			 -EBADMSG);
	assert_string_equal(err.text, "hash_scheme: twice or out of order");
	assert_int_equal(sc_message_decode(slice_str("\x40\x01"), arena, true, &m, &err), -EBADMSG);
	assert_int_equal(
		sc_message_decode(slice_str("\x0a\x05\x2a\x03\x22\x01\xff"), arena, true, &m, &err),
		-EBADMSG);
	assert_string_equal(err.text, "data: cast_add: text: not UTF-8");
	arena_freep(&arena);
}

static void want_of_memory_is_told(void **state)
{
	AUTO(buf_release) struct buf raw = BUF_INIT(1 << 16);

	message_make(cast, &cast_otherwise, cast_otherwise, &raw);
	FOR_EACH_ALLOC_FAULT {
		AUTO(arena_freep) struct arena *arena = arena_new(1 << 20);
		struct sc_message m;

		if (arena) {
			int rc = sc_message_decode(buf_slice(&raw), arena, true, &m, NULL);

			assert_true((rc == 0 && m.hash_ok) || rc == -ENOMEM);
		}
	}
}

static int setup(void **state)
{
	return sign_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_alone_is_what_was_signed),
		cmocka_unit_test(data_bytes_win_over_data),
		cmocka_unit_test(data_bytes_alone_do),
		cmocka_unit_test(data_that_says_otherwise_is_told),
		cmocka_unit_test(empty_data_bytes_sign_nothing),
		cmocka_unit_test(data_bytes_that_do_not_parse_fail_the_message_alone),
		cmocka_unit_test(a_message_of_nothing_has_no_preimage),
		cmocka_unit_test(data_in_the_order_of_other_writers_is_hashed_as_prost_has_it),
		cmocka_unit_test(the_signature_covers_the_hash_alone),
		cmocka_unit_test(other_schemes_are_not_ours),
		cmocka_unit_test(bytes_that_are_not_prosts_are_refused),
		cmocka_unit_test(want_of_memory_is_told),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
