#include "core/base/trace.h"
#include "fs/connection/ino.h"
#include "fs/connection/slots.h"
#include "fs/tree/sights.h"
#include "tests/support/support.h"

#include <sys/mman.h>

/* ---- a network that is nothing but its views and pins ---- */

#define HEIGHTS 64

struct network {
	unsigned         index;
	atomic_int       pins[HEIGHTS];
	atomic_int       views_out;
	atomic_uint      number;   /* of the newest view */
	void           (*call)(void *arg);
	void            *arg;
};

static struct network networks[2] = { { .index = 1 }, { .index = 2 } };

unsigned network_index(const struct network *n)
{
	return n->index;
}

int network_pin(struct network *n, uint32_t shard, uint64_t height)
{
	atomic_fetch_add(&n->pins[height], 1);
	return shard < SHARD_MAX ? 0 : -EINVAL;
}

void network_unpin(struct network *n, uint32_t shard, uint64_t height)
{
	assert_true(atomic_fetch_sub(&n->pins[height], 1) > 0);
}

struct view *network_view_get(struct network *n)
{
	struct view *v = calloc(1, sizeof *v);

	assert_non_null(v);
	v->network = n;
	v->number = atomic_load(&n->number);
	atomic_fetch_add(&n->views_out, 1);
	return v;
}

void view_putp(struct view **v)
{
	if (*v)
		atomic_fetch_sub(&(*v)->network->views_out, 1);
	free(*v);
	*v = NULL;
}

/* A view is saved as its number; a network of odd index has collected views below 5. */
int network_view_save(const struct view *v, struct buf *out)
{
	buf_varint(out, v->number);
	return buf_done(out);
}

int network_view_restore(struct network *n, struct slice saved, struct view **out)
{
	struct rd r = rd_of(saved);
	uint64_t number = rd_varint(&r);

	if (n->index % 2 && number < 5)
		return -ESTALE;
	*out = network_view_get(n);
	(*out)->number = number;
	return rd_done(&r);
}

void network_on_publish(struct network *n, void (*call)(void *arg), void *arg)
{
	n->call = call;
	n->arg = arg;
}

/* Of what is told of following there is one version, number 8. */
static struct sight_version told = { .number = 8 };

struct sights *tree_sights(void)
{
	return NULL;
}

struct sight_version *sights_get(struct sights *s, const struct network *n, uint64_t number)
{
	if (number != told.number)
		return NULL;
	told.owners++;
	return &told;
}

void sight_version_putp(struct sight_version **v)
{
	if (*v)
		(*v)->owners--;
	*v = NULL;
}

static void publish(struct network *n)
{
	atomic_fetch_add(&n->number, 1);
	if (n->call)
		n->call(n->arg);
}

static int nothing_is_left(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(networks); i++) {
		assert_int_equal(atomic_load(&networks[i].views_out), 0);
		for (size_t h = 0; h < HEIGHTS; h++)
			assert_int_equal(atomic_load(&networks[i].pins[h]), 0);
	}
	return 0;
}

static struct scope state_at(uint64_t height)
{
	return (struct scope){
		.kind = SCOPE_STATE, .context = CONTEXT_HYPER, .shard = 1, .height = height
	};
}

static const struct scope place = { .kind = SCOPE_PLACE, .context = CONTEXT_LEGACY };

/* ---- one thread ---- */

static void the_same_scope_is_the_same_slot(void **state)
{
	AUTO(slots_freep) struct slots *s = slots_new(16, NULL, NULL);
	struct scope five = state_at(5), six = state_at(6);
	struct slot *a, *b, *c, *d;

	assert_int_equal(slots_intern(s, &networks[0], &five, NULL, &a), 1);
	assert_int_equal(slots_intern(s, &networks[0], &five, NULL, &b), 0);
	assert_int_equal(slots_intern(s, &networks[0], &six, NULL, &c), 1);
	assert_int_equal(slots_intern(s, &networks[1], &five, NULL, &d), 1);
	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, c);
	assert_ptr_not_equal(a, d);
	assert_int_equal(slots_used(s), 3);
	assert_ptr_equal(a->network, &networks[0]);
	assert_int_equal(a->scope.height, 5);
}

static void a_slot_lives_while_a_lookup_or_a_request_counts_it(void **state)
{
	AUTO(slots_freep) struct slots *s = slots_new(16, NULL, NULL);
	struct scope five = state_at(5);
	struct slot *slot, *again;

	assert_int_equal(slots_intern(s, &networks[0], &five, NULL, &slot), 1);
	uint32_t number = slot->number, generation = slot->generation;

	slots_give(slot, 3);
	slots_leave(s, slot);
	assert_int_equal(atomic_load(&networks[0].pins[5]), 1);
	assert_int_equal(slots_enter(s, number, &again), 0);
	slots_forget(s, number, 3);
	assert_int_equal(atomic_load(&networks[0].pins[5]), 1);
	slots_leave(s, again);
	assert_int_equal(atomic_load(&networks[0].pins[5]), 0);
	assert_int_equal(slots_used(s), 0);
	assert_int_equal(slots_enter(s, number, &again), -ESTALE);

	assert_int_equal(slots_intern(s, &networks[0], &five, NULL, &slot), 1);
	assert_int_equal(slot->number, number);
	assert_true(slot->generation > generation);
}

static void a_place_stays_for_good(void **state)
{
	AUTO(slots_freep) struct slots *s = slots_new(16, NULL, NULL);
	struct slot *slot, *again;

	assert_int_equal(slots_intern(s, NULL, &place, NULL, &slot), 1);
	slots_give(slot, 2);
	slots_leave(s, slot);
	slots_forget(s, slot->number, 2);
	assert_int_equal(slots_enter(s, slot->number, &again), 0);
	assert_ptr_equal(again, slot);
	slots_leave(s, again);
	assert_int_equal(slots_used(s), 1);
}

static void a_slot_of_following_holds_its_version_as_long_as_it_lives(void **state)
{
	AUTO(slots_freep) struct slots *s = slots_new(INO_SLOTS, NULL, NULL);
	struct scope c = { .kind = SCOPE_SIGHT, .view_number = 8 };
	struct scope gone = { .kind = SCOPE_SIGHT, .view_number = 7 };
	struct slot *slot, *same;

	assert_int_equal(slots_intern(s, &networks[0], &gone, NULL, &slot), -ESTALE);
	assert_int_equal(slots_intern(s, &networks[0], &c, NULL, &slot), 1);
	assert_ptr_equal(slot->sight, &told);
	assert_int_equal(slots_intern(s, &networks[0], &c, NULL, &same), 0);
	assert_ptr_equal(same, slot);
	slots_leave(s, same);
	slots_give(slot, 1);
	slots_leave(s, slot);
	assert_int_equal(told.owners, 1);
	slots_forget(s, slot->number, 1);
	assert_int_equal(told.owners, 0);
}

static void a_settling_slot_holds_the_view_it_was_made_with(void **state)
{
	AUTO(views_freep) struct views *v = views_new(NULL, NULL);
	AUTO(slots_freep) struct slots *s = slots_new(16, NULL, NULL);
	struct slot *slot;

	for (int round = 0; round < 3; round++) {
		AUTO(shared_view_putp) struct shared_view *view = views_newest(v, &networks[0]);
		struct scope c = { .kind = SCOPE_VIEW,
				   .view_number = shared_view_of(view)->number };
		struct scope other = { .kind = SCOPE_VIEW, .view_number = c.view_number + 7 };

		assert_int_equal(slots_intern(s, &networks[0], &c, view, &slot), 1);
		assert_int_equal(slots_intern(s, &networks[0], &other, view, &slot), -ESTALE);
		publish(&networks[0]);
	}
	assert_int_equal(atomic_load(&networks[0].views_out), 3);
	assert_int_equal(slots_used(s), 3);
	slots_forget(s, slot->number, 1);
	assert_int_equal(slots_used(s), 2);
}

static struct slot *intern_view(struct slots *s, struct views *v, uint8_t context)
{
	AUTO(shared_view_putp) struct shared_view *view = views_newest(v, &networks[0]);
	struct scope c = { .kind = SCOPE_VIEW,
			   .context = context,
			   .view_number = shared_view_of(view)->number };
	struct slot *slot;

	assert_int_equal(slots_intern(s, &networks[0], &c, view, &slot), 1);
	return slot;
}

static void the_same_part_of_the_same_view_comes_back_as_it_was(void **state)
{
	AUTO(views_freep) struct views *v = views_new(NULL, NULL);
	AUTO(slots_freep) struct slots *s = slots_new(16, NULL, NULL);
	struct slot *legacy = intern_view(s, v, CONTEXT_LEGACY);
	struct slot *hyper = intern_view(s, v, CONTEXT_HYPER);
	uint32_t generation = legacy->generation;

	slots_leave(s, legacy);
	slots_leave(s, hyper);
	assert_ptr_equal(intern_view(s, v, CONTEXT_LEGACY), legacy);
	assert_int_equal(legacy->generation, generation);
	slots_leave(s, legacy);

	/* Neither the next view nor a state, nor the same part once the slot was something else. */
	publish(&networks[0]);
	struct slot *next = intern_view(s, v, CONTEXT_LEGACY);

	assert_true(next == legacy || next == hyper);
	assert_true(next->generation > generation);
	struct scope five = state_at(5), six = state_at(6);
	struct slot *other;

	slots_leave(s, next);
	generation = MAX(legacy->generation, hyper->generation);
	assert_int_equal(slots_intern(s, &networks[0], &five, NULL, &other), 1);
	assert_int_equal(slots_intern(s, &networks[0], &six, NULL, &other), 1);
	slots_leave(s, legacy);
	slots_leave(s, hyper);
	next = intern_view(s, v, CONTEXT_LEGACY);
	assert_true(next->generation > generation);
	slots_leave(s, next);
}

static void the_newest_view_is_seen_once_it_is_published(void **state)
{
	AUTO(views_freep) struct views *v = views_new(NULL, NULL);

	for (int round = 0; round < 3; round++) {
		AUTO(shared_view_putp) struct shared_view *a = views_newest(v, &networks[1]);
		AUTO(shared_view_putp) struct shared_view *b = views_newest(v, &networks[1]);

		assert_int_equal(shared_view_of(a)->number, atomic_load(&networks[1].number));
		assert_int_equal(shared_view_of(b)->number, shared_view_of(a)->number);
		publish(&networks[1]);
	}
	assert_null(shared_view_of(NULL));
}

static void count_line(enum trace_level level, const char *line, size_t line_size, void *arg)
{
	++*(int *)arg;
}

static void exhaustion_is_enfile_until_something_is_forgotten(void **state)
{
	AUTO(slots_freep) struct slots *s = slots_new(3, NULL, NULL);
	struct slot *slot = NULL;

	for (uint64_t h = 0; h < 3; h++) {
		struct scope c = state_at(h);

		assert_int_equal(slots_intern(s, &networks[0], &c, NULL, &slot), 1);
	}
	struct scope more = state_at(9), held = state_at(1);

	int lines = 0;

	trace_set_sink(count_line, &lines);
	assert_int_equal(slots_intern(s, &networks[0], &more, NULL, &slot), -ENFILE);
	assert_int_equal(slots_intern(s, &networks[0], &more, NULL, &slot), -ENFILE);
	trace_set_sink(NULL, NULL);
	assert_int_equal(lines, 1);
	assert_int_equal(atomic_load(&networks[0].pins[9]), 0);
	assert_int_equal(slots_intern(s, &networks[0], &held, NULL, &slot), 0);
	slots_leave(s, slot);
	slots_leave(s, slot);
	assert_int_equal(slots_intern(s, &networks[0], &more, NULL, &slot), 1);
}

static void numbers_from_outside_are_stale_not_trusted(void **state)
{
	AUTO(slots_freep) struct slots *s = slots_new(2048, NULL, NULL);
	struct slot *slot;

	assert_int_equal(slots_enter(s, 0, &slot), -ESTALE);
	assert_int_equal(slots_enter(s, 2000, &slot), -ESTALE);
	assert_int_equal(slots_enter(s, UINT32_MAX, &slot), -ESTALE);
	slots_forget(s, UINT32_MAX, 1);
	slots_forget(s, 2000, 1);
	struct scope c = { .kind = SCOPE_STATE, .shard = SHARD_MAX };

	assert_int_equal(slots_intern(s, &networks[0], &c, NULL, &slot), -EINVAL);
	network_unpin(&networks[0], 0, 0); /* the stand-in had counted it */
	assert_int_equal(slots_used(s), 0);
}

static void a_span_pins_both_of_its_heights(void **state)
{
	AUTO(slots_freep) struct slots *s = slots_new(16, NULL, NULL);
	struct scope span = { .kind = SCOPE_SPAN, .shard = 1, .height = 9, .from = 4 };
	struct scope other = span;
	struct slot *a, *b, *c;

	other.from = 5;
	assert_int_equal(slots_intern(s, &networks[0], &span, NULL, &a), 1);
	assert_int_equal(slots_intern(s, &networks[0], &span, NULL, &b), 0);
	assert_int_equal(slots_intern(s, &networks[0], &other, NULL, &c), 1);
	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, c);
	assert_int_equal(atomic_load(&networks[0].pins[9]), 2);
	assert_int_equal(atomic_load(&networks[0].pins[4]), 1);
	slots_leave(s, c);
	slots_leave(s, a);
	assert_int_equal(atomic_load(&networks[0].pins[4]), 1);
	slots_leave(s, b);
	assert_int_equal(atomic_load(&networks[0].pins[4]), 0);
	assert_int_equal(atomic_load(&networks[0].pins[9]), 0);
	assert_int_equal(atomic_load(&networks[0].pins[5]), 0);
}

static void without_memory_nothing_is_held(void **state)
{
	struct scope five = state_at(5);

	FOR_EACH_ALLOC_FAULT {
		AUTO(slots_freep) struct slots *s = slots_new(16, NULL, NULL);
		struct slot *slot;

		if (s) {
			int rc = slots_intern(s, &networks[0], &five, NULL, &slot);

			assert_true(rc == 1 ||
				    (rc == -ENOMEM && atomic_load(&networks[0].pins[5]) == 0));
		}
	}
}

/* ---- many threads ---- */

struct crowd {
	struct slots *slots;
	struct views *views;
	uint64_t      seed;
};

static void *wander(void *arg)
{
	struct crowd *c = arg;
	struct random r = random_of(c->seed);
	struct { uint32_t number; uint32_t generation; } known[8] = { { 0, 0 } };

	for (uint64_t i = rounds(20000); i > 0; i--) {
		size_t k = random_below(&r, ARRAY_LEN(known));
		struct network *n = &networks[random_below(&r, 2)];
		struct slot *slot;

		if (known[k].generation) { /* what the kernel knows is there, and the same */
			assert_int_equal(slots_enter(c->slots, known[k].number, &slot), 0);
			assert_int_equal(slot->generation, known[k].generation);
			assert_true(slot->network->index >= 1);
			slots_leave(c->slots, slot);
			slots_forget(c->slots, known[k].number, 1);
			known[k].generation = 0;
			continue;
		}
		AUTO(shared_view_putp) struct shared_view *view = views_newest(c->views, n);
		struct scope scope = state_at(random_below(&r, HEIGHTS));

		if (random_chance(&r, 30))
			scope = (struct scope){ .kind = SCOPE_VIEW,
						.view_number = shared_view_of(view)->number };
		if (random_chance(&r, 10))
			publish(n);
		assert_true(slots_intern(c->slots, n, &scope, view, &slot) >= 0);
		assert_ptr_equal(slot->network, n);
		assert_int_equal(slot->scope.height, scope.height);
		slots_give(slot, 1);
		known[k].number = slot->number;
		known[k].generation = slot->generation;
		slots_leave(c->slots, slot);
	}
	for (size_t k = 0; k < ARRAY_LEN(known); k++)
		if (known[k].generation)
			slots_forget(c->slots, known[k].number, 1);
	return NULL;
}

static void among_many_threads_every_slot_is_counted_right(void **state)
{
	AUTO(views_freep) struct views *v = views_new(NULL, NULL);
	AUTO(slots_freep) struct slots *s = slots_new(INO_SLOTS, NULL, NULL);
	struct random r = random_of_run();
	struct crowd crowd[4];
	pthread_t threads[4];

	views_watch(v, &networks[0]);
	views_watch(v, &networks[1]);
	for (size_t i = 0; i < ARRAY_LEN(crowd); i++) {
		crowd[i] = (struct crowd){ s, v, random_u64(&r) };
		assert_int_equal(pthread_create(&threads[i], NULL, wander, &crowd[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(crowd); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(slots_used(s), 0);
}

#define slots_test(f) cmocka_unit_test_teardown(f, nothing_is_left)

/* ---- from process to process ---- */

static struct random dice;

static struct keep *keep_of_test(void)
{
	struct keep *k = mmap(NULL, sizeof *k, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_true(k != MAP_FAILED);
	return k;
}

static struct network *by_index(void *arg, unsigned index)
{
	return index >= 1 && index <= ARRAY_LEN(networks) ? &networks[index - 1] : NULL;
}

struct model { /* what the kernel knows of a slot */
	struct network *network;
	struct scope    scope;
	uint32_t        number, generation;
	uint64_t        given;
	bool            gone;
};

#define MODEL_MAX 48

static void one_step(struct slots *s, struct shared_view *views[2], struct model *m, size_t *count)
{
	unsigned what = (unsigned)random_below(&dice, 4);
	struct slot *slot;

	if (what < 2 && *count < MODEL_MAX) { /* looked up */
		size_t n = (size_t)random_below(&dice, 2);
		struct scope scope = random_below(&dice, 3) ? state_at(random_below(&dice, 12)) :
			random_below(&dice, 2) ? place :
			(struct scope){ .kind = SCOPE_VIEW, .context = CONTEXT_LEGACY,
					.view_number = shared_view_of(views[n])->number };
		int rc = slots_intern(s, &networks[n], &scope, views[n], &slot);

		assert_true(rc >= 0);
		slots_give(slot, 1);
		size_t i = 0;

		while (i < *count && m[i].number != slot->number)
			i++;
		if (i == *count)
			m[(*count)++] = (struct model){ &networks[n], scope, slot->number,
							slot->generation, 0, false };
		assert_false(m[i].gone);
		assert_ptr_equal(m[i].network, &networks[n]);
		assert_true(scope_eq(&m[i].scope, &scope));
		assert_int_equal(m[i].generation, slot->generation);
		m[i].given++;
		slots_leave(s, slot);
	} else if (what == 2 && *count) { /* used */
		struct model *one = &m[random_below(&dice, *count)];
		int rc = slots_enter(s, one->number, &slot);

		assert_int_equal(rc, one->gone ? -ESTALE : 0);
		if (rc < 0)
			return;
		assert_true(scope_eq(&slot->scope, &one->scope));
		assert_int_equal(slot->generation, one->generation);
		if (one->scope.kind == SCOPE_VIEW)
			assert_int_equal(shared_view_of(slot->view)->number,
					 one->scope.view_number);
		slots_leave(s, slot);
	} else if (*count) { /* forgotten */
		struct model *one = &m[random_below(&dice, *count)];
		uint64_t n = 1 + random_below(&dice, one->given);

		slots_forget(s, one->number, n);
		one->given -= n;
		if (one->given == 0)
			*one = m[--*count];
	}
}

/* Every height that a slot of the model is as of is pinned, and every view is held. */
static void check_holds(const struct model *m, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (m[i].scope.kind == SCOPE_STATE && !m[i].gone)
			assert_true(atomic_load(&m[i].network->pins[m[i].scope.height]) > 0);
}

static void whoever_takes_over_has_the_same_slots(void **state)
{
	dice = random_of_run();
	for (uint64_t round = rounds(40); round; round--) {
		struct keep *keep = keep_of_test();
		struct model m[MODEL_MAX];
		size_t count = 0;
		struct slots *s = slots_new(64, keep, &keep->main.slots);

		assert_non_null(s);
		for (unsigned handover = 0; handover < 6; handover++) {
			AUTO(views_freep) struct views *v = views_new(NULL, NULL);
			struct shared_view *views[2];

			assert_non_null(v);
			for (size_t n = 0; n < 2; n++) {
				publish(&networks[n]);
				views[n] = views_newest(v, &networks[n]);
			}
			for (uint64_t steps = random_below(&dice, 300); steps; steps--)
				one_step(s, views, m, &count);
			check_holds(m, count);
			/* One that a request was in when its process died counts for nobody. */
			struct slot *entered = NULL;

			if (count && random_below(&dice, 2) &&
			    slots_enter(s, m[random_below(&dice, count)].number, &entered) < 0)
				entered = NULL;
			for (size_t n = 0; n < 2; n++)
				shared_view_putp(&views[n]);
			slots_freep(&s);
			s = slots_new(64, keep, &keep->main.slots);
			assert_non_null(s);
			keep_views_recount(keep);
			uint32_t lost = slots_take_over(s, by_index, NULL), gone = 0;

			for (size_t i = 0; i < count; i++) {
				m[i].gone |= m[i].scope.kind == SCOPE_VIEW &&
					     m[i].network->index % 2 && m[i].scope.view_number < 5;
				gone += m[i].gone;
			}
			assert_int_equal(lost, gone);
			check_holds(m, count);
		}
		for (size_t i = 0; i < count; i++)
			slots_forget(s, m[i].number, m[i].given);
		for (size_t i = 0; i < KEEP_VIEWS; i++)
			assert_int_equal(atomic_load(&keep->views[i].users), 0);
		slots_freep(&s);
		for (size_t n = 0; n < 2; n++)
			atomic_store(&networks[n].number, 0);
		munmap(keep, sizeof *keep);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		slots_test(the_same_scope_is_the_same_slot),
		slots_test(a_slot_lives_while_a_lookup_or_a_request_counts_it),
		slots_test(a_place_stays_for_good),
		slots_test(a_slot_of_following_holds_its_version_as_long_as_it_lives),
		slots_test(a_settling_slot_holds_the_view_it_was_made_with),
		slots_test(the_same_part_of_the_same_view_comes_back_as_it_was),
		slots_test(the_newest_view_is_seen_once_it_is_published),
		slots_test(exhaustion_is_enfile_until_something_is_forgotten),
		slots_test(numbers_from_outside_are_stale_not_trusted),
		slots_test(a_span_pins_both_of_its_heights),
		slots_test(without_memory_nothing_is_held),
		slots_test(whoever_takes_over_has_the_same_slots),
		slots_test(among_many_threads_every_slot_is_counted_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
