/* SPDX-License-Identifier: MIT */
/* What the files of the adapter share. */
#ifndef RINGWAKE_UV_BINDING_H
#define RINGWAKE_UV_BINDING_H

#include "blocking.h"
#include "registry.h"

#include <errno.h>
#include <liburing.h>
#include <ringwake/uv.h>

#define RINGWAKE_UV_RING_ENTRIES 64
#define MILLISECOND              INT64_C(1000000)

struct job;

/* What binds a target to a loop, from attach to detach. */
struct ringwake_uv {
	/* Which copy of this library attached the loop. The first member in every version. */
	const void *library;
	struct registry_entry entry; /* in the list of loops.c, if is_listed */
	uv_loop_t *loop;
	bool knows_libuv; /* libuv_private.h may be used */
	bool is_listed;
	int epoll_fd; /* the loop's epoll at the time of attach or fork */
	struct ringwake_params params;
	struct ringwake *target;
	struct io_uring ring; /* valid if has_ring; also the target's if has_doorbell_on_ring */
	bool has_ring;
	bool has_doorbell_on_ring;

	/* The helper handles, helpers.c. */
	uv_poll_t *doorbell;       /* ends the loop's wait in epoll; NULL after a failed reopen */
	uv_poll_t *completions;    /* the same for a ring that the target does not use */
	uv_poll_t watch_memory[2]; /* for these two, if knows_libuv */
	uv_async_t waker;          /* wakes the loop if the doorbell cannot */
	uv_prepare_t prepare;
	uv_check_t check;
	uv_idle_t keep_awake; /* started when the loop must not block */
	unsigned lingering;   /* closed helpers that libuv still uses */

	struct blocking blocking;

	unsigned depth; /* of nested callbacks of the adapter */
	bool detaching; /* no new work is accepted */
	bool detached;

	/* The loop on the ring, run.c. */
	bool running;
	bool epoll_poll_pending; /* epoll_poll is on the ring */
	bool epoll_is_ready;
	uv_run_mode mode;
	uint64_t first_due;               /* when the first timer was due as UV_RUN_ONCE began */
	ringwake_uv_request_t epoll_poll; /* polls libuv's epoll */

	unsigned handles;     /* async handles that are open or closing */
	unsigned outstanding; /* work, requests, and closing handles that wait for a message */
	struct ringwake_uv_async_state *asyncs;         /* of these handles */
	struct ringwake_uv_async_state *due, *last_due; /* sent by callbacks, due.c */
	struct ringwake_uv_async_state *free_states, *last_free_state; /* freelist.c */
	struct job *jobs;           /* outstanding work, if not knows_libuv */
	struct ringwake_pool *pool; /* runs the loop's work; NULL: none yet */
	int64_t workers_process;    /* the process whose shared workers it uses; 0: none */
};

/* loops.c. Loop thread. Returns NULL if the loop is not attached. */
struct ringwake_uv *ringwake_uv_find(const uv_loop_t *loop);

/* Makes ringwake_uv_find() return it. UV_ENOMEM. */
int ringwake_uv_enlist(struct ringwake_uv *binding);
void ringwake_uv_delist(struct ringwake_uv *binding);

/* attach.c. Frees the memory of a binding that is detached, when nothing uses it. */
void ringwake_uv_free_if_unused(struct ringwake_uv *binding);

/* Call enter before callbacks and leave after them. A callback may detach: then the last leave
 * frees the memory. */
static inline void ringwake_uv_enter(struct ringwake_uv *binding)
{
	binding->depth++;
}

static inline void ringwake_uv_leave(struct ringwake_uv *binding)
{
	binding->depth--;
	if (binding->detached)
		ringwake_uv_free_if_unused(binding);
}

/* True if the loop is alive or has handles other than the helpers. For a loop whose helpers
 * uv_walk() shows. */
bool ringwake_uv_has_others(const struct ringwake_uv *binding);

/* target.c. Loop thread. Opens and closes the target, and the ring if there is one. */
int ringwake_uv_open_target(struct ringwake_uv *binding);
void ringwake_uv_close_target(struct ringwake_uv *binding);

/* Has the loop's epoll watch the target's descriptor. */
int ringwake_uv_watch_target(struct ringwake_uv *binding);

/* helpers.c. Loop thread. All helpers except the watches of doorbell.c. */
int ringwake_uv_open_helpers(struct ringwake_uv *binding);
void ringwake_uv_close_helpers(struct ringwake_uv *binding);

/* Add a helper that was initialised; remove a helper that was stopped. remove returns false if
 * libuv still uses the helper. libuv then calls gone later, which must call
 * ringwake_uv_helper_gone(). */
void ringwake_uv_add_helper(struct ringwake_uv *binding, void *helper);
bool ringwake_uv_remove_helper(struct ringwake_uv *binding, void *helper, uv_close_cb gone);
void ringwake_uv_helper_gone(struct ringwake_uv *binding);

/* True for a handle of the adapter itself. */
bool ringwake_uv_is_helper(const struct ringwake_uv *binding, const uv_handle_t *handle);

/* Any thread, any signal handler. Ends the loop's wait without the doorbell. */
int ringwake_uv_wake_by_libuv(void *binding);

/* Loop thread. The loop stays alive while there are more holds than releases. */
void ringwake_uv_hold(struct ringwake_uv *binding);
void ringwake_uv_release(struct ringwake_uv *binding);

/* Keeps the loop from blocking in its next wait. */
void ringwake_uv_keep_awake(struct ringwake_uv *binding);

/* doorbell.c. Loop thread. Has the loop's epoll watch a descriptor. watch is &doorbell or
 * &completions; close_watches sets both to NULL. */
int ringwake_uv_open_watch(struct ringwake_uv *binding, uv_poll_t **watch, int fd);
void ringwake_uv_close_watches(struct ringwake_uv *binding);
void ringwake_uv_free_watches(struct ringwake_uv *binding); /* of a closed loop */
void ringwake_uv_watch(struct ringwake_uv *binding, uv_poll_t *watch);
void ringwake_uv_unwatch(struct ringwake_uv *binding, uv_poll_t *watch);

/* wait.c. Loop thread. Called before and after each wait of the loop. */
void ringwake_uv_before_wait(struct ringwake_uv *binding);
void ringwake_uv_after_wait(struct ringwake_uv *binding);

/* Runs the callbacks of completions, then those of messages. Returns how many ran. */
unsigned ringwake_uv_deliver(struct ringwake_uv *binding);

/* True for an error that the kernel returns for good, for example because the program has installed
 * a filter that refuses io_uring. */
static inline bool ringwake_uv_is_forbidden(int error)
{
	return error < 0 && error != -EINTR && error != -EAGAIN && error != -EBUSY &&
		error != -ENOMEM && error != -ETIME && error != -EBADR;
}

/* request.c. Runs the callbacks of completions. Returns how many ran. A doorbell has none: the loop
 * may have found the message before the doorbell arrived. */
unsigned ringwake_uv_complete(struct ringwake_uv *binding);

/* Takes the doorbells before the first other completion. */
void ringwake_uv_take_doorbells(struct ringwake_uv *binding);

/* run.c. The wait of an iteration of ringwake_uv_run(). False if the loop must wait in epoll. */
bool ringwake_uv_wait_on_ring(struct ringwake_uv *binding);

/* async.c. Takes over an open uv_async_t: its sends go to the target from now on. */
void ringwake_uv_take_async(
	struct ringwake_uv *binding, struct ringwake_uv_async_state *state, uv_async_t *handle);

/* Any thread, any signal handler. As uv_async_send(), for a handle that may have been taken over.
 */
int ringwake_uv_send_plain(uv_async_t *handle);

/* Runs the callbacks of handles whose sends could not reach the target. */
void ringwake_uv_deliver_missed(struct ringwake_uv *binding);

/* Binds all handles to the target that a forked child has opened. */
void ringwake_uv_move_asyncs(struct ringwake_uv *binding);

/* close.c. Loop thread. Closes the state of a handle that ringwake_uv_close() does not close. */
void ringwake_uv_drop_async(struct ringwake_uv_async_state *state);

/* Does so for the handles that libuv's own uv_close() has closed. */
void ringwake_uv_notice_closes(struct ringwake_uv *binding);

/* due.c. Loop thread. Runs the callbacks of handles that callbacks of the previous iteration sent,
 * then those of messages. Returns how many ran. */
unsigned ringwake_uv_dispatch(struct ringwake_uv *binding);

/* freelist.c. Loop thread. States of handles that have no room for one. */
struct ringwake_uv_async_state *ringwake_uv_async_state_get(struct ringwake_uv *binding);
void ringwake_uv_async_state_put(struct ringwake_uv_async_state *state);
void ringwake_uv_async_states_leave(struct ringwake_uv *binding);

/* work.c. The loop no longer uses the shared workers. */
void ringwake_uv_leave_workers(struct ringwake_uv *binding);

/* compat.c. True if uv_loop_close() would close this loop. */
bool ringwake_uv_compat_can_close(struct ringwake_uv *binding);

/* Attaches the loop, unless it is attached. *out is NULL if the loop must stay as libuv made it:
 * libuv's layout is not known, or there is no memory or descriptor for a target. */
int ringwake_uv_compat_attach(struct ringwake_uv **out, uv_loop_t *loop);

/* Takes over this handle if there is memory for its state. */
void ringwake_uv_compat_take(struct ringwake_uv *binding, uv_async_t *handle);

#endif
