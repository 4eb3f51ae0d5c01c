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
	struct ringwake_uv *binding = handle->data;
	(void)status;
	if (binding->knows_libuv && events & UV_READABLE)
		ringwake_uv_unfeed(handle); /* libuv must not call again for what wait.c has fed */
	ringwake_uv_enter(binding);
	ringwake_disarm(binding->target);
	ringwake_uv_deliver(binding);
	ringwake_uv_leave(binding);
}

/* With libuv's public functions only, a closed watch may still be in use when the next one is
 * opened. */
static uv_poll_t *get_watch_memory(struct ringwake_uv *binding, uv_poll_t **watch)
{
	if (binding->knows_libuv)
		return &binding->watch_memory[watch == &binding->completions];
	return calloc_keeping_errno(1, sizeof(uv_poll_t));
}

static void put_watch_memory(struct ringwake_uv *binding, uv_poll_t *memory)
{
	if (memory != &binding->watch_memory[0] && memory != &binding->watch_memory[1])
		free(memory);
}

void ringwake_uv_watch(struct ringwake_uv *binding, uv_poll_t *watch)
{
	/* It fails only if another handle watches the descriptor, which uv_poll_init() excludes. */
	uv_poll_start(watch, UV_READABLE, on_readable);
	if (binding->knows_libuv)
		ringwake_uv_set_edge_triggered(watch, true);
}

void ringwake_uv_unwatch(struct ringwake_uv *binding, uv_poll_t *watch)
{
	if (binding->knows_libuv)
		ringwake_uv_set_edge_triggered(watch, false);
	uv_poll_stop(watch);
}

int ringwake_uv_open_watch(struct ringwake_uv *binding, uv_poll_t **watch, int fd)
{
	uv_poll_t *handle = get_watch_memory(binding, watch);
	if (handle == NULL)
		return UV_ENOMEM;
	int error = uv_poll_init(binding->loop, handle, fd);
	if (error < 0) {
		put_watch_memory(binding, handle);
		return error;
	}
	ringwake_uv_add_helper(binding, handle);
	uv_poll_start(handle, UV_READABLE, on_readable);
	if (binding->knows_libuv && !ringwake_uv_poll_holds(binding->loop, handle, fd))
		binding->knows_libuv = false;
	if (binding->knows_libuv) {
		ringwake_uv_hide(handle);
		ringwake_uv_set_edge_triggered(handle, true);
	}
	*watch = handle;
	return 0;
}

static void on_gone(uv_handle_t *handle)
{
	struct ringwake_uv *binding = handle->data;
	put_watch_memory(binding, (uv_poll_t *)handle);
	ringwake_uv_helper_gone(binding);
}

static void close_watch(struct ringwake_uv *binding, uv_poll_t **watch)
{
	uv_poll_t *handle = *watch;
	if (handle == NULL)
		return;
	*watch = NULL;
	if (binding->knows_libuv)
		ringwake_uv_unfeed(handle);
	if (!uv_is_closing((uv_handle_t *)handle))
		ringwake_uv_unwatch(binding, handle);
	if (ringwake_uv_remove_helper(binding, handle, on_gone))
		put_watch_memory(binding, handle);
}

void ringwake_uv_close_watches(struct ringwake_uv *binding)
{
	close_watch(binding, &binding->doorbell);
	close_watch(binding, &binding->completions);
}

void ringwake_uv_free_watches(struct ringwake_uv *binding)
{
	if (binding->doorbell)
		put_watch_memory(binding, binding->doorbell);
	if (binding->completions)
		put_watch_memory(binding, binding->completions);
}
