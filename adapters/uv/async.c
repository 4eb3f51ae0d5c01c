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
#include "assertion.h"
#include "attach.h"
#include "libuv.h"
#include "libuv_private.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

/* Marks of a signal. */
#define MISSED 1u /* a send could not reach the target, in a forked child */
#define GONE   2u /* the handle is closed, and the target may be gone */
#define LATER  4u /* a callback of the loop's has sent it: it is for the next iteration */

static struct ringwake_uv_async_state *signal_with(struct ringwake_event *event)
{
	return (struct ringwake_uv_async_state *)event; /* its first member */
}

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

static void call_signal(struct ringwake_uv_async_state *signal)
{
	if (signal->from_freelist)
		call_plain(signal);
	else
		call(signal);
}

/* The loop whose callbacks this thread is running. */
static _Thread_local struct ringwake_uv *calling;

/*
 * What a callback of the loop's own signals, itself perhaps, is for the next iteration, as under
 * libuv. The dispatch that runs the callback may find the message, but then it is only noted.
 */
static void mark_if_in_callback(struct ringwake_uv_async_state *signal)
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

static void on_event(struct ringwake_event *event)
{
	struct ringwake_uv_async_state *signal = signal_with(event);
	/* Relaxed: as above. */
	if (atomic_load_explicit(&signal->marks, memory_order_relaxed) & LATER)
		note_due(signal);
	else
		call_signal(signal);
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
static void forget_due(struct ringwake_uv_async_state *signal)
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
		call_signal(signal);
		called++;
	}
	return called;
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
static struct ringwake_uv_async_state *signal_of(uv_handle_t *handle)
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
	ringwake_event_init(&signal->event, attached->target, on_event);
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
static void forget_signal(struct ringwake_uv_async_state *signal)
{
	forget_due(signal);
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
	mark_if_in_callback(&async->signal);
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
	mark_if_in_callback(signal);
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

/* The handle is closed when libuv has let go of it and its message has arrived. */
static void closed_by_one(struct ringwake_uv_async_state *signal)
{
	if (--signal->closing > 0)
		return;
	uv_handle_t *handle = (uv_handle_t *)signal->handle;
	uv_close_cb close_cb = signal->close_cb;
	forget_signal(signal);
	if (close_cb)
		close_cb(handle);
}

static void on_handle_closed(uv_handle_t *handle)
{
	closed_by_one(signal_of(handle));
}

static void on_message_gone(struct ringwake_event *event)
{
	struct ringwake_uv_async_state *signal = signal_with(event);
	signal->awaits_message = false;
	ringwake_uv_release(signal->attached);
	closed_by_one(signal);
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
	struct ringwake_uv_async_state *signal = signal_of(handle);
	if (signal == NULL) {
		close_plain(handle, cb);
		return;
	}
	RINGWAKE_ASSERT(signal->closing == 0 && !uv_is_closing(handle), "a handle is closed twice");
	signal->close_cb = cb;
	signal->closing = 1;
	if (ringwake_event_close_async(&signal->event, on_message_gone) == 1) {
		signal->closing++;
		signal->awaits_message = true;
		ringwake_uv_hold(signal->attached);
	}
	ringwake_uv_libuv.close(handle, on_handle_closed);
}

void ringwake_uv_drop_signal(struct ringwake_uv_async_state *signal)
{
	ringwake_event_close(&signal->event);
	forget_signal(signal);
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
			drop_if_closed_by_libuv(signal_of(closing));
		return;
	}
	struct ringwake_uv_async_state *next;
	for (struct ringwake_uv_async_state *i = attached->signals; i; i = next) {
		next = i->next;
		drop_if_closed_by_libuv(i);
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
		ringwake_event_close_async(&signal->event, on_message_gone);
}

void ringwake_uv_signals_move(struct ringwake_uv *attached)
{
	while (attached->due)
		take_due(attached, &attached->due, NULL); /* they are the parent's */
	for (struct ringwake_uv_async_state *i = attached->signals; i; i = i->next)
		move_signal(attached, i);
}
