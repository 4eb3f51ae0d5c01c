/* SPDX-License-Identifier: MIT */
/*
 * A target behind a libuv loop whose uv_run() stays as it is. Each turn of the loop:
 *
 *   prepare  arm; if messages are there already, run them, and an idle handle keeps the loop from
 *            sleeping
 *   poll     the doorbell's descriptor ends the wait; run callbacks
 *   check    disarm, run what came meanwhile, and arm for a program that now leaves uv_run() and
 *            waits for libuv's epoll by itself
 *
 * libuv runs the prepare and check handles that were started first last, so the arming comes after
 * the application's own prepare callbacks, and callbacks run where those of a uv_async_t do.
 *
 * The descriptors are watched edge-triggered, which spares the kernel a second look at a ring that
 * was emptied. A turn takes as many completions as the queue holds, so what it leaves has come
 * since, and is reported again. libuv has no word for it, but hands the bits that it is given to
 * epoll.
 *
 * The ring is one that the application may use too, so completions on it are either doorbells or
 * the application's. Where the doorbell is an eventfd it is watched by itself; the ring is then
 * made only if the application asks for it.
 */
#include "attach.h"
#include "libuv.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/*
 * Private to libuv, the same in every release since 1.0: uv_walk() and uv_loop_close() pass over a
 * handle that carries it.
 */
#define HANDLE_INTERNAL 0x10u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ringwake_uv *list;

void ringwake_uv_lock(void)
{
	pthread_mutex_lock(&lock);
}

void ringwake_uv_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

static void hold_lock_over_fork(void)
{
	pthread_atfork(ringwake_uv_lock, ringwake_uv_unlock, ringwake_uv_unlock);
}

static struct ringwake_uv *find(const uv_loop_t *loop)
{
	struct ringwake_uv *attached = list;
	while (attached && attached->loop != loop)
		attached = attached->next;
	return attached;
}

struct ringwake_uv *ringwake_uv_find(const uv_loop_t *loop)
{
	ringwake_uv_lock();
	struct ringwake_uv *attached = find(loop);
	ringwake_uv_unlock();
	return attached;
}

void ringwake_uv_each(void (*visit)(struct ringwake_uv *attached))
{
	ringwake_uv_lock();
	for (struct ringwake_uv *attached = list; attached; attached = attached->next)
		visit(attached);
	ringwake_uv_unlock();
}

static bool enlist(struct ringwake_uv *attached)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, hold_lock_over_fork);
	ringwake_uv_lock();
	bool is_first = find(attached->loop) == NULL;
	if (is_first) {
		attached->next = list;
		list = attached;
	}
	ringwake_uv_unlock();
	return is_first;
}

void ringwake_uv_delist(struct ringwake_uv *attached)
{
	ringwake_uv_lock();
	struct ringwake_uv **link = &list;
	while (*link != attached)
		link = &(*link)->next;
	*link = attached->next;
	ringwake_uv_unlock();
}

unsigned ringwake_uv_deliver(struct ringwake_uv *attached)
{
	unsigned count = attached->has_ring ? ringwake_uv_complete(attached) : 0;
	if (attached->detached)
		return count;
	return count + (unsigned)ringwake_dispatch(attached->target, 0);
}

/* A callback may detach: what it detached from is freed when the last of ours has ended. */
static void enter(struct ringwake_uv *attached)
{
	attached->depth++;
}

static void leave(struct ringwake_uv *attached)
{
	if (--attached->depth == 0 && attached->detached)
		free(attached);
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
	struct ringwake_uv *attached = handle->data;
	(void)status;
	(void)events;
	enter(attached);
	ringwake_disarm(attached->target);
	ringwake_uv_deliver(attached);
	leave(attached);
}

int ringwake_uv_watch(uv_poll_t *handle)
{
	int error = uv_poll_start(handle, UV_READABLE, on_readable);
	if (error == 0)
		handle->io_watcher.pevents |= EPOLLET;
	return error;
}

void ringwake_uv_unwatch(uv_poll_t *handle)
{
	/* libuv lets go of a descriptor when no bit that it knows is left. */
	handle->io_watcher.pevents &= ~(unsigned)EPOLLET;
	uv_poll_stop(handle);
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
	bool armed = ringwake_arm(attached->target);
	if (armed)
		uv_idle_stop(&attached->busy);
	else
		ringwake_uv_keep_awake(attached);
	return armed;
}

static void sleep_in_epoll(struct ringwake_uv *attached)
{
	if (!uv_is_active((uv_handle_t *)&attached->doorbell))
		ringwake_uv_watch(&attached->doorbell);
	if (attached->has_ring && io_uring_sq_ready(&attached->ring) > 0)
		io_uring_submit(&attached->ring);
	if (!arm(attached))
		ringwake_dispatch(attached->target, 0);
	if (attached->has_ring && io_uring_sq_ready(&attached->ring) > 0)
		ringwake_uv_keep_awake(attached); /* the kernel refused them for the moment */
}

static void on_before(uv_prepare_t *handle)
{
	struct ringwake_uv *attached = handle->data;
	enter(attached);
	if (!attached->running || !ringwake_uv_sleep_on_ring(attached))
		sleep_in_epoll(attached);
	leave(attached);
}

static void on_after(uv_check_t *handle)
{
	struct ringwake_uv *attached = handle->data;
	enter(attached);
	ringwake_disarm(attached->target);
	ringwake_dispatch(attached->target, 0);
	if (!attached->detached)
		arm(attached);
	leave(attached);
}

static void hide(struct ringwake_uv *attached, void *helper)
{
	uv_handle_t *handle = helper;
	handle->data = attached;
	handle->flags |= HANDLE_INTERNAL;
	uv_unref(handle);
}

/* uv_close() would need another turn of the loop: a handle that is stopped can just be forgotten.
 */
static void forget(void *helper)
{
	ringwake_uv_unlink(&((uv_handle_t *)helper)->handle_queue);
}

static int open_watch(struct ringwake_uv *attached, uv_poll_t *handle, int fd)
{
	int error = uv_poll_init(attached->loop, handle, fd);
	if (error < 0)
		return error;
	hide(attached, handle);
	error = ringwake_uv_watch(handle);
	if (error < 0)
		forget(handle);
	return error;
}

static void close_watch(uv_poll_t *handle)
{
	ringwake_uv_unwatch(handle);
	forget(handle);
}

static void start_edges(struct ringwake_uv *attached)
{
	/* These do not fail. */
	uv_prepare_init(attached->loop, &attached->before);
	uv_check_init(attached->loop, &attached->after);
	uv_idle_init(attached->loop, &attached->busy);
	hide(attached, &attached->before);
	hide(attached, &attached->after);
	hide(attached, &attached->busy);
	uv_prepare_start(&attached->before, on_before);
	uv_check_start(&attached->after, on_after);
}

static void stop_edges(struct ringwake_uv *attached)
{
	uv_prepare_stop(&attached->before);
	uv_check_stop(&attached->after);
	uv_idle_stop(&attached->busy);
	forget(&attached->before);
	forget(&attached->after);
	forget(&attached->busy);
}

static int open_ring(struct ringwake_uv *attached)
{
	int error = io_uring_queue_init(RINGWAKE_UV_RING_ENTRIES, &attached->ring, 0);
	attached->has_ring = error == 0;
	return error;
}

static void close_ring(struct ringwake_uv *attached)
{
	if (attached->has_ring)
		io_uring_queue_exit(&attached->ring);
	attached->has_ring = false;
	attached->ring_rings = false;
}

static int open_target(struct ringwake_uv *attached)
{
	struct ringwake_params params = attached->params;
	int error = open_ring(attached);
	if (error < 0) /* so it cannot be sync MSG_RING either */
		return ringwake_open(&attached->target, NULL, &params);
	error = ringwake_open(&attached->target, &attached->ring, &params);
	if (error == 0) {
		params.path = ringwake_path(attached->target);
		attached->ring_rings = params.path == RINGWAKE_PATH_MSG_RING;
		if (attached->ring_rings)
			return 0;
		ringwake_close(attached->target);
	}
	close_ring(attached);
	return error < 0 ? error : ringwake_open(&attached->target, NULL, &params);
}

static int open_sleep(struct ringwake_uv *attached)
{
	int error = open_target(attached);
	if (error < 0)
		return error;
	error = open_watch(attached, &attached->doorbell, ringwake_fd(attached->target));
	if (error < 0) {
		ringwake_close(attached->target);
		close_ring(attached);
		return error;
	}
	attached->process = getpid();
	return 0;
}

static void stop_watching(struct ringwake_uv *attached)
{
	close_watch(&attached->doorbell);
	if (attached->has_ring && !attached->ring_rings)
		close_watch(&attached->completions);
}

/* In a forked child whose loop was not told, the parent's epoll must go on to watch. */
static void stop_watching_here(struct ringwake_uv *attached)
{
	int backend_fd = attached->loop->backend_fd;
	if (attached->process != getpid())
		attached->loop->backend_fd = -1;
	stop_watching(attached);
	attached->loop->backend_fd = backend_fd;
}

int ringwake_uv_reopen(struct ringwake_uv *attached)
{
	struct ringwake *target = attached->target;
	struct io_uring ring = attached->ring;
	bool had_ring = attached->has_ring, ring_rang = attached->ring_rings;
	stop_watching(attached);
	int error = open_sleep(attached);
	if (error < 0) {
		attached->target = target;
		attached->ring = ring;
		attached->has_ring = had_ring;
		attached->ring_rings = ring_rang;
		return error;
	}
	attached->backend_polled = false;
	attached->backend_ready = false;
	ringwake_close(target);
	if (had_ring)
		io_uring_queue_exit(&ring);
	return 0;
}

struct io_uring *ringwake_uv_ring(struct ringwake_uv *attached)
{
	if (!attached->has_ring) {
		if (open_ring(attached) < 0)
			return NULL;
		if (open_watch(attached, &attached->completions, attached->ring.ring_fd) < 0) {
			close_ring(attached);
			return NULL;
		}
	}
	return &attached->ring;
}

int ringwake_uv_attach(
	struct ringwake_uv **out, uv_loop_t *loop, const struct ringwake_params *params)
{
	struct ringwake_uv *attached = calloc(1, sizeof *attached);
	if (attached == NULL)
		return UV_ENOMEM;
	attached->loop = loop;
	if (params)
		attached->params = *params;
	if (!enlist(attached)) {
		free(attached);
		return UV_EBUSY;
	}
	int error = open_sleep(attached);
	if (error < 0) {
		ringwake_uv_delist(attached);
		free(attached);
		return error;
	}
	start_edges(attached);
	ringwake_arm(attached->target); /* this turn may be past its prepare handles */
	*out = attached;
	return 0;
}

int ringwake_uv_detach(struct ringwake_uv *attached)
{
	if (attached->handles > 0 || attached->outstanding > 0 || attached->running)
		return UV_EBUSY;
	stop_edges(attached);
	stop_watching_here(attached);
	ringwake_close(attached->target);
	close_ring(attached);
	ringwake_uv_leave_workers(attached);
	ringwake_uv_delist(attached);
	attached->detached = true;
	if (attached->depth == 0)
		free(attached);
	return 0;
}

struct ringwake *ringwake_uv_target(struct ringwake_uv *attached)
{
	return attached->target;
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
