/* SPDX-License-Identifier: MIT */
/*
 * libev's own functions, also in a program with a preloaded library that takes their place: there
 * the names lead to the preloaded library, which would take the adapter's watchers for the
 * program's.
 */
#include "libev.h"

#include <dlfcn.h>

/* Here the name is libev's own. */
#undef ev_set_loop_release_cb

struct ringwake_ev_libev ringwake_ev_libev = {
	.async_start = ev_async_start,
	.async_stop = ev_async_stop,
	.async_send = ev_async_send,
	.loop_destroy = ev_loop_destroy,
	.set_loop_release_cb = ev_set_loop_release_cb,
};

#define FIND(member)                                                                               \
	do {                                                                                       \
		void *found = dlsym(libev, "ev_" #member);                                         \
		if (found)                                                                         \
			*(void **)&ringwake_ev_libev.member = found;                               \
	} while (0)

__attribute__((constructor)) static void find_libev(void)
{
	void *libev = dlopen("libev.so.4", RTLD_LAZY | RTLD_NOLOAD);
	if (libev == NULL)
		return; /* it is a part of the program */
	FIND(async_start);
	FIND(async_stop);
	FIND(async_send);
	FIND(loop_destroy);
	FIND(set_loop_release_cb);
	dlclose(libev);
}
