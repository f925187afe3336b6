#include "core/chain/snapchain/forge/forge_story.h"

#define DAY_S     86400u
#define YEAR_S    31536000u
#define RENT_2024 1735689600u /* 2025-01-01: a unit of the kind of 2024, good for three years */
#define RENT_OLD  1704067200u /* 2024-01-01: a legacy unit, good for four */

static int step_of(const struct forge_run *run, struct forge_chain *c,
		   const struct forge_pace *pace, struct err *err)
{
	int rc = forge_chain_step(c, pace, err);

	if (rc < 0 || !run->progress)
		return rc;
	rc = run->progress(run->arg, forge_chain_steps(c), run->steps);
	return rc < 0 ? err_set(err, rc, "%s", strerror(-rc)) : 0;
}

static int step(const struct forge_run *run, const struct forge_pace *pace, struct err *err)
{
	return step_of(run, run->people->chain, pace, err);
}

/* Messages that should have been sent by the end of a step, when `first` is the first with any. */
static uint64_t due(const struct forge_run *run, uint64_t at, uint64_t first)
{
	if (at < first)
		return 0;
	return (uint64_t)((unsigned __int128)run->messages * (at - first + 1) /
			  (run->steps - first + 1));
}

/* ---- the story ---- */

static void story_join(struct forge_people *p, uint64_t start)
{
	uint32_t i = p->joined;
	uint64_t lately = start - 30 * DAY_S;

	p->list[i].name = forge_name(i);
	switch (i) {
	case FRANK: /* has storage to lend */
		forge_join(p, lately, 4);
		break;
	case UMA: case VICTOR: case XENA: case YURI:
		forge_join(p, RENT_2024, 1);
		break;
	case WALTER:
		forge_join(p, RENT_OLD, 1);
		break;
	case ZOE: /* one unit, and an old one that is about to run out */
		forge_join(p, lately, 1);
		forge_rent(p, &p->list[i],
			   start + (FORGE_EXPIRES_AT - 1) * p->block_time_s - 4 * YEAR_S, 1);
		break;
	default: /* of those without a part, every other one has a second unit */
		forge_join(p, lately, i > ZOE && i % 2 ? 2 : 1);
		break;
	}
}

static void story_username(struct forge_people *p, const struct forge_person *who)
{
	struct forge_stamp s = forge_lately(p, who);

	forge_user_data(&s, FORGE_USERNAME, who->name, &p->message);
	forge_post(p, who);
}

/* The first people open accounts, names and profiles before anybody speaks, four come late. */
static void story_arrive(struct forge_people *p, uint64_t at, uint64_t start)
{
	static const struct {
		uint32_t at, people;
	} waves[] = { { 2, 12 }, { 4, 14 }, { 6, 10 }, { 45, 4 } };

	uint32_t first = 0;

	for (size_t w = 0; w < ARRAY_LEN(waves); first += waves[w].people, w++)
		for (uint32_t i = first; i < first + waves[w].people; i++) {
			struct forge_person *who = &p->list[i];

			if (at == waves[w].at)
				story_join(p, start);
			if (at == waves[w].at + 1)
				forge_give_name(p, who->name, who, NULL, 60);
			if (at == waves[w].at + 2)
				story_username(p, who);
		}
}

int forge_story(const struct forge_run *run, struct err *err)
{
	static const uint8_t mix[FORGE_ACTIONS] = {
		[FORGE_DO_CAST] = 30,   [FORGE_DO_REPLY] = 16,  [FORGE_DO_REACT] = 24,
		[FORGE_DO_UNREACT] = 4, [FORGE_DO_FOLLOW] = 12, [FORGE_DO_UNFOLLOW] = 3,
		[FORGE_DO_PROFILE] = 6, [FORGE_DO_DELETE] = 4,  [FORGE_DO_VERIFY] = 1,
	};
	struct forge_people *p = run->people;
	uint64_t start = forge_chain_now(p->chain);
	AUTO(forge_scenes_freep) struct forge_scenes *scenes = NULL;
	int rc = forge_scenes_new(p, &scenes);

	if (rc < 0)
		return err_set(err, rc, "no memory for the script");
	assert(run->steps >= FORGE_STORY_STEPS && p->count == FORGE_NAMES);
	for (uint64_t at = 1; at <= run->steps && rc == 0; at++) {
		struct forge_pace pace = { 0 };
		uint32_t speakers = p->joined; /* who joins in this step speaks from the next on */

		story_arrive(p, at, start);
		forge_scenes_play(scenes, at, &pace);
		while (speakers &&
		       forge_chain_messages(p->chain) < due(run, at, FORGE_SCENES_SPEAK)) {
			uint32_t a = forge_below(&p->dice, speakers),
				 b = forge_below(&p->dice, speakers);

			/* Some people talk more than others. */
			if (!p->list[MAX(a, b)].quiet)
				forge_chatter(p, &p->list[MAX(a, b)], mix);
		}
		rc = step(run, &pace, err);
	}
	return rc;
}

/* ---- the crowd ---- */

int forge_crowd(const struct forge_run *run, struct err *err)
{
	static const uint8_t mix[FORGE_ACTIONS] = {
		[FORGE_DO_CAST] = 34,   [FORGE_DO_REPLY] = 14,  [FORGE_DO_REACT] = 22,
		[FORGE_DO_UNREACT] = 3, [FORGE_DO_FOLLOW] = 14, [FORGE_DO_UNFOLLOW] = 3,
		[FORGE_DO_PROFILE] = 5, [FORGE_DO_DELETE] = 4,  [FORGE_DO_VERIFY] = 1,
	};
	struct forge_people *p = run->people;
	uint64_t rented = forge_chain_now(p->chain) - 30 * DAY_S, arriving = run->steps / 10 + 1;
	int rc = 0;

	for (uint64_t at = 1; at <= run->steps && rc == 0; at++) {
		uint32_t speakers = p->joined;

		while (p->joined < p->count && p->joined < (uint64_t)p->count * at / arriving + 1)
			forge_join(p, rented, 1);
		while (speakers && forge_chain_messages(p->chain) < due(run, at, 2)) {
			/* The lower of two draws: a few talk much, most a little. */
			uint32_t a = forge_below(&p->dice, speakers),
				 b = forge_below(&p->dice, speakers);

			forge_chatter(p, &p->list[MIN(a, b)], mix);
		}
		rc = step(run, NULL, err);
	}
	return rc;
}

/* ---- nobody ---- */

int forge_bare(const struct forge_run *run, struct forge_chain *chain, struct err *err)
{
	int rc = 0;

	for (uint64_t at = 1; at <= run->steps && rc == 0; at++)
		rc = step_of(run, chain, NULL, err);
	return rc;
}
