#include "core/chain/snapchain/rules.h"

int sc_get(struct replay *r, const struct sc_key *key, struct slice *value)
{
	return state_get(r->st, SPACE_BOTH, sc_key_slice(key), value);
}

int sc_put(struct replay *r, const struct sc_key *key, struct slice value)
{
	return state_put(r->st, SPACE_BOTH, sc_key_slice(key), value, false);
}

int sc_delete(struct replay *r, const struct sc_key *key)
{
	return state_delete(r->st, SPACE_BOTH, sc_key_slice(key), REASON_REMOVED);
}

int sc_get_number(struct replay *r, const struct sc_key *key, uint64_t *out)
{
	struct slice value;
	struct rd    in;
	int          rc = sc_get(r, key, &value);

	*out = 0;
	if (rc != 1)
		return rc;
	in = rd_of(value);
	*out = rd_varint(&in);
	return rd_done(&in) < 0 ? -EUCLEAN : 0;
}

int sc_put_number(struct replay *r, const struct sc_key *key, uint64_t v)
{
	uint8_t value[10];

	return v ? sc_put(r, key, SLICE(value, varint_put(value, v))) : sc_delete(r, key);
}

void *sc_push(void *list, size_t *count, size_t *cap, size_t size)
{
	void **p = list;

	if (base_grow(list, cap, *count + 1, size) < 0)
		return NULL;
	return (uint8_t *)*p + (*count)++ * size;
}
