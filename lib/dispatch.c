/* SPDX-License-Identifier: MIT */
/*
 * The loop's side of the list. The word holds the newest message first, but callbacks run in the
 * order sent. So the loop takes the list as a whole, reverses it, and runs it from the front.
 * Reversing and running may continue in the next dispatch, so a flood of messages delays the loop
 * for one batch of callbacks and a bounded piece of reversing, no longer.
 */
#include "target.h"

#include <limits.h>

#include "probes.h"
#include "process.h"

#define REVERSE_LIMIT 4096

/* Reverses at most limit of the taken messages. Once all are reversed, they become ready, behind
 * those that are ready already. */
static void reverse(struct ringwake *target, unsigned limit)
{
	struct ringwake_msg *from = target->reversing, *to = target->reversed;
	while (from && limit-- > 0) {
		struct ringwake_msg *next = from->next;
		from->next = to;
		to = from;
		from = next;
	}
	target->reversing = from;
	target->reversed = from ? to : NULL;
	if (from || to == NULL)
		return;
	struct ringwake_msg **end = &target->ready;
	while (*end)
		end = &(*end)->next;
	*end = to;
}

/* Makes all taken messages ready, however many. */
static void reverse_all(struct ringwake *target)
{
	reverse(target, UINT_MAX);
}

void ringwake_target_gather(struct ringwake *target)
{
	reverse_all(target);
	if (target->closed || ringwake_target_inbox_is_empty(target))
		return;
	ringwake_target_take(target);
	reverse_all(target);
}

static bool refill(struct ringwake *target)
{
	if (target->reversing == NULL) {
		if (target->closed || ringwake_target_inbox_is_empty(target))
			return false;
		ringwake_target_take(target);
	}
	reverse(target, REVERSE_LIMIT);
	return target->ready != NULL;
}

static void count_dispatch(struct ringwake *target, unsigned ran)
{
	/* Relaxed, and no read-modify-write: only the loop's thread writes them. */
	uint64_t messages = atomic_load_explicit(&target->messages, memory_order_relaxed);
	uint64_t dispatches = atomic_load_explicit(&target->dispatches, memory_order_relaxed);
	uint64_t longest = atomic_load_explicit(&target->longest_batch, memory_order_relaxed);
	atomic_store_explicit(&target->messages, messages + ran, memory_order_relaxed);
	atomic_store_explicit(&target->dispatches, dispatches + 1, memory_order_relaxed);
	if (ran > longest)
		atomic_store_explicit(&target->longest_batch, ran, memory_order_relaxed);
}

int ringwake_target_dispatch(struct ringwake *target, unsigned max)
{
	unsigned ran = 0;
	DEBUG_ENTER(target, "ringwake_dispatch()");
	if (max == 0)
		max = target->batch;
	if (max > INT_MAX)
		max = INT_MAX;
	target->depth++;
	/* After a callback has forked, the messages that are left are the parent's. */
	while (ran < max && ringwake_is_this_process(target->process) &&
		(target->ready || refill(target))) {
		struct ringwake_msg *msg = target->ready;
		target->ready = msg->next;
		ran++;
		DEBUG_UNQUEUE(msg);
		RINGWAKE_ASSERT(msg->fn != NULL, "the callback of a queued message is NULL");
		msg->fn(msg); /* the callback may free the message */
	}
	target->notified = false; /* the caller sees the wake by the return of this function */
	if (ran > 0) {
		PROBE2(dispatch, target, ran);
		count_dispatch(target, ran);
	}
	DEBUG_LEAVE(target);
	if (--target->depth == 0 && target->closed)
		ringwake_unref(target); /* a callback closed it */
	return (int)ran;
}

int ringwake_dispatch(struct ringwake *target, unsigned max)
{
	if (target->closed && target->depth == 0)
		return 0;
	ringwake_target_note_thread(target);
	return ringwake_target_dispatch(target, max);
}
