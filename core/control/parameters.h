/* parameters.h: which parameters a network is followed with, and who supplied them.
 *
 * --config FILE goes first, then a preset of that name, then the archive's own network.json; an
 * archive goes before a preset only with --trust-archive. Once a network is in a store its
 * parameters stay: others under the same name are refused. */
#ifndef CHAINFS_CONTROL_PARAMETERS_H
#define CHAINFS_CONTROL_PARAMETERS_H

#include "core/control/verb.h"
#include "core/store/network.h"
#include "core/sync/archive.h"

struct parameters {
	struct buf text;   /* canonical */
	const char *trust; /* who supplied them, as the store has it: "config", "preset",
			    * "archive" */
	const struct chain_ops *ops;
	char name[NETWORK_NAME_MAX + 1];
};
#define PARAMETERS_INIT { .text = BUF_INIT(ARCHIVE_CONFIG_SIZE_MAX) }

/* By the options of the call; `what` it is that brought network.json (may be empty): "archive" or
 * "checkpoint". -EINVAL: not enough is known. */
int parameters_choose(struct verb_call *c, const char *what, struct slice network_json,
		      struct parameters *out, struct err *err) MUST_CHECK;
void parameters_release(struct parameters *p);

/* The network that an import of an archive with this network.json (may be empty) goes to; made in
 * the store when it is new. -EINVAL: not enough is known; -EEXIST: other parameters are in the
 * store. */
int parameters_network(struct verb_call *c, struct slice archive_json, struct network **out,
		       struct err *err) MUST_CHECK;

#endif
