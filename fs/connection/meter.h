/* meter.h: how large the store is, measured on a thread of its own, so that df never waits.
 *
 * Measuring walks the store's folder. It happens once at the start, and again a little after
 * something was published or somebody asked for an old number, which is answered with it meanwhile.
 * Threads  new and freep by one, the rest any. */
#ifndef CHAINFS_FS_METER_H
#define CHAINFS_FS_METER_H

#include "core/store/store.h"

#define METER_PAUSE_MS 1000u /* between two walks */
#define METER_OLD_MS   5000u /* a number that somebody asks for is not older than that for long */

struct meter;

int meter_new(const struct store *s, struct meter **out, struct err *err) MUST_CHECK;
void meter_freep(struct meter **m);
void meter_published(struct meter *m); /* waits for nothing; accepts NULL */
uint64_t meter_bytes(struct meter *m);

#endif
