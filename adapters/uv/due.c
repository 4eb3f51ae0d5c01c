/* SPDX-License-Identifier: MIT */
/*
 * Handles that a callback of the loop itself sends. Their callbacks run in the next iteration, as
 * under libuv. The dispatch that runs the sending callback may find the message, but then only
 * notes it.
 */
#include "async.h"

#include <stdatomic.h>

/* The loop whose callbacks this thread runs. */
static _Thread_local struct ringwake_uv *calling;

void ringwake_uv_mark_if_in_callback(struct ringwake_uv_async_state *state)
{
	/* Relaxed, here and below: only this thread sets and reads the mark. */
	if (calling && calling == state->binding)
		atomic_fetch_or_explicit(&state->marks, LATER, memory_order_relaxed);
}

static void note_due(struct ringwake_uv_async_state *state)
{
	struct ringwake_uv *binding = state->binding;
	atomic_fetch_and_explicit(&state->marks, ~LATER, memory_order_relaxed);
	if (state->is_due)
		return;
	state->is_due = true;
	state->next_due = NULL;
	if (binding->last_due)
		binding->last_due->next_due = state;
	else
		binding->due = state;
	binding->last_due = state;
	ringwake_uv_keep_awake(binding);
}

void ringwake_uv_on_event(struct ringwake_event *event)
{
	struct ringwake_uv_async_state *state = ringwake_uv_async_state_with(event);
	if (atomic_load_explicit(&state->marks, memory_order_relaxed) & LATER)
		note_due(state);
	else
		ringwake_uv_call_async(state);
}

static void take_due(struct ringwake_uv *binding, struct ringwake_uv_async_state **link,
	struct ringwake_uv_async_state *before)
{
	struct ringwake_uv_async_state *state = *link;
	*link = state->next_due;
	if (binding->last_due == state)
		binding->last_due = before;
	state->is_due = false;
}

void ringwake_uv_forget_due(struct ringwake_uv_async_state *state)
{
	struct ringwake_uv *binding = state->binding;
	struct ringwake_uv_async_state **link = &binding->due, *before = NULL;
	while (state->is_due && *link != state) {
		before = *link;
		link = &before->next_due;
	}
	if (state->is_due)
		take_due(binding, link, before);
}

static unsigned call_due(struct ringwake_uv *binding)
{
	struct ringwake_uv_async_state *state = NULL, *last = binding->last_due;
	unsigned called = 0;
	while (!binding->detached && binding->due && state != last) {
		state = binding->due;
		take_due(binding, &binding->due, NULL);
		ringwake_uv_call_async(state);
		called++;
	}
	return called;
}

void ringwake_uv_forget_all_due(struct ringwake_uv *binding)
{
	while (binding->due)
		take_due(binding, &binding->due, NULL);
}

unsigned ringwake_uv_dispatch(struct ringwake_uv *binding)
{
	struct ringwake_uv *outer = calling;
	calling = binding;
	unsigned called = call_due(binding);
	if (!binding->detached)
		called += (unsigned)ringwake_dispatch(binding->target, 0);
	calling = outer;
	return called;
}
