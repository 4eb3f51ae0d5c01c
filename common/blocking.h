/* SPDX-License-Identifier: MIT */
/*
 * Finds out whether a loop blocks in its waits. A loop that only polls must not spin, but the
 * loop's library does not tell the adapter whether it polls (idle watchers, UV_RUN_NOWAIT,
 * EVRUN_NOWAIT). So the adapter measures one wait in many.
 *
 * It measures a wait in which it did not spin, or in which the spin failed: two loops that answer
 * each other while they spin would both fall asleep, and need many waits to find each other awake
 * again. Only a loop whose spins have all succeeded for a long time must block once.
 */
#ifndef COMMON_BLOCKING_H
#define COMMON_BLOCKING_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* A wait that does not block takes less time; a switch of threads takes more. */
#define BLOCKING_NS 3000

/* The number of waits from one measurement to the next. */
#define BLOCKING_WAITS      1000  /* if the measured wait blocked */
#define BLOCKING_WAITS_POLL 16    /* if it did not */
#define BLOCKING_WAITS_MOST 32000 /* if it blocked, and all spins since have succeeded */

struct blocking {
	int64_t began;  /* of the wait that is measured; 0: it is not measured */
	int left;       /* the waits before the next measurement; negative if it is overdue */
	bool was_found; /* the wait that was measured last blocked */
};

static inline int64_t blocking_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Immediately before a wait. True if the loop may spin first. */
static inline bool blocking_before_wait(struct blocking *blocking)
{
	blocking->left--;
	return blocking->was_found && blocking->left > BLOCKING_WAITS - BLOCKING_WAITS_MOST;
}

/* True if the wait must be measured, or the adapter must find out in another way. */
static inline bool blocking_is_due(const struct blocking *blocking)
{
	return blocking->left <= 0;
}

static inline void blocking_set(struct blocking *blocking, bool blocks)
{
	blocking->was_found = blocks;
	blocking->left = blocks ? BLOCKING_WAITS : BLOCKING_WAITS_POLL;
}

/* Immediately before a wait, with the target armed. */
static inline void blocking_measure(struct blocking *blocking)
{
	blocking->began = blocking_now();
}

/* Immediately after each wait. */
static inline void blocking_after_wait(struct blocking *blocking)
{
	if (blocking->began == 0)
		return;
	blocking_set(blocking, blocking_now() - blocking->began >= BLOCKING_NS);
	blocking->began = 0;
}

#endif
