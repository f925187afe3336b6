/* parameters.h: which parameters a network is followed with, and who supplied them.
 *
 * --config FILE goes first, then a preset of that name, then the archive's own network.json; an
 * archive goes before a preset only with --trust-archive. Once a network is in a store its
 * parameters stay: others under the same name are refused. */
#ifndef CHAINFS_CONTROL_PARAMETERS_H
#define CHAINFS_CONTROL_PARAMETERS_H

#include "core/control/verb.h"
#include "core/store/network.h"

/* The network that an import of an archive with this network.json (may be empty) goes to; made in
 * the store when it is new. -EINVAL: not enough is known; -EEXIST: other parameters are in the
 * store. */
int parameters_network(struct verb_call *c, struct slice archive_json, struct network **out,
		       struct err *err) MUST_CHECK;

#endif
