/* SPDX-License-Identifier: MIT */
/*
 * Doorbells that were refused, to be rung again: after 1 ms, then after twice the time before, up
 * to 64 ms. What was refused for the moment is repaired soon, and what is refused for good costs
 * little.
 */
#ifndef RINGWAKE_RETRY_H
#define RINGWAKE_RETRY_H

#include <stdint.h>
#include <time.h>

#define RETRY_FIRST_NS INT64_C(1000000)
#define RETRY_LAST_NS  (64 * RETRY_FIRST_NS)

static inline int64_t ringwake_next_pause(int64_t pause_ns)
{
	return pause_ns < RETRY_LAST_NS ? 2 * pause_ns : RETRY_LAST_NS;
}

static inline struct timespec ringwake_timespec(int64_t ns)
{
	return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

#endif
