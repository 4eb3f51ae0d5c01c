/* SPDX-License-Identifier: MIT */
/*
 * The functions of libuv that libringwake-uv-preload.so replaces. The adapter calls them through
 * this table, so that in the preloaded library it calls libuv itself.
 */
#ifndef RINGWAKE_UV_LIBUV_H
#define RINGWAKE_UV_LIBUV_H

#include "functions.h"

#include <stdbool.h>
#include <uv.h>

struct ringwake_uv_libuv {
	int (*async_init)(uv_loop_t *loop, uv_async_t *handle, uv_async_cb cb);
	int (*async_send)(uv_async_t *handle);
	void (*close)(uv_handle_t *handle, uv_close_cb cb);
	int (*loop_close)(uv_loop_t *loop);
	int (*loop_fork)(uv_loop_t *loop);
};

extern struct ringwake_uv_libuv ringwake_uv_libuv;

/* functions.c. The functions of the table, to be found by name. */
extern const struct library_function ringwake_uv_functions[];

#endif
