/* A daemon's network side: its end waits for who uses a follower, and for nothing that waits for
 * it. */
#include "tests/unit/follow_lab.h"

#include <sched.h>

#include "core/base/sign.h"
#include "net/live.h"

#define ARCHIVE "tests/vectors/devnet-a"

static struct chain chain;
static struct follows *follows;
static sem_t got;

/* A verb that is quick enough to get the follower, and too slow to be done before the end
 * begins. */
static void *stand_back_late(void *arg)
{
	struct follow *f = follows_get(follows, chain.network);

	sem_post(&got);
	if (!f)
		return NULL;
	for (;;) {
		struct follow *other = follows_get(follows, chain.network);

		if (!other)
			break;
		follows_put(follows, &other);
		sched_yield();
	}
	follow_stand_back(f);
	follow_go_on(f);
	follows_put(follows, &f);
	return arg;
}

static void its_end_does_not_wait_for_who_waits_for_its_loop(void **state)
{
	AUTO(settings_freep) struct settings *settings = NULL;
	AUTO(live_closep) struct live *live = NULL;
	struct source_entry e = { .name = "one",
				  .url = "grpc://127.0.0.1:1",
				  .operator_name = "one" };
	struct err err = ERR_INIT;
	pthread_t verb;
	void *stood_back = NULL;

	(void)state;
	sem_init(&got, 0, 0);
	chain_open(&chain, ARCHIVE);
	follows = follows_new();
	must(settings_read(SLICE_EMPTY, "test", &settings, &err), &err);
	struct live_env env = { .store = chain.store,
				.events = events_new(64),
				.gate = gate_new(),
				.follows = follows,
				.settings = settings };

	must(live_open(&env, &live, &err), &err);
	must(live_source_add(live, chain.network, &e, &err), &err);
	assert_int_equal(pthread_create(&verb, NULL, stand_back_late, &env), 0);
	sem_wait(&got);
	alarm(30); /* two that wait for each other end here */
	live_closep(&live);
	pthread_join(verb, &stood_back);
	alarm(0);
	assert_non_null(stood_back);
	follows_freep(&follows);
	struct gate *gate = env.gate;
	struct events *events = env.events;

	gate_freep(&gate);
	events_freep(&events);
	chain_release(&chain);
	sem_destroy(&got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_end_does_not_wait_for_who_waits_for_its_loop),
	};

	trace_set_sink(fixture_silence, NULL);
	assert(sign_init() == 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
