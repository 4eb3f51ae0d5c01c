/* SPDX-License-Identifier: MIT */
#include "libuv_private.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* UV_LOOP_BLOCK_SIGNAL sets this flag of the loop. */
#define LOOP_BLOCK_SIGPROF 1ul

/* A test or a user wants libuv's public functions only. */
static bool is_refused(void)
{
	const char *text = secure_getenv("RINGWAKE_UV_PUBLIC");
	return text != NULL && strcmp(text, "1") == 0;
}

/* The sizes differ if the adapter was compiled with the headers of another libuv. */
static bool sizes_hold(void)
{
	return uv_loop_size() == sizeof(uv_loop_t) &&
		uv_handle_size(UV_ASYNC) == sizeof(uv_async_t) &&
		uv_handle_size(UV_POLL) == sizeof(uv_poll_t) &&
		uv_handle_size(UV_PREPARE) == sizeof(uv_prepare_t) &&
		uv_handle_size(UV_CHECK) == sizeof(uv_check_t) &&
		uv_handle_size(UV_IDLE) == sizeof(uv_idle_t) &&
		uv_req_size(UV_WORK) == sizeof(uv_work_t);
}

/* Both neighbours of a queue's head, or of a member in a queue, point to it. */
static bool is_queue(const void *member)
{
	void *const *place = member;
	if (place[0] == NULL || place[1] == NULL)
		return false;
	return ((void *const *)place[0])[1] == member && ((void *const *)place[1])[0] == member;
}

static bool queues_hold(const uv_loop_t *loop)
{
	return is_queue(&loop->handle_queue) && is_queue(&loop->watcher_queue) &&
		is_queue(&loop->pending_queue) && is_queue(&loop->prepare_handles) &&
		is_queue(&loop->check_handles) && is_queue(&loop->async_handles) &&
		is_queue(&loop->wq_async.queue) && is_queue(&loop->wq_async.handle_queue) &&
		is_queue(&loop->child_watcher.handle_queue);
}

/* The loop's own handles. One of them lies before the slot, the other behind it. */
static bool own_handles_hold(const uv_loop_t *loop)
{
	const uv_signal_t *child = &loop->child_watcher;
	const uv_async_t *workers = &loop->wq_async;
	return child->loop == loop && child->type == UV_SIGNAL && workers->loop == loop &&
		workers->type == UV_ASYNC && child->flags & RINGWAKE_UV_HANDLE_INTERNAL &&
		!((child->flags | workers->flags) & RINGWAKE_UV_HANDLE_CLOSING);
}

/* What is the same for all loops of a process is checked once. */
static bool libuv_holds(void)
{
	enum { UNKNOWN, HOLDS, DIFFERS };
	static _Atomic int known;
	/* Relaxed: all threads find the same result. */
	int result = atomic_load_explicit(&known, memory_order_relaxed);
	if (result == UNKNOWN) {
		result = !is_refused() && sizes_hold() ? HOLDS : DIFFERS;
		atomic_store_explicit(&known, result, memory_order_relaxed);
	}
	return result == HOLDS;
}

bool ringwake_uv_slot_holds(const uv_loop_t *loop)
{
	return libuv_holds() && own_handles_hold(loop);
}

bool ringwake_uv_layout_holds(const uv_loop_t *loop)
{
	return libuv_holds() && queues_hold(loop) && own_handles_hold(loop) &&
		loop->backend_fd == uv_backend_fd(loop) && loop->internal_fields != NULL &&
		loop->async_io_watcher.fd >= 0;
}

/* A handle that was just started: a prepare or check handle is the first of its list, a watcher the
 * last. */
bool ringwake_uv_edges_hold(
	const uv_loop_t *loop, const uv_prepare_t *prepare, const uv_check_t *check)
{
	void *const *prepares = (const void *)&loop->prepare_handles;
	void *const *checks = (const void *)&loop->check_handles;
	return prepares[0] == &prepare->queue && is_queue(&prepare->queue) &&
		checks[0] == &check->queue && is_queue(&check->queue) &&
		is_queue(&prepare->handle_queue) && is_queue(&check->handle_queue) &&
		!(prepare->flags & RINGWAKE_UV_HANDLE_INTERNAL);
}

bool ringwake_uv_poll_holds(const uv_loop_t *loop, const uv_poll_t *poll, int fd)
{
	void *const *watchers = (const void *)&loop->watcher_queue;
	return watchers[1] == &poll->io_watcher.watcher_queue &&
		is_queue(&poll->io_watcher.watcher_queue) &&
		is_queue(&poll->io_watcher.pending_queue) && poll->io_watcher.fd == fd &&
		poll->io_watcher.pevents == POLLIN;
}

bool ringwake_uv_loop_in_use(const uv_loop_t *loop)
{
	if (loop->active_reqs.count > 0)
		return true;
	void *const *head = (const void *)&loop->handle_queue;
	for (void *const *place = head[0]; place != head; place = place[0]) {
		const char *handle = (const char *)place - offsetof(uv_handle_t, handle_queue);
		if (!(((const uv_handle_t *)(const void *)handle)->flags &
			    RINGWAKE_UV_HANDLE_INTERNAL))
			return true;
	}
	return false;
}

bool ringwake_uv_loop_wants_epoll(const uv_loop_t *loop)
{
	/* The first member of libuv's internal fields. */
	const unsigned *options = loop->internal_fields;
	return loop->flags & LOOP_BLOCK_SIGPROF || *options & UV_METRICS_IDLE_TIME;
}

static int tell_epoll(int epoll, const uv__io_t *watcher)
{
	struct epoll_event event = {.events = watcher->pevents, .data.fd = watcher->fd};
	int saved = errno;
	int result = -1;
	if (watcher->events == 0)
		result = epoll_ctl(epoll, EPOLL_CTL_ADD, watcher->fd, &event);
	if (result != 0 && (watcher->events != 0 || errno == EEXIST))
		result = epoll_ctl(epoll, EPOLL_CTL_MOD, watcher->fd, &event);
	errno = saved;
	return result;
}

bool ringwake_uv_flush_watchers(uv_loop_t *loop)
{
	void **queue = RINGWAKE_UV_QUEUE(loop->watcher_queue);
	while (queue[0] != queue) {
		uv__io_t *watcher = (void *)((char *)queue[0] - offsetof(uv__io_t, watcher_queue));
		/* Newer versions watch their own wake-up in another way. */
		if (watcher == &loop->async_io_watcher)
			return false;
		if (tell_epoll(loop->backend_fd, watcher) != 0)
			return false;
		watcher->events = watcher->pevents;
		ringwake_uv_unlink(RINGWAKE_UV_QUEUE(watcher->watcher_queue));
	}
	return true;
}
