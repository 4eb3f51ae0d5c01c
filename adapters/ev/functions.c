/* SPDX-License-Identifier: MIT */
#include "libev.h"

const struct library_function ringwake_ev_functions[] = {
	{&ringwake_ev_libev.async_start, "ev_async_start"},
	{&ringwake_ev_libev.async_stop, "ev_async_stop"},
	{&ringwake_ev_libev.async_send, "ev_async_send"},
	{&ringwake_ev_libev.loop_destroy, "ev_loop_destroy"},
	{&ringwake_ev_libev.set_loop_release_cb, "ev_set_loop_release_cb"},
	{NULL, NULL},
};
