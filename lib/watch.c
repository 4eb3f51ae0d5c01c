/* SPDX-License-Identifier: MIT */
/*
 * The eventfd on the application's ring: a poll request watches it, and its completions are the
 * doorbell.
 *
 *   NONE      no request is in the ring
 *   PREPARED  a request was put into the submission queue; it may not have started
 *   LIVE      the kernel has posted a completion of the request that promises more
 *
 *   change             function
 *   NONE -> PREPARED   start
 *   PREPARED -> LIVE   ringwake_watch_note: a completion with IORING_CQE_F_MORE
 *   any -> NONE        ringwake_watch_note: a completion without it, which is the last
 *
 * The request is multishot: each write to the eventfd makes one completion, and the request stays.
 * No memory of ours is handed to the kernel, so nothing can be written after close.
 *
 * The loop may sleep only if the request is LIVE. The eventfd's count is never 0 and nobody reads
 * it, so the request completes once as soon as it starts. If that completion does not come, the
 * kernel holds the request back (the application uses IOSQE_IO_DRAIN, or an open chain of
 * IOSQE_IO_LINK), and the loop is told so instead of put to sleep.
 *
 * The request ends when the application cancels it, when its thread ends, or when the ring refuses
 * it. Each of these posts a last completion. A loop does not sleep while a completion waits in the
 * queue, so it is enough to notice the last one when it is taken out (ringwake_is_doorbell), and
 * to start anew before the next sleep. The new request finds the eventfd readable and completes at
 * once, so a ring that fell between the two is heard.
 *
 * docs/design.md compares it with a READ request that is started anew after each wake.
 */
#include <errno.h>

#include "doorbell.h"
#include "system.h"
#include "thread.h"

/* A kernel thread that serves the ring starts and ends requests in its own time. */
#define PATIENCE_NS 10000000
#define FEW         10
#define MANY        1000

static bool is_served(const struct doorbell *doorbell)
{
	return doorbell->ring->flags & IORING_SETUP_SQPOLL;
}

/* Requests end with the thread that submitted them, if no kernel thread serves the ring. */
static bool is_of_this_thread(const struct doorbell *doorbell)
{
	return is_served(doorbell) || doorbell->watch.thread == ringwake_thread_number();
}

/* The application may have submitted the request after our own submission was refused. */
static bool is_taken(const struct doorbell *doorbell)
{
	/* Acquire: pairs with the kernel's release; it is done with the entry. */
	unsigned head = io_uring_smp_load_acquire(doorbell->ring->sq.khead);
	return (int)(head - doorbell->watch.position) >= 0;
}

static int start(struct doorbell *doorbell)
{
	struct io_uring *ring = doorbell->ring;
	struct io_uring_sqe *sqe;
	int error = ringwake_doorbell_get_request(doorbell, &sqe);
	if (error < 0)
		return error;
	io_uring_prep_poll_multishot(sqe, doorbell->fd, POLLIN);
	io_uring_sqe_set_data64(sqe, doorbell->user_data);
	doorbell->watch.state = WATCH_PREPARED;
	doorbell->watch.position = ring->sq.sqe_tail;
	/* Acquire, as liburing does: older completions are told apart from the request's own. */
	doorbell->watch.completions = io_uring_smp_load_acquire(ring->cq.ktail);
	doorbell->watch.thread = ringwake_thread_number();
	return 0;
}

static int submit(struct doorbell *doorbell)
{
	if (is_taken(doorbell))
		return 0;
	int result = ringwake_system.submit(doorbell->ring);
	if (result < 0)
		return result;
	return is_served(doorbell) || is_taken(doorbell) ? 0 : -EAGAIN;
}

/* The last completion of the request in the queue. */
static const struct io_uring_cqe *newest(const struct doorbell *doorbell)
{
	const struct io_uring_cqe *completion, *found = NULL;
	unsigned position;
	io_uring_for_each_cqe(doorbell->ring, position, completion)
	{
		if ((int)(position - doorbell->watch.completions) >= 0 &&
			completion->user_data == doorbell->user_data)
			found = completion;
	}
	return found;
}

/* As ringwake_doorbell_prepare(). */
static int confirm(struct doorbell *doorbell)
{
	for (int attempt = 0; attempt < FEW; attempt++) {
		unsigned completions = ringwake_doorbell_completions(doorbell);
		ringwake_doorbell_run_ring(doorbell);
		const struct io_uring_cqe *completion = newest(doorbell);
		if (completion) {
			ringwake_watch_note(&doorbell->watch, completion);
			if (doorbell->watch.state != WATCH_LIVE)
				return completion->res == -ECANCELED ? 0 : completion->res;
			/* Nobody was woken by it. Behind others, it is left to the application. */
			if (ringwake_doorbell_completions(doorbell) == 1)
				io_uring_cq_advance(doorbell->ring, 1);
			return 1;
		}
		if (!is_served(doorbell))
			break;
		ringwake_doorbell_sleep_in_ring(doorbell, completions + 1, PATIENCE_NS);
	}
	return ringwake_doorbell_completions(doorbell) > 0 ? 0 : -EBUSY;
}

int ringwake_watch_prepare(struct doorbell *doorbell)
{
	bool is_ours = is_of_this_thread(doorbell);
	if (doorbell->watch.state == WATCH_LIVE && is_ours)
		return 1;
	if (ringwake_doorbell_completions(doorbell) > 0)
		return 0;
	int error = 0;
	if (doorbell->watch.state == WATCH_NONE || !is_ours)
		error = start(doorbell);
	if (error == 0)
		error = submit(doorbell);
	return error < 0 ? error : confirm(doorbell);
}

void ringwake_watch_note(struct watch *watch, const struct io_uring_cqe *completion)
{
	watch->state = completion->flags & IORING_CQE_F_MORE ? WATCH_LIVE : WATCH_NONE;
}

/* The kernel has not seen the request, and must not see it when the target is gone. */
static void take_back(struct doorbell *doorbell)
{
	struct io_uring_sq *queue = &doorbell->ring->sq;
	unsigned index = (doorbell->watch.position - 1) & queue->ring_mask;
	unsigned shift = doorbell->ring->flags & IORING_SETUP_SQE128 ? 1 : 0;
	struct io_uring_sqe *sqe = &queue->sqes[index << shift];
	io_uring_prep_nop(sqe);
	sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
	doorbell->watch.state = WATCH_NONE;
}

/* Returns how many requests will post a last completion. */
static int cancel(struct doorbell *doorbell)
{
	struct io_uring_sync_cancel_reg request = {
		.addr = doorbell->user_data,
		.fd = -1,
		.flags = IORING_ASYNC_CANCEL_ALL,
		.timeout = {-1, -1},
	};
	return ringwake_system.register_ring(
		doorbell->ring->ring_fd, IORING_REGISTER_SYNC_CANCEL, &request, 1);
}

/*
 * If the kernel refuses the cancellation (before Linux 6.0, or by a filter), the request stays. It
 * does nothing then: the eventfd is closed, so nobody writes to it.
 */
void ringwake_watch_close(struct doorbell *doorbell)
{
	if (doorbell->watch.state == WATCH_NONE)
		return;
	if (submit(doorbell) < 0) {
		take_back(doorbell);
		return;
	}
	if (doorbell->watch.state == WATCH_PREPARED)
		confirm(doorbell);
	int attempts = cancel(doorbell) > 0 ? MANY : FEW;
	for (;;) {
		unsigned left = ringwake_doorbell_purge(doorbell);
		if (doorbell->watch.state == WATCH_NONE || attempts-- == 0)
			return;
		ringwake_doorbell_sleep_in_ring(doorbell, left + 1, PATIENCE_NS);
	}
}
