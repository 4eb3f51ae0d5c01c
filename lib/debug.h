/* SPDX-License-Identifier: MIT */
/*
 * What a debug build records to detect that a caller breaks a rule. Any other build has none of it.
 *
 * Loop's thread. A target may be handed from thread to thread, but two must not use it at once. A
 * thread has the target while it is in a function for the loop's thread, and from ringwake_arm()
 * to ringwake_disarm(). Another thread may take the loop over by the next of these two calls.
 *
 * Queued. Messages and work that the library owns at the moment. A table holds their addresses. If
 * the table is full, an address is not checked.
 *
 * Kept. Memory of targets and channels is not freed at once, so that the reference count of a freed
 * one can still be checked.
 */
#ifndef RINGWAKE_LIB_DEBUG_H
#define RINGWAKE_LIB_DEBUG_H

#include "assertion.h"

#ifdef RINGWAKE_DEBUG
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct ringwake_debug {
	_Atomic uint64_t thread; /* number of the thread that has the target, or 0 */
	int thread_id;           /* its kernel's number */
	unsigned depth;          /* of its calls */
};

struct ringwake;

/* False if another thread has the target, and it may not be taken over. */
bool ringwake_debug_enter(struct ringwake *target, bool takes_over);
void ringwake_debug_leave(struct ringwake *target);

/* False if it is queued already. */
bool ringwake_debug_queue(const void *what);
void ringwake_debug_unqueue(const void *what);

/* Frees it later. */
void ringwake_debug_free(void *memory);

#define RINGWAKE_DEBUG_ENTER(target, function, takes_over)                                         \
	RINGWAKE_ASSERT(ringwake_debug_enter(target, takes_over),                                  \
		function " is for the loop's thread: another thread is using the loop's side of "  \
			 "this target")
#define DEBUG_ENTER(target, function)     RINGWAKE_DEBUG_ENTER(target, function, false)
#define DEBUG_TAKE_OVER(target, function) RINGWAKE_DEBUG_ENTER(target, function, true)
#define DEBUG_LEAVE(target)               ringwake_debug_leave(target)
#define DEBUG_QUEUE(what, rule)           RINGWAKE_ASSERT(ringwake_debug_queue(what), rule)
#define DEBUG_UNQUEUE(what)               ringwake_debug_unqueue(what)
#define DEBUG_FREE(memory)                ringwake_debug_free(memory)
#else
#define DEBUG_ENTER(target, function)     ((void)0)
#define DEBUG_TAKE_OVER(target, function) ((void)0)
#define DEBUG_LEAVE(target)               ((void)0)
#define DEBUG_QUEUE(what, rule)           ((void)0)
#define DEBUG_UNQUEUE(what)               ((void)0)
#define DEBUG_FREE(memory)                free(memory)
#endif

#endif
