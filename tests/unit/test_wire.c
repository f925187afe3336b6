#include "proto/wire.h"

#include "proto/snapchain.pb-c.h"
#include "tests/support/support.h"

#define BYTES(text) SLICE(text, sizeof(text) - 1)

static const struct wire_text texts[] = {
	{ &sc__cast_add_body__descriptor, 1 << 1 | 1 << 4 | 1 << 7 },
};
static const struct wire_rules strict = { true, texts, ARRAY_LEN(texts) };
static const struct wire_rules lax = { false, texts, ARRAY_LEN(texts) };

struct made {
	struct arena     *arena;
	ProtobufCMessage *m;
	int               rc;
	struct err        err;
};

static void made_release(struct made *m)
{
	arena_freep(&m->arena);
}

static struct made unpack(const ProtobufCMessageDescriptor *type, const char *hex,
			  const struct wire_rules *rules)
{
	static uint8_t bytes[4096];
	struct made out = { .arena = arena_new(1 << 20), .err = ERR_INIT };
	size_t size = unhex(hex, bytes, sizeof bytes);

	assert_non_null(out.arena);
	out.rc = wire_unpack(type, SLICE(bytes, size), rules, out.arena, &out.m, &out.err);
	return out;
}

static void assert_refused(const ProtobufCMessageDescriptor *type, const char *hex,
			   const char *sentence)
{
	AUTO(made_release) struct made m = unpack(type, hex, &strict);

	assert_int_equal(m.rc, -EBADMSG);
	assert_string_equal(m.err.text, sentence);
}

static const ProtobufCMessageDescriptor *cast = &sc__cast_add_body__descriptor;

/* ---- fields ---- */

static void fields_of_every_type_are_walked(void **state)
{
	struct slice in = BYTES("\x08\x96\x01" "\x11\1\0\0\0\0\0\0\x80" "\x1a\x03" "abc"
				"\x25\x02\0\0\x80" "\x2b\x08\x01\x33\x34\x2c" "\x80\x01\x05");
	struct wire w = wire_of(in);
	struct wire_field f;

	assert_true(wire_next(&w, &f));
	assert_int_equal(f.number, 1);
	assert_int_equal(f.type, WIRE_VARINT);
	assert_int_equal(f.value, 150);
	assert_int_equal(f.whole.n, 3);
	assert_true(wire_next(&w, &f));
	assert_true(f.value == UINT64_C(0x8000000000000001));
	assert_true(wire_next(&w, &f));
	assert_true(slice_eq(f.bytes, BYTES("abc")));
	assert_int_equal(f.whole.n, 5);
	assert_true(wire_next(&w, &f));
	assert_int_equal(f.value, 0x80000002);
	assert_true(wire_next(&w, &f));
	assert_int_equal(f.type, WIRE_GROUP);
	assert_int_equal(f.number, 5);
	assert_int_equal(f.whole.n, 6);
	assert_true(wire_next(&w, &f));
	assert_int_equal(f.number, 16);
	assert_true(f.shortest);
	assert_false(wire_next(&w, &f));
	assert_int_equal(wire_done(&w), 0);
}

static void a_fault_latches(void **state)
{
	static const struct slice bad[] = {
		BYTES("\x08"),                                        /* no value */
		BYTES("\x08\x80"),                                    /* half a varint */
		BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), /* over 64 bits */
		BYTES("\x0a\x02" "a"),                                /* shorter than it says */
		BYTES("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), /* a size of 2^64 - 1 */
		BYTES("\x09\x01\x02"),                                /* half a fixed number */
		BYTES("\x00\x01"),                                    /* field 0 */
		BYTES("\x0e\x01"), BYTES("\x0f\x01"),                 /* no such types */
		BYTES("\x0c"),                                        /* an end without a group */
		BYTES("\x0b\x08\x01"), BYTES("\x0b\x14"),             /* a group without its end */
		BYTES("\x80\x80\x80\x80\x80\x01\x00"),                /* a key over 32 bits */
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct wire w = wire_of(bad[i]);
		struct wire_field f;

		assert_false(wire_next(&w, &f));
		assert_false(wire_next(&w, &f));
		assert_int_equal(wire_done(&w), -EBADMSG);
	}
}

static void groups_nest_as_deep_as_prost_lets_them(void **state)
{
	uint8_t in[400];

	for (size_t depth = 99; depth <= 101; depth++) {
		memset(in, 0x0b, depth);
		memset(in + depth, 0x0c, depth);
		struct wire w = wire_of(SLICE(in, 2 * depth));
		struct wire_field f;

		assert_int_equal(wire_next(&w, &f), depth <= 100);
	}
}

static void a_longer_form_is_noticed(void **state)
{
	static const struct slice longer[] = {
		BYTES("\x88\x00\x01"), BYTES("\x08\x81\x00"), BYTES("\x0a\x81\x00" "a"),
	};

	for (size_t i = 0; i < ARRAY_LEN(longer); i++) {
		struct wire w = wire_of(longer[i]);
		struct wire_field f;

		assert_true(wire_next(&w, &f));
		assert_false(f.shortest);
	}
}

static void writing_leaves_defaults_out(void **state)
{
	AUTO(buf_release) struct buf b = BUF_INIT(100);

	wire_put_varint(&b, 1, 0);
	wire_put_varint(&b, 2, 300);
	wire_put_bytes(&b, 3, SLICE_EMPTY);
	wire_put_bytes(&b, 4, BYTES("ab"));
	wire_put_message(&b, 16, SLICE_EMPTY);
	assert_int_equal(buf_done(&b), 0);
	assert_true(slice_eq(buf_slice(&b), BYTES("\x10\xac\x02\x22\x02" "ab" "\x82\x01\x00")));
}

/* ---- structs ---- */

static void bytes_point_into_the_message_and_structs_know_theirs(void **state)
{
	AUTO(made_release) struct made m =
		unpack(cast, "120301ac02" "1a040801120161" "22026869" "3206120408011200", &strict);

	/* The empty hash of the embed's cast id is a default written out. */
	assert_int_equal(m.rc, -EBADMSG);

	AUTO(made_release) struct made good =
		unpack(cast, "120301ac02" "1a050801120161" "22026869" "320412020801", &strict);
	const Sc__CastAddBody *c = (const Sc__CastAddBody *)good.m;

	assert_int_equal(good.rc, 0);
	assert_int_equal(c->n_mentions, 2);
	assert_int_equal(c->mentions[1], 300);
	assert_int_equal(c->parent_case, SC__CAST_ADD_BODY__PARENT_PARENT_CAST_ID);
	assert_int_equal(c->text.len, 2);
	assert_int_equal(c->embeds[0]->cast_id->fid, 1);

	struct slice whole = wire_bytes_of(&c->base);
	struct slice parent = wire_bytes_of(&c->parent_cast_id->base);

	assert_int_equal(whole.n, 22);
	assert_true(c->text.data > whole.p && c->text.data < whole.p + whole.n);
	assert_true(slice_eq(parent, BYTES("\x08\x01\x12\x01" "a")));
}

static void strict_takes_only_what_prost_writes(void **state)
{
	assert_refused(cast, "4801", "field 9 is unknown");
	assert_refused(cast, "2200", "text: written though empty");
	assert_refused(cast, "4000", "type: written though empty");
	assert_refused(cast, "1200", "mentions[0]: written though empty");
	assert_refused(cast, "1001", "mentions[0]: not packed");
	assert_refused(cast, "220161220162", "text: twice or out of order");
	assert_refused(cast, "220161120101", "mentions[0]: twice or out of order");
	assert_refused(cast, "120101" "120102", "mentions[0]: twice or out of order");
	assert_refused(cast, "1a0012", "does not parse");
	assert_refused(cast, "1a003a0175", "parent_url: a second choice");
	assert_refused(cast, "22810061", "text: not in the shortest form");
	assert_refused(cast, "12028100", "mentions[0]: not in the shortest form");
	assert_refused(cast, "2a058080808010",
		       "mentions_positions[0]: a number too large for its field");
	assert_refused(cast, "408080808010", "type: a number too large for its field");
	assert_refused(cast, "2001", "text: of another wire type");
	assert_refused(cast, "420161", "type: of another wire type");
	assert_refused(cast, "120180", "mentions[0]: does not parse");
	assert_refused(cast, "2201ff", "text: not UTF-8");
	assert_refused(cast, "0a0161" "0a02c3a9" "0a01c3", "embeds_deprecated[2]: not UTF-8");
	assert_refused(cast, "3200" "32021205", "embeds[1]: does not parse");
	assert_refused(cast,
		       "3200"
		       "32041202"
		       "1001",
		       "embeds[1]: cast_id: hash: of another wire type");
}

static void a_number_of_a_kind_keeps_its_sign(void **state)
{
	AUTO(made_release) struct made m = unpack(cast, "40ffffffffffffffffff01", &strict);

	assert_int_equal(m.rc, 0);
	assert_int_equal(((const Sc__CastAddBody *)m.m)->type, -1);
	/* Sign extension is the only way to write it. */
	assert_refused(cast, "40ffffffff0f", "type: a number too large for its field");
}

static void a_oneof_may_stand_at_its_own_number(void **state)
{
	AUTO(made_release) struct made prost = unpack(cast, "3a0175" "22026869" "4001", &strict);
	AUTO(made_release) struct made other = unpack(cast, "22026869" "3a0175" "4001", &strict);

	assert_int_equal(prost.rc, 0);
	assert_int_equal(other.rc, 0);
	assert_true(wire_is_in_prost_order(prost.m));
	assert_false(wire_is_in_prost_order(other.m));
	assert_int_equal(((const Sc__CastAddBody *)other.m)->parent_url.len, 1);
	/* Neither here nor there. */
	assert_refused(cast, "22026869" "320012" "3a0175" "2a0101", "does not parse");
	assert_refused(cast,
		       "22026869"
		       "3a0175"
		       "2a0101",
		       "mentions_positions[0]: twice or out of order");
}

static void lax_reads_as_prost_does(void **state)
{
	/* Out of order, twice, unknown, unpacked and packed, padded, a default written out. */
	AUTO(made_release) struct made m =
		unpack(cast, "220161" "4801" "5b08015c" "1001" "120202ac02" "2202626200"
			     "4000", &lax);

	assert_int_equal(m.rc, -EBADMSG); /* field 0 */

	AUTO(made_release) struct made good =
		unpack(cast, "220161" "4801" "5b08015c" "1001" "120302ac02" "22026262" "108100"
			     "4000" "2a058080808010", &lax);
	const Sc__CastAddBody *c = (const Sc__CastAddBody *)good.m;

	assert_int_equal(good.rc, 0);
	assert_true(slice_eq(SLICE(c->text.data, c->text.len), BYTES("bb")));
	assert_int_equal(c->n_mentions, 4);
	assert_int_equal(c->mentions[0], 1);
	assert_int_equal(c->mentions[2], 300);
	assert_int_equal(c->mentions[3], 1);
	assert_int_equal(c->mentions_positions[0], 0); /* cut to 32 bits */
}

static void lax_merges_a_submessage_and_replaces_a_choice(void **state)
{
	AUTO(made_release) struct made merged = unpack(cast, "1a020805" "1a03120161", &lax);
	const Sc__CastAddBody *c = (const Sc__CastAddBody *)merged.m;

	assert_int_equal(merged.rc, 0);
	assert_int_equal(c->parent_cast_id->fid, 5);
	assert_int_equal(c->parent_cast_id->hash.len, 1);

	AUTO(made_release) struct made replaced =
		unpack(cast, "1a020805" "3a0175" "1a03120161", &lax);

	c = (const Sc__CastAddBody *)replaced.m;
	assert_int_equal(replaced.rc, 0);
	assert_int_equal(c->parent_case, SC__CAST_ADD_BODY__PARENT_PARENT_CAST_ID);
	assert_int_equal(c->parent_cast_id->fid, 0);
	assert_int_equal(c->parent_cast_id->hash.len, 1);
}

static void lax_checks_text_that_is_replaced_too(void **state)
{
	AUTO(made_release) struct made m = unpack(cast, "2201ff" "220161", &lax);

	assert_int_equal(m.rc, -EBADMSG);
}

static void repeated_fields_grow(void **state)
{
	uint8_t in[2 * 1000];
	AUTO(arena_freep) struct arena *arena = arena_new(1 << 20);
	ProtobufCMessage *m;

	assert_non_null(arena);
	for (size_t i = 0; i < 1000; i++) {
		in[2 * i] = 0x10;
		in[2 * i + 1] = (uint8_t)(i % 128);
	}
	assert_int_equal(wire_unpack(cast, SLICE_ARRAY(in), &lax, arena, &m, NULL), 0);
	const Sc__CastAddBody *c = (const Sc__CastAddBody *)m;

	assert_int_equal(c->n_mentions, 1000);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(c->mentions[i], i % 128);
}

static void a_hostile_message_meets_the_bound(void **state)
{
	uint8_t in[20000];
	AUTO(arena_freep) struct arena *arena = arena_new(40 * sizeof in / 2);
	struct err err = ERR_INIT;
	ProtobufCMessage *m;

	assert_non_null(arena);
	for (size_t i = 0; i < sizeof in; i += 2) {
		in[i] = 0x32; /* an empty embed */
		in[i + 1] = 0;
	}
	assert_int_equal(wire_unpack(cast, SLICE_ARRAY(in), &strict, arena, &m, &err), -EMSGSIZE);
	assert_true(arena_used(arena) <= 20 * sizeof in);
}

static void want_of_memory_is_told_apart(void **state)
{
	FOR_EACH_ALLOC_FAULT {
		AUTO(arena_freep) struct arena *arena = arena_new(1 << 20);
		ProtobufCMessage *m = NULL;

		if (arena) {
			int rc = wire_unpack(cast, BYTES("\x12\x01\x01" "\x22\x01" "a"), &strict,
					     arena, &m, NULL);

			assert_true(rc == 0 || rc == -ENOMEM);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_of_every_type_are_walked),
		cmocka_unit_test(a_fault_latches),
		cmocka_unit_test(groups_nest_as_deep_as_prost_lets_them),
		cmocka_unit_test(a_longer_form_is_noticed),
		cmocka_unit_test(writing_leaves_defaults_out),
		cmocka_unit_test(bytes_point_into_the_message_and_structs_know_theirs),
		cmocka_unit_test(strict_takes_only_what_prost_writes),
		cmocka_unit_test(a_number_of_a_kind_keeps_its_sign),
		cmocka_unit_test(a_oneof_may_stand_at_its_own_number),
		cmocka_unit_test(lax_reads_as_prost_does),
		cmocka_unit_test(lax_merges_a_submessage_and_replaces_a_choice),
		cmocka_unit_test(lax_checks_text_that_is_replaced_too),
		cmocka_unit_test(repeated_fields_grow),
		cmocka_unit_test(a_hostile_message_meets_the_bound),
		cmocka_unit_test(want_of_memory_is_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
