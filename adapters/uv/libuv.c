/* SPDX-License-Identifier: MIT */
#include "libuv.h"

struct ringwake_uv_libuv ringwake_uv_libuv = {
	.async_init = uv_async_init,
	.async_send = uv_async_send,
	.close = uv_close,
	.loop_close = uv_loop_close,
	.loop_fork = uv_loop_fork,
};
