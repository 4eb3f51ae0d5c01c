/* SPDX-License-Identifier: MIT */
/* The functions that <ringwake/uv-compat.h> and the preloaded library put in the place of libuv's.
 */
#include "async.h"
#include "libuv.h"
#include "libuv_private.h"

#include <errno.h>
#include <stdlib.h>

#include <ringwake/uv-compat.h>

/* In this file the names are libuv's own. */
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

static bool is_shortage(int error)
{
	return error == UV_EMFILE || error == UV_ENFILE || error == UV_ENOMEM;
}

int ringwake_uv_compat_attach(struct ringwake_uv **out, uv_loop_t *loop)
{
	*out = ringwake_uv_find(loop);
	int error = 0;
	if (*out == NULL && ringwake_uv_layout_holds(loop))
		error = ringwake_uv_attach(out, loop, NULL);
	if (error < 0)
		return is_shortage(error) ? 0 : error; /* libuv itself may have what it needs */
	if (*out && !(*out)->knows_libuv)
		*out = NULL;
	return 0;
}

void ringwake_uv_compat_take(struct ringwake_uv *binding, uv_async_t *handle)
{
	struct ringwake_uv_async_state *state = ringwake_uv_async_state_get(binding);
	if (state)
		ringwake_uv_take_async(binding, state, handle);
}

int ringwake_uv_compat_async_init(uv_loop_t *loop, uv_async_t *handle, uv_async_cb cb)
{
	struct ringwake_uv *binding;
	int error = ringwake_uv_compat_attach(&binding, loop);
	if (error == 0)
		error = ringwake_uv_libuv.async_init(loop, handle, cb);
	if (error == 0 && binding)
		ringwake_uv_compat_take(binding, handle);
	return error;
}

int ringwake_uv_compat_async_send(uv_async_t *handle)
{
	return ringwake_uv_send_plain(handle);
}

int ringwake_uv_compat_queue_work(
	uv_loop_t *loop, uv_work_t *request, uv_work_cb work_cb, uv_after_work_cb after_work_cb)
{
	struct ringwake_uv *binding;
	int error = ringwake_uv_compat_attach(&binding, loop);
	if (error < 0)
		return error;
	if (binding)
		error = ringwake_uv_queue_work(binding, request, work_cb, after_work_cb);
	/* In a forked child that has not called uv_loop_fork(), libuv's workers run it. */
	if (binding == NULL || error == -EOWNERDEAD)
		return uv_queue_work(loop, request, work_cb, after_work_cb);
	return error;
}

/* libuv never closes the handle of its own workers: it ends with the loop. */
static void close_hidden_handle(struct ringwake_uv *binding)
{
	struct ringwake_uv_async_state *i = binding->asyncs;
	while (i && ringwake_uv_handle_of(i) != ringwake_uv_workers_async(binding->loop))
		i = i->next;
	if (i)
		ringwake_uv_drop_async(i);
}

bool ringwake_uv_compat_can_close(struct ringwake_uv *binding)
{
	if (binding->outstanding > 0 || binding->running)
		return false;
	return binding->knows_libuv ? !ringwake_uv_loop_in_use(binding->loop)
				    : !ringwake_uv_has_others(binding);
}

static int give_up_target(uv_loop_t *loop)
{
	struct ringwake_uv *binding = ringwake_uv_find(loop);
	if (binding == NULL)
		return 0;
	if (!ringwake_uv_compat_can_close(binding))
		return UV_EBUSY;
	if (binding->knows_libuv)
		close_hidden_handle(binding);
	return ringwake_uv_detach(binding);
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
	struct ringwake_uv *binding = ringwake_uv_find(loop);
	int error = ringwake_uv_libuv.loop_fork(loop);
	if (error == 0 && binding)
		error = ringwake_uv_fork(binding);
	return is_shortage(error) ? 0 : error; /* libuv itself then wakes the loop */
}

int ringwake_uv_compat_run(uv_loop_t *loop, uv_run_mode mode)
{
	struct ringwake_uv *binding;
	int error = ringwake_uv_compat_attach(&binding, loop);
	return error < 0 || binding == NULL ? uv_run(loop, mode) : ringwake_uv_run(binding, mode);
}
