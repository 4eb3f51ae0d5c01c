/* SPDX-License-Identifier: MIT */
/*
 * Include it instead of <ev.h>, or before <ev++.h>, and source that uses ev_async runs on ringwake
 * unchanged. A loop is attached when the first ev_async of it is started, and detached by
 * ev_loop_destroy(). If it cannot be attached because there is no memory or no descriptor, the
 * program ends with a message, as it does if libev cannot make its own.
 */
#ifndef RINGWAKE_EV_COMPAT_H
#define RINGWAKE_EV_COMPAT_H

#include <ringwake/ev.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The loop's target, for all else that ringwake offers; it is attached if it is not yet. Loop
 * thread. Errors as ringwake_ev_attach() but for -EBUSY.
 */
int ringwake_ev_of_loop(struct ringwake_ev **out, struct ev_loop *loop);

/* As the functions of libev whose place they take. */
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
