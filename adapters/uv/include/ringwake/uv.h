/* SPDX-License-Identifier: MIT */
/*
 * ringwake for libuv: any thread wakes a libuv loop through an io_uring.
 *
 * A function that returns int returns 0 on success and a negative error on failure. The errors are
 * libuv's, which are negative error numbers on Linux. Use strerror(-error) for codes that libuv
 * does not name, such as -EOWNERDEAD. Each comment gives a summary, the threads that may call the
 * function, and its errors. The manual page of the function says the rest; start at
 * ringwake_uv_attach(3).
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

/* A libuv loop with a target. A loop has at most one. It is valid until ringwake_uv_detach(). */
struct ringwake_uv;

/*
 * Loop thread, or before the loop runs. Opens a target for the loop. uv_run() stays as it is.
 * params may be NULL; its members are those of ringwake_open().
 * Errors: UV_EBUSY, UV_ENOMEM, and those of ringwake_open() and of libuv.
 */
int ringwake_uv_attach(
	struct ringwake_uv **out, uv_loop_t *loop, const struct ringwake_params *params);

/*
 * Any thread. True if ringwake knows the private layout of this libuv, which is the same from 1.44
 * to 1.53. If not, ringwake uses only public functions of libuv; see ringwake_uv_attach(3).
 */
bool ringwake_uv_knows_libuv(const struct ringwake_uv *binding);

/*
 * Any thread. Checks the layout on a loop that this function makes and closes. Returns 0 if
 * ringwake knows it.
 * Errors: UV_ENOTSUP if ringwake does not know the layout, and those of ringwake_uv_attach() and of
 * libuv if the check is not possible.
 */
int ringwake_uv_check_libuv(void);

/*
 * Loop thread, before uv_loop_close(). Runs the callbacks of all accepted messages, closes the
 * target and frees the binding. After UV_EBUSY the loop stays attached.
 * Errors: UV_EBUSY, UV_EINVAL.
 */
int ringwake_uv_detach(struct ringwake_uv *binding);

/*
 * Any thread. The loop's target, for ringwake_send() and the other functions of the core. It lives
 * until ringwake_uv_detach() or ringwake_uv_fork().
 */
struct ringwake *ringwake_uv_target(struct ringwake_uv *binding);

/*
 * Loop thread. As uv_run(), but the loop blocks in its io_uring, where a wake costs less. On the
 * eventfd path, with UV_RUN_NOWAIT, and for loops with UV_LOOP_BLOCK_SIGNAL or UV_METRICS_IDLE_TIME
 * it only calls uv_run(). Returns what uv_run() returns.
 */
int ringwake_uv_run(struct ringwake_uv *binding, uv_run_mode mode);

/*
 * Loop thread. The loop's io_uring, for the application's own requests. What is prepared on it is
 * submitted before the loop next blocks. Valid until ringwake_uv_detach() or ringwake_uv_fork().
 * Returns NULL if no io_uring can be made.
 */
struct io_uring *ringwake_uv_ring(struct ringwake_uv *binding);

/* A request on that ring, usually a member of a larger structure. Only data is public. */
typedef struct ringwake_uv_request ringwake_uv_request_t;
typedef void (*ringwake_uv_request_cb)(ringwake_uv_request_t *request, int result, unsigned flags);
struct ringwake_uv_request {
	void *data;
	ringwake_uv_request_cb cb;
	struct ringwake_uv *binding;
	void *reserved[2];
};

/*
 * Loop thread, after the rest of sqe is prepared. Sets the user_data of sqe. The loop calls cb for
 * each completion of the request, and stays alive until the completion without IORING_CQE_F_MORE.
 * From that call of cb on, the memory is the caller's again. Any other request on the ring must
 * have user_data 0; its completion is ignored.
 */
void ringwake_uv_request_start(struct ringwake_uv *binding, struct io_uring_sqe *sqe,
	ringwake_uv_request_t *request, ringwake_uv_request_cb cb);

/*
 * The counterpart of uv_async_t. The first member is a libuv handle: uv_ref(), uv_unref(),
 * uv_has_ref(), uv_is_active(), uv_is_closing(), uv_walk() and data work on it. Only data is
 * public.
 */
typedef struct ringwake_uv_async ringwake_uv_async_t;
typedef void (*ringwake_uv_async_cb)(ringwake_uv_async_t *async);

/*
 * Private. What a send and its callback use is in one cache line if the structure is aligned to
 * one, which helps a loop with very many handles: the messages part of the event to the union.
 */
struct ringwake_uv_async_state {
	struct ringwake_uv_async_state *next, **link; /* in the loop's list */
	struct ringwake_uv_async_state *next_due;     /* the next due handle, if is_due */
	uv_close_cb close_cb;
	struct ringwake_event event;
#ifdef __cplusplus
	unsigned marks;
#else
	_Atomic unsigned marks;
#endif
	unsigned char closing; /* what must happen before close_cb runs */
	bool is_taken;         /* the state of a uv_async_t that <ringwake/uv-compat.h> made */
	bool is_due;
	bool knows_libuv;
	union {
		ringwake_uv_async_cb cb;
		uv_async_t *taken; /* if is_taken */
	};
	struct ringwake_uv *binding;
	bool awaits_message;
	void *reserved[6];
};

struct ringwake_uv_async {
	union {
		uv_async_t handle;
		void *data; /* the handle's own data member */
	};
	struct ringwake_uv_async_state state;
};

/*
 * Loop thread. Opens the handle, which is active at once and keeps the loop alive until it is
 * closed. cb may be NULL.
 * Errors: those of uv_async_init().
 */
int ringwake_uv_async_init(
	struct ringwake_uv *binding, ringwake_uv_async_t *async, ringwake_uv_async_cb cb);

/*
 * Any thread, any signal handler. cb runs on the loop's thread at least once after the call.
 * Several sends before cb runs make one call of cb.
 * Errors: UV_ECANCELED, -EOWNERDEAD, and those of the doorbell; see ringwake_event_send().
 */
int ringwake_uv_async_send(ringwake_uv_async_t *async);

/*
 * Loop thread. Closes any handle, as uv_close() does. Close a ringwake_uv_async_t with this
 * function. cb runs when no send uses the handle any more; it may be NULL.
 */
void ringwake_uv_close(uv_handle_t *handle, uv_close_cb cb);

/*
 * Loop thread. As uv_queue_work(), but on workers of ringwake, which all loops of the process
 * share. UV_THREADPOOL_SIZE sets their number; the default is 4.
 * Errors: UV_EINVAL, UV_ENOMEM, UV_EAGAIN, UV_ECANCELED, -EOWNERDEAD.
 */
int ringwake_uv_queue_work(struct ringwake_uv *binding, uv_work_t *request, uv_work_cb work_cb,
	uv_after_work_cb after_work_cb);

/*
 * Loop thread. As ringwake_uv_queue_work(), but on this pool; NULL: on the loop's own. Errors: as
 * ringwake_uv_queue_work().
 */
int ringwake_uv_queue_work_on(struct ringwake_uv *binding, struct ringwake_pool *pool,
	uv_work_t *request, uv_work_cb work_cb, uv_after_work_cb after_work_cb);

/*
 * Any thread. Sends work to the loop with this target, which queues it as
 * ringwake_uv_queue_work_on() does, in its next iteration. If the loop cannot queue it, or is
 * detached first, after_work_cb is called with the error. The work keeps the loop alive once the
 * loop has taken it. After UV_EIO the work is accepted, but the loop could not be woken.
 * Errors: UV_EINVAL, UV_ENOMEM, UV_ECANCELED, -EOWNERDEAD, UV_EIO.
 */
int ringwake_uv_send_work(struct ringwake *target, struct ringwake_pool *pool, uv_work_t *request,
	uv_work_cb work_cb, uv_after_work_cb after_work_cb);

/*
 * Loop thread. Cancels work that no worker has started; its after_work_cb is called with
 * UV_ECANCELED. As uv_cancel() for any other request.
 * Errors: UV_EBUSY, -EOWNERDEAD, and those of uv_cancel().
 */
int ringwake_uv_cancel(uv_req_t *request);

/*
 * Loop thread. Makes the loop's work run on this pool, unless the work names another; NULL: on the
 * shared workers. From the call
 * of ringwake_pool_close() on, the loop must not queue or cancel work on this pool. Errors:
 * UV_EBUSY.
 */
int ringwake_uv_use_pool(struct ringwake_uv *binding, struct ringwake_pool *pool);

/*
 * Loop thread. The pool on which the loop's work runs, for ringwake_pool_get_stats() and
 * ringwake_pool_get_times(). NULL: the loop has had no work yet, or this process is a forked child
 * that has not called ringwake_uv_fork(). Valid until the loop uses another pool or is detached.
 */
struct ringwake_pool *ringwake_uv_pool(const struct ringwake_uv *binding);

/*
 * Loop thread, in a forked child after uv_loop_fork(). Opens a target for the child's loop and
 * moves the async handles to it. Until then sends return -EOWNERDEAD. After an error, it may be
 * called again.
 * Errors: those of ringwake_open() and of libuv.
 */
int ringwake_uv_fork(struct ringwake_uv *binding);

#ifdef __cplusplus
}
#endif

#endif
