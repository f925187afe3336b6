/* prove_inside.h: what the parts of prove share: the files of a checkpoint's folder and their
 * faults. */
#ifndef CHAINFS_CHECKPOINT_PROVE_INSIDE_H
#define CHAINFS_CHECKPOINT_PROVE_INSIDE_H

#include "core/base/files.h"
#include "core/checkpoint/prove.h"

enum file_kind {
	FILE_INFO,
	FILE_SUMS,
	FILE_BLOCK,
	FILE_LEGACY,
	FILE_RETAINED,
	FILE_RULES,
	FILE_OWN
};

struct file {
	char path[CHECKPOINT_PATH_MAX];
	uint8_t kind; /* enum file_kind; FILE_OWN: evidence/ and verdict, which have no sum */
	uint8_t shard;
	uint8_t vshard; /* of legacy and retained */
	bool named;     /* by SHA256SUMS */
	bool unreadable;
	uint64_t size;
	struct err why; /* of the thread that checked its records; "" when nothing is wrong */
};

struct prover {
	int folder;         /* descriptor */
	struct file *files; /* by path */
	size_t file_count, file_cap;
	const struct chain_ops *ops; /* NULL: info does not tell, or a kind that nobody knows */
	const struct chain_params *params;
	struct chain_params *own_params;       /* of evidence/ */
	struct chain_block *blocks[SHARD_MAX]; /* by place in info; NULL: not there or not right */
	const atomic_bool *stop;
	proof_fault *fault;
	void *fault_arg;
	uint64_t faults[PROOF_COUNT];
	struct proof *out;
	struct err *err;
};

struct file *prover_file(struct prover *p, const char *path); /* NULL: there is none */
/* The level fails; its reason is the first fault of it. */
void prover_fault(struct prover *p, enum proof_level level, const char *path, const char *format,
		  ...) PRINTF_LIKE(4, 5);
void prover_say(struct prover *p, enum proof_level level, enum verdict verdict, const char *format,
		...) PRINTF_LIKE(4, 5); /* when it has not failed */
int prover_stopped(struct prover *p);   /* -EINTR */

int prover_hold(struct prover *p, const struct file *f, struct files_held *out, struct err *err)
	MUST_CHECK;

/* ---- prove_state.c: the levels records, legacy and hyper ---- */
int prove_records(struct prover *p) MUST_CHECK;
int prove_root(struct prover *p, enum context context) MUST_CHECK;

#endif
