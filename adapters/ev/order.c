/* SPDX-License-Identifier: MIT */
/*
 * The order of asyncs. libev keeps them in an array: a start appends one, and a stop moves the last
 * one to the place of the stopped one. libev feeds those that were sent from the last to the first,
 * and calls first what was fed last. So asyncs of one priority run in the order of the array. The
 * adapter keeps them in a list in that order, and the member active is the place in it.
 *
 * A second list has the asyncs whose messages have arrived. It is sorted before they are fed. So
 * the cost of a wake depends on the asyncs that were sent, not on how many exist.
 */
#include "binding.h"

#include <stdatomic.h>
#include <stddef.h>

void ringwake_ev_append(struct ringwake_ev *binding, ringwake_ev_async *async)
{
	ringwake_ev_async *last = binding->last;
	async->previous = last;
	async->next = NULL;
	if (last)
		last->next = async;
	binding->last = async;
	ringwake_ev_activate((ev_watcher *)async, last ? last->active + 1 : 1);
}

/* Links an async whose members previous and next are set. */
static void join(struct ringwake_ev *binding, ringwake_ev_async *async)
{
	if (async->previous)
		async->previous->next = async;
	if (async->next)
		async->next->previous = async;
	else
		binding->last = async;
}

static void unnote(ringwake_ev_async *async)
{
	if (async->link == NULL)
		return;
	*async->link = async->next_noted;
	if (async->next_noted)
		async->next_noted->link = async->link;
	async->link = NULL;
}

void ringwake_ev_remove(struct ringwake_ev *binding, ringwake_ev_async *async)
{
	unnote(async);
	ringwake_ev_async *last = binding->last;
	binding->last = last->previous;
	if (last->previous)
		last->previous->next = NULL;
	if (last != async) {
		last->previous = async->previous;
		last->next = async->next;
		last->active = async->active;
		join(binding, last);
	}
	async->active = 0;
}

void ringwake_ev_note(struct ringwake_ev *binding, ringwake_ev_async *async)
{
	if (async->link)
		return;
	async->next_noted = binding->noted;
	async->link = &binding->noted;
	if (async->next_noted)
		async->next_noted->link = &async->next_noted;
	binding->noted = async;
	ev_feed_event(binding->loop, &binding->feeder, EV_CUSTOM);
}

/* The lists are linked by next_noted only, from the last of the order to the first. */
static ringwake_ev_async *merge(ringwake_ev_async *one, ringwake_ev_async *other)
{
	ringwake_ev_async *merged;
	ringwake_ev_async **end = &merged;
	while (one && other) {
		ringwake_ev_async **later = one->active > other->active ? &one : &other;
		*end = *later;
		end = &(*later)->next_noted;
		*later = *end;
	}
	*end = one ? one : other;
	return merged;
}

static ringwake_ev_async *sort(ringwake_ev_async *list)
{
	/* sorted[i] is a list of 2^i asyncs, or empty. */
	ringwake_ev_async *sorted[sizeof(unsigned) * 8];
	unsigned used = 0;
	while (list) {
		ringwake_ev_async *run = list;
		list = list->next_noted;
		run->next_noted = NULL;
		unsigned i = 0;
		for (; i < used && sorted[i]; i++) {
			run = merge(sorted[i], run);
			sorted[i] = NULL;
		}
		if (i == used)
			used++;
		sorted[i] = run;
	}
	ringwake_ev_async *all = NULL;
	for (unsigned i = 0; i < used; i++)
		all = merge(all, sorted[i]);
	return all;
}

void ringwake_ev_feed_asyncs(struct ringwake_ev *binding)
{
	ringwake_ev_async *async = sort(binding->noted);
	binding->noted = NULL;
	while (async) {
		ringwake_ev_async *next = async->next_noted;
		async->link = NULL;
		/* Acquire: pairs with the release of each send that the callback handles. */
		atomic_exchange_explicit(&async->sent, 0, memory_order_acquire);
		if (binding->feed)
			binding->feed(binding, async);
		else
			ev_feed_event(binding->loop, async, EV_ASYNC);
		async = next;
	}
}
