/* SPDX-License-Identifier: MIT */
#ifndef RINGWAKE_UV_ATTACH_H
#define RINGWAKE_UV_ATTACH_H

#include <liburing.h>
#include <ringwake/uv.h>

#define RINGWAKE_UV_RING_ENTRIES 64

struct ringwake_uv {
	struct ringwake_uv *next; /* in the list of all attached loops */
	uv_loop_t *loop;
	pid_t process; /* whose target it is */
	struct ringwake_params params;
	struct ringwake *target;
	struct io_uring ring; /* if has_ring; the target's too, if ring_rings */
	bool has_ring;
	bool ring_rings;

	uv_poll_t doorbell;    /* ends the loop's wait in epoll */
	uv_poll_t completions; /* the same for the ring, if it has_ring but not ring_rings */
	uv_prepare_t before;   /* the edges of the wait */
	uv_check_t after;
	uv_idle_t busy; /* started when the loop must not sleep */

	unsigned depth; /* of callbacks of ours */
	bool detached;

	/* The loop on the ring, run.c. */
	bool running;
	bool sleeps_in_epoll; /* for this turn */
	bool backend_polled;  /* a request waits for libuv's epoll */
	bool backend_ready;
	uv_run_mode mode;
	uint64_t turn_time;
	ringwake_uv_request_t backend;

	unsigned handles;     /* asyncs that are open or closing */
	unsigned outstanding; /* work, requests, and closings that wait for a message */
	struct ringwake_uv_signal *closings;
	struct ringwake_pool *pool; /* that runs the loop's work; NULL: none yet */
	pid_t workers_process;      /* whose shared workers it uses; 0: none */
};

/* One lock for what loops share; fork() waits for it. */
void ringwake_uv_lock(void);
void ringwake_uv_unlock(void);

/* Any thread. The loop's target, or NULL; all of them; one that is lost to its loop. */
struct ringwake_uv *ringwake_uv_find(const uv_loop_t *loop);
void ringwake_uv_each(void (*visit)(struct ringwake_uv *attached));
void ringwake_uv_delist(struct ringwake_uv *attached);

/* Loop thread. The loop is alive while there are more holds than releases. */
void ringwake_uv_hold(struct ringwake_uv *attached);
void ringwake_uv_release(struct ringwake_uv *attached);

/* In a forked child: puts a target and a ring of its own in the place of the parent's. */
int ringwake_uv_reopen(struct ringwake_uv *attached);

/* The loop's epoll reports the handle's descriptor, once for each time that it becomes ready. */
int ringwake_uv_watch(uv_poll_t *handle);
void ringwake_uv_unwatch(uv_poll_t *handle);

/* The loop must not sleep in this turn: its wait is over, or is to be. */
void ringwake_uv_keep_awake(struct ringwake_uv *attached);

/* After a sleep: the callbacks of completions, then of messages. How many were called. */
unsigned ringwake_uv_deliver(struct ringwake_uv *attached);

/* The part of the completions, request.c. A doorbell has no callback; what it stands for may have
 * been found before it came. */
unsigned ringwake_uv_complete(struct ringwake_uv *attached);

/* The wait of a turn of ringwake_uv_run(), run.c: false if the loop is to wait in epoll. */
bool ringwake_uv_sleep_on_ring(struct ringwake_uv *attached);

/* async.c. A handle whose signal is kept elsewhere; the signal of a handle, or NULL. */
int ringwake_uv_signal_open(
	struct ringwake_uv *attached, struct ringwake_uv_signal *signal, uv_async_t *handle);
struct ringwake_uv_signal *ringwake_uv_signal_of(const uv_handle_t *handle);

/* Binds all handles to a target that was opened anew. */
void ringwake_uv_signals_move(struct ringwake_uv *attached);

/* signals.c: signals of handles that have no room for one. */
struct ringwake_uv_signal *ringwake_uv_signal_get(void);
void ringwake_uv_signal_put(struct ringwake_uv_signal *signal);

/* compat.c. Would uv_loop_close() close this loop? */
bool ringwake_uv_compat_can_close(struct ringwake_uv *attached);

/* Lets go of the shared workers, if this loop ever gave them work. */
void ringwake_uv_leave_workers(struct ringwake_uv *attached);

/* libuv's lists: two pointers, next and previous, at the place of the member. */
static inline void ringwake_uv_unlink(void *member)
{
	void **place = member;
	void **next = place[0];
	void **previous = place[1];
	previous[0] = next;
	next[1] = previous;
	place[0] = place[1] = place;
}

static inline bool ringwake_uv_holds_only(void *list, void *member)
{
	void **head = list;
	return head[0] == member && head[1] == member;
}

#endif
