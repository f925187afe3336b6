#include "core/sync/score.h"

#include <math.h>
#include <stdio.h>

const char *const fault_kind_names[FAULT_KIND_COUNT] = {
	[FAULT_TIMEOUT] = "timeout", [FAULT_BROKEN] = "broken",     [FAULT_EMPTY] = "empty",
	[FAULT_STALE] = "stale",     [FAULT_PROTOCOL] = "protocol", [FAULT_LIE] = "lie",
};

const char *const circuit_names[CIRCUIT_COUNT] = {
	[CIRCUIT_CLOSED] = "closed",
	[CIRCUIT_OPEN] = "open",
	[CIRCUIT_HALF_OPEN] = "half-open",
	[CIRCUIT_BANNED] = "banned",
};

/* Which part of the score a fault takes. */
static const double costs[FAULT_KIND_COUNT] = {
	[FAULT_TIMEOUT] = 0.3, [FAULT_BROKEN] = 0.3,   [FAULT_EMPTY] = 0.2,
	[FAULT_STALE] = 0.1,   [FAULT_PROTOCOL] = 0.6, [FAULT_LIE] = 1.0,
};

#define SCORE_LEAST  0.01 /* who is never asked can never do better */
#define ANSWER_HEALS 0.9

void score_init(struct score *s, uint64_t now_ms)
{
	*s = (struct score){ .at_ms = now_ms };
}

static double lost_at(const struct score *s, uint64_t now_ms)
{
	uint64_t ms = now_ms > s->at_ms ? now_ms - s->at_ms : 0;

	return s->lost * exp2(-(double)ms / SCORE_HALF_LIFE_MS);
}

double score_value(const struct score *s, uint64_t now_ms)
{
	return MAX(1 - lost_at(s, now_ms), SCORE_LEAST);
}

enum circuit score_circuit(const struct score *s, uint64_t now_ms)
{
	if (now_ms < s->banned_until_ms)
		return CIRCUIT_BANNED;
	if (now_ms < s->open_until_ms)
		return CIRCUIT_OPEN;
	return s->faults_in_row ? CIRCUIT_HALF_OPEN : CIRCUIT_CLOSED;
}

bool score_usable(const struct score *s, uint64_t now_ms)
{
	enum circuit c = score_circuit(s, now_ms);

	return c == CIRCUIT_CLOSED || (c == CIRCUIT_HALF_OPEN && !s->trying);
}

uint64_t score_wakes_ms(const struct score *s, uint64_t now_ms)
{
	switch (score_circuit(s, now_ms)) {
	case CIRCUIT_BANNED:
		return s->banned_until_ms;
	case CIRCUIT_OPEN:
		return s->open_until_ms;
	default:
		return UINT64_MAX;
	}
}

void score_asked(struct score *s, uint64_t now_ms)
{
	s->trying = score_circuit(s, now_ms) == CIRCUIT_HALF_OPEN;
}

void score_answered(struct score *s, uint64_t now_ms)
{
	s->lost = lost_at(s, now_ms) * ANSWER_HEALS;
	s->at_ms = now_ms;
	s->answers++;
	/* An answer to what was asked before the circuit opened does not close it early. */
	if (now_ms < s->open_until_ms)
		return;
	s->faults_in_row = 0;
	s->trying = s->misbehaved = false;
}

void score_let_go(struct score *s)
{
	s->trying = false;
}

void score_fault(struct score *s, enum fault_kind kind, const char *reason, uint64_t now_ms)
{
	double lost = lost_at(s, now_ms);
	bool was_open = now_ms < s->open_until_ms;

	s->lost = lost + costs[kind] * (1 - lost);
	s->at_ms = now_ms;
	s->faults[kind]++;
	s->trying = false;
	snprintf(s->reason, sizeof s->reason, "%s", reason);
	if (kind == FAULT_LIE)
		s->banned_until_ms = now_ms + SCORE_BAN_MS;
	if (kind != FAULT_TIMEOUT && kind != FAULT_BROKEN && kind != FAULT_STALE)
		s->misbehaved = true;
	/* Requests that were out together fail together: that is one failure. */
	if (was_open || kind == FAULT_STALE)
		return;
	uint64_t open_ms = (uint64_t)SCORE_OPEN_MIN_MS << MIN(s->faults_in_row, 16u);

	s->faults_in_row++;
	s->open_until_ms = now_ms + MIN(open_ms, (uint64_t)SCORE_OPEN_MAX_MS);
}

/* How long to wait before the next connection the source knows itself. */
void score_reached(struct score *s, uint64_t now_ms)
{
	if (!s->misbehaved)
		s->open_until_ms = MIN(s->open_until_ms, now_ms);
}

void score_pardon(struct score *s, uint64_t now_ms)
{
	s->lost = 0;
	s->at_ms = now_ms;
	s->faults_in_row = 0;
	s->trying = s->misbehaved = false;
	s->open_until_ms = s->banned_until_ms = 0;
	s->reason[0] = '\0';
}
