/* forge_story.h: what happens on a chain that we make, step by step.
 *
 *   story   forty people with names, and a script that shows every kind of record, every reason for
 *           which one goes, and some refusals; small talk fills what the script leaves
 *   crowd   thousands of accounts and small talk alone, for measurements
 *   bare    nobody
 *
 * All run the chain to its last step and put about `messages` user messages into it. */
#ifndef CHAINFS_SNAPCHAIN_FORGE_STORY_H
#define CHAINFS_SNAPCHAIN_FORGE_STORY_H

#include "core/chain/snapchain/forge/forge_people.h"

#define FORGE_STORY_STEPS    300 /* no fewer: the script ends before that */
#define FORGE_STORY_FID      101
#define FORGE_CROWD_FID      1000

struct forge_run {
	struct forge_people *people;
	uint64_t             steps, messages;
	int (*progress)(void *arg, uint64_t done, uint64_t all); /* in steps; NULL: nobody asks */
	void                *arg;
};

int forge_story(const struct forge_run *run, struct err *err) MUST_CHECK;
int forge_crowd(const struct forge_run *run, struct err *err) MUST_CHECK;
int forge_bare(const struct forge_run *run, struct forge_chain *chain, struct err *err) MUST_CHECK;

/* ---- the script: forge_scenes.c ---- */

enum forge_who { /* places in people->list */
		 ALICE,
		 BOB,
		 CAROL,
		 DAVE,
		 ERIN,
		 FRANK,
		 GRACE,
		 HEIDI,
		 IVAN,
		 JUDY,
		 KIM,
		 LEO,
		 MALLORY,
		 NINA,
		 OSCAR,
		 PEGGY,
		 QUINN,
		 RUPERT,
		 SYBIL,
		 TRENT,
		 UMA,
		 VICTOR,
		 WALTER,
		 XENA,
		 YURI,
		 ZOE
};

#define FORGE_SCENES_SPEAK 12  /* the first step at which the script has somebody say something */
#define FORGE_EXPIRES_AT   150 /* the step at which zoe's old storage runs out */

struct forge_scenes;

int  forge_scenes_new(struct forge_people *p, struct forge_scenes **out) MUST_CHECK;
void forge_scenes_freep(struct forge_scenes **s);
/* Adds what the script has for a step, counted from 1; also how the step departs from the usual. */
void forge_scenes_play(struct forge_scenes *s, uint64_t step, struct forge_pace *pace);

#endif
