/* verb_status.h: the parts of `chainfs status`. */
#ifndef CHAINFS_CONTROL_VERB_STATUS_H
#define CHAINFS_CONTROL_VERB_STATUS_H

#include "core/control/verb.h"
#include "core/sync/sight.h"

/* only NULL: of all networks. Until somebody gives up. */
int verb_status_watch(struct verb_call *c, const struct network *only);

/* What is told of following, as lines and as members of an object that is open. */
void status_sync_text(struct verb_call *c, const struct sight *s);
void status_sync_json(const struct sight *s, struct json *j);
void status_caches_json(struct json *j);

#endif
