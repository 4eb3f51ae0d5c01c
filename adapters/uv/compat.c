/* SPDX-License-Identifier: MIT */
/* The functions of libuv that <ringwake/uv-compat.h> and the preloaded library replace. */
#include "attach.h"
#include "libuv.h"

#include <errno.h>
#include <stdlib.h>

#include <ringwake/uv-compat.h>

/* Here the names are libuv's own. */
#undef uv_async_init
#undef uv_async_send
#undef uv_close
#undef uv_cancel
#undef uv_loop_close
#undef uv_loop_delete
#undef uv_loop_fork
#undef uv_queue_work

int ringwake_uv_of_loop(struct ringwake_uv **out, uv_loop_t *loop)
{
	*out = ringwake_uv_find(loop);
	return *out ? 0 : ringwake_uv_attach(out, loop, NULL);
}

int ringwake_uv_compat_async_init(uv_loop_t *loop, uv_async_t *handle, uv_async_cb cb)
{
	struct ringwake_uv *attached;
	int error = ringwake_uv_of_loop(&attached, loop);
	if (error < 0)
		return error;
	struct ringwake_uv_signal *signal = ringwake_uv_signal_get();
	if (signal == NULL)
		return UV_ENOMEM;
	signal->plain_cb = cb;
	error = ringwake_uv_signal_open(attached, signal, handle);
	if (error < 0)
		ringwake_uv_signal_put(signal);
	return error;
}

/* libuv never refuses a send; to a handle that is closing it does nothing. */
int ringwake_uv_compat_async_send(uv_async_t *handle)
{
	struct ringwake_uv_signal *signal = ringwake_uv_signal_of((uv_handle_t *)handle);
	if (signal == NULL)
		return ringwake_uv_libuv.async_send(handle);
	int result = ringwake_event_send(&signal->event);
	return result == -ECANCELED ? 0 : result;
}

int ringwake_uv_compat_queue_work(
	uv_loop_t *loop, uv_work_t *request, uv_work_cb work_cb, uv_after_work_cb after_work_cb)
{
	struct ringwake_uv *attached;
	int error = ringwake_uv_of_loop(&attached, loop);
	if (error < 0)
		return error;
	return ringwake_uv_queue_work(attached, request, work_cb, after_work_cb);
}

static void note_handle(uv_handle_t *handle, void *argument)
{
	(void)handle;
	*(bool *)argument = true;
}

/* What uv_loop_close() would say. */
static bool is_in_use(uv_loop_t *loop)
{
	bool has_handles = false;
	uv_walk(loop, note_handle, &has_handles);
	return has_handles || loop->active_reqs.count > 0;
}

/* The handle of libuv's own workers is never closed: the loop takes it along. */
static void close_hidden_handle(struct ringwake_uv *attached)
{
	struct ringwake_uv_signal *signal =
		ringwake_uv_signal_of((uv_handle_t *)&attached->loop->wq_async);
	if (signal == NULL)
		return;
	ringwake_event_close(&signal->event);
	ringwake_uv_signal_put(signal);
	attached->handles--;
}

bool ringwake_uv_compat_can_close(struct ringwake_uv *attached)
{
	return !is_in_use(attached->loop) && attached->outstanding == 0 && !attached->running;
}

static int give_up_target(uv_loop_t *loop)
{
	struct ringwake_uv *attached = ringwake_uv_find(loop);
	if (attached == NULL)
		return 0;
	if (!ringwake_uv_compat_can_close(attached))
		return UV_EBUSY;
	close_hidden_handle(attached);
	return ringwake_uv_detach(attached);
}

int ringwake_uv_compat_loop_close(uv_loop_t *loop)
{
	int error = give_up_target(loop);
	return error < 0 ? error : ringwake_uv_libuv.loop_close(loop);
}

void ringwake_uv_compat_loop_delete(uv_loop_t *loop)
{
	give_up_target(loop);
	uv_loop_delete(loop);
}

int ringwake_uv_compat_loop_fork(uv_loop_t *loop)
{
	int error = ringwake_uv_libuv.loop_fork(loop);
	struct ringwake_uv *attached = ringwake_uv_find(loop);
	if (error == 0 && attached)
		error = ringwake_uv_fork(attached);
	return error;
}

int ringwake_uv_compat_run(uv_loop_t *loop, uv_run_mode mode)
{
	struct ringwake_uv *attached;
	int error = ringwake_uv_of_loop(&attached, loop);
	return error < 0 ? uv_run(loop, mode) : ringwake_uv_run(attached, mode);
}
