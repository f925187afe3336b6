#include "core/chain/snapchain/merge.h"

#include "core/chain/snapchain/channels.h"
#include "core/chain/snapchain/compact.h"
#include "core/chain/snapchain/keys.h"

int sc_merge_message(struct replay *r, const struct sc_message *m, bool channels)
{
	int32_t                type = m->content->type;
	unsigned               version = sc_version_at(r, m->content->timestamp);
	const struct sc_store *s = sc_store_of(type);

	if (s)
		return sc_store_merge(r, s, m);
	if (type == SC_LINK_COMPACT)
		return sc_compact_merge(r, m, version);
	if ((type == SC_KEY_ADD || type == SC_KEY_REMOVE) && version >= SC_V_GASLESS)
		return sc_key_merge(r, m, true);
	if (sc_is_channel_type(type) && channels)
		return sc_channel_merge(r, m);
	return refuse(r, "a message of no type that is kept");
}
