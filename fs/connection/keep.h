/* keep.h: what the kernel goes by and a process that dies must not take along: requests that were
 * taken and not answered, INIT, inode slots, folders that were cached, open files of ctl and plain.
 *
 * It is memory of a memfd, which the keeper (mount-helpers/keeper.h) holds with the descriptors of
 * the connections while worker after worker maps it. Who serves alone maps one of its own. Every
 * record is plain values, written in an order that is right whenever the writer is killed: at worst
 * something is held longer than it is needed, until the mount ends.
 *
 * Programs  one of another layout, or for which inode numbers mean something else, does not take it
 *           over: keep_meaning() is compared before.
 * Threads   one process has it at a time; who writes what is said at each record. */
#ifndef CHAINFS_FS_KEEP_H
#define CHAINFS_FS_KEEP_H

#include <stdatomic.h>

#include "core/base/bytes.h"
#include "core/base/err.h"
#include "fs/connection/ino.h"
#include "fs/connection/notify.h"
#include "fs/connection/opened.h"
#include "fs/connection/transport.h"

#define KEEP_LAYOUT 2u

/* ---- of a connection: journal.h ---- */

enum keep_place { KEEP_MAIN, KEEP_CTL, KEEP_PLAIN, KEEP_PLACES };

#define KEEP_REQUEST_SIZE 8064u /* of a request that can be replayed; ours are below 5 KiB */
#define KEEP_PARKED_SIZE  240u  /* of one that waits for something to happen */
#define KEEP_PARKED_MAX   1024u
#define KEEP_INIT_SIZE    256u

struct keep_request { /* one a thread; its first four bytes, the length, are 0: there is none */
	_Alignas(4096) uint8_t bytes[KEEP_REQUEST_SIZE];
	uint32_t tries;       /* replays so far */
	uint8_t  rest[124];
};

struct keep_parked { /* a request that was taken in hand, and is answered some time */
	uint8_t          bytes[KEEP_PARKED_SIZE];
	_Atomic uint32_t used;
	uint32_t         tries;
};

struct keep_connection {
	int32_t             fd; /* of /dev/fuse, the same number in every process; -1: not
				 * mounted */
	_Atomic uint32_t    init_size; /* 0: the kernel has not asked yet */
	uint8_t             init[KEEP_INIT_SIZE];
	struct keep_parked  parked[KEEP_PARKED_MAX];
	struct keep_request requests[TRANSPORT_THREADS_MAX];
};

/* ---- slots.h ---- */

struct keep_slot {
	_Atomic uint64_t given; /* lookups that the kernel holds */
	uint64_t height, from, view_number;
	uint32_t generation;    /* 0: never used */
	uint32_t shard;
	uint32_t view;          /* of SCOPE_VIEW: its saved view + 1; 0: it could not be saved */
	uint32_t network;       /* its index; 0: the root's own rows */
	uint32_t branch;
	uint8_t  kind, context;
	_Atomic uint8_t used;   /* written last, cleared first */
};

struct keep_slots {
	uint32_t         generation_first; /* 0: no table yet */
	_Atomic uint32_t made;             /* slots beyond were never used */
	struct keep_slot slots[INO_SLOTS];
};

/* ---- views that slots name: keep_view_… ---- */

#define KEEP_VIEWS     1024u
#define KEEP_VIEW_SIZE 16360u

struct keep_view {
	_Atomic uint32_t users;  /* slots; 0: free */
	uint32_t         network;
	uint64_t         number;
	uint32_t         size;
	uint8_t          bytes[KEEP_VIEW_SIZE];
};

/* ---- notify.h ---- */

#define KEEP_LEFT (8 * NOTIFY_FOLDERS_MAX)

struct keep_notify { /* folders that the kernel may have cached something old of; 0: none */
	uint64_t left[KEEP_LEFT]; /* of processes before */
	uint32_t left_count;
	uint64_t watched[NOTIFY_FOLDERS_MAX + 1];
	uint64_t batch[NOTIFY_FOLDERS_MAX];
	uint64_t again[2 * NOTIFY_FOLDERS_MAX];
};

/* ---- of a connection that shows the tree: known.h ---- */

struct keep_serving {
	struct keep_notify notify;
	struct keep_slots  slots;
	_Atomic uint64_t   changes; /* of what grows otherwise than by views */
};

/* ---- ctl.h ---- */

#define KEEP_HANDLES 4096u

struct keep_handle { /* an open file of ctl */
	_Atomic uint32_t used;
	uint32_t row;
	uint64_t ino;
	uint64_t next;  /* of events: the number of the next one */
	uint64_t poll;  /* the kernel's name for who polls it; 0: nobody */
	uint8_t  reads; /* enum reads of ctl.c */
	bool     cut;   /* of events: what was given last ends within a line */
};

#define KEEP_PINS      256u
#define KEEP_PIN_NAME  96u

struct keep_pin { /* names that have inode numbers in ctl */
	uint32_t network; /* its index; 0: not used */
	bool     gone;
	char     name[KEEP_PIN_NAME];
};

struct keep_ctl {
	_Atomic uint64_t   events_last, events_size;
	char               path[4096]; /* where it is mounted */
	struct keep_handle handles[KEEP_HANDLES];
	struct keep_pin    pins[KEEP_PINS];
};

/* ---- all of it ---- */

struct keep {
	uint32_t layout;
	uint32_t keeper;             /* its process; 0: there is none */
	uint64_t meaning;
	uint64_t identity;           /* of what is mounted where and how: the keeper's */
	_Atomic uint32_t served;     /* workers that have been ready */
	_Atomic uint64_t view_last[1u << INO_NETWORK_BITS]; /* the highest number of a view, by
							     * network */
	/* The branch that the kernel's names are of, as far as it was told. */
	_Atomic uint32_t branch_told[1u << INO_NETWORK_BITS];
	struct keep_connection connections[KEEP_PLACES];
	struct keep_serving main, plain;
	struct keep_ctl    ctl;
	char               plain_path[4096]; /* where it is mounted */
	struct opened_records opened;        /* of plain */
	struct keep_view   views[KEEP_VIEWS];
};

/* What every program must agree on that takes over from another: layout, table of rows,
 * renderers. */
uint64_t keep_meaning(void);

/* A new memfd, and its memory. The descriptor is close-on-exec. */
int  keep_new(int *fd, struct keep **out, struct err *err) MUST_CHECK;
/* That of another process. -EPROTO: of a program that means something else. */
int  keep_open(int fd, struct keep **out, struct err *err) MUST_CHECK;
void keep_closep(struct keep **k);
/* True: a worker before us served with it. */
bool keep_is_taken_over(const struct keep *k);

/* The number of the last event that any reader may know of. */
uint64_t keep_events_last(const struct keep *k);

/* Before slots are taken over: who uses which view is counted again from them. */
void     keep_views_recount(struct keep *k);
/* A view of a network, saved for a slot: one more user of it. 0: there is no room. */
uint32_t keep_view_save(struct keep *k, const struct view *v);
void     keep_view_drop(struct keep *k, uint32_t view); /* 0 is none */

#endif
