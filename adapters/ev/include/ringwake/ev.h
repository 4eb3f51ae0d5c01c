/* SPDX-License-Identifier: MIT */
/*
 * ringwake for libev: any thread wakes a libev loop through an io_uring.
 *
 * A function that returns int returns 0 on success and a negative error number on failure, and
 * preserves errno. Each comment gives a summary, the threads that may call the function, and its
 * errors. The manual page of the function says the rest; start at ringwake_ev_attach(3).
 */
#ifndef RINGWAKE_EV_H
#define RINGWAKE_EV_H

#include <ev.h>
#include <ringwake/pool.h>
#include <ringwake/ringwake.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A libev loop with a target. A loop has at most one. It is valid until ringwake_ev_detach(). */
struct ringwake_ev;

/* The type of the callbacks of ev_set_loop_release_cb(). */
typedef void (*ringwake_ev_wait_cb)(struct ev_loop *loop);

/*
 * Loop thread, or before the loop runs. Opens a target for the loop, which may have any backend.
 * ev_run() stays as it is. params may be NULL; its members are those of ringwake_open().
 * ev_loop_destroy() detaches.
 * Errors: -EBUSY, -ENOMEM, -EMFILE, -ENFILE, and the others of ringwake_open().
 */
int ringwake_ev_attach(
	struct ringwake_ev **out, struct ev_loop *loop, const struct ringwake_params *params);

/*
 * Loop thread. Runs the callbacks of all accepted messages, closes the target and frees the
 * binding. After -EBUSY the loop stays attached. Errors: -EBUSY, -EALREADY.
 */
int ringwake_ev_detach(struct ringwake_ev *binding);

/*
 * Loop thread, before or after ringwake_ev_attach(). Replaces ev_set_loop_release_cb(), because an
 * attached loop uses libev's two callbacks. The adapter calls release before the wait of the loop
 * and acquire after it.
 */
void ringwake_ev_set_loop_release_cb(
	struct ev_loop *loop, ringwake_ev_wait_cb release, ringwake_ev_wait_cb acquire);
#define ev_set_loop_release_cb ringwake_ev_set_loop_release_cb

/*
 * Any thread. The loop's target, for ringwake_send() and the other functions of the core. It lives
 * until ringwake_ev_detach(). In a forked child the loop gets a new one when it first runs after
 * ev_loop_fork().
 */
struct ringwake *ringwake_ev_target(struct ringwake_ev *binding);

/*
 * The counterpart of ev_async. It starts with the members that every watcher has: ev_is_active(),
 * ev_is_pending(), ev_priority(), ev_set_priority(), ev_cb(), ev_set_cb(), ev_feed_event(),
 * ev_clear_pending(), ev_invoke() and data work on it. The callback gets EV_ASYNC.
 */
typedef struct ringwake_ev_async ringwake_ev_async;
struct ringwake_ev_doorbell;
struct ringwake_ev_async {
	EV_WATCHER(ringwake_ev_async)

	/* private */
	struct ringwake_event event;
	ringwake_ev_async *previous, *next;    /* in the list of started watchers */
	ringwake_ev_async *next_noted, **link; /* in the list of sends that the loop has taken */
#if __cplusplus >= 201103L
	struct ringwake_ev_doorbell *doorbell = 0; /* ev::async has no call that would set it */
	unsigned sent = 0;
#elif defined __cplusplus
	struct ringwake_ev_doorbell *doorbell;
	unsigned sent;
#else
	_Atomic(struct ringwake_ev_doorbell *) doorbell; /* set by the first start */
	_Atomic unsigned sent;                           /* 1 until the loop takes the send */
#endif
	void *reserved[2];
};

typedef void (*ringwake_ev_async_cb)(struct ev_loop *loop, ringwake_ev_async *async, int revents);

/*
 * Any thread, before the first start. ringwake_ev_async_init() calls ev_init() and
 * ringwake_ev_async_set().
 */
void ringwake_ev_async_init(ringwake_ev_async *async, ringwake_ev_async_cb cb);
void ringwake_ev_async_set(ringwake_ev_async *async);

/*
 * Loop thread. Starts the watcher, which keeps the loop alive until it is stopped. Does nothing if
 * the watcher is started.
 */
void ringwake_ev_async_start(struct ringwake_ev *binding, ringwake_ev_async *async);

/*
 * Loop thread. Stops the watcher. Blocks for a send that another thread has begun. The callback
 * does not run afterwards. The memory may be freed once no other thread can begin a send.
 */
void ringwake_ev_async_stop(ringwake_ev_async *async);

/*
 * Any thread, any signal handler. The callback runs at least once after the call. Several sends
 * before the callback runs make one call of it.
 * Errors: -ECANCELED, -EOWNERDEAD, and those of the doorbell; see ringwake_event_send().
 */
int ringwake_ev_async_send(ringwake_ev_async *async);

/*
 * Loop thread. True if the watcher was sent and the loop has not taken the send yet, also if the
 * watcher is not started.
 */
bool ringwake_ev_async_pending(const ringwake_ev_async *async);

/*
 * Work for a pool. Its completion is an event of the loop. The caller owns the memory, usually as a
 * member of a larger structure. From a successful ringwake_ev_queue_work() until cb is called, it
 * belongs to the pool. It starts with the members that every watcher has. ev_is_active() is true
 * while the work is outstanding.
 */
typedef struct ringwake_ev_work ringwake_ev_work;
struct ringwake_ev_work {
	EV_WATCHER(ringwake_ev_work)

	int status; /* for cb: 0, or an error, such as -ECANCELED, if run was never called */

	/* private */
	void (*run)(ringwake_ev_work *work);
	union {
		struct ringwake_msg msg; /* until the loop has taken it */
		struct ringwake_work work;
	};
	struct ringwake_ev *binding;
	ringwake_ev_work *next;        /* in the list of completed work */
	struct ringwake_pool *sent_to; /* the pool of work that the loop has not taken yet */
	void *reserved[1];
};

typedef void (*ringwake_ev_work_cb)(struct ev_loop *loop, ringwake_ev_work *work, int revents);

/*
 * Any thread, before the work is queued. run runs on a worker, then cb on the loop's thread, with
 * EV_CUSTOM. Neither may be NULL.
 */
void ringwake_ev_work_init(
	ringwake_ev_work *work, void (*run)(ringwake_ev_work *work), ringwake_ev_work_cb cb);

/*
 * Loop thread. Queues the work on this pool, which may serve several loops. Outstanding work keeps
 * the loop alive.
 * Errors: -EBUSY, -ECANCELED, -EOWNERDEAD.
 */
int ringwake_ev_queue_work(
	struct ringwake_ev *binding, struct ringwake_pool *pool, ringwake_ev_work *work);

/*
 * Any thread. Sends the work to the loop with this target, which queues it as
 * ringwake_ev_queue_work() does, in its next iteration. If the loop cannot queue it, or is detached
 * first, cb is called with the error as status. The work keeps the loop alive once the loop has
 * taken it. After -EIO the work is accepted, but the loop could not be woken.
 * Errors: -EBUSY, -EINVAL, -ECANCELED, -EOWNERDEAD, -EIO.
 */
int ringwake_ev_send_work(
	struct ringwake *target, struct ringwake_pool *pool, ringwake_ev_work *work);

/*
 * Loop thread. Cancels work that no worker has started: cb is called with status -ECANCELED.
 * Errors: -EBUSY, -EOWNERDEAD.
 */
int ringwake_ev_cancel(struct ringwake_pool *pool, ringwake_ev_work *work);

#ifdef __cplusplus
}
#endif

#endif
