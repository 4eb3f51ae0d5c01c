/* SPDX-License-Identifier: MIT */
#ifndef RINGWAKE_TARGET_H
#define RINGWAKE_TARGET_H

#include <stdalign.h>
#include <stdatomic.h>

#include "debug.h"
#include "doorbell.h"
#include "spinner.h"
#include "thread.h"

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
	int (*fallback)(void *fallback_data);
	void *fallback_data;
	void *context;
	uintptr_t opener; /* the thread that opened the target */
	struct doorbell doorbell;

	/* Written by the few senders that use the doorbell. */
	alignas(CACHE_LINE) _Atomic uint32_t gate;
	_Atomic uint32_t references;
	_Atomic uint64_t doorbell_calls;
	_Atomic uint64_t doorbell_failures;
	_Atomic bool refused; /* the kernel refuses doorbells for good: the fallback is called */

	/* The loop thread's. */
	alignas(CACHE_LINE) struct ringwake_msg *ready; /* in the order sent: to be run */
	struct ringwake_msg *reversing;                 /* newest first, being reversed into ... */
	struct ringwake_msg *reversed;                  /* ... this */
	struct spinner spinner;
	uint32_t calls_expected; /* ARMED that the loop has set and not found again: target.c */
	struct ringwake_event *closings; /* event.c */
	unsigned depth;                  /* of nested dispatches */
	bool is_armed; /* between a ringwake_arm() that returned true and ringwake_disarm() */
	bool notified; /* a wake was taken, and no dispatch has ended since */
	bool closed;

	/* Written by the loop thread, read by any. */
	_Atomic uintptr_t thread; /* this thread; 0: no thread has run the loop yet */
	_Atomic uint64_t messages;
	_Atomic uint64_t dispatches;
	_Atomic uint64_t longest_batch;

#ifdef RINGWAKE_DEBUG
	struct ringwake_debug debug; /* last: tests look at what is above */
#endif
};

/* A debug build keeps the memory for a while, so that it can check this. */
#define ASSERT_REFERENCED(target)                                                                  \
	RINGWAKE_ASSERT(atomic_load_explicit(&(target)->references, memory_order_relaxed) > 0,     \
		"the target is used after its last reference was dropped")

/*
 * Loop thread. Blocks until the message has arrived, and takes it off the list. Other messages stay
 * for the next dispatch. False if the target was closed before the message arrived, or was opened
 * by the parent of this process.
 */
bool ringwake_target_withdraw(struct ringwake *target, const struct ringwake_msg *msg);

/* ringwake_arm() with the reason: 1: armed; 0: there is something to do; or a negative error. */
int ringwake_target_arm(struct ringwake *target);

/* The loop's change of the word alone: false if anything was sent, except for tags in ignored. */
bool ringwake_target_try_arm(struct ringwake *target, uintptr_t ignored);

/*
 * Takes all messages in the word; those taken before must have been reversed. While the loop is
 * armed and no sender has used the doorbell, ARMED stays, with NOTIFIED: the next sender must use
 * the doorbell, for the messages that were taken.
 */
void ringwake_target_take(struct ringwake *target);

/* Refuses all sends from now on, takes what was sent, and blocks until no doorbell is in flight. */
void ringwake_target_shut(struct ringwake *target);

/* event.c: calls closed() for the events whose messages the closed target has refused. */
void ringwake_event_end_closings(struct ringwake *target);

/* dispatch.c: takes and reverses all messages, however many, so that they are ready. */
void ringwake_target_gather(struct ringwake *target);

/* ringwake_dispatch() for a thread that is noted as the loop's. */
int ringwake_target_dispatch(struct ringwake *target, unsigned max);

/* Loop thread. Notes which thread it is, so that ringwake_call() does not wait for itself. */
static inline void ringwake_target_note_thread(struct ringwake *target)
{
	uintptr_t self = RINGWAKE_THIS_THREAD();
	/* Relaxed: a thread compares it only with itself. */
	if (atomic_load_explicit(&target->thread, memory_order_relaxed) != self)
		atomic_store_explicit(&target->thread, self, memory_order_relaxed);
}

/* True if the loop has taken all that was sent. */
static inline bool ringwake_target_inbox_is_empty(const struct ringwake *target)
{
	/* Relaxed: the loop takes the messages before it reads them. */
	return (atomic_load_explicit(&target->word, memory_order_relaxed) & ~ARMED) == 0;
}

/* True if the inbox is empty, and no message or wake that was taken is still to be handled. */
static inline bool ringwake_target_has_nothing_to_run(const struct ringwake *target)
{
	return !target->notified && target->ready == NULL && target->reversing == NULL &&
		ringwake_target_inbox_is_empty(target);
}

/*
 * True if the loop may be blocked although something was sent, and no sender is about to use
 * the doorbell, because it was refused before. Also true of a closed target, so that
 * ringwake_wake() returns the error.
 */
bool ringwake_target_needs_doorbell(const struct ringwake *target);

#endif
