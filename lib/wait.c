/* SPDX-License-Identifier: MIT */
/* One iteration of a loop that has no wait of its own: arm, block, disarm, dispatch. */
#include <errno.h>

#include "process.h"
#include "spin.h"
#include "target.h"

static bool has_nothing_to_do(const struct ringwake *target)
{
	return ringwake_target_has_nothing_to_run(target) &&
		ringwake_doorbell_completions(&target->doorbell) == 0;
}

/* Returns how long it took, as of the last reading of the clock, until something arrived; -1 if
 * nothing did before the time was over. */
static int64_t spin_for(struct ringwake *target, uint64_t time_ns)
{
	int64_t begin = ringwake_now_ns(), now = begin;
	do {
		for (int i = 0; i < SPINS_PER_CLOCK_READ; i++) {
			if (!has_nothing_to_do(target))
				return now - begin;
			ringwake_relax();
		}
		ringwake_doorbell_run_task_work(&target->doorbell);
		now = ringwake_now_ns();
	} while ((uint64_t)(now - begin) < time_ns);
	return -1;
}

int64_t ringwake_spin(struct ringwake *target, int64_t timeout_ns)
{
	if (timeout_ns == 0 || !ringwake_is_this_process(target->process) ||
		!has_nothing_to_do(target))
		return timeout_ns;
	uint64_t limit = ringwake_spinner_begin(&target->spinner);
	if (timeout_ns >= 0 && (uint64_t)timeout_ns < limit)
		limit = (uint64_t)timeout_ns;
	if (limit == 0)
		return timeout_ns;
	ringwake_disarm(target); /* a sender must not use the doorbell meanwhile */
	if (ringwake_doorbell_submit(&target->doorbell) < 0)
		return timeout_ns; /* ringwake_doorbell_block() submits again, and reports the error
				    */
	int64_t took_ns = spin_for(target, limit);
	ringwake_spinner_end(&target->spinner, took_ns);
	return took_ns >= 0 || timeout_ns < 0 ? timeout_ns : timeout_ns - (int64_t)limit;
}

int ringwake_wait(struct ringwake *target, int64_t timeout_ns)
{
	if (!ringwake_is_this_process(target->process))
		return -EOWNERDEAD;
	if (target->closed)
		return -ECANCELED;

	DEBUG_ENTER(target, "ringwake_wait()");
	int result = 0;
	timeout_ns = ringwake_spin(target, timeout_ns);
	if (timeout_ns != 0)
		result = ringwake_target_arm(target);
	if (result == 1)
		result = ringwake_doorbell_block(&target->doorbell, 1, timeout_ns);
	else if (result == 0)
		result = ringwake_doorbell_flush(&target->doorbell);
	if (!ringwake_is_this_process(target->process))
		return -EOWNERDEAD; /* a signal handler has forked: the ring is the parent's */
	ringwake_disarm(target);
	ringwake_doorbell_drain(&target->doorbell);
	DEBUG_LEAVE(target);
	if (result == 0 && timeout_ns == 0 && has_nothing_to_do(target))
		return -ETIME;
	if ((result == -EINTR || result == -ETIME) && !ringwake_target_has_nothing_to_run(target))
		result = 0; /* something was sent before the wait ended */
	int ran = ringwake_target_dispatch(target, 0);
	return ran > 0 ? ran : result;
}
