/* SPDX-License-Identifier: MIT */
/* What the forms of the doorbell on a ring share; most of it is about the application's ring. */
#include <ringwake/liburing-compat.h>

#include "form.h"

/* Of linux/io_uring.h, newer than the headers that liburing 2.3 brings. */
#define SETUP_CQE_MIXED (1U << 18)
#define FEAT_NO_IOWAIT  (1U << 17)
#define ENTER_NO_IOWAIT (1U << 7)

int ringwake_ring_check(const struct io_uring *ring)
{
	if (ring->ring_fd < 0)
		return -EBADF;
	if (ring->flags & (IORING_SETUP_IOPOLL | SETUP_CQE_MIXED))
		return -EOPNOTSUPP;
	/* Does nothing to a ring that works; -EBADFD if it is disabled, -EBADF if it is closed. */
	return ringwake_system.enter(ring->ring_fd, 0, 0, NULL, 0);
}

int ringwake_ring_enter(const struct io_uring *ring, int fd, unsigned flags, unsigned completions,
	int64_t timeout_ns)
{
	struct __kernel_timespec timeout = {
		.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
	struct io_uring_getevents_arg arg = {.ts = (uintptr_t)&timeout};
	flags |= IORING_ENTER_GETEVENTS;
	/* The processor counts as idle also if requests of the application are pending. */
	if (ring->features & FEAT_NO_IOWAIT)
		flags |= ENTER_NO_IOWAIT;
	if (timeout_ns < 0)
		return ringwake_system.enter(fd, completions, flags, NULL, 0);
	flags |= IORING_ENTER_EXT_ARG;
	return ringwake_system.enter(fd, completions, flags, &arg, sizeof arg);
}

int ringwake_ring_run_task_work(const struct io_uring *ring)
{
	int result, attempts = 0;
	do
		result = ringwake_system.enter(ring->ring_fd, 0, IORING_ENTER_GETEVENTS, NULL, 0);
	while (ringwake_try_again(result, &attempts));
	return result;
}

int ringwake_doorbell_submit(struct doorbell *doorbell)
{
	struct io_uring *ring = doorbell->application;
	return ring && io_uring_sq_ready(ring) > 0 ? ringwake_system.submit(ring) : 0;
}

int ringwake_ring_block(struct doorbell *doorbell, unsigned completions, int64_t timeout_ns)
{
	int result = ringwake_doorbell_submit(doorbell);
	if (result < 0)
		return result;
	const struct io_uring *ring = doorbell->application;
	return ringwake_ring_enter(ring, ring->ring_fd, 0, completions, timeout_ns);
}

void ringwake_doorbell_run_task_work(struct doorbell *doorbell)
{
	const struct io_uring *ring = doorbell->application;
	if (ring && ring->flags & (IORING_SETUP_COOP_TASKRUN | IORING_SETUP_DEFER_TASKRUN))
		ringwake_ring_run_task_work(ring);
}

int ringwake_doorbell_flush(struct doorbell *doorbell)
{
	if (doorbell->application == NULL)
		return 0;
	int result = ringwake_doorbell_submit(doorbell);
	if (result >= 0)
		result = ringwake_ring_run_task_work(doorbell->application);
	return ringwake_unless_dropped(result);
}

void ringwake_doorbell_drain(struct doorbell *doorbell)
{
	struct io_uring_cqe *completion;
	unsigned head, count = 0;
	if (doorbell->application == NULL)
		return;
	io_uring_for_each_cqe(doorbell->application, head, completion)
	{
		if (!ringwake_doorbell_recognise(doorbell, completion))
			break;
		count++;
	}
	io_uring_cq_advance(doorbell->application, count);
}

unsigned ringwake_doorbell_completions(const struct doorbell *doorbell)
{
	return doorbell->ring ? io_uring_cq_ready(doorbell->ring) : 0;
}
