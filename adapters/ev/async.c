/* SPDX-License-Identifier: MIT */
/*
 * A watcher that any thread signals. libev knows it only by the events that it is fed; the signal
 * is a ringwake_event, so a wake costs what the signalled watchers cost, however many there are.
 *
 * The event is closed while the watcher is stopped, so stop leaves nothing behind in the target.
 * It is initialised at the first start, published by the attached member, and from then on, however
 * often the watcher is stopped and started, it changes only by its state: senders may run all the
 * while.
 */
#include "attach.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

static ringwake_ev_async *async_of(struct ringwake_event *event)
{
	return (ringwake_ev_async *)((char *)event - offsetof(ringwake_ev_async, event));
}

static struct ringwake_ev *attached_of(const ringwake_ev_async *async)
{
	/* Acquire: pairs with the release in bind, so the event is seen initialised. */
	return atomic_load_explicit(&async->attached, memory_order_acquire);
}

static void on_event(struct ringwake_event *event)
{
	ringwake_ev_async *async = async_of(event);
	ev_feed_event(attached_of(async)->loop, async, EV_ASYNC);
}

void ringwake_ev_async_set(ringwake_ev_async *async)
{
	atomic_init(&async->attached, NULL);
	atomic_init(&async->missed, 0);
}

void ringwake_ev_async_init(ringwake_ev_async *async, ringwake_ev_async_cb cb)
{
	ev_init(async, cb);
	ringwake_ev_async_set(async);
}

static void bind(struct ringwake_ev *attached, ringwake_ev_async *async)
{
	ringwake_event_init(&async->event, attached->target, on_event);
	atomic_store_explicit(&async->missed, 0, memory_order_relaxed);
	/* Release: pairs with the acquire in attached_of. */
	atomic_store_explicit(&async->attached, attached, memory_order_release);
}

static void link_in(struct ringwake_ev *attached, ringwake_ev_async *async)
{
	async->next = attached->asyncs;
	async->link = &attached->asyncs;
	if (async->next)
		async->next->link = &async->next;
	attached->asyncs = async;
}

static void unlink_from(ringwake_ev_async *async)
{
	*async->link = async->next;
	if (async->next)
		async->next->link = async->link;
}

void ringwake_ev_async_start(struct ringwake_ev *attached, ringwake_ev_async *async)
{
	if (ev_is_active(async))
		return;
	ringwake_ev_activate((ev_watcher *)async);
	if (attached_of(async) != attached || async->event.target != attached->target)
		bind(attached, async);
	else /* Open, and not sent. Release: pairs with the acquire of the send that uses the
	      * message anew; stop may have taken it off the list. */
		atomic_store_explicit(&async->event.state, 0, memory_order_release);
	link_in(attached, async);
	ev_ref(attached->loop);
}

void ringwake_ev_async_stop(ringwake_ev_async *async)
{
	if (!ev_is_active(async) && !ev_is_pending(async))
		return; /* and its loop may be gone */
	struct ringwake_ev *attached = attached_of(async);
	if (attached == NULL)
		return;
	ev_clear_pending(attached->loop, async);
	if (!ev_is_active(async))
		return;
	ringwake_event_close(&async->event);
	unlink_from(async);
	async->active = 0;
	ev_unref(attached->loop);
}

int ringwake_ev_async_send(ringwake_ev_async *async)
{
	if (attached_of(async) == NULL)
		return -ECANCELED;
	int result = ringwake_event_send(&async->event);
	if (result == -EOWNERDEAD) /* Relaxed: the child's loop runs in this thread. */
		atomic_store_explicit(&async->missed, 1, memory_order_relaxed);
	return result;
}

static bool is_sent(const ringwake_ev_async *async)
{
	/* Relaxed: it is the callback that sees what was written before the send. */
	return atomic_load_explicit(&async->event.state, memory_order_relaxed) != 0 ||
		atomic_load_explicit(&async->missed, memory_order_relaxed) != 0;
}

bool ringwake_ev_async_pending(const ringwake_ev_async *async)
{
	return ev_is_active(async) && is_sent(async);
}

void ringwake_ev_move_asyncs(struct ringwake_ev *attached)
{
	for (ringwake_ev_async *i = attached->asyncs; i; i = i->next) {
		bool sent = is_sent(i);
		bind(attached, i);
		if (sent)
			ringwake_event_send(&i->event);
	}
}

void ringwake_ev_stop_asyncs(struct ringwake_ev *attached)
{
	while (attached->asyncs)
		ringwake_ev_async_stop(attached->asyncs);
}
