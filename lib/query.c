/* SPDX-License-Identifier: MIT */
/* The functions that only read the state of a target. */
#include <errno.h>

#include "process.h"
#include "reserved.h"
#include "target.h"

bool ringwake_is_doorbell(const struct ringwake *target, const struct io_uring_cqe *cqe)
{
	/* Only the loop's thread takes completions, so only it changes what the doorbell notes
	 * here. */
	return ringwake_doorbell_recognise((struct doorbell *)&target->doorbell, cqe);
}

int ringwake_fd(const struct ringwake *target)
{
	return ringwake_doorbell_fd(&target->doorbell);
}

bool ringwake_is_inherited(const struct ringwake *target)
{
	return !ringwake_is_this_process(target->process);
}

bool ringwake_is_armed(const struct ringwake *target)
{
	return target->is_armed && ringwake_is_this_process(target->process);
}

bool ringwake_pending(const struct ringwake *target)
{
	return !ringwake_target_has_nothing_to_run(target) &&
		ringwake_is_this_process(target->process);
}

bool ringwake_was_refused(int error)
{
	return error == -EINVAL || error == -ECANCELED || error == -EOWNERDEAD;
}

void *ringwake_get_context(const struct ringwake *target)
{
	return target->context;
}

enum ringwake_path ringwake_get_path(const struct ringwake *target)
{
	return ringwake_doorbell_path(&target->doorbell);
}

void ringwake_get_stats(const struct ringwake *target, struct ringwake_stats *stats, size_t size)
{
	/* Relaxed: the figures need not be of one moment. */
	struct ringwake_stats now = {
		.messages = atomic_load_explicit(&target->messages, memory_order_relaxed),
		.doorbells = atomic_load_explicit(&target->doorbell_calls, memory_order_relaxed),
		.doorbell_failures =
			atomic_load_explicit(&target->doorbell_failures, memory_order_relaxed),
		.dispatches = atomic_load_explicit(&target->dispatches, memory_order_relaxed),
		.longest_batch = atomic_load_explicit(&target->longest_batch, memory_order_relaxed),
	};
	if (now.messages > now.doorbells)
		now.doorbells_saved = now.messages - now.doorbells;
	ringwake_copy_out(stats, size, &now, sizeof now);
}
