/* SPDX-License-Identifier: MIT */
/*
 * Doorbells that were refused, to be rung again: after 1 ms, then after twice the time before, up
 * to 64 ms. What was refused for the moment is repaired soon, and what is refused for good costs
 * little.
 */
#ifndef RINGWAKE_RETRY_H
#define RINGWAKE_RETRY_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct ringwake;

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

/* The targets to ring again. All zero: none. The caller's lock guards it. */
struct retries {
	struct ringwake **targets; /* with a reference to each */
	unsigned count;
	int64_t due_ns;
	int64_t pause_ns; /* from then to the time after that */
};

/* A message lies at the target, and its doorbell was refused. Takes over a reference to the target.
 * If there is no memory the target is not remembered. */
void ringwake_retry_add(struct retries *retries, struct ringwake *target);

/* Starts anew, with an attempt that is due at once. */
void ringwake_retry_soon(struct retries *retries);

/*
 * Rings again if it is due; returns the time until it is due next, or a negative number if no
 * target is left. A target is forgotten when its loop has taken its messages; if the caller is not
 * patient, when its loop is awake or about to be rung.
 */
int64_t ringwake_retry(struct retries *retries, bool is_patient);

/* Forgets all targets. */
void ringwake_retry_end(struct retries *retries);

#endif
