/* SPDX-License-Identifier: MIT */
/*
 * libringwake-uv-preload.so replaces the functions through which a program, and libuv's own
 * workers, wake a loop. libuv itself calls them through its PLT, too. A loop is attached when libuv
 * opens the handle of its workers, which is the last step of uv_loop_init(). If that fails, the
 * loop stays as libuv made it.
 */
#include "binding.h"
#include "libuv.h"
#include "libuv_private.h"
#include "preload/preload.h"

#include <pthread.h>
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

static void find_libuv(void)
{
	ringwake_preload_find(ringwake_uv_functions);
}

static void report_plain(unsigned long plain)
{
	if (plain > 0)
		fprintf(stderr,
			"ringwake-uv: %lu loops stay as libuv %s made them: its layout is not "
			"known\n",
			plain, uv_version_string());
}

const struct ringwake_preload ringwake_preload = {
	.program = "ringwake-uv",
	.library = "libuv",
	.variable = "RINGWAKE_UV_STATS",
	.report_plain = report_plain,
};

/* Called after libuv has opened its own descriptors, so the target does not take them. */
static struct ringwake_uv *attach_new_loop(uv_loop_t *loop)
{
	struct ringwake_uv *binding;
	if (ringwake_uv_compat_attach(&binding, loop) < 0 || binding == NULL) {
		if (!ringwake_uv_layout_holds(loop))
			ringwake_preload_stats_plain();
		return NULL;
	}
	ringwake_preload_stats_open(loop, ringwake_uv_target(binding));
	return binding;
}

int uv_async_init(uv_loop_t *loop, uv_async_t *handle, uv_async_cb cb)
{
	pthread_once(&once, find_libuv);
	int error = ringwake_uv_libuv.async_init(loop, handle, cb);
	if (error < 0)
		return error;
	struct ringwake_uv *binding = ringwake_uv_find(loop);
	if (binding == NULL && handle == ringwake_uv_workers_async(loop))
		binding = attach_new_loop(loop);
	if (binding && binding->knows_libuv)
		ringwake_uv_compat_take(binding, handle);
	return 0;
}

int uv_async_send(uv_async_t *handle)
{
	pthread_once(&once, find_libuv);
	return ringwake_uv_send_plain(handle);
}

void uv_close(uv_handle_t *handle, uv_close_cb cb)
{
	pthread_once(&once, find_libuv);
	ringwake_uv_close(handle, cb);
}

int uv_loop_close(uv_loop_t *loop)
{
	pthread_once(&once, find_libuv);
	struct ringwake_uv *binding = ringwake_uv_find(loop);
	if (binding && ringwake_uv_compat_can_close(binding))
		ringwake_preload_stats_close(loop);
	return ringwake_uv_compat_loop_close(loop);
}

int uv_loop_fork(uv_loop_t *loop)
{
	pthread_once(&once, find_libuv);
	int error = ringwake_uv_compat_loop_fork(loop);
	struct ringwake_uv *binding = ringwake_uv_find(loop);
	if (binding && !ringwake_is_inherited(binding->target))
		ringwake_preload_stats_open(loop, ringwake_uv_target(binding));
	return error;
}
