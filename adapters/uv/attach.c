/* SPDX-License-Identifier: MIT */
/* Attach, detach, and when the memory is freed. */
#include "binding.h"
#include "libuv_private.h"

#include <errno.h>
#include <stdlib.h>

void ringwake_uv_free_if_unused(struct ringwake_uv *binding)
{
	if (binding->detached && binding->depth == 0 && binding->lingering == 0)
		free(binding);
}

static int open_handles(struct ringwake_uv *binding)
{
	int error = ringwake_uv_open_helpers(binding);
	if (error < 0)
		return error;
	error = ringwake_uv_watch_target(binding);
	if (error < 0)
		ringwake_uv_close_helpers(binding);
	return error;
}

static int open_all(struct ringwake_uv *binding)
{
	int error = ringwake_uv_enlist(binding);
	if (error < 0)
		return error;
	error = ringwake_uv_open_target(binding);
	if (error == 0) {
		error = open_handles(binding);
		if (error < 0)
			ringwake_uv_close_target(binding);
	}
	if (error < 0)
		ringwake_uv_delist(binding);
	return error;
}

int ringwake_uv_attach(
	struct ringwake_uv **out, uv_loop_t *loop, const struct ringwake_params *params)
{
	if (ringwake_uv_find(loop))
		return UV_EBUSY;
	struct ringwake_uv *binding = calloc_keeping_errno(1, sizeof *binding);
	if (binding == NULL)
		return UV_ENOMEM;
	binding->loop = loop;
	binding->knows_libuv = ringwake_uv_layout_holds(loop);
	if (params)
		binding->params = *params;
	binding->params.context = binding;
	if (binding->params.fallback == NULL) {
		binding->params.fallback = ringwake_uv_wake_by_libuv;
		binding->params.fallback_data = binding;
	}
	int error = open_all(binding);
	if (error < 0) {
		ringwake_uv_enter(binding);
		binding->detached = true;
		ringwake_uv_leave(binding);
		return error;
	}
	ringwake_arm(binding->target); /* the prepare phase of this iteration may be over */
	*out = binding;
	return 0;
}

/* The application has called uv_loop_close() on an attached loop, against the rules. The loop's
 * memory is still valid. */
static bool loop_is_closed(const struct ringwake_uv *binding)
{
	return uv_backend_fd(binding->loop) < 0 ||
		(!binding->is_listed && ringwake_uv_loop_slot(binding->loop) != binding);
}

struct others {
	const struct ringwake_uv *binding;
	bool found;
};

static void note_other(uv_handle_t *handle, void *argument)
{
	struct others *others = argument;
	if (handle->data != others->binding)
		others->found = true;
}

bool ringwake_uv_has_others(const struct ringwake_uv *binding)
{
	struct others others = {.binding = binding, .found = uv_loop_alive(binding->loop)};
	if (!others.found)
		uv_walk(binding->loop, note_other, &others);
	return others.found;
}

/* With libuv's public functions only, the helpers need one iteration to close. No callback of the
 * application may run in it. */
static void let_helpers_go(struct ringwake_uv *binding, bool has_others)
{
	if (binding->lingering > 0 && binding->depth == 1 && !has_others)
		uv_run(binding->loop, UV_RUN_NOWAIT);
}

static void leave_loop(struct ringwake_uv *binding)
{
	bool has_others = !binding->knows_libuv && ringwake_uv_has_others(binding);
	bool is_inherited = ringwake_is_inherited(binding->target);
	ringwake_uv_close_helpers(binding);
	/* A forked child that has not called uv_loop_fork() shares the parent's epoll, which must
	 * keep watching. libuv cannot remove a descriptor that is closed. */
	if (is_inherited)
		ringwake_uv_close_target(binding);
	ringwake_uv_close_watches(binding);
	if (!is_inherited)
		ringwake_uv_close_target(binding);
	ringwake_uv_delist(binding);
	let_helpers_go(binding, has_others);
}

static void leave_closed_loop(struct ringwake_uv *binding)
{
	ringwake_uv_close_target(binding);
	ringwake_uv_free_watches(binding);
	if (binding->is_listed)
		ringwake_uv_delist(binding);
}

int ringwake_uv_detach(struct ringwake_uv *binding)
{
	bool is_closed = loop_is_closed(binding);
	if (!is_closed && (binding->handles > 0 || binding->outstanding > 0 || binding->running))
		return UV_EBUSY;
	ringwake_uv_enter(binding);
	binding->detaching = true;
	if (is_closed)
		leave_closed_loop(binding);
	else
		leave_loop(binding);
	ringwake_uv_leave_workers(binding);
	ringwake_uv_async_states_leave(binding);
	binding->detached = true;
	ringwake_uv_leave(binding);
	return is_closed ? UV_EINVAL : 0;
}
