/* SPDX-License-Identifier: MIT */
/* Attach, detach, and when the memory is freed. */
#include "binding.h"
#include "libuv_private.h"

#include <errno.h>
#include <stdlib.h>

void ringwake_uv_free_if_unused(struct ringwake_uv *attached)
{
	if (attached->detached && attached->depth == 0 && attached->lingering == 0)
		free(attached);
}

void ringwake_uv_enter(struct ringwake_uv *attached)
{
	attached->depth++;
}

void ringwake_uv_leave(struct ringwake_uv *attached)
{
	attached->depth--;
	ringwake_uv_free_if_unused(attached);
}

static int open_handles(struct ringwake_uv *attached)
{
	int error = ringwake_uv_open_helpers(attached);
	if (error < 0)
		return error;
	error = ringwake_uv_watch_target(attached);
	if (error < 0)
		ringwake_uv_close_helpers(attached);
	return error;
}

static int open_all(struct ringwake_uv *attached)
{
	int error = ringwake_uv_enlist(attached);
	if (error < 0)
		return error;
	error = ringwake_uv_open_target(attached);
	if (error == 0) {
		error = open_handles(attached);
		if (error < 0)
			ringwake_uv_close_target(attached);
	}
	if (error < 0)
		ringwake_uv_delist(attached);
	return error;
}

int ringwake_uv_attach(
	struct ringwake_uv **out, uv_loop_t *loop, const struct ringwake_params *params)
{
	if (ringwake_uv_find(loop))
		return UV_EBUSY;
	struct ringwake_uv *attached = calloc_keeping_errno(1, sizeof *attached);
	if (attached == NULL)
		return UV_ENOMEM;
	attached->loop = loop;
	attached->knows_libuv = ringwake_uv_layout_holds(loop);
	if (params)
		attached->params = *params;
	if (attached->params.fallback == NULL) {
		attached->params.fallback = ringwake_uv_wake_by_libuv;
		attached->params.fallback_data = attached;
	}
	int error = open_all(attached);
	if (error < 0) {
		ringwake_uv_enter(attached);
		attached->detached = true;
		ringwake_uv_leave(attached);
		return error;
	}
	ringwake_arm(attached->target); /* the prepare phase of this iteration may be over */
	*out = attached;
	return 0;
}

/* The application has called uv_loop_close() on an attached loop, against the rules. The loop's
 * memory is still valid. */
static bool loop_is_closed(const struct ringwake_uv *attached)
{
	return uv_backend_fd(attached->loop) < 0 ||
		(!attached->is_listed && ringwake_uv_loop_slot(attached->loop) != attached);
}

struct others {
	const struct ringwake_uv *attached;
	bool found;
};

static void note_other(uv_handle_t *handle, void *argument)
{
	struct others *others = argument;
	if (handle->data != others->attached)
		others->found = true;
}

bool ringwake_uv_has_others(const struct ringwake_uv *attached)
{
	struct others others = {.attached = attached, .found = uv_loop_alive(attached->loop)};
	if (!others.found)
		uv_walk(attached->loop, note_other, &others);
	return others.found;
}

/* With libuv's public functions only, the helpers need one iteration to close. No callback of the
 * application may run in it. */
static void let_helpers_go(struct ringwake_uv *attached, bool has_others)
{
	if (attached->lingering > 0 && attached->depth == 1 && !has_others)
		uv_run(attached->loop, UV_RUN_NOWAIT);
}

static void leave_loop(struct ringwake_uv *attached)
{
	bool has_others = !attached->knows_libuv && ringwake_uv_has_others(attached);
	bool is_inherited = ringwake_is_inherited(attached->target);
	ringwake_uv_close_helpers(attached);
	/* A forked child that has not called uv_loop_fork() shares the parent's epoll, which must
	 * keep watching. libuv cannot remove a descriptor that is closed. */
	if (is_inherited)
		ringwake_uv_close_target(attached);
	ringwake_uv_close_watches(attached);
	if (!is_inherited)
		ringwake_uv_close_target(attached);
	ringwake_uv_delist(attached);
	let_helpers_go(attached, has_others);
}

static void leave_closed_loop(struct ringwake_uv *attached)
{
	ringwake_uv_close_target(attached);
	ringwake_uv_free_watches(attached);
	if (attached->is_listed)
		ringwake_uv_delist(attached);
}

int ringwake_uv_detach(struct ringwake_uv *attached)
{
	bool is_closed = loop_is_closed(attached);
	if (!is_closed && (attached->handles > 0 || attached->outstanding > 0 || attached->running))
		return UV_EBUSY;
	ringwake_uv_enter(attached);
	if (is_closed)
		leave_closed_loop(attached);
	else
		leave_loop(attached);
	ringwake_uv_leave_workers(attached);
	ringwake_uv_async_states_leave(attached);
	attached->detached = true;
	ringwake_uv_leave(attached);
	return is_closed ? UV_EINVAL : 0;
}
