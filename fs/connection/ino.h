/* ino.h: inode numbers. A node packed into 64 bits, so that no table of inodes exists.
 *
 *     0 | network 7 | object 48 | row 8    a node of an object: one file, wherever it is listed
 * 1 | slot 18 | key 37 | row 8 a node of a scope: its slot is the scope interned (slots.h)
 *
 * 1 is the root; no node packs to it or to 0. Networks are numbered from 1. */
#ifndef CHAINFS_FS_INO_H
#define CHAINFS_FS_INO_H

#include "fs/tree/tree.h"

#define INO_ROOT         1
#define INO_NETWORK_BITS 7
#define INO_SLOT_BITS    18
#define INO_SLOTS        (1u << INO_SLOT_BITS)

struct ino {
	bool     of_object;
	uint8_t  row;
	uint32_t place;  /* the network's index, or the slot */
	uint64_t key;    /* or the object id */
};

/* 0 when a number does not fit its bits. */
uint64_t   ino_pack(struct ino parts);
struct ino ino_unpack(uint64_t number);

#endif
