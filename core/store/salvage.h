/* salvage.h: tables of a database that cannot stand beside each other.
 *
 * A kill may leave rows twice: a log and the table that it was written out to, tables and the one that
 * they were merged to. The list of files says which count; where it cannot be read, RocksDB refuses to
 * put them together, with words that name two of them: "L0 file #39 with seqno 322 2326 vs. file #31 …"
 * (its version_builder.cc; Debian's build always checks). One of the two goes. What is lost so is a gap
 * of the network that is made of the rest, never a wrong row: all of it is checked there.
 * Threads  one. */
#ifndef CHAINFS_STORE_SALVAGE_H
#define CHAINFS_STORE_SALVAGE_H

#include "core/base/base.h"

/* The highest number of a table in a folder; 0: there is none. */
uint64_t salvage_newest(const char *folder);
/* Takes one of the two tables away that the words name; `newest`: before RocksDB made tables of logs.
 * False: they name none, or it cannot be taken away. */
bool salvage_drop(const char *folder, const char *words, uint64_t newest);

#endif
