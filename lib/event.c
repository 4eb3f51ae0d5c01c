/* SPDX-License-Identifier: MIT */
/*
 * A coalescing event: one message, sent only if it is not on its way already.
 *
 *   QUEUED   a sender has taken it on itself to push the message, or has pushed it
 *   CLOSED   the loop has closed the event
 *
 * The sender that sets QUEUED, which only an open event lets it do, pushes the message. The loop
 * clears QUEUED before it calls fn, so a send that comes later pushes anew, and one that came
 * before is seen by this call: both are read-modify-writes of one word. Close sets CLOSED; if
 * QUEUED was not set then, no sender will touch the message again; if it was, the message is sure
 * to arrive, and the memory is free when it has.
 */
#include <errno.h>

#include "process.h"
#include "system.h"
#include "target.h"

#define QUEUED 1u
#define CLOSED 2u

static struct ringwake_event *event_of(struct ringwake_msg *msg)
{
	return (struct ringwake_event *)msg; /* its first member */
}

static void arrived(struct ringwake_msg *msg)
{
	struct ringwake_event *event = event_of(msg);
	/* Acquire: pairs with the release of each send that it coalesces. Release: pairs with the
	 * acquire of the next one, which uses the message anew. */
	atomic_fetch_and_explicit(&event->state, ~QUEUED, memory_order_acq_rel);
	if (event->fn)
		event->fn(event);
}

void ringwake_event_init(struct ringwake_event *event, struct ringwake *target,
	void (*fn)(struct ringwake_event *event))
{
	event->msg.next = NULL;
	event->msg.fn = arrived;
	event->target = target;
	event->fn = fn;
	atomic_init(&event->state, 0);
}

int ringwake_event_send(struct ringwake_event *event)
{
	struct ringwake *target = event->target;
	if (!ringwake_process_is(target->process))
		return -EOWNERDEAD;
	/*
	 * Before the event is touched: from then on it belongs to the loop, which may free it and
	 * the target. If messages lie there with nobody about to ring, this send has to.
	 */
	int rung = ringwake_target_needs_ring(target) ? ringwake_wake(target) : 0;
	if (rung == -ECANCELED || rung == -EOWNERDEAD)
		return rung;
	unsigned before = atomic_load_explicit(&event->state, memory_order_relaxed);
	/* Release: pairs with the acquire in arrived, which lets fn see what was written before
	 * this send. Acquire: pairs with the release there; the loop is done with the message. A
	 * closed event is not touched: its QUEUED tells close whether a message is still to come.
	 */
	do {
		if (before & CLOSED)
			return rung < 0 ? rung : -ECANCELED; /* nobody else was told */
	} while (!atomic_compare_exchange_weak_explicit(&event->state, &before, before | QUEUED,
		memory_order_acq_rel, memory_order_relaxed));
	if (before & QUEUED)
		return rung;
	int result = ringwake_send(target, &event->msg);
	if (result == -ECANCELED || result == -EOWNERDEAD) {
		/* Not pushed after all. Release: pairs with the acquire in await_refusal. */
		atomic_fetch_and_explicit(&event->state, ~QUEUED, memory_order_release);
		ringwake_system.futex_wake((_Atomic uint32_t *)&event->state, 1);
	}
	return result;
}

bool ringwake_event_is_pending(const struct ringwake_event *event)
{
	/* Relaxed: nothing else is read because of it. */
	return atomic_load_explicit(&event->state, memory_order_relaxed) & QUEUED;
}

struct ringwake *ringwake_event_target(const struct ringwake_event *event)
{
	return event->target;
}

/* The target was closed first, so a sender that is still on its way will be refused. In a forked
 * child there is no such sender. */
static void await_refusal(struct ringwake_event *event)
{
	if (!ringwake_process_is(event->target->process))
		return;
	unsigned state;
	/* Acquire: pairs with the release of the sender that gives up. */
	while ((state = atomic_load_explicit(&event->state, memory_order_acquire)) & QUEUED)
		ringwake_system.futex_wait((_Atomic uint32_t *)&event->state, state, NULL);
}

/* Acquire: the sender that was the last to clear or see QUEUED is done with the memory. */
static unsigned mark_closed(struct ringwake_event *event)
{
	return atomic_fetch_or_explicit(&event->state, CLOSED, memory_order_acquire);
}

/* For an event that is marked closed and QUEUED. */
static void take_back(struct ringwake_event *event)
{
	if (!ringwake_target_withdraw(event->target, &event->msg))
		await_refusal(event);
}

int ringwake_event_close(struct ringwake_event *event)
{
	DEBUG_ENTER(event->target, "ringwake_event_close()");
	unsigned before = mark_closed(event);
	if (before & QUEUED && !(before & CLOSED))
		take_back(event);
	DEBUG_LEAVE(event->target);
	return before & CLOSED ? -EALREADY : 0;
}

int ringwake_event_close_async(
	struct ringwake_event *event, void (*closed)(struct ringwake_event *event))
{
	if (closed == NULL)
		return -EINVAL;
	unsigned before = mark_closed(event);
	if (before & CLOSED)
		return -EALREADY;
	if (!(before & QUEUED))
		return 0;
	if (event->target->closed) {
		take_back(event);
		return 0;
	}
	event->fn = closed;
	return 1;
}

int ringwake_event_reopen(struct ringwake_event *event)
{
	/* Relaxed: the loop's thread has written it. Senders do not change the word of a closed
	 * event. */
	if (!(atomic_load_explicit(&event->state, memory_order_relaxed) & CLOSED))
		return -EINVAL;
	/* Not QUEUED: close may have taken the message off the list. Release: pairs with the
	 * acquire of the send that uses the message anew. */
	atomic_store_explicit(&event->state, 0, memory_order_release);
	return 0;
}
