/* SPDX-License-Identifier: MIT */
/*
 * The helper watchers, through which the loop calls the adapter.
 *
 *   waker    an ev_async with which libev itself wakes the loop: in a forked child, if the kernel
 *            refuses the doorbell, and if messages have arrived before the wait
 *   prepare  in a busy loop, finds such messages before libev prepares the wait, which saves the
 *            waker's two system calls
 *   feeder   feeds the asyncs and the work of the messages that were delivered, in libev's order
 *
 * waker and feeder have the priority EV_MAXPRI, as the watchers of doorbell.c have.
 */
#include "binding.h"
#include "libev.h"

/* The loop counts as busy after this many successive waits that had to end at once. Not earlier: a
 * program that counts pending watchers sees the prepare watcher. */
#define BUSY_WAITS 16

static void start_prepare(struct ringwake_ev *attached)
{
	if (ev_is_active(&attached->prepare))
		return;
	ev_prepare_start(attached->loop, &attached->prepare);
	ev_unref(attached->loop);
}

static void stop_prepare(struct ringwake_ev *attached)
{
	if (!ev_is_active(&attached->prepare))
		return;
	ev_ref(attached->loop);
	ev_prepare_stop(attached->loop, &attached->prepare);
}

static void on_wake(struct ev_loop *loop, ev_async *waker, int revents)
{
	struct ringwake_ev *attached = waker->data;
	(void)loop;
	(void)revents;
	if (ringwake_is_inherited(attached->target))
		ringwake_ev_fork(attached, false);
	ringwake_ev_note_missed(attached);
	ringwake_ev_deliver(attached);
}

/* libev also calls it after it has rebuilt its kernel state without a fork. */
static void on_fork(struct ev_loop *loop, ev_fork *watcher, int revents)
{
	struct ringwake_ev *attached = watcher->data;
	(void)loop;
	(void)revents;
	if (!ringwake_is_inherited(attached->target))
		return;
	ringwake_ev_fork(attached, true);
	/* After the fork watchers, on_wake notes the sends that were missed. */
	ringwake_ev_wake_by_libev(attached);
}

static void on_prepare(struct ev_loop *loop, ev_prepare *watcher, int revents)
{
	struct ringwake_ev *attached = watcher->data;
	(void)loop;
	(void)revents;
	if (ringwake_is_inherited(attached->target))
		return;
	if (!ringwake_arm(attached->target)) {
		if (ringwake_ev_is_on_io_uring(attached))
			ringwake_ev_start_keep_awake(attached);
		else
			ringwake_ev_wake_by_libev(attached);
	} else if (!ringwake_ev_is_on_io_uring(attached)) {
		stop_prepare(attached);
		attached->busy_waits = 0;
	}
}

static void on_feed(struct ev_loop *loop, ev_watcher *watcher, int revents)
{
	struct ringwake_ev *attached = watcher->data;
	(void)loop;
	(void)revents;
	ringwake_ev_feed_asyncs(attached);
	ringwake_ev_feed_work(attached);
}

int ringwake_ev_wake_by_libev(void *data)
{
	struct ringwake_ev *attached = data;
	ringwake_ev_libev.async_send(attached->loop, &attached->waker);
	return 0;
}

void ringwake_ev_keep_awake(struct ringwake_ev *attached)
{
	if (++attached->busy_waits == BUSY_WAITS)
		start_prepare(attached);
	if (!ev_is_active(&attached->keep_awake))
		ringwake_ev_wake_by_libev(attached);
}

int ringwake_ev_open_helpers(struct ringwake_ev *attached)
{
	int error = ringwake_ev_open_doorbells(attached);
	if (error < 0)
		return error;
	ev_async_init(&attached->waker, on_wake);
	ev_prepare_init(&attached->prepare, on_prepare);
	ev_init(&attached->feeder, on_feed);
	ev_fork_init(&attached->fork, on_fork);
	ev_set_priority(&attached->waker, EV_MAXPRI);
	ev_set_priority(&attached->prepare, EV_MINPRI);
	ev_set_priority(&attached->feeder, EV_MAXPRI);
	attached->waker.data = attached;
	attached->prepare.data = attached;
	attached->feeder.data = attached;
	attached->fork.data = attached;
	ringwake_ev_libev.async_start(attached->loop, &attached->waker);
	ev_unref(attached->loop);
	ev_fork_start(attached->loop, &attached->fork);
	ev_unref(attached->loop);
	if (ringwake_ev_is_on_io_uring(attached))
		start_prepare(attached);
	return 0;
}

void ringwake_ev_stop_helpers(struct ringwake_ev *attached)
{
	struct ev_loop *loop = attached->loop;
	ev_ref(loop);
	ringwake_ev_libev.async_stop(loop, &attached->waker);
	ev_ref(loop);
	ev_fork_stop(loop, &attached->fork);
	stop_prepare(attached);
	ev_clear_pending(loop, &attached->feeder);
}
