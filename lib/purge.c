/* SPDX-License-Identifier: MIT */
/*
 * When a target is closed, no doorbell of it may be left on the application's ring: a later request
 * may have the same user data. Doorbells wait in two places.
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
 */
#include "doorbell.h"

#include <string.h>

#define MARKER INT32_MAX /* the result of a doorbell that nobody has rung */

static bool is_doorbell(const struct doorbell *doorbell, const struct io_uring_cqe *completion)
{
	return completion->user_data == doorbell->user_data;
}

/* Moves the application's completions together at the end of the queue. Returns how many. */
static unsigned remove_from_queue(struct doorbell *doorbell)
{
	struct io_uring *ring = doorbell->ring;
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
			if (newest == NULL)
				ringwake_watch_note(&doorbell->watch, newest = completion);
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
	io_uring_for_each_cqe(doorbell->ring, head, completion)
	{
		if (is_doorbell(doorbell, completion)) {
			*over = completion->res == MARKER;
			if (!*over)
				ringwake_watch_note(&doorbell->watch, completion);
		} else if (ringwake_doorbell_repost(doorbell, completion) < 0) {
			*over = true;
			break;
		}
		count++;
		if (*over)
			break;
	}
	io_uring_cq_advance(doorbell->ring, count);
	return count;
}

/* The second half of a large completion cannot be posted again. */
static void empty_backlog(struct doorbell *doorbell)
{
	struct io_uring_cqe marker = {.user_data = doorbell->user_data, .res = MARKER};
	if (doorbell->ring->flags & IORING_SETUP_CQE32 ||
		ringwake_doorbell_repost(doorbell, &marker) < 0)
		return;
	bool over = false;
	do {
		ringwake_doorbell_run_ring(doorbell);
	} while (rotate(doorbell, &over) > 0 && !over);
}

unsigned ringwake_doorbell_purge(struct doorbell *doorbell)
{
	ringwake_doorbell_run_ring(doorbell);
	unsigned left = remove_from_queue(doorbell);
	if (!io_uring_cq_has_overflow(doorbell->ring))
		return left;
	empty_backlog(doorbell);
	return remove_from_queue(doorbell);
}
