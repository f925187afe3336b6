/* pins_inside.h: what pins.c and pins_thread.c share. */
#ifndef CHAINFS_CHECKPOINT_PINS_INSIDE_H
#define CHAINFS_CHECKPOINT_PINS_INSIDE_H

#include "core/checkpoint/pin_book.h"

struct pins {
	struct store *store;
	struct events *events;
	struct retention retention;
	pthread_t thread;
	bool started;
	struct build_progress progress;
	atomic_bool build_stop;

	pthread_mutex_t pins_lock; /* guards the rest; below it only that of the store's pins */
	pthread_cond_t wake, idle;
	bool stopping, look;
	bool on_hold;
	unsigned writing;                     /* who writes below the store at this moment */
	struct book *books[NETWORKS_MAX + 1]; /* by the network's index */
	struct book *building;                /* of what is built, */
	char building_name[CHECKPOINT_NAME_SIZE];
	uint64_t building_height;
	void (*on_change)(void *arg, struct network *n);
	void *on_change_arg;
	unsigned calls; /* of the listener, under way */
};

/* Tells the listener. Called without the lock. */
void pins_changed(struct pins *p, struct network *n);
/* Every network that is there by now has its book. */
void pins_each_book(struct pins *p, void (*call)(struct pins *p, struct book *b));
bool pins_has(struct pins *p, const struct book *b, const char *name);
/* Between begin_writing and end_writing: whatever the pin is called. */
int  pins_add_entry(struct pins *p, struct book *b, const char *name, uint64_t height,
		    struct err *err) MUST_CHECK;
int  pins_drop_entry(struct pins *p, struct book *b, const char *name, struct err *err) MUST_CHECK;
void pins_end_writing(struct pins *p);

/* The thread; `arg` is the struct pins. */
void *pins_run(void *arg);
/* Takes away the checkpoints that no pin wants. */
void pins_sweep(struct pins *p, struct book *b);

#endif
