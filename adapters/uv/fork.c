/* SPDX-License-Identifier: MIT */
/* A loop in a forked child: it gets a target, a ring and workers of its own. */
#include "binding.h"

/* Work and requests are the parent's only. A closing handle waits for its message in both. */
static void drop_holds_of_parent(struct ringwake_uv *attached)
{
	unsigned kept = 0;
	for (struct ringwake_uv_async_state *i = attached->asyncs; i; i = i->next)
		kept += i->awaits_message;
	while (attached->outstanding > kept)
		ringwake_uv_release(attached);
}

static int open_anew(struct ringwake_uv *attached)
{
	attached->has_ring = false;
	attached->has_doorbell_on_ring = false;
	int error = ringwake_uv_open_target(attached);
	if (error < 0)
		return error;
	error = ringwake_uv_watch_target(attached);
	if (error < 0)
		ringwake_uv_close_target(attached);
	return error;
}

static int reopen(struct ringwake_uv *attached)
{
	struct ringwake *target = attached->target;
	struct io_uring ring = attached->ring;
	bool had_ring = attached->has_ring;
	ringwake_uv_close_watches(attached);
	int error = open_anew(attached);
	if (error < 0) {
		/* The parent's target refuses sends, and the loop does not wait on the parent's
		 * ring. */
		attached->target = target;
		attached->ring = ring;
		attached->has_ring = had_ring;
		return error;
	}
	attached->epoll_poll_pending = false;
	attached->epoll_is_ready = false;
	ringwake_close(target);
	if (had_ring)
		io_uring_queue_exit(&ring);
	return 0;
}

/* This process has not forked, but uv_loop_fork() has made another epoll. */
static int follow_loop(struct ringwake_uv *attached)
{
	attached->epoll_fd = uv_backend_fd(attached->loop);
	attached->epoll_poll_pending = false;
	return 0;
}

int ringwake_uv_fork(struct ringwake_uv *attached)
{
	if (!ringwake_is_inherited(attached->target))
		return follow_loop(attached);
	drop_holds_of_parent(attached);
	int error = reopen(attached);
	if (error < 0)
		return error;
	ringwake_uv_leave_workers(attached);
	ringwake_uv_move_asyncs(attached);
	return 0;
}
