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

void ringwake_uv_keep_awake(struct ringwake_uv *attached)
{
	uv_idle_start(&attached->keep_awake, on_idle);
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
	struct ringwake_uv *attached = handle->data;
	ringwake_uv_enter(attached);
	if (ringwake_is_inherited(attached->target)) {
		ringwake_uv_deliver_missed(attached);
	} else {
		ringwake_disarm(attached->target);
		ringwake_uv_deliver(attached);
	}
	ringwake_uv_leave(attached);
}

int ringwake_uv_wake_by_libuv(void *argument)
{
	struct ringwake_uv *attached = argument;
	int saved = errno;
	int result = ringwake_uv_libuv.async_send(&attached->waker);
	errno = saved;
	return result;
}

void ringwake_uv_add_helper(struct ringwake_uv *attached, void *helper)
{
	((uv_handle_t *)helper)->data = attached;
	uv_unref(helper);
}

void ringwake_uv_helper_gone(struct ringwake_uv *attached)
{
	attached->lingering--;
	ringwake_uv_free_if_unused(attached);
}

static void on_gone(uv_handle_t *handle)
{
	ringwake_uv_helper_gone(handle->data);
}

bool ringwake_uv_remove_helper(struct ringwake_uv *attached, void *helper, uv_close_cb gone)
{
	if (attached->knows_libuv) {
		ringwake_uv_forget(helper);
		return true;
	}
	attached->lingering++;
	/* If the application has closed the helper, libuv does not call gone. */
	if (!uv_is_closing(helper))
		ringwake_uv_libuv.close(helper, gone);
	return false;
}

bool ringwake_uv_is_helper(const struct ringwake_uv *attached, const uv_handle_t *handle)
{
	const void *h = handle;
	return h == &attached->waker || h == &attached->prepare || h == &attached->check ||
		h == &attached->keep_awake || h == attached->doorbell || h == attached->completions;
}

static void hide_helpers(struct ringwake_uv *attached)
{
	ringwake_uv_hide(&attached->waker);
	ringwake_uv_hide(&attached->prepare);
	ringwake_uv_hide(&attached->check);
	ringwake_uv_hide(&attached->keep_awake);
	ringwake_uv_prepare_last(attached->loop, &attached->prepare);
	ringwake_uv_check_last(attached->loop, &attached->check);
}

int ringwake_uv_open_helpers(struct ringwake_uv *attached)
{
	int error = ringwake_uv_libuv.async_init(attached->loop, &attached->waker, on_wake);
	if (error < 0)
		return error;
	/* These do not fail. */
	uv_prepare_init(attached->loop, &attached->prepare);
	uv_check_init(attached->loop, &attached->check);
	uv_idle_init(attached->loop, &attached->keep_awake);
	ringwake_uv_add_helper(attached, &attached->waker);
	ringwake_uv_add_helper(attached, &attached->prepare);
	ringwake_uv_add_helper(attached, &attached->check);
	ringwake_uv_add_helper(attached, &attached->keep_awake);
	uv_prepare_start(&attached->prepare, on_prepare);
	uv_check_start(&attached->check, on_check);
	if (attached->knows_libuv &&
		!ringwake_uv_edges_hold(attached->loop, &attached->prepare, &attached->check))
		attached->knows_libuv = false;
	if (attached->knows_libuv)
		hide_helpers(attached);
	return 0;
}

void ringwake_uv_close_helpers(struct ringwake_uv *attached)
{
	uv_prepare_stop(&attached->prepare);
	uv_check_stop(&attached->check);
	uv_idle_stop(&attached->keep_awake);
	if (attached->knows_libuv)
		ringwake_uv_unlist_async(&attached->waker);
	ringwake_uv_remove_helper(attached, &attached->waker, on_gone);
	ringwake_uv_remove_helper(attached, &attached->prepare, on_gone);
	ringwake_uv_remove_helper(attached, &attached->check, on_gone);
	ringwake_uv_remove_helper(attached, &attached->keep_awake, on_gone);
}

void ringwake_uv_hold(struct ringwake_uv *attached)
{
	if (attached->outstanding++ == 0)
		uv_ref((uv_handle_t *)&attached->prepare);
}

void ringwake_uv_release(struct ringwake_uv *attached)
{
	if (--attached->outstanding == 0)
		uv_unref((uv_handle_t *)&attached->prepare);
}
