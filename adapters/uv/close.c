/* SPDX-License-Identifier: MIT */
/* Handles that ringwake_uv_close() closes, or libuv's own uv_close(). */
#include "assertion.h"
#include "async.h"
#include "libuv.h"
#include "libuv_private.h"

/* The handle is closed when libuv has closed it and its message has arrived. */
static void closed_by_one(struct ringwake_uv_async_state *state)
{
	if (--state->closing > 0)
		return;
	uv_handle_t *handle = (uv_handle_t *)ringwake_uv_handle_of(state);
	uv_close_cb close_cb = state->close_cb;
	ringwake_uv_forget_async(state);
	if (close_cb)
		close_cb(handle);
}

static void on_handle_closed(uv_handle_t *handle)
{
	closed_by_one(ringwake_uv_async_state_of(handle));
}

static void on_message_gone(struct ringwake_event *event)
{
	struct ringwake_uv_async_state *state = ringwake_uv_async_state_with(event);
	state->awaits_message = false;
	ringwake_uv_release(state->binding);
	closed_by_one(state);
}

int ringwake_uv_close_event(struct ringwake_uv_async_state *state)
{
	return ringwake_event_close_async(&state->event, on_message_gone);
}

/* uv_walk() may show the helpers to an application that closes every handle. */
static bool is_shown_helper(const uv_handle_t *handle)
{
	const struct ringwake_uv *binding = ringwake_uv_find(handle->loop);
	return binding && !binding->knows_libuv && ringwake_uv_is_helper(binding, handle);
}

static void close_plain(uv_handle_t *handle, uv_close_cb cb)
{
	if (!is_shown_helper(handle))
		ringwake_uv_libuv.close(handle, cb);
}

void ringwake_uv_close(uv_handle_t *handle, uv_close_cb cb)
{
	struct ringwake_uv_async_state *state = ringwake_uv_async_state_of(handle);
	if (state == NULL) {
		close_plain(handle, cb);
		return;
	}
	RINGWAKE_ASSERT(state->closing == 0 && !uv_is_closing(handle), "a handle is closed twice");
	state->close_cb = cb;
	state->closing = 1;
	if (ringwake_uv_close_event(state) == 1) {
		state->closing++;
		state->awaits_message = true;
		ringwake_uv_hold(state->binding);
	}
	ringwake_uv_libuv.close(handle, on_handle_closed);
}

void ringwake_uv_drop_async(struct ringwake_uv_async_state *state)
{
	ringwake_event_close(&state->event);
	ringwake_uv_forget_async(state);
}

static void drop_if_closed_by_libuv(struct ringwake_uv_async_state *state)
{
	if (state && state->closing == 0 &&
		uv_is_closing((uv_handle_t *)ringwake_uv_handle_of(state)))
		ringwake_uv_drop_async(state);
}

void ringwake_uv_notice_closes(struct ringwake_uv *binding)
{
	if (binding->knows_libuv) {
		uv_handle_t *closing = ringwake_uv_first_closing(binding->loop);
		for (; closing; closing = ringwake_uv_next_closing(closing))
			drop_if_closed_by_libuv(ringwake_uv_async_state_of(closing));
		return;
	}
	struct ringwake_uv_async_state *next;
	for (struct ringwake_uv_async_state *i = binding->asyncs; i; i = next) {
		next = i->next;
		drop_if_closed_by_libuv(i);
	}
}
