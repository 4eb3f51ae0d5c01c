/* SPDX-License-Identifier: MIT */
/*
 * A loop's target and ring. The application may use the ring, too, so a completion on it is either
 * a doorbell or the application's. If the doorbell is an eventfd, the loop watches the eventfd, and
 * a ring is set up only if the application asks for it.
 */
#include "binding.h"

#include <stdlib.h>
#include <string.h>

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
	attached->has_doorbell_on_ring = false;
}

/* If true, the adapter must make no system call of io_uring. */
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
			attached->has_doorbell_on_ring = true;
			return true;
		}
		ringwake_close(attached->target);
	}
	close_ring(attached);
	return false;
}

int ringwake_uv_open_target(struct ringwake_uv *attached)
{
	if (!is_told_eventfd(&attached->params) && open_target_on_ring(attached))
		return 0;
	return ringwake_open(&attached->target, NULL, &attached->params);
}

void ringwake_uv_close_target(struct ringwake_uv *attached)
{
	ringwake_close(attached->target);
	close_ring(attached);
}

int ringwake_uv_watch_target(struct ringwake_uv *attached)
{
	int error = ringwake_uv_open_watch(
		attached, &attached->doorbell, ringwake_fd(attached->target));
	if (error < 0)
		return error;
	attached->epoll_fd = uv_backend_fd(attached->loop);
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

struct ringwake *ringwake_uv_target(struct ringwake_uv *attached)
{
	return attached->target;
}
