/* SPDX-License-Identifier: MIT */
/*
 * A slot is what the preloaded library keeps of a started ev_async of the program. The watcher
 * itself has room for a number only: its member "active", which libev's own watchers use for their
 * place in the loop's list.
 */
#ifndef RINGWAKE_EV_SLOTS_H
#define RINGWAKE_EV_SLOTS_H

#include "binding.h"

#include <stdatomic.h>

struct ringwake_ev_slot {
	ringwake_ev_async async; /* first: what the adapter knows */
	ev_async *watcher;       /* the program's; NULL: stopped */
	int active;              /* what the watcher's "active" is while it is started */
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

/* Loop thread, when the loop is gone. */
void ringwake_ev_slots_leave(struct ringwake_ev_home *home);

/* Any thread, any signal handler. NULL if libev itself has started the watcher, or nobody has. */
struct ringwake_ev_slot *ringwake_ev_slot_of(int active);

#endif
