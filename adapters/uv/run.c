/* SPDX-License-Identifier: MIT */
/*
 * A loop that blocks on its ring. uv_run() does all the work but the wait. The last of the prepare
 * callbacks, just before libuv would enter epoll, blocks in io_uring_enter() instead. Then libuv
 * polls without blocking. A one-shot poll request on the ring watches libuv's epoll. If an
 * iteration leaves events in epoll, the next request completes at once; a multishot request would
 * not.
 *
 * If an iteration would run only phases without callbacks, the adapter blocks again instead. So a
 * wake by messages alone makes one system call.
 *
 * If the adapter cannot know what libuv would do, the iteration waits in epoll, as under uv_run().
 */
#include "binding.h"
#include "libuv_private.h"

#include <errno.h>
#include <poll.h>

#define SECOND INT64_C(1000000000)

/* From linux/io_uring.h of Linux 6.15. Older headers do not have them. */
#define FEATURE_NO_IOWAIT (1U << 17)
#define ENTER_NO_IOWAIT   (1U << 7)

static void on_epoll(ringwake_uv_request_t *request, int result, unsigned flags)
{
	struct ringwake_uv *binding = request->binding;
	(void)flags;
	binding->epoll_poll_pending = false;
	/* An error: the thread that submitted the request has ended. Submit it again. */
	binding->epoll_is_ready = result >= 0;
}

static bool poll_epoll(struct ringwake_uv *binding)
{
	if (binding->epoll_poll_pending)
		return true;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&binding->ring);
	if (sqe == NULL) {
		io_uring_submit(&binding->ring);
		sqe = io_uring_get_sqe(&binding->ring);
		if (sqe == NULL)
			return false;
	}
	io_uring_prep_poll_add(sqe, uv_backend_fd(binding->loop), POLLIN);
	io_uring_sqe_set_data(sqe, &binding->epoll_poll);
	binding->epoll_poll.cb = on_epoll;
	binding->epoll_poll.binding = binding;
	binding->epoll_poll_pending = true;
	return true;
}

/*
 * Blocks for timeout nanoseconds; negative: without limit. It submits in a call of its own, because
 * for liburing's calls that do both the kernel counts an idle loop as waiting for I/O.
 */
static int block_on(struct io_uring *ring, int64_t timeout)
{
	int result = io_uring_sq_ready(ring) > 0 ? io_uring_submit(ring) : 0;
	if (result < 0 || io_uring_sq_ready(ring) > 0 || io_uring_cq_ready(ring) > 0)
		return result;
	unsigned flags = IORING_ENTER_GETEVENTS;
	if (ring->features & FEATURE_NO_IOWAIT)
		flags |= ENTER_NO_IOWAIT;
	if (timeout < 0)
		return io_uring_enter(ring->ring_fd, 0, 1, flags, NULL);
	struct __kernel_timespec limit = {.tv_sec = timeout / SECOND, .tv_nsec = timeout % SECOND};
	struct io_uring_getevents_arg arg = {.ts = (uintptr_t)&limit};
	return io_uring_enter2(
		ring->ring_fd, 0, 1, flags | IORING_ENTER_EXT_ARG, (void *)&arg, sizeof arg);
}

static bool is_failure(int result)
{
	return result < 0 && result != -ETIME && result != -EINTR && result != -EBADR;
}

/* Blocks with the target armed. Sets *woken if a message or a wake has arrived. */
static int block_armed(struct ringwake_uv *binding, int64_t timeout, bool *woken)
{
	int result = block_on(&binding->ring, timeout);
	if (ringwake_uv_is_forbidden(result))
		binding->has_doorbell_on_ring = false; /* the loop waits in epoll from now on */
	*woken = !is_failure(result) && !ringwake_arm(binding->target);
	return is_failure(result) ? result : 0;
}

/*
 * Waits on the ring for as long as libuv would in epoll, milliseconds. False if libuv must wait
 * itself.
 */
static bool wait_once(struct ringwake_uv *binding, int milliseconds, bool *woken)
{
	int64_t timeout = milliseconds * MILLISECOND;
	*woken = false;
	if (timeout != 0 && !poll_epoll(binding))
		return false;
	timeout = ringwake_spin(binding->target, timeout);
	if (timeout != 0 && ringwake_arm(binding->target)) {
		if (block_armed(binding, timeout, woken) < 0)
			return false;
	} else {
		*woken = timeout != 0;
		if (io_uring_sq_ready(&binding->ring) > 0)
			io_uring_submit(&binding->ring);
	}
	ringwake_disarm(binding->target);
	uv_update_time(binding->loop);
	return true;
}

/*
 * True if libuv would run only phases without callbacks. Then sets how long it would wait. libuv
 * updates its time at the begin of an iteration, because callbacks may have taken long.
 */
static bool may_wait_again(struct ringwake_uv *binding, bool has_something, int *milliseconds)
{
	if (binding->epoll_is_ready || !binding->has_doorbell_on_ring ||
		ringwake_is_inherited(binding->target))
		return false;
	if (has_something &&
		(binding->mode == UV_RUN_ONCE ||
			!ringwake_uv_owns_edges(binding->loop, &binding->prepare, &binding->check)))
		return false;
	if (!ringwake_uv_flush_watchers(binding->loop))
		return false;
	if (has_something)
		uv_update_time(binding->loop);
	*milliseconds = uv_backend_timeout(binding->loop);
	return *milliseconds != 0;
}

/* In UV_RUN_ONCE, a timer that was due may have run already. Only libuv knows whether to block
 * then. */
static bool is_uncertain(const struct ringwake_uv *binding)
{
	return binding->mode == UV_RUN_ONCE && uv_now(binding->loop) >= binding->first_due;
}

bool ringwake_uv_wait_on_ring(struct ringwake_uv *binding)
{
	/* A callback may have forked: then the ring is the parent's. */
	if (!binding->has_doorbell_on_ring || is_uncertain(binding) ||
		ringwake_is_inherited(binding->target))
		return false;
	if (uv_is_active((uv_handle_t *)binding->doorbell))
		ringwake_uv_unwatch(binding,
			binding->doorbell); /* epoll_poll must not report the ring itself */
	if (!ringwake_uv_flush_watchers(binding->loop))
		return false;
	int milliseconds = uv_backend_timeout(binding->loop);
	unsigned delivered = 0;
	bool woken;
	do {
		if (!wait_once(binding, milliseconds, &woken))
			return false;
		delivered += ringwake_uv_deliver(binding);
	} while (may_wait_again(binding, woken || delivered > 0, &milliseconds));
	/*
	 * A descriptor that libuv no longer watches may have made epoll ready. Only libuv can find
	 * out. It matters in UV_RUN_ONCE, which must not return without a callback.
	 */
	bool only_epoll = binding->epoll_is_ready && delivered == 1 && !woken;
	binding->epoll_is_ready = false;
	if (only_epoll && binding->mode == UV_RUN_ONCE)
		return false;
	ringwake_uv_keep_awake(binding);
	return true;
}

/* In milliseconds, as uv_now(). UINT64_MAX if there is no timer. */
static uint64_t first_due(uv_loop_t *loop)
{
	uv_update_time(loop);
	int timeout = uv_backend_timeout(loop);
	return timeout < 0 ? UINT64_MAX : uv_now(loop) + (uint64_t)timeout;
}

int ringwake_uv_run(struct ringwake_uv *binding, uv_run_mode mode)
{
	uv_loop_t *loop = binding->loop;
	if (!binding->has_doorbell_on_ring || mode == UV_RUN_NOWAIT || !binding->knows_libuv ||
		ringwake_is_inherited(binding->target) || ringwake_uv_loop_wants_epoll(loop))
		return uv_run(loop, mode);

	binding->mode = mode;
	if (mode == UV_RUN_ONCE)
		binding->first_due = first_due(loop);
	ringwake_uv_prepare_last(loop, &binding->prepare);
	binding->running = true;
	int alive = uv_run(loop, mode);
	binding->running = false;
	return alive;
}
