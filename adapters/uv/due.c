/* SPDX-License-Identifier: MIT */
/* What a callback of the loop's own signals: it is for the next iteration, as under libuv. */
#include "async.h"

#include <stdatomic.h>

/* The loop whose callbacks this thread is running. */
static _Thread_local struct ringwake_uv *calling;

/*
 * What a callback of the loop's own signals, itself perhaps, is for the next iteration, as under
 * libuv. The dispatch that runs the callback may find the message, but then it is only noted.
 */
void ringwake_uv_mark_if_in_callback(struct ringwake_uv_async_state *signal)
{
	/* Relaxed: the same thread looks at it. */
	if (calling && calling == signal->attached)
		atomic_fetch_or_explicit(&signal->marks, LATER, memory_order_relaxed);
}

static void note_due(struct ringwake_uv_async_state *signal)
{
	struct ringwake_uv *attached = signal->attached;
	/* Relaxed: as in mark_if_in_callback. */
	atomic_fetch_and_explicit(&signal->marks, ~LATER, memory_order_relaxed);
	if (signal->is_due)
		return;
	signal->is_due = true;
	signal->next_due = NULL;
	if (attached->last_due)
		attached->last_due->next_due = signal;
	else
		attached->due = signal;
	attached->last_due = signal;
	ringwake_uv_keep_awake(attached);
}

void ringwake_uv_on_event(struct ringwake_event *event)
{
	struct ringwake_uv_async_state *signal = ringwake_uv_signal_with(event);
	/* Relaxed: as above. */
	if (atomic_load_explicit(&signal->marks, memory_order_relaxed) & LATER)
		note_due(signal);
	else
		ringwake_uv_call_signal(signal);
}

static void take_due(struct ringwake_uv *attached, struct ringwake_uv_async_state **link,
	struct ringwake_uv_async_state *before)
{
	struct ringwake_uv_async_state *signal = *link;
	*link = signal->next_due;
	if (attached->last_due == signal)
		attached->last_due = before;
	signal->is_due = false;
}

/* The handle is closed before the next iteration. */
void ringwake_uv_forget_due(struct ringwake_uv_async_state *signal)
{
	struct ringwake_uv *attached = signal->attached;
	struct ringwake_uv_async_state **link = &attached->due, *before = NULL;
	while (signal->is_due && *link != signal) {
		before = *link;
		link = &before->next_due;
	}
	if (signal->is_due)
		take_due(attached, link, before);
}

static unsigned call_due(struct ringwake_uv *attached)
{
	struct ringwake_uv_async_state *signal = NULL, *last = attached->last_due;
	unsigned called = 0;
	while (!attached->detached && attached->due && signal != last) {
		signal = attached->due;
		take_due(attached, &attached->due, NULL);
		ringwake_uv_call_signal(signal);
		called++;
	}
	return called;
}

void ringwake_uv_forget_all_due(struct ringwake_uv *attached)
{
	while (attached->due)
		take_due(attached, &attached->due, NULL);
}

unsigned ringwake_uv_dispatch(struct ringwake_uv *attached)
{
	struct ringwake_uv *outer = calling;
	calling = attached;
	unsigned called = call_due(attached);
	if (!attached->detached)
		called += (unsigned)ringwake_dispatch(attached->target, 0);
	calling = outer;
	return called;
}
