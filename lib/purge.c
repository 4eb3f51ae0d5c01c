/* SPDX-License-Identifier: MIT */
/*
 * When a target is closed, no doorbell of it may be left on the application's ring: a later request
 * may have the same user data. Doorbells wait in three places.
 *
 * The completion queue is memory that the application shares with the kernel. The entries between
 * head and tail are the application's, so doorbells among them are removed in place.
 *
 * The kernel keeps a backlog of completions that came while the queue was full. Only the kernel can
 * move them, from the front of the backlog to the end of the queue, as room appears there. If the
 * queue is full of the application's completions, these have to make room without being lost. So
 * each is posted to the ring again, behind the backlog, and then removed from the front. A marker
 * is posted first; when it arrives at the front, everything that was there has been seen. The order
 * is kept, except that completions which arrive meanwhile come before those that were posted again.
 *
 * A ring with IORING_SETUP_DEFER_TASKRUN keeps a list of what it has to post, and posts a few of
 * them each time that its thread enters it. The marker comes behind all that is in the list.
 */
#include <string.h>

#include "form.h"

#define MARKER INT32_MAX /* the result of a doorbell that no sender has posted */

#define FRUITLESS 1000 /* entries of a ring that post nothing, until the marker counts as lost */

static bool is_doorbell(const struct doorbell *doorbell, const struct io_uring_cqe *completion)
{
	return completion->user_data == doorbell->user_data;
}

static bool is_marker(const struct doorbell *doorbell, const struct io_uring_cqe *completion)
{
	return is_doorbell(doorbell, completion) && completion->res == MARKER;
}

/* Moves the application's completions together at the end of the queue. Returns how many. */
static unsigned remove_from_queue(struct doorbell *doorbell)
{
	struct io_uring *ring = doorbell->application;
	struct io_uring_cq *queue = &ring->cq;
	unsigned shift = ring->flags & IORING_SETUP_CQE32 ? 1 : 0;
	unsigned head = *queue->khead;
	unsigned tail = io_uring_smp_load_acquire(queue->ktail);
	unsigned kept = tail;
	const struct io_uring_cqe *newest = NULL;
	for (unsigned i = tail; i != head;) {
		i--;
		struct io_uring_cqe *completion = &queue->cqes[(i & queue->ring_mask) << shift];
		if (is_doorbell(doorbell, completion)) {
			if (newest == NULL && !is_marker(doorbell, completion))
				ringwake_doorbell_note(doorbell, newest = completion);
			continue;
		}
		kept--;
		memmove(&queue->cqes[(kept & queue->ring_mask) << shift], completion,
			sizeof *completion << shift);
	}
	io_uring_cq_advance(ring, kept - head);
	return tail - kept;
}

/* Takes completions off the front until the marker was among them, or one cannot be posted again.
 * Returns how many; *over says that this was all. */
static unsigned rotate(struct doorbell *doorbell, bool *over)
{
	struct io_uring_cqe *completion;
	unsigned head, count = 0;
	io_uring_for_each_cqe(doorbell->application, head, completion)
	{
		if (is_marker(doorbell, completion)) {
			*over = true;
		} else if (is_doorbell(doorbell, completion)) {
			ringwake_doorbell_note(doorbell, completion);
		} else if (ringwake_msg_ring_repost(doorbell, completion) < 0) {
			*over = true;
			break;
		}
		count++;
		if (*over)
			break;
	}
	io_uring_cq_advance(doorbell->application, count);
	return count;
}

static bool has_marker(const struct doorbell *doorbell)
{
	struct io_uring_cqe *completion;
	unsigned head;
	io_uring_for_each_cqe(doorbell->application, head, completion)
	{
		if (is_marker(doorbell, completion))
			return true;
	}
	return false;
}

/* Once completions were posted again, all that come before the marker have to be. */
static void await_marker(struct doorbell *doorbell)
{
	bool over = false, rotates = false;
	for (int fruitless = 0; !over && fruitless < FRUITLESS; fruitless++) {
		unsigned tail = *doorbell->application->cq.ktail;
		if (ringwake_ring_run_task_work(doorbell->application) < 0)
			return;
		if (tail != *doorbell->application->cq.ktail)
			fruitless = 0;
		rotates = rotates || io_uring_cq_has_overflow(doorbell->application);
		if (!rotates)
			over = has_marker(doorbell);
		else if (rotate(doorbell, &over) > 0)
			fruitless = 0;
	}
}

/* The second half of a large completion cannot be posted again. */
static bool is_searched(const struct doorbell *doorbell)
{
	const struct io_uring *ring = doorbell->application;
	return !(ring->flags & IORING_SETUP_CQE32) &&
		(ring->flags & IORING_SETUP_DEFER_TASKRUN || io_uring_cq_has_overflow(ring));
}

unsigned ringwake_doorbell_purge(struct doorbell *doorbell)
{
	struct io_uring_cqe marker = {.user_data = doorbell->user_data, .res = MARKER};
	ringwake_ring_run_task_work(doorbell->application);
	if (is_searched(doorbell) && ringwake_msg_ring_repost(doorbell, &marker) == 0)
		await_marker(doorbell);
	return remove_from_queue(doorbell);
}
