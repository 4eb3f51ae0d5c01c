/* SPDX-License-Identifier: MIT */
/*
 * The table of libuv's own functions. In a program under ringwake-uv the names lead to the
 * preloaded library, which would take this library's handles for the program's. So they are looked
 * up in libuv.
 */
#include "libuv.h"

struct ringwake_uv_libuv ringwake_uv_libuv = {
	.async_init = uv_async_init,
	.async_send = uv_async_send,
	.close = uv_close,
	.loop_close = uv_loop_close,
	.loop_fork = uv_loop_fork,
};

__attribute__((constructor)) static void find_libuv(void)
{
	find_functions_in("libuv.so.1", ringwake_uv_functions);
}
