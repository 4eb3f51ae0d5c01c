/* SPDX-License-Identifier: MIT */
/*
 * A target behind a libev loop whose ev_run() stays as it is. libev calls two functions around each
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
#include "attach.h"

#include <errno.h>
#include <stdlib.h>

#define DEFAULT_BATCH 256 /* of ringwake_open() */

bool ringwake_ev_is_foreign(const struct ringwake_ev *attached)
{
	return ringwake_is_inherited(attached->target);
}

/* A child whose loop was not told runs on, and its asyncs are sent through libev (async.c). */
static void notice_fork(struct ringwake_ev *attached)
{
	if (attached->noticed_in == getpid())
		return;
	attached->noticed_in = getpid();
	ringwake_ev_wake_by_libev(attached);
}

void ringwake_ev_before_wait(struct ev_loop *loop)
{
	struct ringwake_ev *attached = ringwake_ev_find(loop);
	if (attached == NULL)
		return;
	if (ringwake_ev_is_foreign(attached))
		notice_fork(attached);
	else if (ringwake_arm(attached->target))
		attached->busy_waits = 0;
	else
		ringwake_ev_keep_awake(attached);
	if (attached->edges.release)
		attached->edges.release(loop);
}

/* libev looks at errno after it. The application's lock is taken first: another thread may have
 * detached meanwhile. */
void ringwake_ev_after_wait(struct ev_loop *loop)
{
	struct ringwake_ev *attached = ringwake_ev_find(loop);
	if (attached && attached->edges.acquire)
		attached->edges.acquire(loop);
	attached = ringwake_ev_find(loop);
	if (attached && !ringwake_ev_is_foreign(attached))
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
	if (attached->delivered_in == iteration || ringwake_ev_is_foreign(attached))
		return;
	attached->delivered_in = iteration;
	ringwake_disarm(attached->target);
	ringwake_dispatch(attached->target, most_messages(attached)); /* may detach */
}

static void detach(struct ringwake_ev *attached)
{
	attached->detaching = true;
	ringwake_ev_stop_helpers(attached);
	ringwake_ev_give_back_edges(attached);
	ringwake_close(attached->target);
	attached->target = NULL;
	ringwake_ev_delist(attached);
}

static void on_destroyed(struct ev_loop *loop, ev_cleanup *watcher, int revents)
{
	struct ringwake_ev *attached = watcher->data;
	(void)loop;
	(void)revents;
	if (attached->detaching && attached->target) {
		attached->loop = NULL; /* detach() frees the memory */
		return;
	}
	if (attached->target) {
		ringwake_ev_stop_asyncs(attached);
		ringwake_ev_forget_work(attached);
		attached->edges = (struct ringwake_ev_edges){NULL, NULL};
		detach(attached);
	}
	ringwake_ev_free(attached);
}

void ringwake_ev_stop_cleanup(struct ev_loop *loop)
{
	struct ringwake_ev *attached = ringwake_ev_find(loop);
	if (attached)
		ev_cleanup_stop(loop, &attached->destroyed);
}

void ringwake_ev_leave_destroyed(struct ringwake_ev *attached)
{
	attached->detaching = true;
	attached->loop = NULL;
	ringwake_ev_abandon_asyncs(attached);
	attached->outstanding = 0;
	ringwake_close(attached->target);
	attached->target = NULL;
	ringwake_ev_delist(attached);
	ringwake_ev_free(attached);
}

static int open_all(struct ringwake_ev *attached)
{
	int error = ringwake_open(&attached->target, NULL, &attached->params);
	if (error < 0)
		return error;
	error = ringwake_ev_open_helpers(attached);
	if (error < 0)
		ringwake_close(attached->target);
	return error;
}

int ringwake_ev_reopen(struct ringwake_ev *attached, bool is_rebuilding)
{
	struct ringwake *target, *inherited = attached->target;
	int error = ringwake_open(&target, NULL, &attached->params);
	if (error < 0)
		return error;
	error = ringwake_ev_change_doorbell(attached, target, is_rebuilding);
	if (error < 0) {
		/* The parent's target keeps refusing. */
		ringwake_close(target);
		return error;
	}
	ringwake_close(inherited);
	return 0;
}

int ringwake_ev_attach(
	struct ringwake_ev **out, struct ev_loop *loop, const struct ringwake_params *params)
{
	int saved = errno;
	struct ringwake_ev *attached = calloc(1, sizeof *attached);
	errno = saved;
	if (attached == NULL)
		return -ENOMEM;
	attached->loop = loop;
	attached->delivered_in = ev_iteration(loop) - 1;
	if (params)
		attached->params = *params;
	if (attached->params.fallback == NULL) {
		attached->params.fallback = ringwake_ev_wake_by_libev;
		attached->params.fallback_data = attached;
	}
	int error = ringwake_ev_enlist(attached);
	if (error < 0) {
		free(attached);
		return error;
	}
	error = open_all(attached);
	if (error < 0) {
		ringwake_ev_delist(attached);
		free(attached);
		return error;
	}
	ev_cleanup_init(&attached->destroyed, on_destroyed);
	attached->destroyed.data = attached;
	ev_cleanup_start(loop, &attached->destroyed); /* never keeps a loop alive */
	ringwake_ev_take_edges(attached);
	*out = attached;
	return 0;
}

int ringwake_ev_detach(struct ringwake_ev *attached)
{
	if (attached->detaching)
		return -EALREADY;
	if (attached->last || attached->outstanding > 0)
		return -EBUSY;
	bool is_foreign = ringwake_ev_is_foreign(attached);
	detach(attached);
	if (attached->loop)
		ringwake_ev_close_doorbells(attached, is_foreign);
	else
		ringwake_ev_free(attached);
	return 0;
}

struct ringwake *ringwake_ev_target(struct ringwake_ev *attached)
{
	return attached->target;
}
