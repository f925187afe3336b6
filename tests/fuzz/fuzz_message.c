/* A message as a block carries it, and the same bytes read as data_bytes, in any legal form. */
#include "tests/fuzz/snapchain_fuzz.h"

static void fuzz_message(struct slice in)
{
	AUTO(arena_freep) struct arena *arena = arena_new(SC_ARENA_SIZE(in.n));
	AUTO(buf_release) struct buf scratch = BUF_INIT(BLOCK_SIZE_MAX);
	uint32_t json_size, line_size;
	struct sc_message m;

	assert(arena);
	if (sc_message_decode(in, arena, true, &m, NULL) < 0)
		return;
	struct sc_object o = { .form = SC_FORM_MESSAGE, .message = &m };

	assert(m.hash_ok || !m.signature_ok);
	assert(slice_eq(m.raw, in));
	fuzz_writes_again(&m.pb->base, in);
	assert(sc_object_sizes(&o, &scratch, &json_size, &line_size) == 0);
	fuzz_renders(SC_FORM_MESSAGE, in, json_size, line_size);
}

/* What is read in any form and written by us is read again as the same, strictly. */
static void fuzz_data(struct slice in)
{
	AUTO(arena_freep) struct arena *arena = arena_new(SC_ARENA_SIZE(in.n));
	AUTO(arena_freep) struct arena *other = arena_new(SC_ARENA_SIZE(in.n * 2));
	AUTO(buf_release) struct buf once = BUF_INIT(BLOCK_SIZE_MAX);
	AUTO(buf_release) struct buf twice = BUF_INIT(BLOCK_SIZE_MAX);
	ProtobufCMessage *m = NULL, *back = NULL;

	assert(arena && other);
	if (wire_unpack(&sc__message_data__descriptor, in, &sc_lax, arena, &m, NULL) < 0)
		return;
	prost_encode(m, &once);
	assert(buf_done(&once) == 0);
	assert(wire_unpack(m->descriptor, buf_slice(&once), &sc_strict, other, &back, NULL) == 0);
	prost_encode(back, &twice);
	assert(slice_eq(buf_slice(&once), buf_slice(&twice)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	assert(sign_init() == 0);
	fuzz_message(SLICE(data, size));
	fuzz_data(SLICE(data, size));
	return 0;
}
