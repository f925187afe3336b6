/* views.h: the newest view of each network, shared among the requests and slots that use it.
 *
 * The store hands views out one owner at a time; a slot may need one for as long as the kernel
 * knows a settling file, also when newer ones were published. A struct shared_view is counted.
 * Threads  any. A request that starts after network_on_publish() was called sees that view. */
#ifndef CHAINFS_FS_VIEWS_H
#define CHAINFS_FS_VIEWS_H

#include "core/store/network.h"

struct views;
struct shared_view;

/* `published` is called after each publication of a network that was asked for once, on the thread
 * that published; it holds no lock and must not wait. NULL: nobody needs to know. */
struct views *views_new(void (*published)(void *arg, struct network *n), void *arg);
void views_freep(struct views **v); /* no request may be under way; publications have ended */

/* From now on `published` is called for the network. */
void views_watch(struct views *v, struct network *n);

/* The network of that index, once it was asked for; NULL: never. */
struct network *views_network(const struct views *v, unsigned index);

/* NULL: no memory, or its index does not fit an inode number. */
struct shared_view *views_newest(struct views *v, struct network *n);
/* False once a newer one was published. */
bool views_is_newest(struct views *v, const struct shared_view *s);
/* A view that is not the newest, taken over from another process: the caller's first share of it.
 * NULL: no memory, and the view is put back. */
struct shared_view *shared_view_of_saved(struct view *v);
/* How many publications of the network there were, as far as this view knows, or by now: two
 * questions that see the same number see the same view, or one as good. 1 or more once the network
 * was asked for. */
uint64_t shared_view_stamp(const struct shared_view *s);
uint64_t views_stamp(const struct views *v, const struct network *n);
struct shared_view *shared_view_share(struct shared_view *v);
void shared_view_putp(struct shared_view **v);
const struct view *shared_view_of(const struct shared_view *v); /* of NULL: NULL */

#endif
