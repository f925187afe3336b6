/* score.h: how far one source is to be used: a score that forgets, a circuit that opens and closes,
 * a ban for a lie that can be proved.
 *
 * A score is in (0, 1] and moves back towards 1 with a half-life of ten minutes. The circuit opens
 * at a failure, for 1, 2, 4 … 300 s as failures follow each other; then one request at a time tries
 * it, and an answer closes it. One that could not be reached and can be again is tried at once.
 * Only what is certain bans: bytes that contradict their own hash, signatures that do not verify,
 * another network. A ban lasts twelve hours, or until a person lifts it.
 * Plain data. Times are milliseconds of a clock that never goes back. */
#ifndef CHAINFS_SYNC_SCORE_H
#define CHAINFS_SYNC_SCORE_H

#include "core/chain/chain.h"

#define SCORE_HALF_LIFE_MS (10u * 60 * 1000)
#define SCORE_BAN_MS       (UINT64_C(12) * 3600 * 1000)
#define SCORE_OPEN_MIN_MS  1000u
#define SCORE_OPEN_MAX_MS  300000u

enum fault_kind {
	FAULT_TIMEOUT,  /* it did not answer in time */
	FAULT_BROKEN,   /* the connection ended, or it answered with an error */
	FAULT_EMPTY,    /* it told that it has what it did not give */
	FAULT_STALE,    /* its head stands still while others go on */
	FAULT_PROTOCOL, /* it broke its protocol: order, frames, sizes */
	FAULT_LIE,      /* proved; bans */
	FAULT_KIND_COUNT
};
extern const char *const fault_kind_names[FAULT_KIND_COUNT];

enum circuit { CIRCUIT_CLOSED, CIRCUIT_OPEN, CIRCUIT_HALF_OPEN, CIRCUIT_BANNED, CIRCUIT_COUNT };
extern const char *const circuit_names[CIRCUIT_COUNT];

struct score {
	double   lost;              /* 1 - score, as of: */
	uint64_t at_ms;
	uint32_t faults_in_row;
	bool     trying;            /* half-open, and its one request is out */
	bool     misbehaved;        /* one of those in a row was more than not to be reached */
	uint64_t open_until_ms, banned_until_ms; /* 0: not */
	uint64_t answers;
	uint64_t faults[FAULT_KIND_COUNT];
	char     reason[REASON_SIZE]; /* of the last fault */
};

void score_init(struct score *s, uint64_t now_ms);
double score_value(const struct score *s, uint64_t now_ms);
enum circuit score_circuit(const struct score *s, uint64_t now_ms);
/* May it be asked now? A half-open one takes one request: tell score_asked(). */
bool score_usable(const struct score *s, uint64_t now_ms);
/* When that may change by time alone; UINT64_MAX: it is usable, or waits for an answer. */
uint64_t score_wakes_ms(const struct score *s, uint64_t now_ms);

void score_asked(struct score *s, uint64_t now_ms);
void score_answered(struct score *s, uint64_t now_ms);
void score_let_go(struct score *s); /* what was asked was taken back: neither good nor bad */
void score_fault(struct score *s, enum fault_kind kind, const char *reason, uint64_t now_ms);
void score_reached(struct score *s, uint64_t now_ms); /* a connection was lost and is there again */
void score_pardon(struct score *s, uint64_t now_ms); /* lifts a ban and closes the circuit */

#endif
