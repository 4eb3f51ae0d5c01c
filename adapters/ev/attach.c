/* SPDX-License-Identifier: MIT */
/* Attach, detach, and what happens when the loop is destroyed. */
#include "binding.h"

#include <errno.h>
#include <stdlib.h>

static void detach(struct ringwake_ev *attached)
{
	attached->detaching = true;
	ringwake_ev_stop_helpers(attached);
	ringwake_ev_give_back_wait_cbs(attached);
	ringwake_close(attached->target);
	attached->target = NULL;
	ringwake_ev_delist(attached);
}

static void on_cleanup(struct ev_loop *loop, ev_cleanup *watcher, int revents)
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
		attached->wait_cbs = (struct ringwake_ev_wait_cbs){NULL, NULL};
		detach(attached);
	}
	ringwake_ev_free(attached);
}

void ringwake_ev_stop_cleanup(struct ev_loop *loop)
{
	struct ringwake_ev *attached = ringwake_ev_find(loop);
	if (attached)
		ev_cleanup_stop(loop, &attached->cleanup);
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

int ringwake_ev_attach(
	struct ringwake_ev **out, struct ev_loop *loop, const struct ringwake_params *params)
{
	struct ringwake_ev *attached = calloc_keeping_errno(1, sizeof *attached);
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
	ev_cleanup_init(&attached->cleanup, on_cleanup);
	attached->cleanup.data = attached;
	ev_cleanup_start(loop, &attached->cleanup); /* does not keep the loop alive */
	ringwake_ev_take_wait_cbs(attached);
	*out = attached;
	return 0;
}

int ringwake_ev_detach(struct ringwake_ev *attached)
{
	if (attached->detaching)
		return -EALREADY;
	if (attached->last || attached->outstanding > 0)
		return -EBUSY;
	bool is_inherited = ringwake_is_inherited(attached->target);
	detach(attached);
	if (attached->loop)
		ringwake_ev_close_doorbells(attached, is_inherited);
	else
		ringwake_ev_free(attached);
	return 0;
}

struct ringwake *ringwake_ev_target(struct ringwake_ev *attached)
{
	return attached->target;
}
