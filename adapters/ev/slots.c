/* SPDX-License-Identifier: MIT */
/*
 * Slots are never freed. So a sender that has the number of a watcher that was just stopped finds a
 * slot: with a closed event, or of another watcher, whose callback runs only if that watcher was
 * sent. Blocks of slots double in size and never move.
 *
 * Each loop has slots of its own. A destroyed loop leaves its slots in a common list. The next loop
 * that needs a slot takes the whole list, so no thread removes a single member of a list that
 * several threads change.
 */
#include "slots.h"

#include <stdlib.h>

/* libev counts the watchers of a loop from 1. */
#define MARK   (1 << 30)
#define BLOCKS 30

static _Atomic(struct ringwake_ev_slot *) blocks[BLOCKS];
static _Atomic int count;
static _Atomic(struct ringwake_ev_slot *) common;

static struct ringwake_ev_slot *block_of(int block)
{
	/* Acquire, also in the exchange below: pairs with the release there. */
	struct ringwake_ev_slot *found = atomic_load_explicit(&blocks[block], memory_order_acquire);
	if (found)
		return found;
	struct ringwake_ev_slot *fresh = calloc_keeping_errno((size_t)1 << block, sizeof *fresh);
	if (fresh == NULL)
		return NULL;
	/* Release: pairs with the acquire of threads that find the block. */
	if (atomic_compare_exchange_strong_explicit(
		    &blocks[block], &found, fresh, memory_order_release, memory_order_acquire))
		return fresh;
	free(fresh);
	return found;
}

static int block_number(int number)
{
	return 31 - __builtin_clz((unsigned)number);
}

static struct ringwake_ev_slot *make(void)
{
	/* Relaxed: nothing else is published through this number. */
	int number = atomic_fetch_add_explicit(&count, 1, memory_order_relaxed) + 1;
	int block = block_number(number);
	struct ringwake_ev_slot *first = block_of(block);
	if (first == NULL)
		return NULL;
	struct ringwake_ev_slot *slot = &first[number - (1 << block)];
	ringwake_ev_async_init(&slot->async, NULL);
	slot->active = MARK | number;
	return slot;
}

static void add(struct ringwake_ev_home *home, struct ringwake_ev_slot *slot)
{
	slot->home = home;
	slot->next = home->all;
	home->all = slot;
	slot->next_spare = home->spare;
	home->spare = slot;
}

static void add_common(struct ringwake_ev_home *home)
{
	/* Acquire: pairs with the release in ringwake_ev_slots_leave. */
	struct ringwake_ev_slot *slot =
		atomic_exchange_explicit(&common, NULL, memory_order_acquire);
	while (slot) {
		struct ringwake_ev_slot *next = slot->next;
		add(home, slot);
		slot = next;
	}
}

struct ringwake_ev_slot *ringwake_ev_slot_take(struct ringwake_ev_home *home)
{
	if (home->spare == NULL)
		add_common(home);
	if (home->spare == NULL) {
		struct ringwake_ev_slot *fresh = make();
		if (fresh == NULL)
			return NULL;
		add(home, fresh);
	}
	struct ringwake_ev_slot *slot = home->spare;
	home->spare = slot->next_spare;
	return slot;
}

void ringwake_ev_slot_put(struct ringwake_ev_slot *slot)
{
	slot->watcher = NULL;
	slot->next_spare = slot->home->spare;
	slot->home->spare = slot;
}

void ringwake_ev_slots_leave(struct ringwake_ev_home *home)
{
	struct ringwake_ev_slot *last = home->all;
	if (last == NULL)
		return;
	for (struct ringwake_ev_slot *i = home->all; i; i = i->next) {
		i->watcher = NULL;
		ringwake_ev_async_set(&i->async); /* refuse sends that come too late */
		last = i;
	}
	/* Relaxed: the exchange below checks the value. */
	last->next = atomic_load_explicit(&common, memory_order_relaxed);
	/* Release: pairs with the acquire in add_common. */
	while (!atomic_compare_exchange_weak_explicit(
		&common, &last->next, home->all, memory_order_release, memory_order_relaxed))
		;
	home->all = home->spare = NULL;
}

struct ringwake_ev_slot *ringwake_ev_slot_of(int active)
{
	if (!(active & MARK))
		return NULL;
	int number = active & ~MARK;
	int block = block_number(number);
	/* Acquire: pairs with the release in block_of. */
	return &atomic_load_explicit(&blocks[block], memory_order_acquire)[number - (1 << block)];
}
