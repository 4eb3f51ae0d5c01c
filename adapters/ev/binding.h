/* SPDX-License-Identifier: MIT */
#ifndef RINGWAKE_EV_BINDING_H
#define RINGWAKE_EV_BINDING_H

#include "registry.h"

#include <ringwake/ev.h>

/* A descriptor that the loop watches, and the target that makes it readable. */
struct ringwake_ev_doorbell {
	ev_io io; /* the first member */
	struct ringwake_ev *attached;
	struct ringwake *target;            /* a reference, for sends that come too late */
	struct ringwake_ev_doorbell *older; /* of the process that this one was forked from */
};

/* The application's callbacks around the wait. */
struct ringwake_ev_wait_cbs {
	ringwake_ev_wait_cb release;
	ringwake_ev_wait_cb acquire;
};

struct ringwake_ev {
	struct registry_entry entry; /* the first member */
	struct ev_loop *loop;
	struct ringwake_params params; /* for the next target, in a forked child */
	struct ringwake *target;       /* NULL: detached, but for helpers that libev still uses */
	bool detaching;                /* callbacks that detaching runs may still be running */

	struct ringwake_ev_wait_cbs wait_cbs;

	/* The helper watchers, helpers.c. */
	struct ringwake_ev_doorbell *doorbell; /* ends the wait */
	ev_async waker;                        /* wakes the loop where the doorbell cannot */
	unsigned busy_waits;                   /* in a row, that found messages there already */
	ev_prepare prepare; /* started while the loop is busy: has the next wait not block */
	ev_io keep_awake;   /* what it starts for that on io_uring */
	ev_watcher feeder;  /* fed to feed the asyncs and the work whose messages have arrived */
	ev_fork fork;
	ev_cleanup cleanup;

	unsigned delivered_in;       /* the ev_iteration() of the last delivery */
	int64_t noticed_in;          /* the forked child whose loop was woken to be reopened */
	_Atomic unsigned missed;     /* asyncs were sent that could not reach the target */
	ringwake_ev_async *last;     /* of the started asyncs, in libev's order */
	ringwake_ev_async *noted;    /* those whose messages have arrived */
	ringwake_ev_work *completed; /* work whose messages have arrived, newest first */
	unsigned outstanding;        /* work that has not completed */

	/* The preloaded library's: what it feeds in an async's place, and what it keeps. */
	void (*feed)(struct ringwake_ev *attached, ringwake_ev_async *async);
	void *preloaded;
};

/* What ev_TYPE_start() does for watchers of libev's own. */
static inline void ringwake_ev_activate(ev_watcher *watcher, int active)
{
	if (ev_priority(watcher) < EV_MINPRI)
		ev_set_priority(watcher, EV_MINPRI);
	if (ev_priority(watcher) > EV_MAXPRI)
		ev_set_priority(watcher, EV_MAXPRI);
	watcher->active = active;
}

static inline bool ringwake_ev_is_on_io_uring(const struct ringwake_ev *attached)
{
	return ev_backend(attached->loop) == EVBACKEND_IOURING;
}

/* loops.c. NULL if the loop has no target; -EBUSY if it has one, -ENOMEM. */
struct ringwake_ev *ringwake_ev_find(const struct ev_loop *loop);
int ringwake_ev_enlist(struct ringwake_ev *attached);
void ringwake_ev_delist(struct ringwake_ev *attached);

/* attach.c. Loop thread. For a loop whose end will be told by the next function. It may have no
 * target. */
void ringwake_ev_stop_cleanup(struct ev_loop *loop);

/* For a loop that was destroyed without its cleanup watcher being called. */
void ringwake_ev_leave_destroyed(struct ringwake_ev *attached);

/* wait.c. libev calls them around each wait of an attached loop. */
void ringwake_ev_before_wait(struct ev_loop *loop);
void ringwake_ev_after_wait(struct ev_loop *loop);

/* Loop thread, in a callback of MAXPRI: the callbacks of messages. Any of them may detach. */
void ringwake_ev_deliver(struct ringwake_ev *attached);

/* wait_cb.c. Loop thread. libev calls the two functions, or the application's again. */
void ringwake_ev_take_wait_cbs(struct ringwake_ev *attached);
void ringwake_ev_give_back_wait_cbs(struct ringwake_ev *attached);
void ringwake_ev_stop_cleanup_of_wait_cbs(struct ev_loop *loop);
void ringwake_ev_forget_wait_cbs(const struct ev_loop *loop); /* it may be gone */

/* helpers.c. Loop thread. All helpers; the doorbell is that of attached->target. */
int ringwake_ev_open_helpers(struct ringwake_ev *attached);
void ringwake_ev_stop_helpers(struct ringwake_ev *attached);

/* The wait that is about to begin must end at once: messages are there already. */
void ringwake_ev_keep_awake(struct ringwake_ev *attached);

/* Any thread, any signal handler. Ends the loop's wait without the doorbell. */
int ringwake_ev_wake_by_libev(void *attached);

/* doorbell.c. Loop thread. */
int ringwake_ev_open_doorbells(struct ringwake_ev *attached);
void ringwake_ev_start_keep_awake(struct ringwake_ev *attached);

/* The last of detaching: the memory goes as soon as libev allows; at once, if the loop goes. */
void ringwake_ev_close_doorbells(struct ringwake_ev *attached, bool is_inherited);
void ringwake_ev_free(struct ringwake_ev *attached);

/* Puts another target in the place of attached->target. */
int ringwake_ev_change_doorbell(
	struct ringwake_ev *attached, struct ringwake *target, bool is_rebuilding);

/* fork.c. Loop thread, in a forked child: reopens, and all that goes with it. */
int ringwake_ev_fork(struct ringwake_ev *attached, bool is_rebuilding);

/* async.c. Loop thread. Binds the started asyncs to a target that was opened anew. */
void ringwake_ev_move_asyncs(struct ringwake_ev *attached);

/* Notes the started asyncs whose sends could not reach the target. */
void ringwake_ev_note_missed(struct ringwake_ev *attached);
void ringwake_ev_stop_asyncs(struct ringwake_ev *attached);
void ringwake_ev_abandon_asyncs(struct ringwake_ev *attached); /* of a loop that is gone */

/* order.c. Loop thread. The started asyncs, in libev's order. */
void ringwake_ev_append(struct ringwake_ev *attached, ringwake_ev_async *async);
void ringwake_ev_remove(struct ringwake_ev *attached, ringwake_ev_async *async);

/* The async's message has arrived; its event is fed after the messages' callbacks. */
void ringwake_ev_note(struct ringwake_ev *attached, ringwake_ev_async *async);

/* Feeds the events of asyncs that were noted. */
void ringwake_ev_feed_asyncs(struct ringwake_ev *attached);

/* work.c. Loop thread. */
void ringwake_ev_feed_work(struct ringwake_ev *attached);

/* Completions of outstanding work will not come. */
void ringwake_ev_forget_work(struct ringwake_ev *attached);

#endif
