/* SPDX-License-Identifier: MIT */
/*
 * ringwake for libev: a loop that any thread wakes through an io_uring.
 *
 * Functions that return int return 0 or a negative errno value, and leave errno as it was.
 */
#ifndef RINGWAKE_EV_H
#define RINGWAKE_EV_H

#include <ev.h>
#include <ringwake/pool.h>
#include <ringwake/ringwake.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A libev loop with a target attached. One loop has at most one. */
struct ringwake_ev;

/* As ev_set_loop_release_cb() has it. */
typedef void (*ringwake_ev_wait_cb)(struct ev_loop *loop);

/*
 * Loop thread, or before the loop runs. Any backend, default and dynamic loops. The target is armed
 * and disarmed around each wait of the loop, so ev_run() stays as it is; the helper watchers do not
 * keep the loop alive. params as for ringwake_open(); NULL: defaults. ev_loop_destroy() detaches,
 * whatever is still started or outstanding.
 * -EBUSY   the loop has a target already
 * or an error of ringwake_open().
 */
int ringwake_ev_attach(
	struct ringwake_ev **out, struct ev_loop *loop, const struct ringwake_params *params);

/*
 * Loop thread. Closes the target: messages that were accepted are delivered before it returns.
 * Their callbacks may call any function, but find no loop to start asyncs or work on.
 * -EBUSY     async watchers are started, or work is outstanding
 * -EALREADY  such a callback has called it
 */
int ringwake_ev_detach(struct ringwake_ev *attached);

/*
 * Loop thread. As ev_set_loop_release_cb(), which this header replaces by it: an attached loop
 * needs libev's two callbacks for itself, and calls these inside. Before or after
 * ringwake_ev_attach().
 */
void ringwake_ev_set_loop_release_cb(
	struct ev_loop *loop, ringwake_ev_wait_cb release, ringwake_ev_wait_cb acquire);
#define ev_set_loop_release_cb ringwake_ev_set_loop_release_cb

/*
 * Any thread. The loop's target, for ringwake_send() and all else; its callbacks run as those of a
 * watcher of priority EV_MAXPRI do. It lives until ringwake_ev_detach(). In a forked child the loop
 * gets a new one when it first runs after ev_loop_fork(); sends to the old one return -EOWNERDEAD.
 */
struct ringwake *ringwake_ev_target(struct ringwake_ev *attached);

/*
 * The counterpart of ev_async. It starts with the members that every watcher has: ev_is_active(),
 * ev_is_pending(), ev_priority(), ev_set_priority(), ev_cb(), ev_set_cb(), ev_feed_event(),
 * ev_clear_pending(), ev_invoke() and data work on it. The callback gets EV_ASYNC, with the
 * watcher's priority.
 */
typedef struct ringwake_ev_async ringwake_ev_async;
struct ringwake_ev_doorbell;
struct ringwake_ev_async {
	EV_WATCHER(ringwake_ev_async)

	/* private */
	struct ringwake_event event;
	ringwake_ev_async *previous, *next;    /* among the started */
	ringwake_ev_async *next_noted, **link; /* among those whose messages have arrived */
#if __cplusplus >= 201103L
	struct ringwake_ev_doorbell *doorbell = 0; /* an ev::async is not told to set itself up */
	unsigned sent = 0;
#elif defined __cplusplus
	struct ringwake_ev_doorbell *doorbell;
	unsigned sent;
#else
	_Atomic(struct ringwake_ev_doorbell *) doorbell; /* since the first start */
	_Atomic unsigned sent;                           /* and not noted by the loop */
#endif
	void *reserved[2];
};

typedef void (*ringwake_ev_async_cb)(struct ev_loop *loop, ringwake_ev_async *async, int revents);

/* Any thread, before the first start. set is the part of init that ev_init() does not do. */
void ringwake_ev_async_init(ringwake_ev_async *async, ringwake_ev_async_cb cb);
void ringwake_ev_async_set(ringwake_ev_async *async);

/*
 * Loop thread. Between the two the watcher keeps the loop alive, unless ev_unref() says otherwise.
 * stop waits, parked, for a send under way in another thread; after it the callback does not run,
 * and the memory may be freed once no other thread can begin a send.
 */
void ringwake_ev_async_start(struct ringwake_ev *attached, ringwake_ev_async *async);
void ringwake_ev_async_stop(ringwake_ev_async *async);

/*
 * Any thread, any signal handler. The callback runs at least once after the call; sends before it
 * runs are coalesced. Callbacks run in libev's order: by priority, then as the watchers were
 * started.
 * -ECANCELED    the watcher is not started
 * -EOWNERDEAD   a forked child whose loop has not run yet; the callback runs there if
 *               ev_loop_fork() was called
 * otherwise as ringwake_event_send().
 */
int ringwake_ev_async_send(ringwake_ev_async *async);

/* Loop thread. Sent, and not noted by the loop yet; also if the send was refused. */
bool ringwake_ev_async_pending(const ringwake_ev_async *async);

/*
 * Work for a pool, whose completion is an event of the loop. The memory is the caller's again when
 * cb is called. It starts with the members of every watcher too: set the priority before the work
 * is queued, and data at any time. Active means queued and not completed.
 */
typedef struct ringwake_ev_work ringwake_ev_work;
struct ringwake_ev_work {
	EV_WATCHER(ringwake_ev_work)

	int status; /* for cb: 0, or -ECANCELED and run was never called */

	/* private */
	void (*run)(ringwake_ev_work *work);
	struct ringwake_work work;
	struct ringwake_ev *attached;
	ringwake_ev_work *next; /* among those whose messages have arrived */
	void *reserved[2];
};

typedef void (*ringwake_ev_work_cb)(struct ev_loop *loop, ringwake_ev_work *work, int revents);

/*
 * Any thread, before the work is queued. run is called on a worker, then cb on the loop's thread,
 * with EV_CUSTOM.
 */
void ringwake_ev_work_init(
	ringwake_ev_work *work, void (*run)(ringwake_ev_work *work), ringwake_ev_work_cb cb);

/*
 * Loop thread. libev has no workers of its own: one pool may serve all loops. Close it before the
 * loops are detached or destroyed, or after its work is done. Work keeps the loop alive until its
 * completion. Work that is outstanding when the process forks stays the parent's.
 * -EBUSY        the work is queued already
 * -ECANCELED    the pool is closing, or the loop is being detached
 * -EOWNERDEAD   this process is a fork of the one that opened the pool, or the loop has not run in
 *               it yet
 */
int ringwake_ev_queue_work(
	struct ringwake_ev *attached, struct ringwake_pool *pool, ringwake_ev_work *work);

/*
 * Loop thread. Takes back work that has not been started: cb is called with status -ECANCELED.
 * -EBUSY       it runs, has run, or was not queued
 * -EOWNERDEAD  this process is a fork of the one that opened the pool
 */
int ringwake_ev_cancel(struct ringwake_pool *pool, ringwake_ev_work *work);

#ifdef __cplusplus
}
#endif

#endif
