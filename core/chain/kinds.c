#include "core/chain/chain.h"

/* A new chain adds its line here; core/chain/chain.c holds the words alone, so that code which only
 * prints does not pull in every adapter. */
extern const struct chain_ops snapchain_ops;

static const struct chain_ops *const kinds[] = {
	&snapchain_ops,
};

const struct chain_ops *chain_kind(const char *kind)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strcmp(kinds[i]->kind, kind) == 0)
			return kinds[i];
	return NULL;
}

const struct chain_ops *chain_kind_at(size_t i)
{
	return i < ARRAY_LEN(kinds) ? kinds[i] : NULL;
}
