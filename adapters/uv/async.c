/* SPDX-License-Identifier: MIT */
/*
 * A handle that any thread signals. What libuv knows is a uv_async_t that is not signalled through
 * libuv: it is what keeps the loop alive and what uv_walk(), uv_ref() and the rest see. The signal
 * itself is a ringwake_event, so a wake costs what the signalled handles cost, however many there
 * are.
 *
 * The handles stay in the list that libuv goes through at each wake of its own, so uv_async_send()
 * of libuv's own, called by source that was compiled without the compat header, reaches them.
 */
#include "async.h"
#include "libuv.h"
#include "libuv_private.h"

#include <errno.h>
#include <stdatomic.h>

/* A handle may have been closed by uv_close(), and nothing has noticed yet. */
static void call(struct ringwake_uv_async_state *state)
{
	if (state->cb && !uv_is_closing((uv_handle_t *)state->handle))
		state->cb((ringwake_uv_async_t *)state->handle);
}

static void call_plain(struct ringwake_uv_async_state *state)
{
	if (state->plain_cb && !ringwake_uv_handle_is_closing(state->handle))
		state->plain_cb(state->handle);
}

void ringwake_uv_call_async(struct ringwake_uv_async_state *state)
{
	if (state->from_freelist)
		call_plain(state);
	else
		call(state);
}

/* What libuv calls if its own uv_async_send() was called. Also the marks of the two kinds of
 * handle.
 */
static void on_libuv(uv_async_t *handle)
{
	struct ringwake_uv_async_state *state = &((ringwake_uv_async_t *)handle)->state;
	struct ringwake_uv *attached = state->attached;
	ringwake_uv_enter(attached);
	call(state);
	ringwake_uv_leave(attached);
}

static void on_libuv_taken(uv_async_t *handle)
{
	struct ringwake_uv_async_state *state = ringwake_uv_async_slot(handle);
	if (state == NULL)
		return;
	struct ringwake_uv *attached = state->attached;
	ringwake_uv_enter(attached);
	call_plain(state);
	ringwake_uv_leave(attached);
}

/* Where the layout is not known, a handle's mark may be elsewhere. */
static struct ringwake_uv_async_state *search_state(const uv_async_t *handle)
{
	struct ringwake_uv *attached = ringwake_uv_find(handle->loop);
	if (attached == NULL || attached->knows_libuv)
		return NULL;
	struct ringwake_uv_async_state *found = attached->asyncs;
	while (found && found->handle != handle)
		found = found->next;
	return found;
}

/* Loop thread. The signal of a handle that is open or closing, or NULL. */
struct ringwake_uv_async_state *ringwake_uv_async_state_of(uv_handle_t *handle)
{
	if (handle->type != UV_ASYNC)
		return NULL;
	uv_async_t *async = (uv_async_t *)handle;
	uv_async_cb mark = ringwake_uv_async_cb_of(async);
	if (mark == on_libuv_taken)
		return ringwake_uv_async_slot(async);
	if (mark == on_libuv)
		return &((ringwake_uv_async_t *)async)->state;
	return search_state(async);
}

/* A signal of the free list keeps its target in memory, for a send that comes too late. */
static void bind_event(struct ringwake_uv *attached, struct ringwake_uv_async_state *state)
{
	struct ringwake *before =
		state->from_freelist ? ringwake_event_target(&state->event) : NULL;
	ringwake_event_init(&state->event, attached->target, ringwake_uv_on_event);
	if (state->from_freelist)
		ringwake_ref(attached->target);
	if (before)
		ringwake_unref(before);
}

static void open_async(
	struct ringwake_uv *attached, struct ringwake_uv_async_state *state, uv_async_t *handle)
{
	bind_event(attached, state);
	state->attached = attached;
	state->handle = handle;
	state->closing = 0;
	state->awaits_message = false;
	state->is_due = false;
	atomic_init(&state->marks, 0);
	state->next = attached->asyncs;
	state->link = &attached->asyncs;
	if (state->next)
		state->next->link = &state->next;
	attached->asyncs = state;
	attached->handles++;
}

/* The handle is closed, or is about to be: nothing of it is left. */
void ringwake_uv_forget_async(struct ringwake_uv_async_state *state)
{
	ringwake_uv_forget_due(state);
	*state->link = state->next;
	if (state->next)
		state->next->link = state->link;
	state->attached->handles--;
	if (state->from_freelist) {
		ringwake_uv_set_async_slot(state->handle, NULL);
		ringwake_uv_async_state_put(state);
	} else {
		/* Relaxed: a send that comes later finds it; one beside it finds a closed event. */
		atomic_store_explicit(&state->marks, GONE, memory_order_relaxed);
	}
}

int ringwake_uv_async_init(
	struct ringwake_uv *attached, ringwake_uv_async_t *async, ringwake_uv_async_cb cb)
{
	int error = ringwake_uv_libuv.async_init(attached->loop, &async->handle, on_libuv);
	if (error < 0)
		return error;
	async->state.cb = cb;
	async->state.from_freelist = false;
	open_async(attached, &async->state, &async->handle);
	return 0;
}

void ringwake_uv_take_async(
	struct ringwake_uv *attached, struct ringwake_uv_async_state *state, uv_async_t *handle)
{
	state->plain_cb = ringwake_uv_async_cb_of(handle);
	open_async(attached, state, handle);
	ringwake_uv_set_async_slot(handle, state);
	ringwake_uv_set_async_cb(handle, on_libuv_taken);
}

int ringwake_uv_async_send(ringwake_uv_async_t *async)
{
	/* Relaxed: as in ringwake_uv_forget_async. */
	if (atomic_load_explicit(&async->state.marks, memory_order_relaxed) & GONE)
		return UV_ECANCELED;
	ringwake_uv_mark_if_in_callback(&async->state);
	return ringwake_event_send(&async->state.event);
}

/* A forked child whose loop was not told goes on as one of plain libuv would, on its parent's
 * descriptors. */
static int send_in_child(struct ringwake_uv_async_state *state)
{
	/* Release: pairs with the acquire in take_missed. */
	atomic_fetch_or_explicit(&state->marks, MISSED, memory_order_release);
	return ringwake_uv_wake_by_libuv(state->attached);
}

int ringwake_uv_send_plain(uv_async_t *handle)
{
	if (ringwake_uv_async_cb_of(handle) != on_libuv_taken)
		return ringwake_uv_libuv.async_send(handle);
	struct ringwake_uv_async_state *state = ringwake_uv_async_slot(handle);
	/* libuv never refuses a send; to a handle that is closing or closed it does nothing. */
	if (state == NULL)
		return 0;
	ringwake_uv_mark_if_in_callback(state);
	int result = ringwake_event_send(&state->event);
	if (result == -EOWNERDEAD)
		return send_in_child(state);
	return result == -ECANCELED ? 0 : result;
}

static bool take_missed(struct ringwake_uv_async_state *state)
{
	/* Acquire: pairs with the release in send_in_child. */
	return atomic_fetch_and_explicit(&state->marks, ~MISSED, memory_order_acquire) & MISSED;
}

void ringwake_uv_deliver_missed(struct ringwake_uv *attached)
{
	struct ringwake_uv_async_state *state = attached->asyncs;
	/* A callback may close handles, whose signals are in the list until later, or open some. */
	while (state && !attached->detached) {
		struct ringwake_uv_async_state *next = state->next;
		if (state->closing == 0 && take_missed(state))
			call_plain(state); /* only sends of libuv's name miss */
		state = next;
	}
}

static void move_async(struct ringwake_uv *attached, struct ringwake_uv_async_state *state)
{
	bool is_sent = take_missed(state);
	bind_event(attached, state);
	/* A closing that waits for a message has lost it: it is sent again. */
	if (state->awaits_message || (is_sent && state->closing == 0))
		ringwake_event_send(&state->event);
	if (state->closing > 0)
		ringwake_uv_close_event(state);
}

void ringwake_uv_move_asyncs(struct ringwake_uv *attached)
{
	ringwake_uv_forget_all_due(attached); /* they are the parent's */
	for (struct ringwake_uv_async_state *i = attached->asyncs; i; i = i->next)
		move_async(attached, i);
}
