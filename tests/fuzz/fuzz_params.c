/* A network's parameters: what parses is written in a form that parses to the same. */
#include "core/chain/snapchain/params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct chain_params *parse(struct slice text)
{
	struct chain_params *p = NULL;
	struct err err = ERR_INIT;
	int rc = sc_params_parse(text, &p, &err);

	assert((rc == 0) == (p != NULL));
	assert(rc == 0 || err.text[0]);
	return p;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buf_release) struct buf once = BUF_INIT(BLOCK_SIZE_MAX);
	AUTO(buf_release) struct buf twice = BUF_INIT(BLOCK_SIZE_MAX);
	struct chain_params *p = parse(SLICE(data, size));

	if (!p)
		return 0;
	assert(sc_params_write(p, &once) == 0);
	sc_params_free(p);
	p = parse(buf_slice(&once));
	assert(p && sc_params_write(p, &twice) == 0);
	sc_params_free(p);
	assert(slice_eq(buf_slice(&once), buf_slice(&twice)));
	return 0;
}
