/* SPDX-License-Identifier: MIT */
/* The end of a handle: by ringwake_uv_close(), or by libuv's own uv_close(). */
#include "assertion.h"
#include "async.h"
#include "libuv.h"
#include "libuv_private.h"

/* The handle is closed when libuv has let go of it and its message has arrived. */
static void closed_by_one(struct ringwake_uv_async_state *signal)
{
	if (--signal->closing > 0)
		return;
	uv_handle_t *handle = (uv_handle_t *)signal->handle;
	uv_close_cb close_cb = signal->close_cb;
	ringwake_uv_forget_signal(signal);
	if (close_cb)
		close_cb(handle);
}

static void on_handle_closed(uv_handle_t *handle)
{
	closed_by_one(ringwake_uv_signal_of(handle));
}

static void on_message_gone(struct ringwake_event *event)
{
	struct ringwake_uv_async_state *signal = ringwake_uv_signal_with(event);
	signal->awaits_message = false;
	ringwake_uv_release(signal->attached);
	closed_by_one(signal);
}

int ringwake_uv_close_event(struct ringwake_uv_async_state *signal)
{
	return ringwake_event_close_async(&signal->event, on_message_gone);
}

/* uv_walk() shows helpers to an application that closes all it is shown. */
static bool is_shown_helper(const uv_handle_t *handle)
{
	const struct ringwake_uv *attached = ringwake_uv_find(handle->loop);
	return attached && !attached->knows_libuv && ringwake_uv_is_helper(attached, handle);
}

static void close_plain(uv_handle_t *handle, uv_close_cb cb)
{
	if (!is_shown_helper(handle))
		ringwake_uv_libuv.close(handle, cb);
}

void ringwake_uv_close(uv_handle_t *handle, uv_close_cb cb)
{
	struct ringwake_uv_async_state *signal = ringwake_uv_signal_of(handle);
	if (signal == NULL) {
		close_plain(handle, cb);
		return;
	}
	RINGWAKE_ASSERT(signal->closing == 0 && !uv_is_closing(handle), "a handle is closed twice");
	signal->close_cb = cb;
	signal->closing = 1;
	if (ringwake_uv_close_event(signal) == 1) {
		signal->closing++;
		signal->awaits_message = true;
		ringwake_uv_hold(signal->attached);
	}
	ringwake_uv_libuv.close(handle, on_handle_closed);
}

void ringwake_uv_drop_signal(struct ringwake_uv_async_state *signal)
{
	ringwake_event_close(&signal->event);
	ringwake_uv_forget_signal(signal);
}

static void drop_if_closed_by_libuv(struct ringwake_uv_async_state *signal)
{
	if (signal && signal->closing == 0 && uv_is_closing((uv_handle_t *)signal->handle))
		ringwake_uv_drop_signal(signal);
}

void ringwake_uv_notice_closes(struct ringwake_uv *attached)
{
	if (attached->knows_libuv) {
		uv_handle_t *closing = ringwake_uv_first_closing(attached->loop);
		for (; closing; closing = ringwake_uv_next_closing(closing))
			drop_if_closed_by_libuv(ringwake_uv_signal_of(closing));
		return;
	}
	struct ringwake_uv_async_state *next;
	for (struct ringwake_uv_async_state *i = attached->signals; i; i = next) {
		next = i->next;
		drop_if_closed_by_libuv(i);
	}
}
