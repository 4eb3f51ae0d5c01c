/* SPDX-License-Identifier: MIT */
/*
 * What the adapter does before and after the loop's wait. In each iteration of uv_run():
 *
 * - prepare: perhaps spin; arm; if messages have already arrived, have libuv report them after the
 *   poll
 * - poll: the doorbell's descriptor ends the wait; run callbacks
 * - check: disarm; then arm again, for a program that leaves uv_run() now and waits for libuv's
 *   epoll itself; if messages have already arrived, an idle handle keeps the loop from blocking
 *
 * So callbacks run in the same phase as those of a uv_async_t. After the poll libuv runs callbacks
 * of writes, and those that they cause, in several rounds. A callback in another phase would come
 * too late for these rounds: the program could read a peer's answer before libuv reports the write.
 *
 * If libuv's layout is not known (knows_libuv is false), messages that arrive outside the poll run
 * in the prepare and check phases. Under ringwake_uv_run(), prepare blocks in the ring instead:
 * run.c.
 */
#include "binding.h"
#include "libuv_private.h"

#include <errno.h>
#include <poll.h>

unsigned ringwake_uv_deliver(struct ringwake_uv *binding)
{
	unsigned count = binding->has_ring ? ringwake_uv_complete(binding) : 0;
	return binding->detached ? count : count + ringwake_uv_dispatch(binding);
}

/* If it returns true, a send from now on wakes the loop: by the doorbell, or through libuv in a
 * forked child that has not called uv_loop_fork(). If not, callbacks are due, and the loop must not
 * block. */
static bool arm(struct ringwake_uv *binding)
{
	struct ringwake *target = binding->target;
	bool armed =
		binding->due == NULL && (ringwake_arm(target) || ringwake_is_inherited(target));
	if (armed)
		uv_idle_stop(&binding->keep_awake);
	return armed;
}

/* libuv does not block if a watcher is fed. It need not report a doorbell for the same messages. */
static void deliver_after_poll(struct ringwake_uv *binding)
{
	if (binding->knows_libuv && binding->doorbell) {
		ringwake_uv_take_doorbells(binding);
		ringwake_uv_feed(binding->loop, binding->doorbell);
	} else {
		ringwake_uv_keep_awake(binding);
		ringwake_uv_dispatch(binding);
	}
}

/* Submits what the application has prepared. False if the kernel refuses it temporarily. */
static bool submit(struct ringwake_uv *binding)
{
	if (!binding->has_ring || io_uring_sq_ready(&binding->ring) == 0 ||
		ringwake_is_inherited(binding->target))
		return true;
	int result = io_uring_submit(&binding->ring);
	return io_uring_sq_ready(&binding->ring) == 0 || ringwake_uv_is_forbidden(result);
}

/* While messages follow each other closely, the loop need not block for each. libuv computes its
 * timeout after this function, so its time must be right after a spin. */
static void spin(const struct ringwake_uv *binding)
{
	int milliseconds = uv_backend_timeout(binding->loop);
	if (milliseconds == 0 || binding->due)
		return;
	int64_t timeout = milliseconds < 0 ? -1 : milliseconds * MILLISECOND;
	if (ringwake_spin(binding->target, timeout) != timeout)
		uv_update_time(binding->loop);
}

static bool has_events(const struct ringwake_uv *binding)
{
	int saved = errno;
	struct pollfd epoll = {.fd = uv_backend_fd(binding->loop), .events = POLLIN};
	bool has_some = poll(&epoll, 1, 0) != 0;
	errno = saved;
	return has_some;
}

/* The check phase, which ends the measurement, comes after the callbacks of descriptors. So a wait
 * that may run some at once is not measured: it does not block. */
static void find_out_whether_it_blocks(struct ringwake_uv *binding)
{
	if (!blocking_is_due(&binding->blocking))
		return;
	if (uv_backend_timeout(binding->loop) == 0 || has_events(binding))
		blocking_set(&binding->blocking, false);
	else
		blocking_measure(&binding->blocking);
}

static void wait_in_epoll(struct ringwake_uv *binding)
{
	/* A forked child must not touch the parent's doorbell and epoll. */
	if (binding->doorbell && !uv_is_active((uv_handle_t *)binding->doorbell) &&
		!ringwake_is_inherited(binding->target))
		ringwake_uv_watch(binding, binding->doorbell);
	bool submitted = submit(binding);
	if (blocking_before_wait(&binding->blocking))
		spin(binding);
	if (arm(binding))
		find_out_whether_it_blocks(binding);
	else
		deliver_after_poll(binding);
	if (!submitted)
		ringwake_uv_keep_awake(binding);
}

void ringwake_uv_before_wait(struct ringwake_uv *binding)
{
	ringwake_uv_enter(binding);
	if (!binding->running || !ringwake_uv_wait_on_ring(binding))
		wait_in_epoll(binding);
	ringwake_uv_leave(binding);
}

void ringwake_uv_after_wait(struct ringwake_uv *binding)
{
	ringwake_uv_enter(binding);
	blocking_after_wait(&binding->blocking);
	ringwake_disarm(binding->target);
	if (!binding->knows_libuv)
		ringwake_uv_dispatch(binding);
	if (!binding->detached) {
		ringwake_uv_notice_closes(binding);
		if (!arm(binding))
			ringwake_uv_keep_awake(binding);
	}
	ringwake_uv_leave(binding);
}
