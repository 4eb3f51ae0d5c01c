/* SPDX-License-Identifier: MIT */
/*
 * A target behind a libuv loop. The loop itself says which target it has: a member that libuv does
 * not use points to it, so there is no list, and no lock. Only where that member is not ours, with
 * a layout that is not known or beside another copy of this library, is the loop in a list.
 *
 * The ring is one that the application may use too, so completions on it are either doorbells or
 * the application's. Where the doorbell is an eventfd it is watched by itself; the ring is then
 * made only if the application asks for it.
 */
#include "attach.h"
#include "libuv.h"
#include "libuv_private.h"
#include "shared.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Its address is this copy of the library's: a program and a preloaded library may have one each.
 */
static const char library;

/* A loop that was never closed may have left memory to this one, but not its epoll. */
static bool is_of(const struct ringwake_uv *attached, const uv_loop_t *loop)
{
	return attached->loop == loop && attached->backend_fd == uv_backend_fd(loop);
}

static struct ringwake_uv *listed(struct registry_entry *entry)
{
	return (struct ringwake_uv *)((char *)entry - offsetof(struct ringwake_uv, entry));
}

static struct ringwake_uv *find_listed(const uv_loop_t *loop)
{
	struct ringwake_uv_shared *shared = ringwake_uv_lock();
	if (shared == NULL)
		return NULL;
	struct registry_entry *entry = shared->registry.list;
	while (entry && !is_of(listed(entry), loop))
		entry = entry->next;
	ringwake_uv_unlock(shared);
	return entry ? listed(entry) : NULL;
}

struct ringwake_uv *ringwake_uv_find(const uv_loop_t *loop)
{
	if (!ringwake_uv_slot_holds(loop))
		return find_listed(loop);
	struct ringwake_uv *attached = ringwake_uv_loop_slot(loop);
	if (attached && attached->library != &library)
		return find_listed(loop);
	return attached;
}

static int enlist(struct ringwake_uv *attached)
{
	if (attached->knows_libuv && ringwake_uv_loop_slot(attached->loop) == NULL) {
		ringwake_uv_set_loop_slot(attached->loop, attached);
		return 0;
	}
	struct ringwake_uv_shared *shared = ringwake_uv_lock();
	if (shared == NULL)
		return UV_ENOMEM;
	attached->entry.loop = attached->loop;
	registry_add(&shared->registry, &attached->entry);
	attached->is_listed = true;
	ringwake_uv_unlock(shared);
	return 0;
}

static void delist(struct ringwake_uv *attached)
{
	if (!attached->is_listed) {
		if (ringwake_uv_loop_slot(attached->loop) == attached)
			ringwake_uv_set_loop_slot(attached->loop, NULL);
		return;
	}
	struct ringwake_uv_shared *shared = ringwake_uv_lock();
	if (shared == NULL)
		return;
	registry_remove(&shared->registry, &attached->entry);
	ringwake_uv_unlock(shared);
}

bool ringwake_uv_is_foreign(const struct ringwake_uv *attached)
{
	return ringwake_is_inherited(attached->target);
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

/* Then no system call of io_uring may be made. */
static bool is_told_eventfd(const struct ringwake_params *params)
{
	if (params->path != RINGWAKE_PATH_AUTO)
		return params->path == RINGWAKE_PATH_EVENTFD;
	const char *path = secure_getenv("RINGWAKE_PATH");
	return path != NULL && strcmp(path, "eventfd") == 0;
}

static bool open_target_on_ring(struct ringwake_uv *attached)
{
	if (open_ring(attached) < 0)
		return false;
	if (ringwake_open(&attached->target, &attached->ring, &attached->params) == 0) {
		if (ringwake_get_path(attached->target) == RINGWAKE_PATH_MSG_RING) {
			attached->ring_rings = true;
			return true;
		}
		ringwake_close(attached->target);
	}
	close_ring(attached);
	return false;
}

static int open_target(struct ringwake_uv *attached)
{
	if (!is_told_eventfd(&attached->params) && open_target_on_ring(attached))
		return 0;
	return ringwake_open(&attached->target, NULL, &attached->params);
}

static void close_target(struct ringwake_uv *attached)
{
	ringwake_close(attached->target);
	close_ring(attached);
}

static int watch_target(struct ringwake_uv *attached)
{
	int error = ringwake_uv_open_watch(
		attached, &attached->doorbell, ringwake_fd(attached->target));
	if (error < 0)
		return error;
	attached->backend_fd = uv_backend_fd(attached->loop);
	return 0;
}

static int open_anew(struct ringwake_uv *attached)
{
	attached->has_ring = false;
	attached->ring_rings = false;
	int error = open_target(attached);
	if (error < 0)
		return error;
	error = watch_target(attached);
	if (error < 0)
		close_target(attached);
	return error;
}

static void close_watches(struct ringwake_uv *attached)
{
	ringwake_uv_close_watch(attached, &attached->doorbell);
	ringwake_uv_close_watch(attached, &attached->completions);
}

int ringwake_uv_reopen(struct ringwake_uv *attached)
{
	struct ringwake *target = attached->target;
	struct io_uring ring = attached->ring;
	bool had_ring = attached->has_ring;
	close_watches(attached);
	int error = open_anew(attached);
	if (error < 0) {
		/* The parent's target refuses sends. Nothing may wait on the parent's ring. */
		attached->target = target;
		attached->ring = ring;
		attached->has_ring = had_ring;
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
	if (attached->has_ring)
		return &attached->ring;
	if (open_ring(attached) < 0)
		return NULL;
	if (ringwake_uv_open_watch(attached, &attached->completions, attached->ring.ring_fd) < 0) {
		close_ring(attached);
		return NULL;
	}
	return &attached->ring;
}

static int open_handles(struct ringwake_uv *attached)
{
	int error = ringwake_uv_open_helpers(attached);
	if (error < 0)
		return error;
	error = watch_target(attached);
	if (error < 0)
		ringwake_uv_close_helpers(attached);
	return error;
}

static int open_all(struct ringwake_uv *attached)
{
	int error = enlist(attached);
	if (error < 0)
		return error;
	error = open_target(attached);
	if (error == 0) {
		error = open_handles(attached);
		if (error < 0)
			close_target(attached);
	}
	if (error < 0)
		delist(attached);
	return error;
}

int ringwake_uv_attach(
	struct ringwake_uv **out, uv_loop_t *loop, const struct ringwake_params *params)
{
	if (ringwake_uv_find(loop))
		return UV_EBUSY;
	int saved = errno;
	struct ringwake_uv *attached = calloc(1, sizeof *attached);
	errno = saved;
	if (attached == NULL)
		return UV_ENOMEM;
	attached->library = &library;
	attached->loop = loop;
	attached->knows_libuv = ringwake_uv_layout_holds(loop);
	if (params)
		attached->params = *params;
	if (attached->params.fallback == NULL) {
		attached->params.fallback = ringwake_uv_wake_by_libuv;
		attached->params.fallback_data = attached;
	}
	int error = open_all(attached);
	if (error < 0) {
		ringwake_uv_enter(attached);
		attached->detached = true;
		ringwake_uv_leave(attached);
		return error;
	}
	ringwake_arm(attached->target); /* this iteration may be past its prepare handles */
	*out = attached;
	return 0;
}

/* By uv_loop_close(), which must not be called on an attached loop. The memory is there. */
static bool loop_is_closed(const struct ringwake_uv *attached)
{
	return uv_backend_fd(attached->loop) < 0 ||
		(!attached->is_listed && ringwake_uv_loop_slot(attached->loop) != attached);
}

struct others {
	const struct ringwake_uv *attached;
	bool found;
};

static void note_other(uv_handle_t *handle, void *argument)
{
	struct others *others = argument;
	if (handle->data != others->attached)
		others->found = true;
}

bool ringwake_uv_has_others(const struct ringwake_uv *attached)
{
	struct others others = {.attached = attached, .found = uv_loop_alive(attached->loop)};
	if (!others.found)
		uv_walk(attached->loop, note_other, &others);
	return others.found;
}

/* With public functions alone, the helpers need an iteration to go. Nothing else may run in it. */
static void let_helpers_go(struct ringwake_uv *attached, bool has_others)
{
	if (attached->lingering > 0 && attached->depth == 1 && !has_others)
		uv_run(attached->loop, UV_RUN_NOWAIT);
}

static void leave_loop(struct ringwake_uv *attached)
{
	bool has_others = !attached->knows_libuv && ringwake_uv_has_others(attached);
	bool is_foreign = ringwake_uv_is_foreign(attached);
	ringwake_uv_close_helpers(attached);
	/* In a forked child whose loop was not told, the parent's epoll must go on to watch: libuv
	 * cannot take a closed descriptor off it. */
	if (is_foreign)
		close_target(attached);
	close_watches(attached);
	if (!is_foreign)
		close_target(attached);
	delist(attached);
	let_helpers_go(attached, has_others);
}

static void leave_closed_loop(struct ringwake_uv *attached)
{
	close_target(attached);
	ringwake_uv_free_watches(attached);
	if (attached->is_listed)
		delist(attached);
}

int ringwake_uv_detach(struct ringwake_uv *attached)
{
	bool is_closed = loop_is_closed(attached);
	if (!is_closed && (attached->handles > 0 || attached->outstanding > 0 || attached->running))
		return UV_EBUSY;
	ringwake_uv_enter(attached);
	if (is_closed)
		leave_closed_loop(attached);
	else
		leave_loop(attached);
	ringwake_uv_leave_workers(attached);
	ringwake_uv_signals_leave(attached);
	attached->detached = true;
	ringwake_uv_leave(attached);
	return is_closed ? UV_EINVAL : 0;
}

bool ringwake_uv_knows_libuv(const struct ringwake_uv *attached)
{
	return attached->knows_libuv;
}

static int check_loop(uv_loop_t *loop)
{
	struct ringwake_params params = {.path = RINGWAKE_PATH_EVENTFD};
	struct ringwake_uv *attached;
	int error = ringwake_uv_attach(&attached, loop, &params);
	if (error < 0)
		return error;
	bool knows_libuv = attached->knows_libuv;
	ringwake_uv_detach(attached);
	return knows_libuv ? 0 : UV_ENOTSUP;
}

int ringwake_uv_check_libuv(void)
{
	uv_loop_t loop;
	int error = uv_loop_init(&loop);
	if (error < 0)
		return error;
	error = check_loop(&loop);
	ringwake_uv_libuv.loop_close(&loop);
	return error;
}

struct ringwake *ringwake_uv_target(struct ringwake_uv *attached)
{
	return attached->target;
}
