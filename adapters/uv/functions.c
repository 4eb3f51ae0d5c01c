/* SPDX-License-Identifier: MIT */
#include "libuv.h"

const struct library_function ringwake_uv_functions[] = {
	{&ringwake_uv_libuv.async_init, "uv_async_init"},
	{&ringwake_uv_libuv.async_send, "uv_async_send"},
	{&ringwake_uv_libuv.close, "uv_close"},
	{&ringwake_uv_libuv.loop_close, "uv_loop_close"},
	{&ringwake_uv_libuv.loop_fork, "uv_loop_fork"},
	{NULL, NULL},
};
