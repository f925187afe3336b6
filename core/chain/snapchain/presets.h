/* presets.h: parameters of well-known Snapchain networks, by the name of their folder. */
#ifndef CHAINFS_SNAPCHAIN_PRESETS_H
#define CHAINFS_SNAPCHAIN_PRESETS_H

#include "core/base/base.h"

/* Text as --config has it, or NULL when the network is not known. Static. */
const char *sc_preset(const char *network_name);

/* The name of the i-th of them; NULL behind the last. */
const char *sc_preset_name(size_t i);

#endif
