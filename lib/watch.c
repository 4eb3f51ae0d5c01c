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
 *   PREPARED -> LIVE   note: a completion with IORING_CQE_F_MORE
 *   any -> NONE        note: a completion without it, which is the last
 *
 * The request is multishot: each write to the eventfd makes one completion, and the request stays.
 * No memory of ours is handed to the kernel, so nothing can be written after close.
 *
 * The loop may block only if the request is LIVE. The eventfd's count is never 0 and no thread
 * reads it, so the request completes once as soon as it starts. If that completion does not arrive,
 * the kernel holds the request back (the application uses IOSQE_IO_DRAIN). The loop then gets
 * -EBUSY and does not block.
 *
 * The request ends when the application cancels it, when its thread ends, when the loop has moved
 * to another thread, or when the ring refuses it. Each of these posts a last completion. A loop
 * does not block while a completion is in the queue. So it is enough to notice the last completion
 * when it is taken out (ringwake_is_doorbell), and to start a new request before the next wait. The
 * new request finds the eventfd readable and completes at once, so no notification between the two
 * requests is lost.
 *
 * docs/design.md compares it with a READ request that is submitted again after each wake.
 */
#include "form.h"
#include "thread.h"

/* A kernel thread that serves the ring, and a ring that defers, take their time for requests. */
#define PATIENCE_NS 10000000
#define PAUSE_NS    100000
#define FEW         10
#define MANY        1000

static bool is_served(const struct doorbell *doorbell)
{
	return doorbell->application->flags & IORING_SETUP_SQPOLL;
}

/* If a kernel thread serves the ring, all requests are that thread's. */
static bool is_of_this_thread(const struct doorbell *doorbell)
{
	return is_served(doorbell) || doorbell->watch.thread == ringwake_thread_number();
}

/* The application may have submitted the request after our own submission was refused. */
static bool is_taken(const struct doorbell *doorbell)
{
	/* Acquire: pairs with the kernel's release; it is done with the entry. */
	unsigned head = io_uring_smp_load_acquire(doorbell->application->sq.khead);
	return (int)(head - doorbell->watch.position) >= 0;
}

/* The kernel stops at a request that is wrong; a thread that serves the ring takes its time. */
static int submit(struct doorbell *doorbell)
{
	int result;
	do {
		result = ringwake_doorbell_submit(doorbell);
	} while (result > 0 && !is_served(doorbell));
	for (int i = 0; is_served(doorbell) && io_uring_sq_ready(doorbell->application) > 0; i++) {
		if (i == MANY)
			return -EBUSY;
		ringwake_doorbell_pause(PAUSE_NS);
	}
	return result < 0 ? result : 0;
}

/* Submits first: the application's last request may have a flag that links it with the next. */
static int start(struct doorbell *doorbell)
{
	struct io_uring *ring = doorbell->application;
	int error = submit(doorbell);
	if (error < 0)
		return error;
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	if (sqe == NULL)
		return -EAGAIN;
	io_uring_prep_poll_multishot(sqe, doorbell->fd, POLLIN);
	io_uring_sqe_set_data64(sqe, doorbell->user_data);
	doorbell->watch.state = WATCH_PREPARED;
	doorbell->watch.position = ring->sq.sqe_tail;
	/* Acquire, as liburing does: older completions are told apart from the request's own. */
	doorbell->watch.completions = io_uring_smp_load_acquire(ring->cq.ktail);
	doorbell->watch.thread = ringwake_thread_number();
	return 0;
}

static void note(struct doorbell *doorbell, const struct io_uring_cqe *completion)
{
	doorbell->watch.state = completion->flags & IORING_CQE_F_MORE ? WATCH_LIVE : WATCH_NONE;
}

/* The last completion of the request in the queue. */
static const struct io_uring_cqe *newest(const struct doorbell *doorbell)
{
	struct io_uring_cqe *completion, *found = NULL;
	unsigned position;
	io_uring_for_each_cqe(doorbell->application, position, completion)
	{
		if ((int)(position - doorbell->watch.completions) >= 0 &&
			completion->user_data == doorbell->user_data)
			found = completion;
	}
	return found;
}

/* Before Linux 6.0, and where restrictions forbid what cancel does. */
static int cancel_by_request(struct doorbell *doorbell)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(doorbell->application);
	if (sqe == NULL)
		return -EBUSY;
	io_uring_prep_cancel64(sqe, doorbell->user_data, 0);
	io_uring_sqe_set_data64(sqe, doorbell->user_data);
	io_uring_sqe_set_flags(sqe, IOSQE_CQE_SKIP_SUCCESS);
	return submit(doorbell);
}

/* If this succeeds, a request that is LIVE will post its last completion. */
static int cancel(struct doorbell *doorbell)
{
	struct io_uring_sync_cancel_reg request = {
		.addr = doorbell->user_data,
		.fd = -1,
		.flags = IORING_ASYNC_CANCEL_ALL,
		.timeout = {-1, -1},
	};
	int result = ringwake_system.register_ring(
		doorbell->application->ring_fd, IORING_REGISTER_SYNC_CANCEL, &request, 1);
	return result < 0 ? cancel_by_request(doorbell) : result;
}

/* Blocks for one more than these completions. */
static void await_completion(const struct doorbell *doorbell, unsigned completions)
{
	const struct io_uring *ring = doorbell->application;
	ringwake_ring_enter(ring, ring->ring_fd, 0, completions + 1, PATIENCE_NS);
}

/* As ringwake_doorbell_prepare(). */
static int confirm(struct doorbell *doorbell)
{
	for (int attempt = 0; attempt < FEW; attempt++) {
		unsigned completions = ringwake_doorbell_completions(doorbell);
		ringwake_ring_run_task_work(doorbell->application);
		const struct io_uring_cqe *completion = newest(doorbell);
		if (completion) {
			note(doorbell, completion);
			if (doorbell->watch.state != WATCH_LIVE)
				return completion->res == -ECANCELED ? 0 : completion->res;
			/* No sender has posted it. Behind other completions, the application takes
			 * it. */
			if (ringwake_doorbell_completions(doorbell) == 1)
				io_uring_cq_advance(doorbell->application, 1);
			return 1;
		}
		if (!(doorbell->application->flags &
			    (IORING_SETUP_SQPOLL | IORING_SETUP_DEFER_TASKRUN)))
			break;
		await_completion(doorbell, completions);
	}
	return ringwake_doorbell_completions(doorbell) > 0 ? 0 : -EBUSY;
}

/* The thread that submitted a request posts its completions, so it must be this thread. */
static void move(struct doorbell *doorbell)
{
	if (is_of_this_thread(doorbell))
		return;
	doorbell->watch.thread = ringwake_thread_number();
	cancel(doorbell);
}

static int prepare(struct doorbell *doorbell)
{
	if (doorbell->watch.state == WATCH_LIVE) {
		move(doorbell);
		return 1;
	}
	if (ringwake_doorbell_completions(doorbell) > 0)
		return 0;
	int error = 0;
	if (doorbell->watch.state == WATCH_NONE)
		error = start(doorbell);
	if (error == 0)
		error = submit(doorbell);
	return error < 0 ? error : confirm(doorbell);
}

/* The kernel has not seen the request, and must not see it when the target is gone. */
static void take_back(struct doorbell *doorbell)
{
	struct io_uring_sq *queue = &doorbell->application->sq;
	unsigned index = (doorbell->watch.position - 1) & queue->ring_mask;
	unsigned shift = doorbell->application->flags & IORING_SETUP_SQE128 ? 1 : 0;
	struct io_uring_sqe *sqe = &queue->sqes[index << shift];
	io_uring_prep_nop(sqe);
	sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
	doorbell->watch.state = WATCH_NONE;
}

/* The kernel does not block a thread whose queue is full, or can be filled from the backlog. */
static bool can_block(const struct io_uring *ring, unsigned completions)
{
	return completions < ring->cq.ring_entries && !io_uring_cq_has_overflow(ring);
}

/*
 * If the kernel refuses the cancellation, the request stays. It does nothing then: the eventfd is
 * closed, so no thread writes to it.
 */
static void end(struct doorbell *doorbell)
{
	if (doorbell->watch.state == WATCH_NONE)
		return;
	if (submit(doorbell) < 0 && !is_taken(doorbell)) {
		take_back(doorbell);
		return;
	}
	if (doorbell->watch.state == WATCH_PREPARED)
		confirm(doorbell);
	bool is_sure = doorbell->watch.state == WATCH_LIVE;
	int attempts = cancel(doorbell) >= 0 && is_sure ? MANY : FEW;
	for (;;) {
		unsigned left = ringwake_doorbell_purge(doorbell);
		if (doorbell->watch.state == WATCH_NONE || attempts-- == 0)
			return;
		if (can_block(doorbell->application, left))
			await_completion(doorbell, left);
		else
			ringwake_doorbell_pause(PATIENCE_NS);
	}
}

static int open_watched(struct doorbell *doorbell)
{
	return ringwake_eventfd_open(doorbell, 1); /* never 0, as said above */
}

/* The last completion of the request may be among them: then no doorbell arrives. */
static bool may_block(const struct doorbell *doorbell, unsigned completions, bool is_armed)
{
	(void)doorbell;
	(void)is_armed;
	return completions == 0;
}

static void close_watch(struct doorbell *doorbell)
{
	end(doorbell);
	ringwake_doorbell_submit(doorbell);
	ringwake_doorbell_purge(doorbell);
}

const struct doorbell_form ringwake_form_watch = {
	.path = RINGWAKE_PATH_EVENTFD,
	.open = open_watched,
	.notify = ringwake_eventfd_notify,
	.prepare = prepare,
	.may_block = may_block,
	.block = ringwake_ring_block,
	.note = note,
	.close = close_watch,
	.abandon = ringwake_eventfd_abandon,
};
