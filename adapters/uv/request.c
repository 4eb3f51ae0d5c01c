/* SPDX-License-Identifier: MIT */
/* The application's requests on the loop's ring, and their completions. */
#include "assertion.h"
#include "binding.h"

/* The most completions that one iteration takes. Without a limit, callbacks that cause more
 * completions would starve the loop. */
#define LIMIT 256
_Static_assert(
	LIMIT >= 2 * RINGWAKE_UV_RING_ENTRIES, "one iteration takes what epoll has reported");

void ringwake_uv_request_start(struct ringwake_uv *attached, struct io_uring_sqe *sqe,
	ringwake_uv_request_t *request, ringwake_uv_request_cb cb)
{
	RINGWAKE_ASSERT(cb != NULL, "ringwake_uv_request_start() needs a callback");
	request->cb = cb;
	request->attached = attached;
	io_uring_sqe_set_data(sqe, request);
	ringwake_uv_hold(attached);
}

unsigned ringwake_uv_complete(struct ringwake_uv *attached)
{
	unsigned called = 0;
	if (ringwake_is_inherited(attached->target))
		return 0; /* the ring is the parent's */
	struct io_uring_cqe *waiting;
	/* A callback may detach, or fork, and the child may have no ring. */
	for (unsigned taken = 0; taken < LIMIT && attached->has_ring; taken++) {
		if (io_uring_peek_cqe(&attached->ring, &waiting) != 0)
			break;
		struct io_uring_cqe completion = *waiting;
		bool is_doorbell = ringwake_is_doorbell(attached->target, waiting);
		io_uring_cqe_seen(&attached->ring, waiting);
		ringwake_uv_request_t *request = io_uring_cqe_get_data(&completion);
		if (is_doorbell || request == NULL)
			continue;
		if (!(completion.flags & IORING_CQE_F_MORE) && request != &attached->epoll_poll)
			ringwake_uv_release(attached);
		called++;
		request->cb(request, completion.res, completion.flags);
	}
	return called;
}
