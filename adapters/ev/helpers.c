/* SPDX-License-Identifier: MIT */
/*
 * The helper watchers, through which the loop calls the adapter.
 *
 *   waker    an ev_async with which libev itself wakes the loop: in a forked child, if the kernel
 *            refuses the doorbell, and if messages have arrived before the wait
 *   prepare  in a busy loop, spins and finds such messages before libev prepares the wait, which
 *            saves the waker's two system calls
 *   feeder   feeds the asyncs and the work of the messages that were delivered, in libev's order
 *
 * waker and feeder have the priority EV_MAXPRI, as the watchers of doorbell.c have.
 */
#include "binding.h"
#include "libev.h"

/* After BUSY_WAITS waits that had to end at once, the loop counts as busy; after IDLE_WAITS
 * successive waits that did not, it counts as idle again. It does not count as busy from the start,
 * because a program that counts pending watchers sees the prepare watcher. */
#define BUSY_WAITS 16
#define IDLE_WAITS 1000

static void start_prepare(struct ringwake_ev *binding)
{
	if (ev_is_active(&binding->prepare))
		return;
	ev_prepare_start(binding->loop, &binding->prepare);
	ev_unref(binding->loop);
}

static void stop_prepare(struct ringwake_ev *binding)
{
	if (!ev_is_active(&binding->prepare))
		return;
	ev_ref(binding->loop);
	ev_prepare_stop(binding->loop, &binding->prepare);
}

static void on_wake(struct ev_loop *loop, ev_async *waker, int revents)
{
	struct ringwake_ev *binding = waker->data;
	(void)loop;
	(void)revents;
	if (ringwake_is_inherited(binding->target))
		ringwake_ev_fork(binding, false);
	ringwake_ev_note_missed(binding);
	ringwake_ev_deliver(binding);
}

/* libev also calls it after it has rebuilt its kernel state without a fork. */
static void on_fork(struct ev_loop *loop, ev_fork *watcher, int revents)
{
	struct ringwake_ev *binding = watcher->data;
	(void)loop;
	(void)revents;
	if (!ringwake_is_inherited(binding->target))
		return;
	ringwake_ev_fork(binding, true);
	/* After the fork watchers, on_wake notes the sends that were missed. */
	ringwake_ev_wake_by_libev(binding);
}

static void on_prepare(struct ev_loop *loop, ev_prepare *watcher, int revents)
{
	struct ringwake_ev *binding = watcher->data;
	(void)loop;
	(void)revents;
	ringwake_ev_spin(binding);
	if (ringwake_pending(binding->target)) {
		binding->idle_waits = 0;
		if (ringwake_ev_is_on_io_uring(binding))
			ringwake_ev_start_keep_awake(binding);
		else
			ringwake_ev_wake_by_libev(binding);
	} else if (!ringwake_ev_is_on_io_uring(binding) && ++binding->idle_waits == IDLE_WAITS) {
		stop_prepare(binding);
		binding->busy_waits = 0;
		binding->idle_waits = 0;
	}
}

static void on_feed(struct ev_loop *loop, ev_watcher *watcher, int revents)
{
	struct ringwake_ev *binding = watcher->data;
	(void)loop;
	(void)revents;
	ringwake_ev_feed_asyncs(binding);
	ringwake_ev_feed_work(binding);
}

int ringwake_ev_wake_by_libev(void *data)
{
	struct ringwake_ev *binding = data;
	ringwake_ev_libev.async_send(binding->loop, &binding->waker);
	return 0;
}

void ringwake_ev_keep_awake(struct ringwake_ev *binding)
{
	if (++binding->busy_waits == BUSY_WAITS)
		start_prepare(binding);
	if (!ev_is_active(&binding->keep_awake) && !ev_async_pending(&binding->waker))
		ringwake_ev_wake_by_libev(binding);
}

int ringwake_ev_open_helpers(struct ringwake_ev *binding)
{
	int error = ringwake_ev_open_doorbells(binding);
	if (error < 0)
		return error;
	ev_async_init(&binding->waker, on_wake);
	ev_prepare_init(&binding->prepare, on_prepare);
	ev_init(&binding->feeder, on_feed);
	ev_fork_init(&binding->fork, on_fork);
	ev_set_priority(&binding->waker, EV_MAXPRI);
	ev_set_priority(&binding->prepare, EV_MINPRI);
	ev_set_priority(&binding->feeder, EV_MAXPRI);
	binding->waker.data = binding;
	binding->prepare.data = binding;
	binding->feeder.data = binding;
	binding->fork.data = binding;
	ringwake_ev_libev.async_start(binding->loop, &binding->waker);
	ev_unref(binding->loop);
	ev_fork_start(binding->loop, &binding->fork);
	ev_unref(binding->loop);
	if (ringwake_ev_is_on_io_uring(binding))
		start_prepare(binding);
	return 0;
}

void ringwake_ev_stop_helpers(struct ringwake_ev *binding)
{
	struct ev_loop *loop = binding->loop;
	ev_ref(loop);
	ringwake_ev_libev.async_stop(loop, &binding->waker);
	ev_ref(loop);
	ev_fork_stop(loop, &binding->fork);
	stop_prepare(binding);
	ev_clear_pending(loop, &binding->feeder);
}
