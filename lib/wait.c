/* SPDX-License-Identifier: MIT */
/* The whole turn of a loop that has no wait of its own: arm, sleep, disarm, dispatch. */
#include <errno.h>
#include <time.h>

#include "process.h"
#include "target.h"

static int64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Looks out for a message, awake, so that senders need no doorbell. */
static void spin(struct ringwake *target, int64_t timeout_ns)
{
	if (target->spin_ns == 0)
		return;
	int64_t limit = (int64_t)target->spin_ns;
	if (timeout_ns >= 0 && timeout_ns < limit)
		limit = timeout_ns;
	int64_t end = now_ns() + limit;
	do {
		for (int i = 0; i < 32; i++) {
			if (!ringwake_target_is_quiet(target) ||
				ringwake_doorbell_completions(&target->doorbell) > 0)
				return;
			relax();
		}
	} while (now_ns() < end);
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
