/* forge_text.h: the words of people on a chain that we make: names, and small talk that never ends.
 *
 * Texts are UTF-8, at most FORGE_TEXT_SIZE bytes with the final NUL. Pure functions of the dice. */
#ifndef CHAINFS_SNAPCHAIN_FORGE_TEXT_H
#define CHAINFS_SNAPCHAIN_FORGE_TEXT_H

#include "core/chain/snapchain/forge/forge_seed.h"

#define FORGE_TEXT_SIZE 256
#define FORGE_NAMES     40

const char *forge_name(uint32_t i);       /* i < FORGE_NAMES: "alice", "bob", … */
const char *forge_topic(struct forge_dice *d); /* "sourdough"; static */
const char *forge_place(uint32_t i);      /* "geo:52.52,13.40"; static, any i */

void forge_say(struct forge_dice *d, const char *topic, char out[FORGE_TEXT_SIZE]);
void forge_reply(struct forge_dice *d, const char *topic, char out[FORGE_TEXT_SIZE]);
void forge_about(struct forge_dice *d, char out[FORGE_TEXT_SIZE]); /* a line on oneself */

#endif
