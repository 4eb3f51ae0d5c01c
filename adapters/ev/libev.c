/* SPDX-License-Identifier: MIT */
/*
 * The table of libev's own functions. In a program under ringwake-ev the names lead to the
 * preloaded library, which would take the adapter's watchers for the program's. So they are looked
 * up in libev.
 */
#include "libev.h"

/* In this file the name is libev's own. */
#undef ev_set_loop_release_cb

struct ringwake_ev_libev ringwake_ev_libev = {
	.async_start = ev_async_start,
	.async_stop = ev_async_stop,
	.async_send = ev_async_send,
	.loop_destroy = ev_loop_destroy,
	.set_loop_release_cb = ev_set_loop_release_cb,
};

__attribute__((constructor)) static void find_libev(void)
{
	find_functions_in("libev.so.4", ringwake_ev_functions);
}
