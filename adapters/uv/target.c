/* SPDX-License-Identifier: MIT */
/*
 * A loop's target and ring. The application may use the ring, too, so a completion on it is either
 * a doorbell or the application's. If the doorbell is an eventfd, the loop watches the eventfd, and
 * a ring is set up only if the application asks for it.
 */
#include "binding.h"

#include <stdlib.h>
#include <string.h>

static int open_ring(struct ringwake_uv *binding)
{
	int error = io_uring_queue_init(RINGWAKE_UV_RING_ENTRIES, &binding->ring, 0);
	binding->has_ring = error == 0;
	return error;
}

static void close_ring(struct ringwake_uv *binding)
{
	if (binding->has_ring)
		io_uring_queue_exit(&binding->ring);
	binding->has_ring = false;
	binding->has_doorbell_on_ring = false;
}

/* If true, the adapter must make no system call of io_uring. */
static bool is_told_eventfd(const struct ringwake_params *params)
{
	if (params->path != RINGWAKE_PATH_AUTO)
		return params->path == RINGWAKE_PATH_EVENTFD;
	const char *path = secure_getenv("RINGWAKE_PATH");
	return path != NULL && strcmp(path, "eventfd") == 0;
}

static bool open_target_on_ring(struct ringwake_uv *binding)
{
	if (open_ring(binding) < 0)
		return false;
	if (ringwake_open(&binding->target, &binding->ring, &binding->params) == 0) {
		if (ringwake_get_path(binding->target) == RINGWAKE_PATH_MSG_RING) {
			binding->has_doorbell_on_ring = true;
			return true;
		}
		ringwake_close(binding->target);
	}
	close_ring(binding);
	return false;
}

int ringwake_uv_open_target(struct ringwake_uv *binding)
{
	if (!is_told_eventfd(&binding->params) && open_target_on_ring(binding))
		return 0;
	return ringwake_open(&binding->target, NULL, &binding->params);
}

void ringwake_uv_close_target(struct ringwake_uv *binding)
{
	ringwake_close(binding->target);
	close_ring(binding);
}

int ringwake_uv_watch_target(struct ringwake_uv *binding)
{
	int error =
		ringwake_uv_open_watch(binding, &binding->doorbell, ringwake_fd(binding->target));
	if (error < 0)
		return error;
	binding->epoll_fd = uv_backend_fd(binding->loop);
	return 0;
}

struct io_uring *ringwake_uv_ring(struct ringwake_uv *binding)
{
	if (binding->has_ring)
		return &binding->ring;
	if (open_ring(binding) < 0)
		return NULL;
	if (ringwake_uv_open_watch(binding, &binding->completions, binding->ring.ring_fd) < 0) {
		close_ring(binding);
		return NULL;
	}
	return &binding->ring;
}

struct ringwake *ringwake_uv_target(struct ringwake_uv *binding)
{
	return binding->target;
}
