/* SPDX-License-Identifier: MIT */
/*
 * The descriptors that end the loop's wait in epoll. They are watched edge-triggered, so the kernel
 * does not check again a ring that the loop has emptied. An iteration takes as many completions as
 * the queue can hold. A completion that it leaves has arrived later, and epoll reports it again.
 *
 * With libuv's public functions only, the descriptors are watched level-triggered.
 */
#include "binding.h"
#include "libuv_private.h"

#include <stdlib.h>

static void on_readable(uv_poll_t *handle, int status, int events)
{
	struct ringwake_uv *attached = handle->data;
	(void)status;
	if (attached->knows_libuv && events & UV_READABLE)
		ringwake_uv_unfeed(handle); /* libuv must not call again for what wait.c has fed */
	ringwake_uv_enter(attached);
	ringwake_disarm(attached->target);
	ringwake_uv_deliver(attached);
	ringwake_uv_leave(attached);
}

/* With libuv's public functions only, a closed watch may still be in use when the next one is
 * opened. */
static uv_poll_t *get_watch_memory(struct ringwake_uv *attached, uv_poll_t **watch)
{
	if (attached->knows_libuv)
		return &attached->watch_memory[watch == &attached->completions];
	return calloc_keeping_errno(1, sizeof(uv_poll_t));
}

static void put_watch_memory(struct ringwake_uv *attached, uv_poll_t *memory)
{
	if (memory != &attached->watch_memory[0] && memory != &attached->watch_memory[1])
		free(memory);
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
	uv_poll_t *handle = get_watch_memory(attached, watch);
	if (handle == NULL)
		return UV_ENOMEM;
	int error = uv_poll_init(attached->loop, handle, fd);
	if (error < 0) {
		put_watch_memory(attached, handle);
		return error;
	}
	ringwake_uv_add_helper(attached, handle);
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

static void on_gone(uv_handle_t *handle)
{
	struct ringwake_uv *attached = handle->data;
	put_watch_memory(attached, (uv_poll_t *)handle);
	ringwake_uv_helper_gone(attached);
}

static void close_watch(struct ringwake_uv *attached, uv_poll_t **watch)
{
	uv_poll_t *handle = *watch;
	if (handle == NULL)
		return;
	*watch = NULL;
	if (attached->knows_libuv)
		ringwake_uv_unfeed(handle);
	if (!uv_is_closing((uv_handle_t *)handle))
		ringwake_uv_unwatch(attached, handle);
	if (ringwake_uv_remove_helper(attached, handle, on_gone))
		put_watch_memory(attached, handle);
}

void ringwake_uv_close_watches(struct ringwake_uv *attached)
{
	close_watch(attached, &attached->doorbell);
	close_watch(attached, &attached->completions);
}

void ringwake_uv_free_watches(struct ringwake_uv *attached)
{
	if (attached->doorbell)
		put_watch_memory(attached, attached->doorbell);
	if (attached->completions)
		put_watch_memory(attached, attached->completions);
}
