/* SPDX-License-Identifier: MIT */
/*
 * Retries refused doorbells: after 1 ms, then after twice the previous time, up to 64 ms. So a
 * doorbell that was refused for the moment is repaired soon, and one that is refused for good costs
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

/*
 * Blocks while the word has the value, for pause_ns at the most, so that the caller can look at the
 * doorbell. False if end_ns is over; INT64_MAX: it never is.
 */
bool ringwake_block_for_a_while(
	const _Atomic uint32_t *word, uint32_t value, int64_t end_ns, int64_t pause_ns);

/* The targets whose doorbell is to be retried. All zero: none. The caller's lock guards it. */
struct retries {
	struct ringwake **targets; /* with a reference to each */
	unsigned count;
	int64_t due_ns;
	int64_t pause_ns; /* from due_ns to the retry after that */
};

/* Adds a target that accepted a message but whose doorbell was refused. Takes over a reference to
 * the target. If there is no memory, the target is not added. */
void ringwake_retry_add(struct retries *retries, struct ringwake *target);

/* Makes a retry due at once, and starts again with the shortest pause. */
void ringwake_retry_soon(struct retries *retries);

/*
 * Retries if it is due. Returns the time until the next retry is due, or a negative number if no
 * target is left. A target is removed when its loop has taken its messages; if the caller is not
 * patient, already when its loop is awake or another sender is about to notify it.
 */
int64_t ringwake_retry(struct retries *retries, bool is_patient);

/* Removes all targets. */
void ringwake_retry_end(struct retries *retries);

#endif
