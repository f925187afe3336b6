#include "core/chain/chain.h"

const struct context_rules context_rules[] = {
	[CONTEXT_LEGACY] = { "legacy", .prunes = true },
	[CONTEXT_HYPER] = { "hyper", .prunes = false },
};
static_assert(ARRAY_LEN(context_rules) == CONTEXT_COUNT, "a context without rules");

const char *const level_names[] = {
	[LEVEL_STRUCTURE] = "structure",
	[LEVEL_HEADER] = "header",
	[LEVEL_COMMIT] = "commit",
	[LEVEL_MESSAGES] = "messages",
	[LEVEL_ACCOUNTS] = "accounts",
	[LEVEL_STATE] = "state",
};
static_assert(ARRAY_LEN(level_names) == LEVEL_COUNT, "a level without a name");

const char *const verdict_names[] = {
	[VERDICT_PENDING] = "pending",
	[VERDICT_OK] = "ok",
	[VERDICT_FAILED] = "failed",
	[VERDICT_ABSENT] = "absent",
	[VERDICT_UNSUPPORTED] = "unsupported",
};
static_assert(ARRAY_LEN(verdict_names) == VERDICT_COUNT, "a verdict without a name");

const char *const reason_names[] = {
	[REASON_MERGED] = "merged",
	[REASON_REMOVED] = "removed",
	[REASON_SUPERSEDED] = "superseded",
	[REASON_COMPACTED] = "compacted",
	[REASON_PRUNED] = "pruned",
	[REASON_REVOKED] = "revoked",
	[REASON_MOVED] = "moved",
	[REASON_EXPIRED] = "expired",
};
static_assert(ARRAY_LEN(reason_names) == REASON_COUNT, "a reason without a name");

const char *const outcome_names[] = {
	[OUTCOME_MERGED] = "merged",
	[OUTCOME_REFUSED] = "refused",
	[OUTCOME_NONE] = "none",
};
static_assert(ARRAY_LEN(outcome_names) == OUTCOME_COUNT, "an outcome without a name");

bool chain_root_eq(const struct chain_root *a, const struct chain_root *b)
{
	return a->records == b->records &&
	       slice_eq(SLICE(a->root, a->root_size), SLICE(b->root, b->root_size));
}

void chain_block_freep(struct chain_block **b)
{
	if (*b)
		(*b)->ops->block_free(*b);
	*b = NULL;
}
