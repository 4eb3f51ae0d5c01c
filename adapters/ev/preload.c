/* SPDX-License-Identifier: MIT */
/*
 * libringwake-ev-preload.so replaces the functions by which a program starts, stops and sends its
 * ev_asyncs. libev itself calls none of them. A loop is attached when its first ev_async is
 * started. If that fails, libev itself starts the watcher.
 *
 * The member "sent", which ev_async_pending() reads, decides whether a callback runs. A send sets
 * it and then sends the watcher's slot. When the slot's message arrives, the loop feeds the watcher
 * only if it can clear "sent". So a slot may be sent twice, or for another watcher that had it
 * before, and the callback still runs only if the watcher was sent.
 */
#include "copies.h"
#include "libev.h"
#include "preload/preload.h"
#include "slots.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ringwake/ev-compat.h>

/* In this file the names are libev's own. */
#undef ev_async
#undef ev_async_init
#undef ev_async_send
#undef ev_async_start
#undef ev_async_stop
#undef ev_loop_destroy
#undef ev_set_loop_release_cb

/* The preloaded library's state of a loop, while the loop is attached. */
struct preloaded {
	struct ringwake_ev_home slots;
	struct ringwake_ev *binding;
	struct ringwake *counted; /* the target that stats.c knows */
};

struct ringwake_ev_libev ringwake_ev_libev;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic int shortage; /* Relaxed: it is only printed. */

static void find_libev(void)
{
	ringwake_preload_find(ringwake_ev_functions);
}

static void report_plain(unsigned long plain)
{
	if (plain > 0)
		fprintf(stderr,
			"ringwake-ev: %lu watchers stay as libev made them: no wake target: %s\n",
			plain, strerror(atomic_load_explicit(&shortage, memory_order_relaxed)));
	pthread_once(&once, find_libev);
	ringwake_ev_report_copies((void *)ringwake_ev_libev.async_send);
}

const struct ringwake_preload ringwake_preload = {
	.program = "ringwake-ev",
	.library = "libev",
	.variable = "RINGWAKE_EV_STATS",
	.report_plain = report_plain,
};

static _Atomic int *active_of(ev_async *watcher)
{
	return (_Atomic int *)&watcher->active;
}

static _Atomic sig_atomic_t *sent_of(ev_async *watcher)
{
	return (_Atomic sig_atomic_t *)&watcher->sent;
}

static struct ringwake_ev_slot *slot_with(ringwake_ev_async *async)
{
	return (struct ringwake_ev_slot *)async; /* its first member */
}

static void count(struct preloaded *preloaded)
{
	preloaded->counted = preloaded->binding->target;
	ringwake_preload_stats_open(preloaded->binding->loop, preloaded->counted);
}

/* In a forked child, once its loop has a target of its own. */
static void count_anew(struct preloaded *preloaded)
{
	if (preloaded->counted != preloaded->binding->target)
		count(preloaded);
}

/* Feeds the program's watcher instead of the async that the adapter knows. */
static void feed(struct ringwake_ev *binding, ringwake_ev_async *async)
{
	struct ringwake_ev_slot *slot = slot_with(async);
	struct preloaded *preloaded = binding->preloaded;
	count_anew(preloaded);
	/* Acquire: pairs with the exchange of each send that this callback handles. */
	if (atomic_exchange_explicit(sent_of(slot->watcher), 0, memory_order_acquire))
		ev_feed_event(binding->loop, slot->watcher, EV_ASYNC);
}

/* Has libev open its own descriptors first, so the target does not take them. */
static void open_libev(struct ev_loop *loop)
{
	ev_async async;
	ev_init(&async, NULL);
	ringwake_ev_libev.async_start(loop, &async);
	ringwake_ev_libev.async_stop(loop, &async);
}

static struct preloaded *attach(struct ev_loop *loop)
{
	struct preloaded *preloaded = calloc_keeping_errno(1, sizeof *preloaded);
	int error = -ENOMEM;
	if (preloaded) {
		open_libev(loop);
		error = ringwake_ev_attach(&preloaded->binding, loop, NULL);
	}
	if (error < 0) {
		free(preloaded);
		atomic_store_explicit(&shortage, -error, memory_order_relaxed);
		return NULL;
	}
	preloaded->binding->preloaded = preloaded;
	preloaded->binding->feed = feed;
	count(preloaded);
	return preloaded;
}

static struct preloaded *preloaded_of(struct ev_loop *loop)
{
	struct ringwake_ev *binding = ringwake_ev_find(loop);
	return binding ? binding->preloaded : NULL;
}

void ev_async_start(struct ev_loop *loop, ev_async *watcher)
{
	pthread_once(&once, find_libev);
	if (ev_is_active(watcher))
		return;
	struct preloaded *preloaded = preloaded_of(loop);
	if (preloaded == NULL)
		preloaded = attach(loop);
	struct ringwake_ev_slot *slot = preloaded ? ringwake_ev_slot_take(&preloaded->slots) : NULL;
	if (slot == NULL) {
		ringwake_preload_stats_plain();
		ringwake_ev_libev.async_start(loop, watcher);
		return;
	}
	/* Relaxed: as in libev, a start forgets earlier sends. */
	atomic_store_explicit(sent_of(watcher), 0, memory_order_relaxed);
	slot->watcher = watcher;
	ev_set_priority(&slot->async, ev_priority(watcher));
	ringwake_ev_async_start(preloaded->binding, &slot->async);
	ev_set_priority(watcher, ev_priority(&slot->async));
	/* Sequentially consistent: pairs with the two accesses of ev_async_send. If a send still
	 * finds the watcher stopped, or in another slot, this thread sees the send. */
	atomic_store_explicit(active_of(watcher), slot->active, memory_order_seq_cst);
	if (atomic_load_explicit(sent_of(watcher), memory_order_seq_cst))
		ringwake_ev_async_send(&slot->async);
}

void ev_async_stop(struct ev_loop *loop, ev_async *watcher)
{
	pthread_once(&once, find_libev);
	struct ringwake_ev_slot *slot = ringwake_ev_slot_of(watcher->active);
	if (slot == NULL) {
		ringwake_ev_libev.async_stop(loop, watcher);
		return;
	}
	ev_clear_pending(loop, watcher);
	if (slot->watcher != watcher)
		return; /* its loop is destroyed */
	ringwake_ev_async_stop(&slot->async);
	ringwake_ev_slot_put(slot);
	/* Relaxed: a send that finds the slot finds a closed event. */
	atomic_store_explicit(active_of(watcher), 0, memory_order_relaxed);
}

void ev_async_send(struct ev_loop *loop, ev_async *watcher)
{
	pthread_once(&once, find_libev);
	/* Sequentially consistent, with the load below: pairs with ev_async_start. Release: pairs
	 * with the acquire in feed, so the callback sees what was written before the send. */
	atomic_exchange_explicit(sent_of(watcher), 1, memory_order_seq_cst);
	int active, before = 0;
	while ((active = atomic_load_explicit(active_of(watcher), memory_order_seq_cst)) !=
		before) {
		struct ringwake_ev_slot *slot = ringwake_ev_slot_of(active);
		if (slot == NULL)
			break;
		if (ringwake_ev_async_send(&slot->async) != -ECANCELED)
			return;
		before = active; /* it was stopped; it may have been started again */
	}
	if (ringwake_ev_slot_of(active) == NULL)
		ringwake_ev_libev.async_send(loop, watcher);
}

void ev_loop_destroy(struct ev_loop *loop)
{
	pthread_once(&once, find_libev);
	struct preloaded *preloaded = loop ? preloaded_of(loop) : NULL;
	if (preloaded) {
		count_anew(preloaded);
		ringwake_preload_stats_close(loop);
	}
	ringwake_ev_compat_loop_destroy(loop);
	if (preloaded) {
		ringwake_ev_slots_leave(&preloaded->slots);
		free(preloaded);
	}
}

void ev_set_loop_release_cb(struct ev_loop *loop, void (*release)(struct ev_loop *loop) EV_NOEXCEPT,
	void (*acquire)(struct ev_loop *loop) EV_NOEXCEPT)
{
	pthread_once(&once, find_libev);
	ringwake_ev_set_loop_release_cb(loop, release, acquire);
}
