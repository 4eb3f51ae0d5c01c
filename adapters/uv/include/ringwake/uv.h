/* SPDX-License-Identifier: MIT */
/*
 * ringwake for libuv: a loop that any thread wakes through an io_uring.
 *
 * Functions return 0 or a negative libuv error, which on Linux is a negative errno. Those that
 * libuv has no name for, -EOWNERDEAD above all, are strerror()'s to explain.
 */
#ifndef RINGWAKE_UV_H
#define RINGWAKE_UV_H

#include <ringwake/ringwake.h>
#include <uv.h>

#ifdef __cplusplus
extern "C" {
#endif

struct io_uring_sqe;
struct ringwake_pool;

/* A libuv loop with a target attached. One loop has at most one. */
struct ringwake_uv;

/*
 * Loop thread, or before the loop runs. The target is armed and disarmed at the edges of the loop's
 * wait, so uv_run() stays as it is. The helper handles do not keep the loop alive, and uv_walk()
 * does not show them if ringwake_uv_knows_libuv(). params as for ringwake_open(); NULL: defaults.
 * If the kernel refuses the doorbell for good, senders use libuv's own async descriptor instead, or
 * params->fallback.
 *
 * UV_EBUSY   the loop has a target already
 * or an error of ringwake_open() or of libuv.
 */
int ringwake_uv_attach(
	struct ringwake_uv **out, uv_loop_t *loop, const struct ringwake_params *params);

/*
 * Any thread. True if libuv's private layout is the one that ringwake knows, that of libuv 1.44 to
 * 1.53. If not, for example with a libuv that is newer, ringwake uses libuv's public functions
 * only: uv_walk() shows the helper handles, which the application must not close by uv_close(), and
 * ringwake_uv_run() is uv_run(). RINGWAKE_UV_PUBLIC=1 in the environment has the same effect.
 */
bool ringwake_uv_knows_libuv(const struct ringwake_uv *attached);

/*
 * Any thread. The same for a loop that this function makes, attaches and closes: 0 if the layout is
 * known, UV_ENOTSUP if it is not, or the error of libuv or ringwake_open() that prevents the check.
 */
int ringwake_uv_check_libuv(void);

/*
 * Loop thread, before uv_loop_close(). Closes the target: messages that were accepted are delivered
 * before it returns, and must not begin anything of ringwake's on the loop. The helper handles are
 * gone after it, so uv_loop_close() may follow at once.
 *
 * UV_EBUSY    async handles are open or closing, work or requests are outstanding, or
 *             ringwake_uv_run() is running
 * UV_EINVAL   the loop was closed by uv_loop_close() before; the target is closed all the same
 */
int ringwake_uv_detach(struct ringwake_uv *attached);

/*
 * Any thread. The loop's target, for ringwake_send() and all else. It lives until
 * ringwake_uv_detach() or ringwake_uv_fork().
 */
struct ringwake *ringwake_uv_target(struct ringwake_uv *attached);

/*
 * Loop thread. uv_run(), but the loop sleeps in its io_uring, where a wake takes the shorter way;
 * libuv's epoll is a request on that ring. Handles, timers and uv_stop() work as they do under
 * uv_run(), in all three modes, and the two functions may take turns. Where the doorbell is an
 * eventfd, for a loop configured with UV_LOOP_BLOCK_SIGNAL or UV_METRICS_IDLE_TIME, and with
 * UV_RUN_NOWAIT, it is uv_run().
 */
int ringwake_uv_run(struct ringwake_uv *attached, uv_run_mode mode);

/*
 * Loop thread. The loop's io_uring, for requests of the application's own: made at the first call
 * if the doorbell needs none. Prepare a request on it, hand it to ringwake_uv_request_start(), and
 * it is submitted before the loop next sleeps; submit earlier as you like. NULL if there is no
 * io_uring to be had.
 */
struct io_uring *ringwake_uv_ring(struct ringwake_uv *attached);

/* A request on that ring, usually a member of something larger. Only data is public. */
typedef struct ringwake_uv_request ringwake_uv_request_t;
typedef void (*ringwake_uv_request_cb)(ringwake_uv_request_t *request, int result, unsigned flags);
struct ringwake_uv_request {
	void *data;
	ringwake_uv_request_cb cb;
	struct ringwake_uv *attached;
	void *reserved[2];
};

/*
 * Loop thread. Names the request whose completions sqe is to have, as its user_data; call it when
 * all else in sqe is prepared. The loop calls cb with the result and flags of each completion, and
 * is kept alive until the one without IORING_CQE_F_MORE. The memory is the caller's again when cb
 * is called for that one. A request belongs to the thread that submitted it and is cancelled when
 * that thread ends. Requests with user_data 0 have no callback; any other user_data is not allowed.
 */
void ringwake_uv_request_start(struct ringwake_uv *attached, struct io_uring_sqe *sqe,
	ringwake_uv_request_t *request, ringwake_uv_request_cb cb);

/*
 * The counterpart of uv_async_t. The first member is a libuv handle: uv_ref(), uv_unref(),
 * uv_has_ref(), uv_is_active(), uv_is_closing(), uv_walk() and data work on it. Only data is
 * public.
 */
typedef struct ringwake_uv_async ringwake_uv_async_t;
typedef void (*ringwake_uv_async_cb)(ringwake_uv_async_t *async);

/* Private. */
struct ringwake_uv_async_state {
	struct ringwake_event event;
#ifdef __cplusplus
	unsigned marks;
#else
	_Atomic unsigned marks;
#endif
	struct ringwake_uv *attached;
	uv_async_t *handle;
	union {
		ringwake_uv_async_cb cb;
		uv_async_cb plain_cb; /* of a uv_async_t that <ringwake/uv-compat.h> made */
	};
	uv_close_cb close_cb;
	struct ringwake_uv_async_state *next, **link; /* in the loop's list */
	struct ringwake_uv_async_state *next_due;     /* that a callback has signalled, if is_due */
	unsigned char closing;                        /* what it waits for before close_cb runs */
	bool awaits_message;
	bool from_freelist;
	bool is_due;
	void *reserved[2];
};

struct ringwake_uv_async {
	union {
		uv_async_t handle;
		void *data; /* the handle's own data member */
	};
	struct ringwake_uv_async_state signal;
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
 * Loop thread. Closes any handle of the loop, as uv_close() does. Close a ringwake_uv_async_t by
 * this function; uv_close() works too, at a higher cost if the handle's message waits in a long
 * queue. cb runs when no send is under way in it any more.
 */
void ringwake_uv_close(uv_handle_t *handle, uv_close_cb cb);

/*
 * Loop thread. As uv_queue_work(), on workers of ringwake's own that all loops of the process
 * share: as many as UV_THREADPOOL_SIZE says, four without it. Work that has not been started is
 * cancelled by ringwake_uv_cancel(), which is uv_cancel() for all other requests.
 */
int ringwake_uv_queue_work(struct ringwake_uv *attached, uv_work_t *request, uv_work_cb work_cb,
	uv_after_work_cb after_work_cb);
int ringwake_uv_cancel(uv_req_t *request);

/*
 * Loop thread, while no work is outstanding. The loop's work runs on this pool from now on, which
 * must stay open until the loop is detached; NULL: on the shared workers again.
 *
 * UV_EBUSY   work or requests are outstanding
 */
int ringwake_uv_use_pool(struct ringwake_uv *attached, struct ringwake_pool *pool);

/*
 * In a forked child, after uv_loop_fork() on the loop: makes a target of the child's own. Async
 * handles stay as they are; what was sent to them before the fork, work and requests are the
 * parent's. Until then sends return -EOWNERDEAD; after an error of ringwake_open() or of libuv they
 * go on to, and it may be called again.
 */
int ringwake_uv_fork(struct ringwake_uv *attached);

#ifdef __cplusplus
}
#endif

#endif
