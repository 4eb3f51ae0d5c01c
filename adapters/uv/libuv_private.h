/* SPDX-License-Identifier: MIT */
/*
 * All private members of libuv that the adapter uses. No other file of the adapter names one. The
 * layout is that of libuv 1.44 to 1.53; each attach verifies it by ringwake_uv_layout_holds(). If
 * it does not hold, the adapter writes nothing through these functions and does not rely on what
 * they read.
 *
 * libuv's queues are two pointers, next and previous: an array up to 1.45, a structure since 1.46.
 */
#ifndef RINGWAKE_UV_LIBUV_PRIVATE_H
#define RINGWAKE_UV_LIBUV_PRIVATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <uv.h>

/*
 * True if an initialised loop looks as this file expects. It only reads the loop. False also if the
 * environment has RINGWAKE_UV_PUBLIC=1.
 */
bool ringwake_uv_layout_holds(const uv_loop_t *loop);

/* The part of that check that the loop's slot, below, needs. It is faster. */
bool ringwake_uv_slot_holds(const uv_loop_t *loop);

/* The same for helper handles that were just started. */
bool ringwake_uv_edges_hold(
	const uv_loop_t *loop, const uv_prepare_t *prepare, const uv_check_t *check);
bool ringwake_uv_poll_holds(const uv_loop_t *loop, const uv_poll_t *poll, int fd);

/* True if uv_loop_close() would refuse: the loop has requests, or handles that uv_walk() shows. */
bool ringwake_uv_loop_in_use(const uv_loop_t *loop);

/* The loop was configured with UV_LOOP_BLOCK_SIGNAL or UV_METRICS_IDLE_TIME. */
bool ringwake_uv_loop_wants_epoll(const uv_loop_t *loop);

/*
 * libuv passes started watchers to epoll only when it is about to wait. This function does so
 * earlier. False if libuv must do it itself.
 */
bool ringwake_uv_flush_watchers(uv_loop_t *loop);

/* The head of a queue, or the place of a member in a queue: two pointers. */
#define RINGWAKE_UV_QUEUE(member) ((void **)(void *)&(member))

static inline void ringwake_uv_unlink(void **place)
{
	void **next = place[0];
	void **previous = place[1];
	previous[0] = next;
	next[1] = previous;
	place[0] = place[1] = place;
}

static inline void ringwake_uv_move_to_end(void **head, void **place)
{
	if (head[1] == place)
		return;
	ringwake_uv_unlink(place);
	void **last = head[1];
	place[0] = head;
	place[1] = last;
	last[0] = place;
	head[1] = place;
}

static inline bool ringwake_uv_holds_only(void **head, void **place)
{
	return head[0] == place && head[1] == place;
}

/*
 * The adapter's pointer in the loop. libuv does not use async_unused, and uv_loop_init() clears it.
 * So a new loop in the memory of a loop that was never closed is not mistaken for that loop.
 */
static inline void *ringwake_uv_loop_slot(const uv_loop_t *loop)
{
	return (void *)(uintptr_t)loop->async_unused;
}

static inline void ringwake_uv_set_loop_slot(uv_loop_t *loop, void *value)
{
	loop->async_unused = (void (*)(void))(uintptr_t)value;
}

/* The async handle through which libuv's own workers wake the loop. */
static inline uv_async_t *ringwake_uv_workers_async(uv_loop_t *loop)
{
	return &loop->wq_async;
}

/* The handles whose uv_close() was called and whose callbacks are due. */
static inline uv_handle_t *ringwake_uv_first_closing(const uv_loop_t *loop)
{
	return loop->closing_handles;
}

static inline uv_handle_t *ringwake_uv_next_closing(const uv_handle_t *handle)
{
	return handle->next_closing;
}

/* uv_walk() and uv_loop_close() ignore a handle that has this flag. */
#define RINGWAKE_UV_HANDLE_INTERNAL 0x10u

static inline void ringwake_uv_hide(void *handle)
{
	((uv_handle_t *)handle)->flags |= RINGWAKE_UV_HANDLE_INTERNAL;
}

/* uv_close() was called. */
#define RINGWAKE_UV_HANDLE_CLOSING 0x1u

static inline bool ringwake_uv_handle_is_closing(const uv_async_t *handle)
{
	return handle->flags & RINGWAKE_UV_HANDLE_CLOSING;
}

/* Removes a stopped handle from the loop. uv_close() would need another iteration of the loop. */
static inline void ringwake_uv_forget(void *handle)
{
	ringwake_uv_unlink(RINGWAKE_UV_QUEUE(((uv_handle_t *)handle)->handle_queue));
}

/*
 * libuv passes the bits of a watcher to epoll unchanged. It removes a descriptor only if no other
 * bit is left, so clear the edge-triggered bit before uv_poll_stop().
 */
static inline void ringwake_uv_set_edge_triggered(uv_poll_t *handle, bool on)
{
	if (on)
		handle->io_watcher.pevents |= EPOLLET;
	else
		handle->io_watcher.pevents &= ~(unsigned)EPOLLET;
}

/*
 * Has libuv call the handle's callback after the next poll, as if the handle were writable, in the
 * rounds in which it calls callbacks of writes. If a prepare callback calls it, libuv does not
 * block.
 */
static inline void ringwake_uv_feed(uv_loop_t *loop, uv_poll_t *handle)
{
	ringwake_uv_move_to_end(RINGWAKE_UV_QUEUE(loop->pending_queue),
		RINGWAKE_UV_QUEUE(handle->io_watcher.pending_queue));
}

static inline void ringwake_uv_unfeed(uv_poll_t *handle)
{
	ringwake_uv_unlink(RINGWAKE_UV_QUEUE(handle->io_watcher.pending_queue));
}

/* libuv runs prepare and check handles in the order of these lists. */
static inline void ringwake_uv_prepare_last(uv_loop_t *loop, uv_prepare_t *handle)
{
	ringwake_uv_move_to_end(
		RINGWAKE_UV_QUEUE(loop->prepare_handles), RINGWAKE_UV_QUEUE(handle->queue));
}

static inline void ringwake_uv_check_last(uv_loop_t *loop, uv_check_t *handle)
{
	ringwake_uv_move_to_end(
		RINGWAKE_UV_QUEUE(loop->check_handles), RINGWAKE_UV_QUEUE(handle->queue));
}

/* The loop has no other prepare or check handle that is started. */
static inline bool ringwake_uv_owns_edges(uv_loop_t *loop, uv_prepare_t *prepare, uv_check_t *check)
{
	return ringwake_uv_holds_only(RINGWAKE_UV_QUEUE(loop->prepare_handles),
		       RINGWAKE_UV_QUEUE(prepare->queue)) &&
		ringwake_uv_holds_only(
			RINGWAKE_UV_QUEUE(loop->check_handles), RINGWAKE_UV_QUEUE(check->queue));
}

/* The callback of an async handle. It also identifies the handles of the adapter. */
static inline uv_async_cb ringwake_uv_async_cb_of(const uv_async_t *handle)
{
	return handle->async_cb;
}

static inline void ringwake_uv_set_async_cb(uv_async_t *handle, uv_async_cb cb)
{
	handle->async_cb = cb;
}

/* libuv no longer finds this handle when it searches for the async handles that were sent. */
static inline void ringwake_uv_unlist_async(uv_async_t *handle)
{
	ringwake_uv_unlink(RINGWAKE_UV_QUEUE(handle->queue));
}

/*
 * The adapter's pointer in an async handle: a part of the union u that libuv does not use there.
 * Relaxed: a sender gets the handle in a way that orders its initialisation. A sender that reads
 * the pointer while the loop closes the handle gets one of two values, and both are valid.
 */
#define RINGWAKE_UV_ASYNC_SLOT 3

static inline void *ringwake_uv_async_slot(uv_async_t *handle)
{
	void *slot = &handle->u.reserved[RINGWAKE_UV_ASYNC_SLOT];
	return atomic_load_explicit((_Atomic(void *) *)slot, memory_order_relaxed);
}

static inline void ringwake_uv_set_async_slot(uv_async_t *handle, void *value)
{
	void *slot = &handle->u.reserved[RINGWAKE_UV_ASYNC_SLOT];
	atomic_store_explicit((_Atomic(void *) *)slot, value, memory_order_relaxed);
}

/*
 * The program's callback of a handle that was taken over. It is next to the pointer above and to
 * the callback that is the mark: a send needs both, so this part of the handle is in the cache.
 */
#define RINGWAKE_UV_TAKEN_CB 2

static inline uv_async_cb ringwake_uv_taken_cb(const uv_async_t *handle)
{
	return (uv_async_cb)(uintptr_t)handle->u.reserved[RINGWAKE_UV_TAKEN_CB];
}

static inline void ringwake_uv_set_taken_cb(uv_async_t *handle, uv_async_cb cb)
{
	handle->u.reserved[RINGWAKE_UV_TAKEN_CB] = (void *)(uintptr_t)cb;
}

/*
 * A request of uv_queue_work() that ringwake runs: the function that libuv's worker would call is a
 * mark, and the reserved space of the request points to the job. The request is in no queue, so
 * libuv's own uv_cancel() treats it as work that has begun.
 */
static inline void ringwake_uv_mark_request(
	uv_work_t *request, void (*mark)(struct uv__work *), void *job)
{
	void **place = RINGWAKE_UV_QUEUE(request->work_req.wq);
	place[0] = place[1] = place;
	request->work_req.loop = request->loop;
	request->work_req.work = mark;
	request->reserved[0] = job;
}

static inline bool ringwake_uv_request_has_mark(
	const uv_work_t *request, void (*mark)(struct uv__work *))
{
	return request->work_req.work == mark;
}

static inline void *ringwake_uv_request_job(const uv_work_t *request)
{
	return request->reserved[0];
}

#endif
