/* SPDX-License-Identifier: MIT */
/*
 * A coalescing event: one message, which is sent only if it is not queued already.
 *
 *   QUEUED   a sender has pushed the message, or is about to
 *   CLOSED   the loop has closed the event
 *
 * The sender that sets QUEUED pushes the message. Only an open event lets a sender set it. The loop
 * clears QUEUED before it calls fn. Setting and clearing are read-modify-writes of one word, so a
 * send that comes after the clearing pushes the message again, and this call of fn sees the effect
 * of every send before it. Close sets CLOSED. If QUEUED was not set then, no sender will touch the
 * message again. If it was, the message arrives, or the target refuses it and the sender clears
 * QUEUED. The memory is the caller's again after that.
 *
 * An event that ringwake_event_close_async() leaves QUEUED is in the target's list of closings
 * until its message arrives. ringwake_close() ends those whose message was refused.
 */
#include <errno.h>
#include <stddef.h>

#include "process.h"
#include "system.h"
#include "target.h"

#define QUEUED 1u
#define CLOSED 2u

static struct ringwake_event *event_of(struct ringwake_msg *msg)
{
	return (struct ringwake_event *)((char *)msg - offsetof(struct ringwake_event, msg));
}

/* Loop thread, as all that changes the list of closings. */
static void enlist(struct ringwake_event *event)
{
	struct ringwake *target = event->target;
	event->next_closing = target->closings;
	event->closing_link = &target->closings;
	if (event->next_closing)
		event->next_closing->closing_link = &event->next_closing;
	target->closings = event;
}

static void delist(struct ringwake_event *event)
{
	*event->closing_link = event->next_closing;
	if (event->next_closing)
		event->next_closing->closing_link = event->closing_link;
}

static void arrived(struct ringwake_msg *msg)
{
	struct ringwake_event *event = event_of(msg);
	/* Clears QUEUED, which is set. Acquire: pairs with the release of each send that it
	 * coalesces. Release: pairs with the acquire of the next send, which uses the message
	 * again. */
	unsigned before = atomic_fetch_sub_explicit(&event->state, QUEUED, memory_order_acq_rel);
	if (before & CLOSED)
		delist(event); /* ringwake_event_close() would have taken the message back */
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
	if (!ringwake_is_this_process(target->process))
		return -EOWNERDEAD;
	/*
	 * First, because once QUEUED is set the loop may run fn, which may free the event and the
	 * target. If messages were sent and no other sender is about to notify, this send must
	 * notify.
	 */
	int woken = ringwake_target_needs_doorbell(target) ? ringwake_wake(target) : 0;
	if (woken == -ECANCELED || woken == -EOWNERDEAD)
		return woken;
	unsigned before = atomic_load_explicit(&event->state, memory_order_relaxed);
	/* Release: pairs with the acquire in arrived, which lets fn see what was written before
	 * this send. Acquire: pairs with the release there; the loop is done with the message. A
	 * closed event is not touched: its QUEUED tells close whether a message is still to come.
	 */
	do {
		if (before & CLOSED)
			return woken < 0 ? woken
					 : -ECANCELED; /* only this caller knows of the error */
	} while (!atomic_compare_exchange_weak_explicit(&event->state, &before, before | QUEUED,
		memory_order_acq_rel, memory_order_relaxed));
	if (before & QUEUED)
		return woken;
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
	return atomic_load_explicit(&event->state, memory_order_relaxed) == QUEUED;
}

struct ringwake *ringwake_event_target(const struct ringwake_event *event)
{
	return event->target;
}

/* The target was closed first, so it refuses the sender that has set QUEUED. In a forked child
 * there is no such sender. */
static void await_refusal(struct ringwake_event *event)
{
	if (!ringwake_is_this_process(event->target->process))
		return;
	unsigned state;
	/* Acquire: pairs with the release of the sender that was refused. */
	while ((state = atomic_load_explicit(&event->state, memory_order_acquire)) & QUEUED)
		ringwake_system.futex_wait((_Atomic uint32_t *)&event->state, state, NULL);
}

/* Acquire: pairs with the release of the sender or loop that last changed QUEUED, so the caller may
 * free the memory. */
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
	enlist(event);
	return 1;
}

void ringwake_event_end_closings(struct ringwake *target)
{
	/* closed() may fork. */
	while (target->closings && ringwake_is_this_process(target->process)) {
		struct ringwake_event *event = target->closings;
		await_refusal(event);
		delist(event);
		event->fn(event); /* it may free the event */
	}
}

int ringwake_event_reopen(struct ringwake_event *event)
{
	/* Relaxed: the loop's thread has written it. Senders do not change the word of a closed
	 * event. */
	if (!(atomic_load_explicit(&event->state, memory_order_relaxed) & CLOSED))
		return -EINVAL;
	/* Not QUEUED: close may have taken the message off the list. Release: pairs with the
	 * acquire of the send that uses the message again. */
	atomic_store_explicit(&event->state, 0, memory_order_release);
	return 0;
}
