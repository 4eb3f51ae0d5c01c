/* SPDX-License-Identifier: MIT */
/*
 * A target behind a libuv loop whose uv_run() stays as it is. Each turn of the loop:
 *
 *   prepare  arm; if messages are there already, an idle handle keeps the loop from sleeping
 *   poll     the doorbell's descriptor ends the wait
 *   check    disarm, run callbacks
 *
 * So callbacks run in the check phase of the turn that was woken.
 */
#include "attach.h"

#include <pthread.h>
#include <stdlib.h>

/*
 * Private to libuv, the same in every release since 1.0: uv_walk() and uv_loop_close() pass over a
 * handle that carries it.
 */
#define HANDLE_INTERNAL 0x10u

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct ringwake_uv *list;

static bool enlist(struct ringwake_uv *attached)
{
	pthread_mutex_lock(&list_lock);
	struct ringwake_uv *other = list;
	while (other && other->loop != attached->loop)
		other = other->next;
	if (other == NULL) {
		attached->next = list;
		list = attached;
	}
	pthread_mutex_unlock(&list_lock);
	return other == NULL;
}

static void delist(struct ringwake_uv *attached)
{
	pthread_mutex_lock(&list_lock);
	struct ringwake_uv **link = &list;
	while (*link != attached)
		link = &(*link)->next;
	*link = attached->next;
	pthread_mutex_unlock(&list_lock);
}

static void on_doorbell(uv_poll_t *handle, int status, int events)
{
	struct ringwake_uv *attached = handle->data;
	(void)status;
	(void)events;
	ringwake_disarm(attached->target);
}

static void on_busy(uv_idle_t *handle)
{
	(void)handle; /* being active is all it is for */
}

static void on_before(uv_prepare_t *handle)
{
	struct ringwake_uv *attached = handle->data;
	if (!ringwake_arm(attached->target))
		uv_idle_start(&attached->busy, on_busy);
}

static void on_after(uv_check_t *handle)
{
	struct ringwake_uv *attached = handle->data;
	ringwake_disarm(attached->target);
	uv_idle_stop(&attached->busy);
	ringwake_dispatch(attached->target, 0); /* a callback may detach: nothing follows */
}

static void hide(void *helper)
{
	uv_handle_t *handle = helper;
	handle->flags |= HANDLE_INTERNAL;
	uv_unref(handle);
}

static int start_helpers(struct ringwake_uv *attached)
{
	int error =
		uv_poll_init(attached->loop, &attached->doorbell, ringwake_fd(attached->target));
	if (error < 0)
		return error;
	/* These do not fail. */
	uv_prepare_init(attached->loop, &attached->before);
	uv_check_init(attached->loop, &attached->after);
	uv_idle_init(attached->loop, &attached->busy);
	attached->doorbell.data = attached;
	attached->before.data = attached;
	attached->after.data = attached;
	hide(&attached->doorbell);
	hide(&attached->before);
	hide(&attached->after);
	hide(&attached->busy);
	uv_prepare_start(&attached->before, on_before);
	uv_check_start(&attached->after, on_after);
	return uv_poll_start(&attached->doorbell, UV_READABLE, on_doorbell);
}

/*
 * uv_close() would need another turn of the loop. A handle that was stopped is known to the loop
 * only by its place in the list of handles, two pointers in every release: next and previous.
 */
static void forget(void *helper)
{
	void **place = (void **)(void *)&((uv_handle_t *)helper)->handle_queue;
	void **next = place[0];
	void **previous = place[1];
	previous[0] = next;
	next[1] = previous;
}

static void stop_helpers(struct ringwake_uv *attached)
{
	uv_poll_stop(&attached->doorbell);
	uv_prepare_stop(&attached->before);
	uv_check_stop(&attached->after);
	uv_idle_stop(&attached->busy);
	forget(&attached->doorbell);
	forget(&attached->before);
	forget(&attached->after);
	forget(&attached->busy);
}

int ringwake_uv_attach(
	struct ringwake_uv **out, uv_loop_t *loop, const struct ringwake_params *params)
{
	struct ringwake_uv *attached = calloc(1, sizeof *attached);
	if (attached == NULL)
		return UV_ENOMEM;
	attached->loop = loop;
	if (!enlist(attached)) {
		free(attached);
		return UV_EBUSY;
	}
	int error = ringwake_open(&attached->target, NULL, params);
	if (error == 0) {
		error = start_helpers(attached);
		if (error < 0)
			ringwake_close(attached->target);
	}
	if (error < 0) {
		delist(attached);
		free(attached);
		return error;
	}
	*out = attached;
	return 0;
}

int ringwake_uv_detach(struct ringwake_uv *attached)
{
	if (attached->handles > 0 || attached->outstanding > 0)
		return UV_EBUSY;
	stop_helpers(attached);
	ringwake_close(attached->target);
	ringwake_uv_leave_workers(attached);
	delist(attached);
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
