/* SPDX-License-Identifier: MIT */
#ifndef RINGWAKE_UV_BINDING_H
#define RINGWAKE_UV_BINDING_H

#include "registry.h"

#include <errno.h>
#include <liburing.h>
#include <ringwake/uv.h>

#define RINGWAKE_UV_RING_ENTRIES 64

struct job;

struct ringwake_uv {
	const void *library; /* the first member in every version: which copy of this library */
	struct registry_entry entry; /* in the list of loops whose slot is not ours, attach.c */
	uv_loop_t *loop;
	bool knows_libuv; /* libuv_private.h may be used */
	bool is_listed;
	int epoll_fd; /* the loop's epoll, when it was attached */
	struct ringwake_params params;
	struct ringwake *target;
	struct io_uring ring; /* if has_ring; the target's too, if has_doorbell_on_ring */
	bool has_ring;
	bool has_doorbell_on_ring;

	/* The helper handles, helpers.c. */
	uv_poll_t *doorbell;       /* ends the loop's wait in epoll; NULL after a failed reopen */
	uv_poll_t *completions;    /* the same for the ring, if it has_ring but not
				      has_doorbell_on_ring */
	uv_poll_t watch_memory[2]; /* for these, if knows_libuv */
	uv_async_t waker;          /* wakes the loop where the doorbell cannot */
	uv_prepare_t prepare;
	uv_check_t check;
	uv_idle_t keep_awake; /* started when the loop must not block */
	unsigned lingering;   /* helpers that libuv has not let go of */

	unsigned depth; /* of callbacks of ours */
	bool detached;

	/* The loop on the ring, run.c. */
	bool running;
	bool epoll_poll_pending; /* a request waits for libuv's epoll */
	bool epoll_is_ready;
	uv_run_mode mode;
	uint64_t first_due; /* when an iteration of UV_RUN_ONCE began */
	ringwake_uv_request_t epoll_poll;

	unsigned handles;     /* asyncs that are open or closing */
	unsigned outstanding; /* work, requests, and closings that wait for a message */
	struct ringwake_uv_async_state *asyncs;                        /* of these asyncs */
	struct ringwake_uv_async_state *due, *last_due;                /* signalled by callbacks */
	struct ringwake_uv_async_state *free_states, *last_free_state; /* freelist.c */
	struct job *jobs;           /* that are outstanding, if not knows_libuv */
	struct ringwake_pool *pool; /* that runs the loop's work; NULL: none yet */
	int64_t workers_process;    /* whose shared workers it uses; 0: none */
};

/* loops.c. Loop thread. The loop's target, or NULL. */
struct ringwake_uv *ringwake_uv_find(const uv_loop_t *loop);
int ringwake_uv_enlist(struct ringwake_uv *attached);
void ringwake_uv_delist(struct ringwake_uv *attached);

/* attach.c. Around callbacks, any of which may detach: the memory goes with the last leave. */
void ringwake_uv_enter(struct ringwake_uv *attached);
void ringwake_uv_leave(struct ringwake_uv *attached);
void ringwake_uv_free_if_unused(struct ringwake_uv *attached);

/* The loop is alive, or has handles besides the helpers. For a loop whose helpers are shown. */
bool ringwake_uv_has_others(const struct ringwake_uv *attached);

/* target.c. Loop thread. */
int ringwake_uv_open_target(struct ringwake_uv *attached);
void ringwake_uv_close_target(struct ringwake_uv *attached);
int ringwake_uv_watch_target(struct ringwake_uv *attached);

/* helpers.c. Loop thread. All helpers but the watches. */
int ringwake_uv_open_helpers(struct ringwake_uv *attached);
void ringwake_uv_close_helpers(struct ringwake_uv *attached);

/* A helper that is started or stopped. remove returns false if libuv does not let go of it yet:
 * gone is called then, and calls ringwake_uv_helper_gone(). */
void ringwake_uv_add_helper(struct ringwake_uv *attached, void *helper);
bool ringwake_uv_remove_helper(struct ringwake_uv *attached, void *helper, uv_close_cb gone);
void ringwake_uv_helper_gone(struct ringwake_uv *attached);

/* A helper that uv_walk() shows. */
bool ringwake_uv_is_helper(const struct ringwake_uv *attached, const uv_handle_t *handle);

/* Any thread, any signal handler. Ends the loop's wait without the doorbell. */
int ringwake_uv_wake_by_libuv(void *attached);

/* Loop thread. The loop is alive while there are more holds than releases. */
void ringwake_uv_hold(struct ringwake_uv *attached);
void ringwake_uv_release(struct ringwake_uv *attached);

/* The loop must not block in this iteration: its wait is over, or is to be. */
void ringwake_uv_keep_awake(struct ringwake_uv *attached);

/* doorbell.c. Loop thread. The loop's epoll reports the descriptor. watch is &doorbell or
 * &completions; close_watches makes both NULL. */
int ringwake_uv_open_watch(struct ringwake_uv *attached, uv_poll_t **watch, int fd);
void ringwake_uv_close_watches(struct ringwake_uv *attached);
void ringwake_uv_free_watches(struct ringwake_uv *attached); /* of a loop that is closed */
void ringwake_uv_watch(struct ringwake_uv *attached, uv_poll_t *watch);
void ringwake_uv_unwatch(struct ringwake_uv *attached, uv_poll_t *watch);

/* wait.c. Loop thread. libuv calls them before and after each wait of the loop. */
void ringwake_uv_before_wait(struct ringwake_uv *attached);
void ringwake_uv_after_wait(struct ringwake_uv *attached);

/* After a wait: the callbacks of completions, then of messages. How many were called. */
unsigned ringwake_uv_deliver(struct ringwake_uv *attached);

/* What the kernel says to a program that has forbidden io_uring to itself, for good: any error that
 * does not stand for a moment. */
static inline bool ringwake_uv_is_forbidden(int error)
{
	return error < 0 && error != -EINTR && error != -EAGAIN && error != -EBUSY &&
		error != -ENOMEM && error != -ETIME && error != -EBADR;
}

/* request.c. The part of the completions. A doorbell has no callback; what it stands for may have
 * been found before it came. */
unsigned ringwake_uv_complete(struct ringwake_uv *attached);

/* run.c. The wait of an iteration of ringwake_uv_run(): false if the loop is to wait in epoll. */
bool ringwake_uv_wait_on_ring(struct ringwake_uv *attached);

/* async.c. Takes over a uv_async_t that is open: its sends are the signal's from then on. */
void ringwake_uv_take_async(
	struct ringwake_uv *attached, struct ringwake_uv_async_state *state, uv_async_t *handle);

/* Any thread, any signal handler. As uv_async_send() for a handle that may have been taken. */
int ringwake_uv_send_plain(uv_async_t *handle);

/* Calls the callbacks of handles whose sends could not reach the target. */
void ringwake_uv_deliver_missed(struct ringwake_uv *attached);

/* Binds all handles to a target that was opened anew. */
void ringwake_uv_move_asyncs(struct ringwake_uv *attached);

/* close.c. Loop thread. Closes the signal of a handle that is not closed by ringwake_uv_close(). */
void ringwake_uv_drop_async(struct ringwake_uv_async_state *state);

/* Drops the signals of handles that were closed by libuv's own uv_close(). */
void ringwake_uv_notice_closes(struct ringwake_uv *attached);

/* due.c. Loop thread. Calls what callbacks of the iteration before have signalled, and runs
 * messages. How many were called. */
unsigned ringwake_uv_dispatch(struct ringwake_uv *attached);

/* freelist.c: signals of handles that have no room for one. */
struct ringwake_uv_async_state *ringwake_uv_async_state_get(struct ringwake_uv *attached);
void ringwake_uv_async_state_put(struct ringwake_uv_async_state *state);
void ringwake_uv_async_states_leave(struct ringwake_uv *attached);

/* work.c. Lets go of the shared workers, if this loop ever gave them work. */
void ringwake_uv_leave_workers(struct ringwake_uv *attached);

/* compat.c. Would uv_loop_close() close this loop? */
bool ringwake_uv_compat_can_close(struct ringwake_uv *attached);

/* The loop's target if all of libuv_private.h can be used on it; attached if it is not yet. *out is
 * NULL if the loop is to stay as libuv made it. */
int ringwake_uv_compat_attach(struct ringwake_uv **out, uv_loop_t *loop);

/* Has ringwake signal this handle, if there is memory for it. */
void ringwake_uv_compat_take(struct ringwake_uv *attached, uv_async_t *handle);

#endif
