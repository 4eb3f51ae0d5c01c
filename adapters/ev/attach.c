/* SPDX-License-Identifier: MIT */
/*
 * A target behind a libev loop whose ev_run() stays as it is. Each turn of the loop:
 *
 *   prepare, last of all    arm; if messages are there already, the loop must not sleep
 *   poll                    the doorbell's descriptor ends the wait
 *   check, first of all     disarm, feed an event to the dispatch watcher
 *   dispatch                run callbacks, feed events to asyncs and completed work
 *
 * So a user's callback always runs as an ordinary event: it may run the loop, break it, or detach.
 */
#include "attach.h"

#include <errno.h>
#include <stdlib.h>

bool ringwake_ev_is_foreign(struct ringwake_ev *attached)
{
	if (attached->target)
		attached->foreign = ringwake_is_inherited(attached->target);
	return attached->foreign;
}

static void fall_asleep(struct ringwake_ev *attached)
{
	if (!ringwake_ev_is_foreign(attached) && !ringwake_arm(attached->target))
		ringwake_ev_stay_awake(attached);
}

static void on_before(struct ev_loop *loop, ev_prepare *watcher, int revents)
{
	struct ringwake_ev *attached = watcher->data;
	unsigned depth = ev_depth(loop);
	(void)revents;
	if (attached->waits_at == 0 || depth < attached->waits_at)
		attached->waits_at = depth;
	fall_asleep(attached);
}

static void on_after(struct ev_loop *loop, ev_check *watcher, int revents)
{
	struct ringwake_ev *attached = watcher->data;
	(void)revents;
	ringwake_ev_may_wait(attached);
	if (ringwake_ev_is_foreign(attached))
		return;
	ringwake_disarm(attached->target);
	ev_feed_event(loop, &attached->dispatch, EV_CUSTOM);
	if (attached->waits_at && ev_depth(loop) > attached->waits_at)
		fall_asleep(attached); /* for the turn that ran this one before its wait */
	else
		attached->waits_at = 0;
}

static void on_dispatch(struct ev_loop *loop, ev_watcher *watcher, int revents)
{
	struct ringwake_ev *attached = watcher->data;
	(void)loop;
	(void)revents;
	if (!ringwake_ev_is_foreign(attached))
		ringwake_dispatch(attached->target, 0); /* may detach: nothing follows */
}

/* libev also says so when it has rebuilt its kernel state without a fork. */
static void on_forked(struct ev_loop *loop, ev_fork *watcher, int revents)
{
	struct ringwake_ev *attached = watcher->data;
	(void)loop;
	(void)revents;
	if (ringwake_ev_is_foreign(attached))
		ringwake_ev_renew(attached);
}

static void stop_helpers(struct ringwake_ev *attached)
{
	struct ev_loop *loop = attached->loop;
	ev_ref(loop);
	ev_prepare_stop(loop, &attached->before);
	ev_ref(loop);
	ev_check_stop(loop, &attached->after);
	ev_ref(loop);
	ev_fork_stop(loop, &attached->forked);
	ev_clear_pending(loop, &attached->dispatch);
	ringwake_ev_may_wait(attached);
}

static void close_target(struct ringwake_ev *attached)
{
	stop_helpers(attached);
	ringwake_close(attached->target);
	attached->target = NULL;
	ringwake_ev_forget_inherited(attached);
	ringwake_ev_delist(attached);
}

static void on_destroyed(struct ev_loop *loop, ev_cleanup *watcher, int revents)
{
	struct ringwake_ev *attached = watcher->data;
	(void)loop;
	(void)revents;
	if (attached->target) {
		ringwake_ev_stop_asyncs(attached);
		ringwake_ev_forget_work(attached);
		close_target(attached);
	}
	ringwake_ev_release_watched(attached);
}

static void start_helpers(struct ringwake_ev *attached)
{
	struct ev_loop *loop = attached->loop;
	ev_prepare_init(&attached->before, on_before);
	ev_check_init(&attached->after, on_after);
	ev_init(&attached->dispatch, on_dispatch);
	ev_fork_init(&attached->forked, on_forked);
	ev_cleanup_init(&attached->destroyed, on_destroyed);
	ev_set_priority(&attached->before, EV_MINPRI);
	ev_set_priority(&attached->after, EV_MAXPRI);
	ev_set_priority(&attached->dispatch, EV_MAXPRI);
	attached->before.data = attached;
	attached->after.data = attached;
	attached->dispatch.data = attached;
	attached->forked.data = attached;
	attached->destroyed.data = attached;
	ev_prepare_start(loop, &attached->before);
	ev_unref(loop);
	ev_check_start(loop, &attached->after);
	ev_unref(loop);
	ev_fork_start(loop, &attached->forked);
	ev_unref(loop);
	ev_cleanup_start(loop, &attached->destroyed); /* never keeps a loop alive */
}

static int open_all(struct ringwake_ev *attached)
{
	int error = ringwake_open(&attached->target, NULL, &attached->params);
	if (error < 0)
		return error;
	error = ringwake_ev_open_watched(attached);
	if (error < 0)
		ringwake_close(attached->target);
	return error;
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
	if (params)
		attached->params = *params;
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
	attached->path = ringwake_path(attached->target);
	start_helpers(attached);
	if (ev_depth(loop) > 0)
		fall_asleep(attached); /* this turn may be past its prepare watchers */
	*out = attached;
	return 0;
}

int ringwake_ev_detach(struct ringwake_ev *attached)
{
	if (attached->asyncs || attached->outstanding > 0)
		return -EBUSY;
	ringwake_ev_is_foreign(attached); /* while there is a target to ask */
	close_target(attached);
	ringwake_ev_end_watched(attached);
	return 0;
}

struct ringwake *ringwake_ev_target(struct ringwake_ev *attached)
{
	return attached->target;
}
