/* SPDX-License-Identifier: MIT */
/*
 * What the adapter does before and after the loop's wait. libev calls two functions in ev_run(),
 * one immediately before the loop may block and one immediately after:
 *
 *   before  spin, if the prepare watcher does not; arm; if messages have arrived, end the wait
 *   after   disarm
 *
 * Between the first function and the wait only the application's own release callback runs, which
 * may send. So the target is armed whenever the loop blocks, at any depth of ev_run(), wherever the
 * loop was attached or the process forked, and whatever the application does with pending watchers.
 *
 * The callbacks of messages run where libev handles its own asyncs: in a watcher of priority
 * EV_MAXPRI that the wait has found ready. Asyncs and completed work are fed after them.
 */
#include "binding.h"

#define DEFAULT_BATCH 256 /* as in ringwake_open() */

/* In a forked child that has not called ev_loop_fork(), asyncs are sent through libev (async.c). */
static void notice_fork(struct ringwake_ev *binding)
{
	int64_t process = ringwake_process_number();
	if (binding->noticed_in == process)
		return;
	binding->noticed_in = process;
	ringwake_ev_wake_by_libev(binding);
}

/*
 * While messages follow each other closely, the loop need not block for each. It does not spin
 * where the application's callback may release a lock that senders need. A spin may be followed by
 * no wait: on io_uring, a loop that polls does not always call before_wait.
 */
void ringwake_ev_spin(struct ringwake_ev *binding)
{
	if (binding->expects_wait)
		blocking_set(&binding->blocking, false);
	binding->expects_wait = false;
	if (!blocking_before_wait(&binding->blocking) || binding->wait_cbs.release)
		return;
	ringwake_spin(binding->target, -1);
	binding->expects_wait = !ringwake_pending(binding->target);
}

static void arm(struct ringwake_ev *binding)
{
	if (!ev_is_active(&binding->prepare))
		ringwake_ev_spin(binding);
	binding->expects_wait = false;
	if (ringwake_arm(binding->target)) {
		if (blocking_is_due(&binding->blocking))
			blocking_measure(&binding->blocking);
	} else if (ringwake_is_inherited(binding->target)) {
		notice_fork(binding);
	} else {
		ringwake_ev_keep_awake(binding);
	}
}

void ringwake_ev_before_wait(struct ev_loop *loop)
{
	struct ringwake_ev *binding = ringwake_ev_find(loop);
	if (binding == NULL)
		return;
	arm(binding);
	if (binding->wait_cbs.release)
		binding->wait_cbs.release(loop);
}

/* libev reads errno after this function. The application's callback takes a lock first: until then
 * another thread may detach the loop. */
void ringwake_ev_after_wait(struct ev_loop *loop)
{
	struct ringwake_ev *binding = ringwake_ev_find(loop);
	if (binding && binding->wait_cbs.acquire) {
		binding->wait_cbs.acquire(loop);
		binding = ringwake_ev_find(loop);
	}
	if (binding == NULL)
		return;
	blocking_after_wait(&binding->blocking);
	ringwake_disarm(binding->target); /* does nothing in a forked child */
}

/* libev handles all asyncs that were sent in one iteration, so that their priorities decide. */
static unsigned most_messages(const struct ringwake_ev *binding)
{
	unsigned batch = binding->params.batch ? binding->params.batch : DEFAULT_BATCH;
	unsigned asyncs = binding->last ? (unsigned)binding->last->active : 0;
	return asyncs > batch ? asyncs : batch;
}

/* libev calls first what was fed last. So a second delivery in one iteration would run the watchers
 * of later messages before those of earlier ones. */
void ringwake_ev_deliver(struct ringwake_ev *binding)
{
	unsigned iteration = ev_iteration(binding->loop);
	if (binding->delivered_in == iteration || ringwake_is_inherited(binding->target))
		return;
	binding->delivered_in = iteration;
	ringwake_disarm(binding->target);
	ringwake_dispatch(binding->target, most_messages(binding)); /* may detach */
}
