/* SPDX-License-Identifier: MIT */
/*
 * A slot is the preloaded library's state of a started ev_async of the program. The watcher itself
 * has room only for a number: its member "active", in which libev's own watchers keep their place
 * in the loop's list.
 */
#ifndef RINGWAKE_EV_SLOTS_H
#define RINGWAKE_EV_SLOTS_H

#include "binding.h"

#include <stdatomic.h>

struct ringwake_ev_slot {
	ringwake_ev_async async; /* the first member: the async that the adapter knows */
	ev_async *watcher;       /* the program's; NULL: stopped */
	int active;              /* the watcher's member "active" while it is started */
	struct ringwake_ev_home *home;
	struct ringwake_ev_slot *next, *next_spare;
};

/* The slots of one loop. */
struct ringwake_ev_home {
	struct ringwake_ev_slot *all, *spare;
};

/* Loop thread. NULL if there is no memory. */
struct ringwake_ev_slot *ringwake_ev_slot_take(struct ringwake_ev_home *home);
void ringwake_ev_slot_put(struct ringwake_ev_slot *slot);

/* Loop thread, after the loop was destroyed. */
void ringwake_ev_slots_leave(struct ringwake_ev_home *home);

/* Any thread, any signal handler. NULL if the watcher is stopped, or libev itself has started it.
 */
struct ringwake_ev_slot *ringwake_ev_slot_of(int active);

#endif
