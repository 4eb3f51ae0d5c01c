/* SPDX-License-Identifier: MIT */
/*
 * libuv's own functions, also in a program that is run by ringwake-uv: there the names lead to the
 * preloaded library, which would take this library's handles for the program's.
 */
#include "libuv.h"

#include <dlfcn.h>

struct ringwake_uv_libuv ringwake_uv_libuv = {
	.async_init = uv_async_init,
	.async_send = uv_async_send,
	.close = uv_close,
	.loop_close = uv_loop_close,
	.loop_fork = uv_loop_fork,
};

#define FIND(member)                                                                               \
	do {                                                                                       \
		void *found = dlsym(libuv, "uv_" #member);                                         \
		if (found)                                                                         \
			*(void **)&ringwake_uv_libuv.member = found;                               \
	} while (0)

__attribute__((constructor)) static void find_libuv(void)
{
	void *libuv = dlopen("libuv.so.1", RTLD_LAZY | RTLD_NOLOAD);
	if (libuv == NULL)
		return; /* it is a part of the program */
	FIND(async_init);
	FIND(async_send);
	FIND(close);
	FIND(loop_close);
	FIND(loop_fork);
	dlclose(libuv);
}
