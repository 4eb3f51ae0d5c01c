/* SPDX-License-Identifier: MIT */
/*
 * The functions of libev that libringwake-ev-preload.so replaces. The adapter calls them through
 * this table, so that in the preloaded library it calls libev itself.
 */
#ifndef RINGWAKE_EV_LIBEV_H
#define RINGWAKE_EV_LIBEV_H

#include "functions.h"

#include <ringwake/ev.h>

struct ringwake_ev_libev {
	void (*async_start)(struct ev_loop *loop, ev_async *async);
	void (*async_stop)(struct ev_loop *loop, ev_async *async);
	void (*async_send)(struct ev_loop *loop, ev_async *async);
	void (*loop_destroy)(struct ev_loop *loop);
	void (*set_loop_release_cb)(
		struct ev_loop *loop, ringwake_ev_wait_cb release, ringwake_ev_wait_cb acquire);
};

extern struct ringwake_ev_libev ringwake_ev_libev;

/* functions.c. The functions of the table, to be found by name. */
extern const struct library_function ringwake_ev_functions[];

#endif
