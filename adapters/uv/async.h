/* SPDX-License-Identifier: MIT */
/* What the files about async handles share: async.c, close.c, due.c. */
#ifndef RINGWAKE_UV_ASYNC_H
#define RINGWAKE_UV_ASYNC_H

#include "binding.h"

/* Marks of a signal. */
#define MISSED 1u /* a send could not reach the target, in a forked child */
#define GONE   2u /* the handle is closed, and the target may be gone */
#define LATER  4u /* a callback of the loop's has sent it: it is for the next iteration */

static inline struct ringwake_uv_async_state *ringwake_uv_async_state_with(
	struct ringwake_event *event)
{
	return (struct ringwake_uv_async_state *)event; /* its first member */
}

/* async.c. Loop thread. The signal of a handle that is open or closing, or NULL. */
struct ringwake_uv_async_state *ringwake_uv_async_state_of(uv_handle_t *handle);

/* Loop thread. The callback of a handle, if it is not closing. */
void ringwake_uv_call_async(struct ringwake_uv_async_state *state);

/* Loop thread. The handle is closed, or is about to be: nothing of it is left. */
void ringwake_uv_forget_async(struct ringwake_uv_async_state *state);

/* close.c. Loop thread. As ringwake_event_close_async(): 1 if the handle waits for its message. */
int ringwake_uv_close_event(struct ringwake_uv_async_state *state);

/* due.c. The event's callback. */
void ringwake_uv_on_event(struct ringwake_event *event);

/* Any thread, before a send. */
void ringwake_uv_mark_if_in_callback(struct ringwake_uv_async_state *state);

/* Loop thread. */
void ringwake_uv_forget_due(struct ringwake_uv_async_state *state);
void ringwake_uv_forget_all_due(struct ringwake_uv *attached);

#endif
