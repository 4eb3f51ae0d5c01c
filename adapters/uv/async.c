/* SPDX-License-Identifier: MIT */
/*
 * A handle that any thread signals. Its first member is a uv_async_t that libuv never signals: it
 * is what keeps the loop alive and what uv_walk(), uv_ref() and the rest see. The signal itself is
 * a ringwake_event, so a wake costs what the signalled handles cost, however many there are.
 */
#include "attach.h"

#include <stddef.h>

static struct ringwake_uv_async *async_of(struct ringwake_event *event)
{
	return (struct ringwake_uv_async *)((char *)event -
		offsetof(struct ringwake_uv_async, event));
}

/* Also the mark by which a ringwake_uv_async_t is told from an ordinary uv_async_t. */
static void never_signalled(uv_async_t *handle)
{
	(void)handle;
}

static bool is_ours(const uv_handle_t *handle)
{
	return handle->type == UV_ASYNC &&
		((const uv_async_t *)handle)->async_cb == never_signalled;
}

static void on_event(struct ringwake_event *event)
{
	struct ringwake_uv_async *async = async_of(event);
	if (async->cb)
		async->cb(async);
}

int ringwake_uv_async_init(
	struct ringwake_uv *attached, ringwake_uv_async_t *async, ringwake_uv_async_cb cb)
{
	int error = uv_async_init(attached->loop, &async->handle, never_signalled);
	if (error < 0)
		return error;
	ringwake_event_init(&async->event, attached->target, on_event);
	async->attached = attached;
	async->cb = cb;
	async->close_cb = NULL;
	async->closing = 0;
	attached->handles++;
	return 0;
}

int ringwake_uv_async_send(ringwake_uv_async_t *async)
{
	return ringwake_event_send(&async->event);
}

/* The handle is closed when libuv has let go of it and no message of it is on its way. */
static void closed_by_one(struct ringwake_uv_async *async)
{
	if (--async->closing > 0)
		return;
	async->attached->handles--;
	if (async->close_cb)
		async->close_cb((uv_handle_t *)&async->handle);
}

static void on_handle_closed(uv_handle_t *handle)
{
	closed_by_one((struct ringwake_uv_async *)handle);
}

static void on_message_gone(struct ringwake_event *event)
{
	struct ringwake_uv_async *async = async_of(event);
	ringwake_uv_release(async->attached);
	closed_by_one(async);
}

void ringwake_uv_close(uv_handle_t *handle, uv_close_cb cb)
{
	if (!is_ours(handle)) {
		uv_close(handle, cb);
		return;
	}
	struct ringwake_uv_async *async = (struct ringwake_uv_async *)handle;
	async->close_cb = cb;
	async->closing = 1;
	if (ringwake_event_close_later(&async->event, on_message_gone) == 1) {
		async->closing++;
		ringwake_uv_hold(async->attached);
	}
	uv_close(handle, on_handle_closed);
}
