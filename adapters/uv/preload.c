/* SPDX-License-Identifier: MIT */
/*
 * libringwake-uv-preload.so: takes the place of the functions through which a program, and libuv's
 * own workers, wake a loop. libuv calls them through its PLT like everybody else. A loop is
 * attached when libuv makes the handle of its workers, the last step of uv_loop_init(). If that
 * cannot be, the loop stays as libuv made it.
 *
 * RINGWAKE_UV_STATS=1 in the environment: figures on standard error when the process ends.
 */
#include "attach.h"
#include "libuv.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <ringwake/uv-compat.h>

#undef uv_async_init
#undef uv_async_send
#undef uv_close
#undef uv_loop_close
#undef uv_loop_fork

struct ringwake_uv_libuv ringwake_uv_libuv;

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void find_function(void *function, const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);
	if (found == NULL) {
		fprintf(stderr, "ringwake-uv: this program's libuv has no %s\n", name);
		abort();
	}
	*(void **)function = found;
}

static void find_libuv(void)
{
	find_function(&ringwake_uv_libuv.async_init, "uv_async_init");
	find_function(&ringwake_uv_libuv.async_send, "uv_async_send");
	find_function(&ringwake_uv_libuv.close, "uv_close");
	find_function(&ringwake_uv_libuv.loop_close, "uv_loop_close");
	find_function(&ringwake_uv_libuv.loop_fork, "uv_loop_fork");
}

/* Figures of loops that were closed; under no lock, for they are for people. */
static _Atomic unsigned long loops, callbacks, doorbells;

static void count(struct ringwake_uv *attached)
{
	struct ringwake_stats stats;
	ringwake_stats(ringwake_uv_target(attached), &stats);
	callbacks += stats.messages;
	doorbells += stats.wakes_rung;
	loops++;
}

__attribute__((destructor)) static void report(void)
{
	const char *wanted = getenv("RINGWAKE_UV_STATS");
	if (wanted == NULL || *wanted == '\0')
		return;
	ringwake_uv_each(count);
	fprintf(stderr, "ringwake-uv: %lu loops, %lu callbacks, %lu doorbells\n", loops, callbacks,
		doorbells);
}

int uv_async_init(uv_loop_t *loop, uv_async_t *handle, uv_async_cb cb)
{
	pthread_once(&once, find_libuv);
	struct ringwake_uv *attached = ringwake_uv_find(loop);
	if (handle == &loop->wq_async) {
		if (attached) /* a loop that was here before, and was never closed */
			ringwake_uv_delist(attached);
		ringwake_uv_attach(&attached, loop, NULL);
	}
	if (ringwake_uv_find(loop) == NULL)
		return ringwake_uv_libuv.async_init(loop, handle, cb);
	return ringwake_uv_compat_async_init(loop, handle, cb);
}

int uv_async_send(uv_async_t *handle)
{
	pthread_once(&once, find_libuv);
	return ringwake_uv_compat_async_send(handle);
}

void uv_close(uv_handle_t *handle, uv_close_cb cb)
{
	pthread_once(&once, find_libuv);
	ringwake_uv_close(handle, cb);
}

int uv_loop_close(uv_loop_t *loop)
{
	pthread_once(&once, find_libuv);
	struct ringwake_uv *attached = ringwake_uv_find(loop);
	if (attached == NULL)
		return ringwake_uv_libuv.loop_close(loop);
	if (!ringwake_uv_compat_can_close(attached))
		return UV_EBUSY;
	count(attached);
	return ringwake_uv_compat_loop_close(loop);
}

int uv_loop_fork(uv_loop_t *loop)
{
	pthread_once(&once, find_libuv);
	return ringwake_uv_compat_loop_fork(loop);
}
