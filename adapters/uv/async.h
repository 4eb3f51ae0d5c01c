/* SPDX-License-Identifier: MIT */
/* What the files about async handles share: async.c, close.c, due.c. */
#ifndef RINGWAKE_UV_ASYNC_H
#define RINGWAKE_UV_ASYNC_H

#include "binding.h"

#include <stddef.h>

/* The marks of a state. */
#define MISSED 1u /* a send in a forked child could not reach the target */
#define GONE   2u /* the handle is closed, and the target may be freed */
#define LATER  4u /* a callback of the loop has sent it: it is due in the next iteration */

static inline struct ringwake_uv_async_state *ringwake_uv_async_state_with(
	struct ringwake_event *event)
{
	return (struct ringwake_uv_async_state *)((char *)event -
		offsetof(struct ringwake_uv_async_state, event));
}

/* The handle of an open or closing state. */
static inline uv_async_t *ringwake_uv_handle_of(struct ringwake_uv_async_state *state)
{
	if (state->is_taken)
		return state->taken;
	return (uv_async_t *)((char *)state - offsetof(struct ringwake_uv_async, state));
}

/* async.c. Loop thread. The state of a handle that is open or closing, or NULL. */
struct ringwake_uv_async_state *ringwake_uv_async_state_of(uv_handle_t *handle);

/* Loop thread. Runs the handle's callback, unless the handle is closing. */
void ringwake_uv_call_async(struct ringwake_uv_async_state *state);

/* Loop thread. The loop no longer knows the handle, which is closed or about to be. */
void ringwake_uv_forget_async(struct ringwake_uv_async_state *state);

/* close.c. Loop thread. Closes the event. Returns 1 if the handle must wait for its message. */
int ringwake_uv_close_event(struct ringwake_uv_async_state *state);

/* due.c. Loop thread. The callback of each event. */
void ringwake_uv_on_event(struct ringwake_event *event);

/* Any thread. Call it before a send. */
void ringwake_uv_mark_if_in_callback(struct ringwake_uv_async_state *state);

/* Loop thread. The handle, or each handle, is not due any more. */
void ringwake_uv_forget_due(struct ringwake_uv_async_state *state);
void ringwake_uv_forget_all_due(struct ringwake_uv *binding);

#endif
