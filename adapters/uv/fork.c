/* SPDX-License-Identifier: MIT */
/* A loop in a forked child: it gets a target, a ring and workers of its own. */
#include "binding.h"

/* Work and requests are the parent's only. A closing handle waits for its message in both. */
static void drop_holds_of_parent(struct ringwake_uv *binding)
{
	unsigned kept = 0;
	for (struct ringwake_uv_async_state *i = binding->asyncs; i; i = i->next)
		kept += i->awaits_message;
	while (binding->outstanding > kept)
		ringwake_uv_release(binding);
}

static int open_anew(struct ringwake_uv *binding)
{
	binding->has_ring = false;
	binding->has_doorbell_on_ring = false;
	int error = ringwake_uv_open_target(binding);
	if (error < 0)
		return error;
	error = ringwake_uv_watch_target(binding);
	if (error < 0)
		ringwake_uv_close_target(binding);
	return error;
}

static int reopen(struct ringwake_uv *binding)
{
	struct ringwake *target = binding->target;
	struct io_uring ring = binding->ring;
	bool had_ring = binding->has_ring;
	ringwake_uv_close_watches(binding);
	int error = open_anew(binding);
	if (error < 0) {
		/* The parent's target refuses sends, and the loop does not wait on the parent's
		 * ring. */
		binding->target = target;
		binding->ring = ring;
		binding->has_ring = had_ring;
		return error;
	}
	binding->epoll_poll_pending = false;
	binding->epoll_is_ready = false;
	ringwake_close(target);
	if (had_ring)
		io_uring_queue_exit(&ring);
	return 0;
}

/* This process has not forked, but uv_loop_fork() has made another epoll. */
static int follow_loop(struct ringwake_uv *binding)
{
	binding->epoll_fd = uv_backend_fd(binding->loop);
	binding->epoll_poll_pending = false;
	return 0;
}

int ringwake_uv_fork(struct ringwake_uv *binding)
{
	if (!ringwake_is_inherited(binding->target))
		return follow_loop(binding);
	drop_holds_of_parent(binding);
	int error = reopen(binding);
	if (error < 0)
		return error;
	ringwake_uv_leave_workers(binding);
	ringwake_uv_move_asyncs(binding);
	return 0;
}
