/* One flipped bit anywhere in a recorded chain is refused, or reported with block, level and field,
 * or lies in a field that docs/trust.md names as covered by nothing. Each flip meets the chain
 * where it stands: the block is decoded and replayed on the state of the height below it. */
#include "tests/prop/changed_lab.h"

#define FLIPS       1500u

struct tally {
	unsigned flips, refused[LEVEL_COUNT], items, uncovered;
};

static void flip(struct chain *c, uint32_t shard, struct slice whole,
		 const struct chain_block *honest, struct random *r, const char *trust,
		 struct tally *t)
{
	AUTO(buf_release) struct buf damaged = BUF_INIT(BLOCK_SIZE_MAX);
	struct err why = ERR_INIT;
	char field[FIELD_SIZE];
	size_t at = random_below(r, whole.n);
	buf_add(&damaged, whole);
	damaged.p[at] ^= (uint8_t)(1u << random_below(r, 8));
	t->flips++;

	struct chain_block *b = decode(c, shard, buf_slice(&damaged), &why);
	if (!b) {
		assert_true(why.text[0] != 0);
		t->refused[LEVEL_STRUCTURE]++;
		return;
	}
	bool item = false;
	int level = refuses(c, shard, b, honest, &item, NULL);
	c->ops->block_free(b);
	if (level >= 0) {
		t->refused[level]++;
		return;
	}
	if (item) {
		t->items++;
		return;
	}
	name_field(shard ? &sc__shard_chunk__descriptor : &sc__block__descriptor, whole, at, field);
	if (!is_listed(trust, field))
		fail_msg("a flip of byte %zu of a block of shard %u, in %s, is neither refused nor "
			 "in %s",
			 at, shard, field, TRUST);
	t->uncovered++;
}

static void a_flipped_bit_is_refused_or_reported_or_named_in_the_page_on_trust(void **state)
{
	(void)state;
	struct random r = random_of_run();
	struct chain c = { 0 };
	struct tally t = { 0 };
	struct err err = ERR_INIT;
	AUTO(base_freep) char *trust = read_trust();
	open_chain(&c);

	uint64_t all = rounds(FLIPS), blocks = 833;
	for (uint32_t s = 0; s < archive_shards(c.archive); s++) {
		AUTO(buf_release) struct buf message = BUF_INIT(BLOCK_SIZE_MAX);
		while (archive_next(c.archive, s, &message, &err) == 1) {
			struct chain_block *honest = decode(&c, s, buf_slice(&message), &err);
			assert_non_null(honest);
			for (uint64_t n =
				     all / blocks +
				     random_chance(&r, (unsigned)(all % blocks * 100 / blocks));
			     n; n--)
				flip(&c, s, buf_slice(&message), honest, &r, trust, &t);
			advance(&c, s, honest);
			c.ops->block_free(honest);
		}
	}
	print_message("# %u flips: structure %u, header %u, commit %u, accounts %u, state %u "
		      "refused; items %u reported; %u in fields that nothing covers\n",
		      t.flips, t.refused[LEVEL_STRUCTURE], t.refused[LEVEL_HEADER],
		      t.refused[LEVEL_COMMIT], t.refused[LEVEL_ACCOUNTS], t.refused[LEVEL_STATE],
		      t.items, t.uncovered);
	assert_true(t.flips >= all / 2);
	close_chain(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_flipped_bit_is_refused_or_reported_or_named_in_the_page_on_trust),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
