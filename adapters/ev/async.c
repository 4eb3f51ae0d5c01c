/* SPDX-License-Identifier: MIT */
/*
 * A watcher that any thread sends to. libev knows it only when it is fed. A send goes to a
 * ringwake_event, so the cost of a wake depends on the watchers that were sent, not on how many
 * exist.
 *
 * The event is closed while the watcher is stopped, so a stopped watcher has no message in the
 * target. Senders find the event through the member doorbell, which is published when the event is
 * initialised: at the first start, and again in a forked child. Otherwise only the event's state
 * changes, however often the watcher is stopped and started, and threads may send meanwhile.
 *
 * In a forked child a sender that still finds the parent's target goes through libev: it has marked
 * the watcher as sent, and sends the waker, which libev does not lose.
 */
#include "binding.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

static ringwake_ev_async *async_of(struct ringwake_event *event)
{
	return (ringwake_ev_async *)((char *)event - offsetof(ringwake_ev_async, event));
}

static struct ringwake_ev_doorbell *doorbell_of(const ringwake_ev_async *async)
{
	/* Acquire: pairs with the release in bind, so this thread sees the event initialised. */
	return atomic_load_explicit(&async->doorbell, memory_order_acquire);
}

static bool is_sent(const ringwake_ev_async *async)
{
	/* Relaxed: the message, or the waker, orders it. */
	return atomic_load_explicit(&async->sent, memory_order_relaxed) != 0;
}

/* The message may belong to a send that an earlier callback has handled. */
static void on_event(struct ringwake_event *event)
{
	ringwake_ev_async *async = async_of(event);
	if (is_sent(async))
		ringwake_ev_note(doorbell_of(async)->binding, async);
}

void ringwake_ev_async_set(ringwake_ev_async *async)
{
	atomic_init(&async->doorbell, NULL);
	atomic_init(&async->sent, 0);
}

void ringwake_ev_async_init(ringwake_ev_async *async, ringwake_ev_async_cb cb)
{
	ev_init(async, cb);
	ringwake_ev_async_set(async);
}

static void bind(struct ringwake_ev *binding, ringwake_ev_async *async)
{
	ringwake_event_init(&async->event, binding->target, on_event);
	/* Release: pairs with the acquire in doorbell_of. */
	atomic_store_explicit(&async->doorbell, binding->doorbell, memory_order_release);
}

void ringwake_ev_async_start(struct ringwake_ev *binding, ringwake_ev_async *async)
{
	if (ev_is_active(async) || binding->detaching)
		return;
	/* Relaxed: as in libev, a start forgets earlier sends. */
	atomic_store_explicit(&async->sent, 0, memory_order_relaxed);
	async->link = NULL;
	if (doorbell_of(async) != binding->doorbell ||
		ringwake_event_target(&async->event) != binding->target)
		bind(binding, async);
	else
		ringwake_event_reopen(&async->event);
	ringwake_ev_append(binding, async);
	ev_ref(binding->loop);
}

void ringwake_ev_async_stop(ringwake_ev_async *async)
{
	if (!ev_is_active(async) && !ev_is_pending(async))
		return; /* its loop may be destroyed */
	struct ringwake_ev_doorbell *doorbell = doorbell_of(async);
	if (doorbell == NULL)
		return;
	struct ringwake_ev *binding = doorbell->binding;
	ev_clear_pending(binding->loop, async);
	if (!ev_is_active(async))
		return;
	ringwake_event_close(&async->event);
	ringwake_ev_remove(binding, async);
	ev_unref(binding->loop);
}

static void send_in_child(struct ringwake_ev *binding)
{
	/* Release: pairs with the acquire in note_missed. */
	atomic_store_explicit(&binding->missed, 1, memory_order_release);
	ringwake_ev_wake_by_libev(binding);
}

int ringwake_ev_async_send(ringwake_ev_async *async)
{
	struct ringwake_ev_doorbell *doorbell = doorbell_of(async);
	/* Release: pairs with the acquire in feed_asyncs. */
	atomic_store_explicit(&async->sent, 1, memory_order_release);
	if (doorbell == NULL)
		return -ECANCELED;
	/* Do not touch the event in a child: the loop may be binding it to the child's target. */
	int result = -EOWNERDEAD;
	if (!ringwake_is_inherited(doorbell->target))
		result = ringwake_event_send(&async->event);
	if (result == -EOWNERDEAD)
		send_in_child(doorbell->binding);
	return result;
}

bool ringwake_ev_async_pending(const ringwake_ev_async *async)
{
	return is_sent(async);
}

void ringwake_ev_move_asyncs(struct ringwake_ev *binding)
{
	for (ringwake_ev_async *i = binding->last; i; i = i->previous)
		bind(binding, i);
	/* Relaxed: this thread reads it. */
	atomic_store_explicit(&binding->missed, 1, memory_order_relaxed);
}

void ringwake_ev_note_missed(struct ringwake_ev *binding)
{
	/* Acquire: pairs with the release in send_in_child. */
	if (atomic_exchange_explicit(&binding->missed, 0, memory_order_acquire) == 0)
		return;
	for (ringwake_ev_async *i = binding->last; i; i = i->previous)
		if (is_sent(i))
			ringwake_ev_note(binding, i);
}

void ringwake_ev_stop_asyncs(struct ringwake_ev *binding)
{
	while (binding->last) {
		ringwake_ev_async *last = binding->last;
		ringwake_ev_async_stop(last);
		if (binding->last == last)
			return; /* the program has initialised it again while it was started */
	}
}

void ringwake_ev_abandon_asyncs(struct ringwake_ev *binding)
{
	while (binding->last) {
		ringwake_ev_async *last = binding->last;
		binding->last = last->previous;
		last->previous = NULL;
		ringwake_event_close(&last->event);
		last->active = 0;
		last->pending = 0;
	}
}
