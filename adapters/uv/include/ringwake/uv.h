/* SPDX-License-Identifier: MIT */
/*
 * ringwake for libuv: a loop that any thread wakes through an io_uring.
 *
 * Functions return 0 or a negative libuv error, which on Linux is a negative errno.
 */
#ifndef RINGWAKE_UV_H
#define RINGWAKE_UV_H

#include <ringwake/ringwake.h>
#include <uv.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A libuv loop with a target attached. One loop has at most one. */
struct ringwake_uv;

/*
 * Loop thread, or before the loop runs. The target is armed and disarmed at the edges of the loop's
 * wait, so uv_run() stays as it is. The helper handles do not keep the loop alive and uv_walk()
 * does not show them. params as for ringwake_open(); NULL: defaults. UV_EBUSY   the loop has a
 * target already or an error of ringwake_open() or of libuv.
 */
int ringwake_uv_attach(
	struct ringwake_uv **out, uv_loop_t *loop, const struct ringwake_params *params);

/*
 * Loop thread. Closes the target: messages that were accepted are delivered before it returns. The
 * helper handles are gone after it, so uv_loop_close() may follow at once.
 * UV_EBUSY   async handles are open or closing, or work is outstanding
 */
int ringwake_uv_detach(struct ringwake_uv *attached);

/* The loop's target, for ringwake_send() and all else. It lives until ringwake_uv_detach(). */
struct ringwake *ringwake_uv_target(struct ringwake_uv *attached);

/*
 * The counterpart of uv_async_t. The first member is a libuv handle: uv_ref(), uv_unref(),
 * uv_has_ref(), uv_is_active(), uv_is_closing(), uv_walk() and data work on it. Only data is
 * public.
 */
typedef struct ringwake_uv_async ringwake_uv_async_t;
typedef void (*ringwake_uv_async_cb)(ringwake_uv_async_t *async);
struct ringwake_uv_async {
	union {
		uv_async_t handle;
		void *data; /* the handle's own data member */
	};
	struct ringwake_event event;
	struct ringwake_uv *attached;
	ringwake_uv_async_cb cb;
	uv_close_cb close_cb;
	int closing;
};

/* Loop thread. The handle is active at once and keeps the loop alive until it is closed. */
int ringwake_uv_async_init(
	struct ringwake_uv *attached, ringwake_uv_async_t *async, ringwake_uv_async_cb cb);

/*
 * Any thread, any signal handler. cb runs on the loop's thread at least once after the call; sends
 * before it runs are coalesced. UV_ECANCELED once the handle is closed; otherwise as
 * ringwake_event_send().
 */
int ringwake_uv_async_send(ringwake_uv_async_t *async);

/*
 * Loop thread. Closes any handle of the loop, as uv_close() does; a ringwake_uv_async_t has to be
 * closed by this function. cb runs when no send is under way in it any more.
 */
void ringwake_uv_close(uv_handle_t *handle, uv_close_cb cb);

/*
 * Loop thread. As uv_queue_work(), on workers of ringwake's own that all loops of the process
 * share: as many as UV_THREADPOOL_SIZE says, four without it. Work that has not been started is
 * cancelled by ringwake_uv_cancel().
 */
int ringwake_uv_queue_work(struct ringwake_uv *attached, uv_work_t *request, uv_work_cb work_cb,
	uv_after_work_cb after_work_cb);
int ringwake_uv_cancel(uv_req_t *request);

#ifdef __cplusplus
}
#endif

#endif
