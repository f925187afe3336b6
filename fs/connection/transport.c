#include "fs/connection/transport.h"

#include <string.h>

#include "core/base/trace.h"

/* The fastest first: the order in which "auto" tries them. */
const struct transport_ops *const transports[] = { &transport_uring, &transport_classic, NULL };

int transport_pick(const char *name, const struct transport_ops **out, struct err *err)
{
	bool automatic = name && strcmp(name, TRANSPORT_AUTO) == 0;

	*out = &transport_classic;
	if (!name)
		return 0;
	for (size_t i = 0; transports[i]; i++) {
		struct err why = ERR_INIT;

		if (!automatic && strcmp(name, transports[i]->name) != 0)
			continue;
		int rc = transports[i]->why_not(automatic ? &why : err);

		if (rc < 0 && !automatic)
			return err_note(err, rc, "transport %s", name);
		if (rc == 0) {
			*out = transports[i];
			return 0;
		}
		trace_info("fs", "a transport cannot be had, the next is tried",
			   "transport=%s reason=\"%s\"", transports[i]->name, err_text(&why, rc));
	}
	return automatic ? 0 : err_set(err, -EINVAL, "there is no transport %s", name);
}
