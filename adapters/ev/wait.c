/* SPDX-License-Identifier: MIT */
/*
 * What the adapter does before and after the loop's wait. libev calls two functions in ev_run(),
 * one immediately before the loop may block and one immediately after:
 *
 *   before  arm; if messages have already arrived, have the wait end at once
 *   after   disarm
 *
 * No callback runs between the first function and the wait. So the target is armed whenever the
 * loop blocks. It does not matter how deep ev_run() is nested, where the loop was attached or the
 * process forked, or what the application does with pending watchers.
 *
 * The callbacks of messages run where libev handles its own asyncs: in a watcher of priority
 * EV_MAXPRI that the wait has found ready. Asyncs and completed work are fed after them.
 */
#include "binding.h"

#define DEFAULT_BATCH 256 /* as in ringwake_open() */

/* In a forked child that has not called ev_loop_fork(), asyncs are sent through libev (async.c). */
static void notice_fork(struct ringwake_ev *attached)
{
	int64_t process = ringwake_process_number();
	if (attached->noticed_in == process)
		return;
	attached->noticed_in = process;
	ringwake_ev_wake_by_libev(attached);
}

void ringwake_ev_before_wait(struct ev_loop *loop)
{
	struct ringwake_ev *attached = ringwake_ev_find(loop);
	if (attached == NULL)
		return;
	if (ringwake_is_inherited(attached->target))
		notice_fork(attached);
	else if (ringwake_arm(attached->target))
		attached->busy_waits = 0;
	else
		ringwake_ev_keep_awake(attached);
	if (attached->wait_cbs.release)
		attached->wait_cbs.release(loop);
}

/* libev reads errno after this function. The application's callback takes a lock first: until then
 * another thread may detach the loop. */
void ringwake_ev_after_wait(struct ev_loop *loop)
{
	struct ringwake_ev *attached = ringwake_ev_find(loop);
	if (attached && attached->wait_cbs.acquire)
		attached->wait_cbs.acquire(loop);
	attached = ringwake_ev_find(loop);
	if (attached && !ringwake_is_inherited(attached->target))
		ringwake_disarm(attached->target);
}

/* libev handles all asyncs that were sent in one iteration, so that their priorities decide. */
static unsigned most_messages(const struct ringwake_ev *attached)
{
	unsigned batch = attached->params.batch ? attached->params.batch : DEFAULT_BATCH;
	unsigned asyncs = attached->last ? (unsigned)attached->last->active : 0;
	return asyncs > batch ? asyncs : batch;
}

/* libev calls first what was fed last. So a second delivery in one iteration would run the watchers
 * of later messages before those of earlier ones. */
void ringwake_ev_deliver(struct ringwake_ev *attached)
{
	unsigned iteration = ev_iteration(attached->loop);
	if (attached->delivered_in == iteration || ringwake_is_inherited(attached->target))
		return;
	attached->delivered_in = iteration;
	ringwake_disarm(attached->target);
	ringwake_dispatch(attached->target, most_messages(attached)); /* may detach */
}
