/* SPDX-License-Identifier: MIT */
/*
 * The edges of the loop's wait. ev_run() stays as it is; libev calls two functions around each
 * wait of the loop, immediately before it may block and immediately after:
 *
 *   before  arm; if messages are there already, have the wait end at once
 *   after   disarm
 *
 * No callback runs between the first and the wait. So the target is armed whenever the loop blocks,
 * however deep ev_run() is nested, wherever the loop was attached or the process forked, and
 * whatever the application does with pending watchers.
 *
 * Messages' callbacks run where libev notes its own asyncs: from a watcher of priority EV_MAXPRI
 * that the wait has found ready. Events of asyncs and of completed work are fed after them.
 */
#include "binding.h"

#define DEFAULT_BATCH 256 /* of ringwake_open() */

/* A child whose loop was not told runs on, and its asyncs are sent through libev (async.c). */
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

/* libev looks at errno after it. The application's lock is taken first: another thread may have
 * detached meanwhile. */
void ringwake_ev_after_wait(struct ev_loop *loop)
{
	struct ringwake_ev *attached = ringwake_ev_find(loop);
	if (attached && attached->wait_cbs.acquire)
		attached->wait_cbs.acquire(loop);
	attached = ringwake_ev_find(loop);
	if (attached && !ringwake_is_inherited(attached->target))
		ringwake_disarm(attached->target);
}

/* libev notes all asyncs that were sent at once, so that their priorities decide. */
static unsigned most_messages(const struct ringwake_ev *attached)
{
	unsigned batch = attached->params.batch ? attached->params.batch : DEFAULT_BATCH;
	unsigned asyncs = attached->last ? (unsigned)attached->last->active : 0;
	return asyncs > batch ? asyncs : batch;
}

/* Two deliveries in one iteration would run the later messages' watchers before the earlier ones',
 * since libev calls what was fed last first. */
void ringwake_ev_deliver(struct ringwake_ev *attached)
{
	unsigned iteration = ev_iteration(attached->loop);
	if (attached->delivered_in == iteration || ringwake_is_inherited(attached->target))
		return;
	attached->delivered_in = iteration;
	ringwake_disarm(attached->target);
	ringwake_dispatch(attached->target, most_messages(attached)); /* may detach */
}
