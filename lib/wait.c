/* SPDX-License-Identifier: MIT */
/* The whole turn of a loop that has no wait of its own: arm, sleep, disarm, dispatch. */
#include <errno.h>

#include "process.h"
#include "spin.h"
#include "target.h"

/* Looks out for a message, awake, so that senders need no doorbell. */
static void spin(struct ringwake *target, int64_t timeout_ns)
{
	if (target->spin_ns == 0)
		return;
	uint64_t limit = target->spin_ns;
	if (timeout_ns >= 0 && (uint64_t)timeout_ns < limit)
		limit = (uint64_t)timeout_ns;
	int64_t end = ringwake_spin_end(limit);
	do {
		for (int i = 0; i < LOOKS; i++) {
			if (!ringwake_target_is_quiet(target) ||
				ringwake_doorbell_completions(&target->doorbell) > 0)
				return;
			ringwake_relax();
		}
	} while (ringwake_now_ns() < end);
}

int ringwake_wait(struct ringwake *target, int64_t timeout_ns)
{
	if (!ringwake_process_is(target->process))
		return -EOWNERDEAD;
	if (target->closed)
		return -ECANCELED;

	int result = 0;
	if (timeout_ns != 0) {
		spin(target, timeout_ns);
		result = ringwake_target_arm(target);
	}
	if (result == 1) {
		result = ringwake_doorbell_sleep(&target->doorbell, 1, timeout_ns);
	} else if (result == 0) {
		result = ringwake_doorbell_flush(&target->doorbell);
	}
	ringwake_disarm(target);
	if (!ringwake_doorbell_is_private(&target->doorbell))
		ringwake_doorbell_reap(&target->doorbell);
	if (result == 0 && timeout_ns == 0 && ringwake_target_is_idle(target) &&
		ringwake_doorbell_completions(&target->doorbell) == 0)
		return -ETIME;
	int ran = ringwake_dispatch(target, 0);
	return ran > 0 ? ran : result;
}
