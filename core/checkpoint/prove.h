/* prove.h: checks a checkpoint without a store, level by level, up to the signed root.
 *
 *   bytes      every file of SHA256SUMS is there and has its sum, and none is there that it does not name
 *   blocks     blocks/S.pb hash to what info says; the main one witnesses the other shards
 *   commits    evidence/commits-S.pb carry enough of the validators' signatures (network parameters:
 *              the caller's, else a preset's, else evidence's own, which the line says)
 *   records    each record is in its bytes: hash, signature, key, sizes, and in the right pack
 *   legacy     the root made of all legacy records is the one that blocks/S.pb signs
 *   hyper      the root made of legacy and retained records is the one in info, which nobody signed
 *
 * All of them are tried; what a later one needs and an earlier one did not give is VERDICT_PENDING.
 * Errors   negative only when it could not be tried (no such folder, I/O, memory, stopped: -EINTR).
 *          What is wrong with the checkpoint is in *out. Threads: any. */
#ifndef CHAINFS_CHECKPOINT_PROVE_H
#define CHAINFS_CHECKPOINT_PROVE_H

#include <stdatomic.h>

#include "core/checkpoint/folder.h"

enum proof_level {
	PROOF_BYTES,
	PROOF_BLOCKS,
	PROOF_COMMITS,
	PROOF_RECORDS,
	PROOF_LEGACY,
	PROOF_HYPER,
	PROOF_COUNT
};
extern const char *const proof_names[PROOF_COUNT];

struct proof {
	struct checkpoint_info info; /* when `bytes` got as far */
	struct level_result levels[PROOF_COUNT];
	uint64_t records, bytes; /* checked */
};

/* params NULL: as above. `parameters` of the caller win over everything. */
int checkpoint_prove(const char *folder, const struct chain_params *params, const atomic_bool *stop,
		     struct proof *out, struct err *err) MUST_CHECK;

#endif
