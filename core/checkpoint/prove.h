/* prove.h: checks a checkpoint without a store, level by level, up to the signed root.
 *
 *   bytes      every file of SHA256SUMS is there and has its sum, and none is there that it does
 *              not name
 *   blocks     blocks/S.pb hash to what info says; the main one witnesses the other shards
 *   commits    evidence/commits-S.pb carry enough of the validators' signatures; of another shard
 *              than the main one that of the main block, which witnesses it, will do. Network
 *              parameters are the caller's, else evidence's own, which vouch for themselves: the
 *              line says so
 *   records    each record is in its bytes: hash, signature, key, sizes, and in the right pack; the
 *              rows of the rules parse. Where a record stood (height, item) nothing here tells
 *   legacy     the root made of all legacy records is the one that blocks/S.pb signs
 *   hyper      the root made of legacy and retained records is the one in info, which nobody signed
 *
 * All of them are tried; what a later one needs and an earlier one did not give is VERDICT_PENDING.
 * A file is named once a level, with the first that is wrong with it.
 * Errors   negative only when it could not be tried (no such folder, memory, stopped: -EINTR). A
 *          file that cannot be read is a fault of the checkpoint. What is wrong with it is in *out.
 * Memory   a pack of each context a thread, and nothing that grows with the checkpoint.
 * Threads  any; the records are checked on all cores. */
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

/* The first level that did not hold; PROOF_COUNT: all did. Hyper may be absent where it is off. */
enum proof_level proof_failed(const struct proof *p);
bool proof_holds(const struct proof *p); /* all did */

/* params NULL: evidence's own. */
int checkpoint_prove(const char *folder, const struct chain_params *params, const atomic_bool *stop,
		     struct proof *out, struct err *err) MUST_CHECK;
/* The same, and tells each fault as it is met: the path in the folder and what is wrong with it. */
typedef void proof_fault(void *arg, enum proof_level level, const char *path, const char *sentence);
int checkpoint_prove_each(const char *folder, const struct chain_params *params,
			  const atomic_bool *stop, proof_fault *fault, void *arg, struct proof *out,
			  struct err *err) MUST_CHECK;

#endif
