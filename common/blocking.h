/* SPDX-License-Identifier: MIT */
/*
 * Finds out whether a loop blocks in its waits. A loop that only polls must not spin, but the
 * loop's library does not tell the adapter whether it polls (idle watchers, UV_RUN_NOWAIT,
 * EVRUN_NOWAIT). So the adapter measures one wait in many.
 */
#ifndef COMMON_BLOCKING_H
#define COMMON_BLOCKING_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* A wait that does not block takes less time; a switch of threads takes more. */
#define BLOCKING_NS 3000

struct blocking {
	int64_t began;  /* of the wait that is measured; 0: it is not measured */
	unsigned left;  /* the waits before the next one that is measured */
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
	if (blocking->left == 0)
		return false;
	blocking->left--;
	return blocking->was_found;
}

/* True if the wait must be measured, or the adapter must find out in another way. */
static inline bool blocking_is_due(const struct blocking *blocking)
{
	return blocking->left == 0;
}

static inline void blocking_set(struct blocking *blocking, bool blocks)
{
	blocking->was_found = blocks;
	blocking->left = blocks ? 1000 : 16;
}

/* Immediately before a wait, instead of spinning, with the target armed. */
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
