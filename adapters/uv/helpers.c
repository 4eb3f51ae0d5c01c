/* SPDX-License-Identifier: MIT */
/*
 * The helper handles, through which the loop calls the adapter. The prepare and check handles are
 * the last of their kind to run, so the target is armed after the application's own prepare
 * callbacks.
 *
 * With libuv's public functions only, uv_walk() shows the helpers, and libuv uses a helper until
 * one iteration after uv_close().
 */
#include "binding.h"
#include "libuv.h"
#include "libuv_private.h"

#include <errno.h>

static void on_idle(uv_idle_t *handle)
{
	(void)handle; /* an active idle handle is enough: the loop does not block */
}

void ringwake_uv_keep_awake(struct ringwake_uv *binding)
{
	uv_idle_start(&binding->keep_awake, on_idle);
}

static void on_prepare(uv_prepare_t *handle)
{
	ringwake_uv_before_wait(handle->data);
}

static void on_check(uv_check_t *handle)
{
	ringwake_uv_after_wait(handle->data);
}

static void on_wake(uv_async_t *handle)
{
	struct ringwake_uv *binding = handle->data;
	ringwake_uv_enter(binding);
	if (ringwake_is_inherited(binding->target)) {
		ringwake_uv_deliver_missed(binding);
	} else {
		ringwake_disarm(binding->target);
		ringwake_uv_deliver(binding);
	}
	ringwake_uv_leave(binding);
}

int ringwake_uv_wake_by_libuv(void *argument)
{
	struct ringwake_uv *binding = argument;
	int saved = errno;
	int result = ringwake_uv_libuv.async_send(&binding->waker);
	errno = saved;
	return result;
}

void ringwake_uv_add_helper(struct ringwake_uv *binding, void *helper)
{
	((uv_handle_t *)helper)->data = binding;
	uv_unref(helper);
}

void ringwake_uv_helper_gone(struct ringwake_uv *binding)
{
	binding->lingering--;
	ringwake_uv_free_if_unused(binding);
}

static void on_gone(uv_handle_t *handle)
{
	ringwake_uv_helper_gone(handle->data);
}

bool ringwake_uv_remove_helper(struct ringwake_uv *binding, void *helper, uv_close_cb gone)
{
	if (binding->knows_libuv) {
		ringwake_uv_forget(helper);
		return true;
	}
	binding->lingering++;
	/* If the application has closed the helper, libuv does not call gone. */
	if (!uv_is_closing(helper))
		ringwake_uv_libuv.close(helper, gone);
	return false;
}

bool ringwake_uv_is_helper(const struct ringwake_uv *binding, const uv_handle_t *handle)
{
	const void *h = handle;
	return h == &binding->waker || h == &binding->prepare || h == &binding->check ||
		h == &binding->keep_awake || h == binding->doorbell || h == binding->completions;
}

static void hide_helpers(struct ringwake_uv *binding)
{
	ringwake_uv_hide(&binding->waker);
	ringwake_uv_hide(&binding->prepare);
	ringwake_uv_hide(&binding->check);
	ringwake_uv_hide(&binding->keep_awake);
	ringwake_uv_prepare_last(binding->loop, &binding->prepare);
	ringwake_uv_check_last(binding->loop, &binding->check);
}

int ringwake_uv_open_helpers(struct ringwake_uv *binding)
{
	int error = ringwake_uv_libuv.async_init(binding->loop, &binding->waker, on_wake);
	if (error < 0)
		return error;
	/* These do not fail. */
	uv_prepare_init(binding->loop, &binding->prepare);
	uv_check_init(binding->loop, &binding->check);
	uv_idle_init(binding->loop, &binding->keep_awake);
	ringwake_uv_add_helper(binding, &binding->waker);
	ringwake_uv_add_helper(binding, &binding->prepare);
	ringwake_uv_add_helper(binding, &binding->check);
	ringwake_uv_add_helper(binding, &binding->keep_awake);
	uv_prepare_start(&binding->prepare, on_prepare);
	uv_check_start(&binding->check, on_check);
	if (binding->knows_libuv &&
		!ringwake_uv_edges_hold(binding->loop, &binding->prepare, &binding->check))
		binding->knows_libuv = false;
	if (binding->knows_libuv)
		hide_helpers(binding);
	return 0;
}

void ringwake_uv_close_helpers(struct ringwake_uv *binding)
{
	uv_prepare_stop(&binding->prepare);
	uv_check_stop(&binding->check);
	uv_idle_stop(&binding->keep_awake);
	if (binding->knows_libuv)
		ringwake_uv_unlist_async(&binding->waker);
	ringwake_uv_remove_helper(binding, &binding->waker, on_gone);
	ringwake_uv_remove_helper(binding, &binding->prepare, on_gone);
	ringwake_uv_remove_helper(binding, &binding->check, on_gone);
	ringwake_uv_remove_helper(binding, &binding->keep_awake, on_gone);
}

void ringwake_uv_hold(struct ringwake_uv *binding)
{
	if (binding->outstanding++ == 0)
		uv_ref((uv_handle_t *)&binding->prepare);
}

void ringwake_uv_release(struct ringwake_uv *binding)
{
	if (--binding->outstanding == 0)
		uv_unref((uv_handle_t *)&binding->prepare);
}
