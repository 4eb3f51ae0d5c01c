/* SPDX-License-Identifier: MIT */
/* The application's requests on the loop's ring, and their completions. */
#include "assertion.h"
#include "binding.h"

/* The most completions that one iteration takes. Without a limit, callbacks that cause more
 * completions would starve the loop. */
#define LIMIT 256
_Static_assert(
	LIMIT >= 2 * RINGWAKE_UV_RING_ENTRIES, "one iteration takes what epoll has reported");

void ringwake_uv_request_start(struct ringwake_uv *binding, struct io_uring_sqe *sqe,
	ringwake_uv_request_t *request, ringwake_uv_request_cb cb)
{
	RINGWAKE_ASSERT(cb != NULL, "ringwake_uv_request_start() needs a callback");
	request->cb = cb;
	request->binding = binding;
	io_uring_sqe_set_data(sqe, request);
	ringwake_uv_hold(binding);
}

/* As io_uring_peek_cqe(), which costs more if the queue is empty. NULL: there is no completion. */
static struct io_uring_cqe *first_completion(struct io_uring *ring)
{
	struct io_uring_cqe *first;
	unsigned head;
	io_uring_for_each_cqe(ring, head, first) return first;
	if (!io_uring_cq_has_overflow(ring) || io_uring_peek_cqe(ring, &first) != 0)
		return NULL;
	return first; /* the kernel has moved it here from its backlog */
}

void ringwake_uv_take_doorbells(struct ringwake_uv *binding)
{
	if (!binding->has_ring || ringwake_is_inherited(binding->target))
		return;
	struct io_uring_cqe *first;
	while ((first = first_completion(&binding->ring)) &&
		ringwake_is_doorbell(binding->target, first))
		io_uring_cqe_seen(&binding->ring, first);
}

unsigned ringwake_uv_complete(struct ringwake_uv *binding)
{
	unsigned called = 0;
	if (ringwake_is_inherited(binding->target))
		return 0; /* the ring is the parent's */
	/* A callback may detach, or fork, and the child may have no ring. */
	for (unsigned taken = 0; taken < LIMIT && binding->has_ring; taken++) {
		struct io_uring_cqe *waiting = first_completion(&binding->ring);
		if (waiting == NULL)
			break;
		struct io_uring_cqe completion = *waiting;
		bool is_doorbell = ringwake_is_doorbell(binding->target, waiting);
		io_uring_cqe_seen(&binding->ring, waiting);
		ringwake_uv_request_t *request = io_uring_cqe_get_data(&completion);
		if (is_doorbell || request == NULL)
			continue;
		if (!(completion.flags & IORING_CQE_F_MORE) && request != &binding->epoll_poll)
			ringwake_uv_release(binding);
		called++;
		request->cb(request, completion.res, completion.flags);
	}
	return called;
}
