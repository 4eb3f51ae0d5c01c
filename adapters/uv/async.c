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
static void call(struct ringwake_uv_async_state *signal)
{
	if (signal->cb && !uv_is_closing((uv_handle_t *)signal->handle))
		signal->cb((ringwake_uv_async_t *)signal->handle);
}

static void call_plain(struct ringwake_uv_async_state *signal)
{
	if (signal->plain_cb && !ringwake_uv_handle_is_closing(signal->handle))
		signal->plain_cb(signal->handle);
}

void ringwake_uv_call_signal(struct ringwake_uv_async_state *signal)
{
	if (signal->from_freelist)
		call_plain(signal);
	else
		call(signal);
}

/* What libuv calls if its own uv_async_send() was called. Also the marks of the two kinds of
 * handle.
 */
static void on_libuv(uv_async_t *handle)
{
	struct ringwake_uv_async_state *signal = &((ringwake_uv_async_t *)handle)->signal;
	struct ringwake_uv *attached = signal->attached;
	ringwake_uv_enter(attached);
	call(signal);
	ringwake_uv_leave(attached);
}

static void on_libuv_taken(uv_async_t *handle)
{
	struct ringwake_uv_async_state *signal = ringwake_uv_async_slot(handle);
	if (signal == NULL)
		return;
	struct ringwake_uv *attached = signal->attached;
	ringwake_uv_enter(attached);
	call_plain(signal);
	ringwake_uv_leave(attached);
}

/* Where the layout is not known, a handle's mark may be elsewhere. */
static struct ringwake_uv_async_state *search_signal(const uv_async_t *handle)
{
	struct ringwake_uv *attached = ringwake_uv_find(handle->loop);
	if (attached == NULL || attached->knows_libuv)
		return NULL;
	struct ringwake_uv_async_state *found = attached->signals;
	while (found && found->handle != handle)
		found = found->next;
	return found;
}

/* Loop thread. The signal of a handle that is open or closing, or NULL. */
struct ringwake_uv_async_state *ringwake_uv_signal_of(uv_handle_t *handle)
{
	if (handle->type != UV_ASYNC)
		return NULL;
	uv_async_t *async = (uv_async_t *)handle;
	uv_async_cb mark = ringwake_uv_async_cb_of(async);
	if (mark == on_libuv_taken)
		return ringwake_uv_async_slot(async);
	if (mark == on_libuv)
		return &((ringwake_uv_async_t *)async)->signal;
	return search_signal(async);
}

/* A signal of the free list keeps its target in memory, for a send that comes too late. */
static void bind_signal(struct ringwake_uv *attached, struct ringwake_uv_async_state *signal)
{
	struct ringwake *before =
		signal->from_freelist ? ringwake_event_target(&signal->event) : NULL;
	ringwake_event_init(&signal->event, attached->target, ringwake_uv_on_event);
	if (signal->from_freelist)
		ringwake_ref(attached->target);
	if (before)
		ringwake_unref(before);
}

static void open_signal(
	struct ringwake_uv *attached, struct ringwake_uv_async_state *signal, uv_async_t *handle)
{
	bind_signal(attached, signal);
	signal->attached = attached;
	signal->handle = handle;
	signal->closing = 0;
	signal->awaits_message = false;
	signal->is_due = false;
	atomic_init(&signal->marks, 0);
	signal->next = attached->signals;
	signal->link = &attached->signals;
	if (signal->next)
		signal->next->link = &signal->next;
	attached->signals = signal;
	attached->handles++;
}

/* The handle is closed, or is about to be: nothing of it is left. */
void ringwake_uv_forget_signal(struct ringwake_uv_async_state *signal)
{
	ringwake_uv_forget_due(signal);
	*signal->link = signal->next;
	if (signal->next)
		signal->next->link = signal->link;
	signal->attached->handles--;
	if (signal->from_freelist) {
		ringwake_uv_set_async_slot(signal->handle, NULL);
		ringwake_uv_signal_put(signal);
	} else {
		/* Relaxed: a send that comes later finds it; one beside it finds a closed event. */
		atomic_store_explicit(&signal->marks, GONE, memory_order_relaxed);
	}
}

int ringwake_uv_async_init(
	struct ringwake_uv *attached, ringwake_uv_async_t *async, ringwake_uv_async_cb cb)
{
	int error = ringwake_uv_libuv.async_init(attached->loop, &async->handle, on_libuv);
	if (error < 0)
		return error;
	async->signal.cb = cb;
	async->signal.from_freelist = false;
	open_signal(attached, &async->signal, &async->handle);
	return 0;
}

void ringwake_uv_take_async(
	struct ringwake_uv *attached, struct ringwake_uv_async_state *signal, uv_async_t *handle)
{
	signal->plain_cb = ringwake_uv_async_cb_of(handle);
	open_signal(attached, signal, handle);
	ringwake_uv_set_async_slot(handle, signal);
	ringwake_uv_set_async_cb(handle, on_libuv_taken);
}

int ringwake_uv_async_send(ringwake_uv_async_t *async)
{
	/* Relaxed: as in forget_signal. */
	if (atomic_load_explicit(&async->signal.marks, memory_order_relaxed) & GONE)
		return UV_ECANCELED;
	ringwake_uv_mark_if_in_callback(&async->signal);
	return ringwake_event_send(&async->signal.event);
}

/* A forked child whose loop was not told goes on as one of plain libuv would, on its parent's
 * descriptors. */
static int send_in_child(struct ringwake_uv_async_state *signal)
{
	/* Release: pairs with the acquire in take_missed. */
	atomic_fetch_or_explicit(&signal->marks, MISSED, memory_order_release);
	return ringwake_uv_wake_by_libuv(signal->attached);
}

int ringwake_uv_send_plain(uv_async_t *handle)
{
	if (ringwake_uv_async_cb_of(handle) != on_libuv_taken)
		return ringwake_uv_libuv.async_send(handle);
	struct ringwake_uv_async_state *signal = ringwake_uv_async_slot(handle);
	/* libuv never refuses a send; to a handle that is closing or closed it does nothing. */
	if (signal == NULL)
		return 0;
	ringwake_uv_mark_if_in_callback(signal);
	int result = ringwake_event_send(&signal->event);
	if (result == -EOWNERDEAD)
		return send_in_child(signal);
	return result == -ECANCELED ? 0 : result;
}

static bool take_missed(struct ringwake_uv_async_state *signal)
{
	/* Acquire: pairs with the release in send_in_child. */
	return atomic_fetch_and_explicit(&signal->marks, ~MISSED, memory_order_acquire) & MISSED;
}

void ringwake_uv_deliver_missed(struct ringwake_uv *attached)
{
	struct ringwake_uv_async_state *signal = attached->signals;
	/* A callback may close handles, whose signals are in the list until later, or open some. */
	while (signal && !attached->detached) {
		struct ringwake_uv_async_state *next = signal->next;
		if (signal->closing == 0 && take_missed(signal))
			call_plain(signal); /* only sends of libuv's name miss */
		signal = next;
	}
}

static void move_signal(struct ringwake_uv *attached, struct ringwake_uv_async_state *signal)
{
	bool is_sent = take_missed(signal);
	bind_signal(attached, signal);
	/* A closing that waits for a message has lost it: it is sent again. */
	if (signal->awaits_message || (is_sent && signal->closing == 0))
		ringwake_event_send(&signal->event);
	if (signal->closing > 0)
		ringwake_uv_close_event(signal);
}

void ringwake_uv_signals_move(struct ringwake_uv *attached)
{
	ringwake_uv_forget_all_due(attached); /* they are the parent's */
	for (struct ringwake_uv_async_state *i = attached->signals; i; i = i->next)
		move_signal(attached, i);
}
