/* SPDX-License-Identifier: MIT */
/*
 * What the adapter does before and after the loop's wait. In each iteration of uv_run():
 *
 *   prepare  arm; if messages have already arrived, have libuv report them after the poll
 *   poll     the doorbell's descriptor ends the wait; run callbacks
 *   check    disarm; then arm again, for a program that leaves uv_run() now and waits for libuv's
 *            epoll itself; if messages have already arrived, an idle handle keeps the loop from
 *            blocking
 *
 * So callbacks run in the same phase as those of a uv_async_t. After the poll libuv runs callbacks
 * of writes, and those that they cause, in several rounds. A callback in another phase would come
 * too late for these rounds: the program could read a peer's answer before libuv reports the write.
 *
 * With libuv's public functions only, messages that arrive outside the poll run in the prepare and
 * check phases.
 */
#include "binding.h"
#include "libuv_private.h"

unsigned ringwake_uv_deliver(struct ringwake_uv *attached)
{
	unsigned count = attached->has_ring ? ringwake_uv_complete(attached) : 0;
	return attached->detached ? count : count + ringwake_uv_dispatch(attached);
}

/* If it returns true, a send from now on uses the doorbell. If not, callbacks are due, and the loop
 * must not block. */
static bool arm(struct ringwake_uv *attached)
{
	bool armed = attached->due == NULL && ringwake_arm(attached->target);
	if (armed)
		uv_idle_stop(&attached->keep_awake);
	else
		ringwake_uv_keep_awake(attached);
	return armed;
}

/* Submits what the application has prepared. False if the kernel refuses it temporarily. */
static bool submit(struct ringwake_uv *attached)
{
	if (!attached->has_ring || io_uring_sq_ready(&attached->ring) == 0 ||
		ringwake_is_inherited(attached->target))
		return true;
	int result = io_uring_submit(&attached->ring);
	return io_uring_sq_ready(&attached->ring) == 0 || ringwake_uv_is_forbidden(result);
}

static void wait_in_epoll(struct ringwake_uv *attached)
{
	/* A forked child must not touch the parent's doorbell and epoll. */
	if (attached->doorbell && !uv_is_active((uv_handle_t *)attached->doorbell) &&
		!ringwake_is_inherited(attached->target))
		ringwake_uv_watch(attached, attached->doorbell);
	bool submitted = submit(attached);
	if (!arm(attached)) {
		if (attached->knows_libuv && attached->doorbell)
			ringwake_uv_feed(attached->loop, attached->doorbell);
		else
			ringwake_uv_dispatch(attached);
	}
	if (!submitted)
		ringwake_uv_keep_awake(attached);
}

void ringwake_uv_before_wait(struct ringwake_uv *attached)
{
	ringwake_uv_enter(attached);
	if (!attached->running || !ringwake_uv_wait_on_ring(attached))
		wait_in_epoll(attached);
	ringwake_uv_leave(attached);
}

void ringwake_uv_after_wait(struct ringwake_uv *attached)
{
	ringwake_uv_enter(attached);
	ringwake_disarm(attached->target);
	if (!attached->knows_libuv)
		ringwake_uv_dispatch(attached);
	if (!attached->detached) {
		ringwake_uv_notice_closes(attached);
		arm(attached);
	}
	ringwake_uv_leave(attached);
}
