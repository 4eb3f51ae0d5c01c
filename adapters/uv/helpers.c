/* SPDX-License-Identifier: MIT */
/*
 * The helper handles, by which a loop whose uv_run() stays as it is waits for its target. Each
 * iteration of the loop:
 *
 *   prepare  arm; if messages are there already, have libuv report them after the poll
 *   poll     the doorbell's descriptor ends the wait; run callbacks
 *   check    disarm, and arm for a program that now leaves uv_run() and waits for libuv's epoll by
 *            itself; if messages are there already, an idle handle keeps the loop from blocking
 *
 * So callbacks run where those of a uv_async_t do. After the poll libuv runs callbacks of writes
 * and those that they cause, in several rounds; a callback in another phase would come too late for
 * them, and a peer's answer could be read before a write is reported.
 *
 * The prepare and check handles are the last to run, so the arming comes after the application's
 * own prepare callbacks.
 *
 * The descriptors are watched edge-triggered, which spares the kernel a second look at a ring that
 * was emptied. An iteration takes as many completions as the queue holds, so what it leaves has
 * come since, and is reported again.
 *
 * With public functions of libuv alone, uv_walk() shows the helpers, descriptors are watched
 * level-triggered, messages that are there before or after the poll run in the prepare and check
 * phases, and a helper is gone only after uv_close() and one more iteration.
 */
#include "attach.h"
#include "libuv.h"
#include "libuv_private.h"

#include <errno.h>
#include <stdlib.h>

static void free_if_unused(struct ringwake_uv *attached)
{
	if (attached->detached && attached->depth == 0 && attached->lingering == 0)
		free(attached);
}

void ringwake_uv_enter(struct ringwake_uv *attached)
{
	attached->depth++;
}

void ringwake_uv_leave(struct ringwake_uv *attached)
{
	attached->depth--;
	free_if_unused(attached);
}

unsigned ringwake_uv_deliver(struct ringwake_uv *attached)
{
	unsigned count = attached->has_ring ? ringwake_uv_complete(attached) : 0;
	return attached->detached ? count : count + ringwake_uv_dispatch(attached);
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
	struct ringwake_uv *attached = handle->data;
	(void)status;
	if (attached->knows_libuv && events & UV_READABLE)
		ringwake_uv_unfeed(handle); /* one call is enough */
	ringwake_uv_enter(attached);
	ringwake_disarm(attached->target);
	ringwake_uv_deliver(attached);
	ringwake_uv_leave(attached);
}

static void on_busy(uv_idle_t *handle)
{
	(void)handle; /* being active is all it is for */
}

void ringwake_uv_keep_awake(struct ringwake_uv *attached)
{
	uv_idle_start(&attached->busy, on_busy);
}

/* From here on a send rings the doorbell; or there is something to do, and the loop stays awake. */
static bool arm(struct ringwake_uv *attached)
{
	bool armed = attached->due == NULL && ringwake_arm(attached->target);
	if (armed)
		uv_idle_stop(&attached->busy);
	else
		ringwake_uv_keep_awake(attached);
	return armed;
}

/* Submits what the application has prepared. False if the kernel refuses it for the moment. */
static bool submit(struct ringwake_uv *attached)
{
	if (!attached->has_ring || io_uring_sq_ready(&attached->ring) == 0 ||
		ringwake_uv_is_foreign(attached))
		return true;
	int result = io_uring_submit(&attached->ring);
	return io_uring_sq_ready(&attached->ring) == 0 || ringwake_uv_is_forbidden(result);
}

static void sleep_in_epoll(struct ringwake_uv *attached)
{
	/* In a forked child the doorbell and the epoll are the parent's. */
	if (attached->doorbell && !uv_is_active((uv_handle_t *)attached->doorbell) &&
		!ringwake_uv_is_foreign(attached))
		ringwake_uv_watch(attached, attached->doorbell);
	bool submitted = submit(attached);
	if (!arm(attached)) {
		if (attached->knows_libuv && attached->doorbell)
			ringwake_uv_feed(attached->loop, attached->doorbell);
		else
			ringwake_uv_dispatch(attached);
	}
	if (!submitted)
		ringwake_uv_keep_awake(attached);
}

static void on_before(uv_prepare_t *handle)
{
	struct ringwake_uv *attached = handle->data;
	ringwake_uv_enter(attached);
	if (!attached->running || !ringwake_uv_sleep_on_ring(attached))
		sleep_in_epoll(attached);
	ringwake_uv_leave(attached);
}

static void on_after(uv_check_t *handle)
{
	struct ringwake_uv *attached = handle->data;
	ringwake_uv_enter(attached);
	ringwake_disarm(attached->target);
	if (!attached->knows_libuv)
		ringwake_uv_dispatch(attached);
	if (!attached->detached) {
		ringwake_uv_notice_closes(attached);
		arm(attached);
	}
	ringwake_uv_leave(attached);
}

static void on_wake(uv_async_t *handle)
{
	struct ringwake_uv *attached = handle->data;
	ringwake_uv_enter(attached);
	if (ringwake_uv_is_foreign(attached)) {
		ringwake_uv_deliver_missed(attached);
	} else {
		ringwake_disarm(attached->target);
		ringwake_uv_deliver(attached);
	}
	ringwake_uv_leave(attached);
}

int ringwake_uv_wake_by_libuv(void *argument)
{
	struct ringwake_uv *attached = argument;
	int saved = errno;
	int result = ringwake_uv_libuv.async_send(&attached->waker);
	errno = saved;
	return result;
}

static void add(struct ringwake_uv *attached, void *helper)
{
	((uv_handle_t *)helper)->data = attached;
	uv_unref(helper);
}

/* With public functions alone a closed watch may still be there when the next one is opened. */
static uv_poll_t *get_room(struct ringwake_uv *attached, uv_poll_t **watch)
{
	if (attached->knows_libuv)
		return &attached->rooms[watch == &attached->completions];
	int saved = errno;
	uv_poll_t *room = malloc(sizeof *room);
	errno = saved;
	return room;
}

static void put_room(struct ringwake_uv *attached, uv_poll_t *room)
{
	if (room != &attached->rooms[0] && room != &attached->rooms[1])
		free(room);
}

static void on_gone(uv_handle_t *handle)
{
	struct ringwake_uv *attached = handle->data;
	if (handle->type == UV_POLL)
		put_room(attached, (uv_poll_t *)handle);
	attached->lingering--;
	free_if_unused(attached);
}

/* A helper that is stopped. False if libuv does not let go of it yet. */
static bool remove_helper(struct ringwake_uv *attached, void *helper)
{
	if (attached->knows_libuv) {
		ringwake_uv_forget(helper);
		return true;
	}
	attached->lingering++;
	/* If the application has closed it, nothing of ours will hear that it is gone. */
	if (!uv_is_closing(helper))
		ringwake_uv_libuv.close(helper, on_gone);
	return false;
}

bool ringwake_uv_is_helper(const struct ringwake_uv *attached, const uv_handle_t *handle)
{
	const void *h = handle;
	return h == &attached->waker || h == &attached->before || h == &attached->after ||
		h == &attached->busy || h == attached->doorbell || h == attached->completions;
}

static void hide_helpers(struct ringwake_uv *attached)
{
	ringwake_uv_hide(&attached->waker);
	ringwake_uv_hide(&attached->before);
	ringwake_uv_hide(&attached->after);
	ringwake_uv_hide(&attached->busy);
	ringwake_uv_prepare_last(attached->loop, &attached->before);
	ringwake_uv_check_last(attached->loop, &attached->after);
}

int ringwake_uv_open_helpers(struct ringwake_uv *attached)
{
	int error = ringwake_uv_libuv.async_init(attached->loop, &attached->waker, on_wake);
	if (error < 0)
		return error;
	/* These do not fail. */
	uv_prepare_init(attached->loop, &attached->before);
	uv_check_init(attached->loop, &attached->after);
	uv_idle_init(attached->loop, &attached->busy);
	add(attached, &attached->waker);
	add(attached, &attached->before);
	add(attached, &attached->after);
	add(attached, &attached->busy);
	uv_prepare_start(&attached->before, on_before);
	uv_check_start(&attached->after, on_after);
	if (attached->knows_libuv &&
		!ringwake_uv_edges_hold(attached->loop, &attached->before, &attached->after))
		attached->knows_libuv = false;
	if (attached->knows_libuv)
		hide_helpers(attached);
	return 0;
}

void ringwake_uv_close_helpers(struct ringwake_uv *attached)
{
	uv_prepare_stop(&attached->before);
	uv_check_stop(&attached->after);
	uv_idle_stop(&attached->busy);
	if (attached->knows_libuv)
		ringwake_uv_unlist_async(&attached->waker);
	remove_helper(attached, &attached->waker);
	remove_helper(attached, &attached->before);
	remove_helper(attached, &attached->after);
	remove_helper(attached, &attached->busy);
}

void ringwake_uv_watch(struct ringwake_uv *attached, uv_poll_t *watch)
{
	/* It fails only if another handle watches the descriptor, which uv_poll_init() excludes. */
	uv_poll_start(watch, UV_READABLE, on_readable);
	if (attached->knows_libuv)
		ringwake_uv_set_edge_triggered(watch, true);
}

void ringwake_uv_unwatch(struct ringwake_uv *attached, uv_poll_t *watch)
{
	if (attached->knows_libuv)
		ringwake_uv_set_edge_triggered(watch, false);
	uv_poll_stop(watch);
}

int ringwake_uv_open_watch(struct ringwake_uv *attached, uv_poll_t **watch, int fd)
{
	uv_poll_t *handle = get_room(attached, watch);
	if (handle == NULL)
		return UV_ENOMEM;
	int error = uv_poll_init(attached->loop, handle, fd);
	if (error < 0) {
		put_room(attached, handle);
		return error;
	}
	add(attached, handle);
	uv_poll_start(handle, UV_READABLE, on_readable);
	if (attached->knows_libuv && !ringwake_uv_poll_holds(attached->loop, handle, fd))
		attached->knows_libuv = false;
	if (attached->knows_libuv) {
		ringwake_uv_hide(handle);
		ringwake_uv_set_edge_triggered(handle, true);
	}
	*watch = handle;
	return 0;
}

void ringwake_uv_close_watch(struct ringwake_uv *attached, uv_poll_t **watch)
{
	uv_poll_t *handle = *watch;
	if (handle == NULL)
		return;
	*watch = NULL;
	if (attached->knows_libuv)
		ringwake_uv_unfeed(handle);
	if (!uv_is_closing((uv_handle_t *)handle))
		ringwake_uv_unwatch(attached, handle);
	if (remove_helper(attached, handle))
		put_room(attached, handle);
}

void ringwake_uv_free_watches(struct ringwake_uv *attached)
{
	if (attached->doorbell)
		put_room(attached, attached->doorbell);
	if (attached->completions)
		put_room(attached, attached->completions);
}

void ringwake_uv_hold(struct ringwake_uv *attached)
{
	if (attached->outstanding++ == 0)
		uv_ref((uv_handle_t *)&attached->before);
}

void ringwake_uv_release(struct ringwake_uv *attached)
{
	if (--attached->outstanding == 0)
		uv_unref((uv_handle_t *)&attached->before);
}
