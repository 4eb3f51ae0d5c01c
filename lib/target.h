/* SPDX-License-Identifier: MIT */
#ifndef RINGWAKE_TARGET_H
#define RINGWAKE_TARGET_H

#include <stdalign.h>
#include <stdatomic.h>

#include "debug.h"
#include "doorbell.h"

/* One line of memory for each group of members that the same threads write. */
#define CACHE_LINE 64

/* The tags of the word; target.c explains them. */
#define ARMED    ((uintptr_t)1)
#define NOTIFIED ((uintptr_t)2)
#define TAGS     (ARMED | NOTIFIED)

struct ringwake {
	/* The word of the protocol, target.c. Every sender writes it. */
	alignas(CACHE_LINE) _Atomic uintptr_t word;

	/* Written at open, read by every sender. */
	alignas(CACHE_LINE) uint32_t process;
	unsigned batch;
	uint64_t spin_ns;
	int (*fallback)(void *fallback_data);
	void *fallback_data;
	struct doorbell doorbell;

	/* Written by the few senders that ring. */
	alignas(CACHE_LINE) _Atomic uint32_t gate;
	_Atomic uint32_t references;
	_Atomic uint64_t rung;
	_Atomic uint64_t failures;
	_Atomic bool refused; /* for good, so the fallback is called */

	/* The loop thread's. */
	alignas(CACHE_LINE) struct ringwake_msg *ready; /* in the order sent: to be run */
	struct ringwake_msg *ready_last;
	struct ringwake_msg *reversing; /* newest first, being reversed into ... */
	struct ringwake_msg *reversed;  /* ... this */
	struct ringwake_msg *reversed_last;
	uint32_t rings_owed; /* times that a sender has cleared ARMED, so that it had to ring */
	unsigned depth;      /* of nested dispatches */
	bool may_sleep;      /* between a ringwake_arm() that returned true and ringwake_disarm() */
	bool notified;       /* a wake was taken, and no dispatch has ended since */
	bool closed;

	/* Written by the loop thread, read by any. */
	_Atomic uint64_t messages;
	_Atomic uint64_t dispatches;
	_Atomic uint64_t longest_batch;

#ifdef RINGWAKE_DEBUG
	struct ringwake_debug debug; /* last: tests look at what is above */
#endif
};

/* Of a debug build alone: the memory is kept for a while. */
#define ASSERT_REFERENCED(target)                                                                  \
	RINGWAKE_ASSERT(atomic_load_explicit(&(target)->references, memory_order_relaxed) > 0,     \
		"the target is used after its last reference was dropped")

/*
 * Loop thread. Waits, parked, until the message has arrived, and takes it off the list; other
 * messages stay for the next dispatch. False if the target was closed before the message came, or
 * is the parent's of a forked child.
 */
bool ringwake_target_withdraw(struct ringwake *target, const struct ringwake_msg *msg);

/* ringwake_arm() with the reason: 1 armed, 0 there is something to do, or a negative error number.
 */
int ringwake_target_arm(struct ringwake *target);

/* The loop's change of the word alone: false if anything was sent, except for tags in ignored. */
bool ringwake_target_try_arm(struct ringwake *target, uintptr_t ignored);

/*
 * Takes all messages in the word; those taken before must have been reversed. While the loop is
 * armed and no sender has rung, ARMED stays, with NOTIFIED: the next sender must ring, for the
 * messages that were taken.
 */
void ringwake_target_take(struct ringwake *target);

/* Refuses all sends from now on, takes what was sent, and blocks until no doorbell is in flight. */
void ringwake_target_shut(struct ringwake *target);

/* dispatch.c: takes and reverses all messages, however many, so that they are ready. */
void ringwake_target_gather(struct ringwake *target);

/* Nothing was sent that has not been taken. */
bool ringwake_target_inbox_is_empty(const struct ringwake *target);

/* Nor is anything that was taken left to run. */
static inline bool ringwake_target_has_nothing_to_run(const struct ringwake *target)
{
	return !target->notified && target->ready == NULL && target->reversing == NULL &&
		ringwake_target_inbox_is_empty(target);
}

/*
 * The loop may sleep beside something that was sent, and no sender is about to ring: a doorbell was
 * refused. Also true of a closed target, so that a caller of ringwake_wake() is refused.
 */
bool ringwake_target_needs_ring(const struct ringwake *target);

#endif
