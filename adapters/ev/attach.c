/* SPDX-License-Identifier: MIT */
/* Attach, detach, and what happens when the loop is destroyed. */
#include "binding.h"

#include <errno.h>
#include <stdlib.h>

static void detach(struct ringwake_ev *binding)
{
	binding->detaching = true;
	ringwake_ev_stop_helpers(binding);
	ringwake_ev_give_back_wait_cbs(binding);
	ringwake_close(binding->target);
	binding->target = NULL;
	ringwake_ev_delist(binding);
}

static void on_cleanup(struct ev_loop *loop, ev_cleanup *watcher, int revents)
{
	struct ringwake_ev *binding = watcher->data;
	(void)loop;
	(void)revents;
	if (binding->detaching && binding->target) {
		binding->loop = NULL; /* detach() frees the memory */
		return;
	}
	if (binding->target) {
		ringwake_ev_stop_asyncs(binding);
		ringwake_ev_forget_work(binding);
		binding->wait_cbs = (struct ringwake_ev_wait_cbs){NULL, NULL};
		detach(binding);
	}
	ringwake_ev_free(binding);
}

void ringwake_ev_stop_cleanup(struct ev_loop *loop)
{
	struct ringwake_ev *binding = ringwake_ev_find(loop);
	if (binding)
		ev_cleanup_stop(loop, &binding->cleanup);
}

void ringwake_ev_leave_destroyed(struct ringwake_ev *binding)
{
	binding->detaching = true;
	binding->loop = NULL;
	ringwake_ev_abandon_asyncs(binding);
	binding->outstanding = 0;
	ringwake_close(binding->target);
	binding->target = NULL;
	ringwake_ev_delist(binding);
	ringwake_ev_free(binding);
}

static int open_all(struct ringwake_ev *binding)
{
	int error = ringwake_open(&binding->target, NULL, &binding->params);
	if (error < 0)
		return error;
	error = ringwake_ev_open_helpers(binding);
	if (error < 0)
		ringwake_close(binding->target);
	return error;
}

int ringwake_ev_attach(
	struct ringwake_ev **out, struct ev_loop *loop, const struct ringwake_params *params)
{
	struct ringwake_ev *binding = calloc_keeping_errno(1, sizeof *binding);
	if (binding == NULL)
		return -ENOMEM;
	binding->loop = loop;
	binding->delivered_in = ev_iteration(loop) - 1;
	if (params)
		binding->params = *params;
	binding->params.context = binding;
	if (binding->params.fallback == NULL) {
		binding->params.fallback = ringwake_ev_wake_by_libev;
		binding->params.fallback_data = binding;
	}
	int error = ringwake_ev_enlist(binding);
	if (error < 0) {
		free(binding);
		return error;
	}
	error = open_all(binding);
	if (error < 0) {
		ringwake_ev_delist(binding);
		free(binding);
		return error;
	}
	ev_cleanup_init(&binding->cleanup, on_cleanup);
	binding->cleanup.data = binding;
	ev_cleanup_start(loop, &binding->cleanup); /* does not keep the loop alive */
	ringwake_ev_take_wait_cbs(binding);
	*out = binding;
	return 0;
}

int ringwake_ev_detach(struct ringwake_ev *binding)
{
	if (binding->detaching)
		return -EALREADY;
	if (binding->last || binding->outstanding > 0)
		return -EBUSY;
	bool is_inherited = ringwake_is_inherited(binding->target);
	detach(binding);
	if (binding->loop)
		ringwake_ev_close_doorbells(binding, is_inherited);
	else
		ringwake_ev_free(binding);
	return 0;
}

struct ringwake *ringwake_ev_target(struct ringwake_ev *binding)
{
	return binding->target;
}
