/* SPDX-License-Identifier: MIT */
#include "retry.h"

#include <errno.h>
#include <stdlib.h>

#include "spin.h"
#include "system.h"
#include "target.h"

bool ringwake_block_for_a_while(
	const _Atomic uint32_t *word, uint32_t value, int64_t end_ns, int64_t pause_ns)
{
	if (end_ns != INT64_MAX) {
		int64_t left_ns = end_ns - ringwake_now_ns();
		if (left_ns <= 0)
			return false;
		if (left_ns < pause_ns)
			pause_ns = left_ns;
	}
	struct timespec pause = ringwake_timespec(pause_ns);
	ringwake_system.futex_wait(word, value, &pause);
	return true;
}

void ringwake_retry_soon(struct retries *retries)
{
	retries->due_ns = 0;
	retries->pause_ns = RETRY_FIRST_NS;
}

static bool has(const struct retries *retries, const struct ringwake *target)
{
	for (unsigned i = 0; i < retries->count; i++)
		if (retries->targets[i] == target)
			return true;
	return false;
}

/* False if there is no memory. */
static bool make_room(struct retries *retries)
{
	int saved = errno;
	size_t size = (retries->count + 1) * sizeof(struct ringwake *);
	struct ringwake **larger = realloc(retries->targets, size);
	errno = saved;
	if (larger)
		retries->targets = larger;
	return larger != NULL;
}

void ringwake_retry_add(struct retries *retries, struct ringwake *target)
{
	if (has(retries, target) || !make_room(retries)) {
		ringwake_unref(target);
		return;
	}
	retries->targets[retries->count++] = target;
	ringwake_retry_soon(retries);
}

/*
 * If ringwake_wake() returns 0, another sender may still be about to notify, and be refused. So a
 * patient caller retries until the loop has taken its messages.
 */
static bool is_over(struct ringwake *target, bool is_patient)
{
	if (ringwake_target_needs_doorbell(target))
		return ringwake_wake(target) == -ECANCELED;
	return !is_patient || ringwake_target_inbox_is_empty(target);
}

int64_t ringwake_retry(struct retries *retries, bool is_patient)
{
	if (retries->count == 0)
		return -1;
	int64_t now_ns = ringwake_now_ns();
	if (now_ns < retries->due_ns)
		return retries->due_ns - now_ns;
	unsigned kept = 0;
	for (unsigned i = 0; i < retries->count; i++) {
		struct ringwake *target = retries->targets[i];
		if (is_over(target, is_patient))
			ringwake_unref(target);
		else
			retries->targets[kept++] = target;
	}
	retries->count = kept;
	int64_t pause_ns = retries->pause_ns;
	retries->due_ns = now_ns + pause_ns;
	retries->pause_ns = ringwake_next_pause(pause_ns);
	return kept > 0 ? pause_ns : -1;
}

void ringwake_retry_end(struct retries *retries)
{
	for (unsigned i = 0; i < retries->count; i++)
		ringwake_unref(retries->targets[i]);
	free(retries->targets);
}
