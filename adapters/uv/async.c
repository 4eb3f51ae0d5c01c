/* SPDX-License-Identifier: MIT */
/*
 * A handle that any thread signals. What libuv knows is a uv_async_t that it never signals: it is
 * what keeps the loop alive and what uv_walk(), uv_ref() and the rest see. It is not in the loop's
 * list of asyncs either, which libuv goes through at each wake of its own. The signal itself is a
 * ringwake_event, so a wake costs what the signalled handles cost, however many there are.
 */
#include "attach.h"
#include "libuv.h"

#include <stddef.h>

/* libuv has no use for this member of a uv_async_t. */
#define SIGNAL_SLOT 1

/* Also the mark by which such a handle is told from an ordinary uv_async_t. */
static void never_signalled(uv_async_t *handle)
{
	(void)handle;
}

struct ringwake_uv_signal *ringwake_uv_signal_of(const uv_handle_t *handle)
{
	if (handle->type != UV_ASYNC || ((const uv_async_t *)handle)->async_cb != never_signalled)
		return NULL;
	return handle->u.reserved[SIGNAL_SLOT];
}

static struct ringwake_uv_signal *signal_with(struct ringwake_event *event)
{
	return (struct ringwake_uv_signal *)event; /* its first member */
}

static void on_event(struct ringwake_event *event)
{
	struct ringwake_uv_signal *signal = signal_with(event);
	if (signal->cb)
		signal->cb((ringwake_uv_async_t *)signal->handle);
}

static void on_plain_event(struct ringwake_event *event)
{
	struct ringwake_uv_signal *signal = signal_with(event);
	if (signal->plain_cb)
		signal->plain_cb(signal->handle);
}

static void bind_signal(struct ringwake_uv *attached, struct ringwake_uv_signal *signal)
{
	ringwake_event_init(
		&signal->event, attached->target, signal->from_pool ? on_plain_event : on_event);
}

int ringwake_uv_signal_open(
	struct ringwake_uv *attached, struct ringwake_uv_signal *signal, uv_async_t *handle)
{
	int error = ringwake_uv_libuv.async_init(attached->loop, handle, never_signalled);
	if (error < 0)
		return error;
	ringwake_uv_unlink(&handle->queue);
	bind_signal(attached, signal);
	signal->attached = attached;
	signal->handle = handle;
	signal->closing = 0;
	handle->u.reserved[SIGNAL_SLOT] = signal;
	attached->handles++;
	return 0;
}

int ringwake_uv_async_init(
	struct ringwake_uv *attached, ringwake_uv_async_t *async, ringwake_uv_async_cb cb)
{
	async->signal.cb = cb;
	async->signal.from_pool = 0;
	return ringwake_uv_signal_open(attached, &async->signal, &async->handle);
}

int ringwake_uv_async_send(ringwake_uv_async_t *async)
{
	return ringwake_event_send(&async->signal.event);
}

/* The handle is closed when libuv has let go of it and no message of it is on its way. */
static void closed_by_one(struct ringwake_uv_signal *signal)
{
	if (--signal->closing > 0)
		return;
	signal->attached->handles--;
	uv_handle_t *handle = (uv_handle_t *)signal->handle;
	uv_close_cb close_cb = signal->close_cb;
	if (signal->from_pool)
		ringwake_uv_signal_put(signal);
	if (close_cb)
		close_cb(handle);
}

static void on_handle_closed(uv_handle_t *handle)
{
	closed_by_one(ringwake_uv_signal_of(handle));
}

static void on_message_gone(struct ringwake_event *event)
{
	struct ringwake_uv_signal *signal = signal_with(event);
	*signal->link = signal->next;
	if (signal->next)
		signal->next->link = signal->link;
	ringwake_uv_release(signal->attached);
	closed_by_one(signal);
}

static void close_signal(struct ringwake_uv_signal *signal)
{
	if (ringwake_event_close_later(&signal->event, on_message_gone) != 1)
		return;
	signal->closing++;
	signal->link = &signal->attached->closings;
	signal->next = *signal->link;
	if (signal->next)
		signal->next->link = &signal->next;
	*signal->link = signal;
	ringwake_uv_hold(signal->attached);
}

void ringwake_uv_close(uv_handle_t *handle, uv_close_cb cb)
{
	struct ringwake_uv_signal *signal = ringwake_uv_signal_of(handle);
	if (signal == NULL) {
		ringwake_uv_libuv.close(handle, cb);
		return;
	}
	signal->close_cb = cb;
	signal->closing = 1;
	close_signal(signal);
	ringwake_uv_libuv.close(handle, on_handle_closed);
}

static void move(uv_handle_t *handle, void *argument)
{
	struct ringwake_uv *attached = argument;
	struct ringwake_uv_signal *signal = ringwake_uv_signal_of(handle);
	if (signal == NULL)
		return;
	bind_signal(attached, signal);
	if (uv_is_closing(handle))
		ringwake_event_close_later(&signal->event, on_message_gone);
}

void ringwake_uv_signals_move(struct ringwake_uv *attached)
{
	uv_walk(attached->loop, move, attached);
	move((uv_handle_t *)&attached->loop->wq_async, attached); /* uv_walk() hides it */
	/* Closings that wait for a message have lost it: it is sent again. */
	for (struct ringwake_uv_signal *i = attached->closings; i; i = i->next) {
		bind_signal(attached, i);
		ringwake_event_send(&i->event);
		ringwake_event_close_later(&i->event, on_message_gone);
	}
}
