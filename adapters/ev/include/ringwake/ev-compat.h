/* SPDX-License-Identifier: MIT */
/*
 * Include this header instead of <ev.h>, or before <ev++.h>, and source that uses ev_async runs on
 * ringwake unchanged. A loop is attached when its first ev_async is started, and detached by
 * ev_loop_destroy(). If a loop cannot be attached, the program prints a message and aborts, as
 * libev does if it has no memory.
 */
#ifndef RINGWAKE_EV_COMPAT_H
#define RINGWAKE_EV_COMPAT_H

#include <ringwake/ev.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Loop thread. Finds the loop's target, for functions of <ringwake/ev.h>. Attaches the loop if it
 * has none.
 * Errors: as ringwake_ev_attach(), without -EBUSY.
 */
int ringwake_ev_of_loop(struct ringwake_ev **out, struct ev_loop *loop);

/* Each of these behaves as the libev function that it replaces. */
void ringwake_ev_compat_start(struct ev_loop *loop, ringwake_ev_async *async);
void ringwake_ev_compat_stop(struct ev_loop *loop, ringwake_ev_async *async);
void ringwake_ev_compat_send(struct ev_loop *loop, ringwake_ev_async *async);
void ringwake_ev_compat_loop_destroy(struct ev_loop *loop);

#ifdef __cplusplus
}
#endif

#undef ev_async_init
#undef ev_async_set
#undef ev_async_pending

#define ev_async         ringwake_ev_async
#define ev_async_set(ev) ringwake_ev_async_set(ev)
#define ev_async_init(ev, cb)                                                                      \
	do {                                                                                       \
		ev_init((ev), (cb));                                                               \
		ev_async_set((ev));                                                                \
	} while (0)
#define ev_async_start       ringwake_ev_compat_start
#define ev_async_stop        ringwake_ev_compat_stop
#define ev_async_send        ringwake_ev_compat_send
#define ev_async_pending(ev) ringwake_ev_async_pending(ev)

#define ev_loop_destroy ringwake_ev_compat_loop_destroy

#endif
