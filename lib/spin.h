/* SPDX-License-Identifier: MIT */
/* A bounded spin: the clock, a deadline, and the pause instruction. */
#ifndef RINGWAKE_SPIN_H
#define RINGWAKE_SPIN_H

#include <stdint.h>
#include <time.h>

#define SPINS_PER_CLOCK_READ 32

static inline int64_t ringwake_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The time on the clock after time_ns nanoseconds; INT64_MAX if the clock does not reach it. */
static inline int64_t ringwake_deadline(uint64_t time_ns)
{
	int64_t now = ringwake_now_ns();
	return time_ns < (uint64_t)(INT64_MAX - now) ? now + (int64_t)time_ns : INT64_MAX;
}

static inline void ringwake_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
