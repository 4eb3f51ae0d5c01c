/* SPDX-License-Identifier: MIT */
/* What the files of the adapter share. */
#ifndef RINGWAKE_EV_BINDING_H
#define RINGWAKE_EV_BINDING_H

#include "blocking.h"
#include "registry.h"

#include <ringwake/ev.h>

/* A descriptor that the loop watches, and the target whose doorbell makes it readable. */
struct ringwake_ev_doorbell {
	ev_io io; /* the first member */
	struct ringwake_ev *binding;
	struct ringwake *target;            /* holds a reference, for sends that come too late */
	struct ringwake_ev_doorbell *older; /* the doorbell of the parent process */
};

/* The callbacks that the application has set by ev_set_loop_release_cb(). */
struct ringwake_ev_wait_cbs {
	ringwake_ev_wait_cb release;
	ringwake_ev_wait_cb acquire;
};

/* What binds a target to a loop, from attach to detach. */
struct ringwake_ev {
	struct registry_entry entry; /* the first member */
	struct ev_loop *loop;
	struct ringwake_params params; /* for the target that a forked child opens */
	struct ringwake *target;       /* NULL: detached, and libev still uses helpers */
	bool detaching;                /* detach has begun; it may be running callbacks */

	struct ringwake_ev_wait_cbs wait_cbs;

	/* The helper watchers, helpers.c. */
	struct ringwake_ev_doorbell *doorbell; /* ends the loop's wait */
	ev_async waker;                        /* wakes the loop if the doorbell cannot */
	struct blocking blocking;
	bool expects_wait;   /* the loop has spun for a wait that has not begun */
	unsigned busy_waits; /* before which messages had arrived, since prepare was stopped */
	unsigned idle_waits; /* successive ones before which prepare found none */
	ev_prepare prepare;  /* started while the loop is busy; keeps it from blocking */
	ev_io keep_awake;    /* always readable; prepare starts it on io_uring */
	ev_watcher feeder;   /* feeds the asyncs and the work whose messages have arrived */
	ev_fork fork;
	ev_cleanup cleanup;

	unsigned delivered_in;       /* the ev_iteration() of the last delivery */
	int64_t noticed_in;          /* the process, a forked child, that was woken to reopen */
	_Atomic unsigned missed;     /* not 0: sends could not reach the target */
	ringwake_ev_async *last;     /* the last of the started asyncs, in libev's order */
	ringwake_ev_async *noted;    /* asyncs whose messages have arrived */
	ringwake_ev_work *completed; /* work whose messages have arrived, newest first */
	unsigned outstanding;        /* work that has not completed */

	/* The preloaded library's. feed is called instead of ev_feed_event() for an async. */
	void (*feed)(struct ringwake_ev *binding, ringwake_ev_async *async);
	void *preloaded;
};

/* What ev_TYPE_start() does for libev's own watchers. */
static inline void ringwake_ev_activate(ev_watcher *watcher, int active)
{
	if (ev_priority(watcher) < EV_MINPRI)
		ev_set_priority(watcher, EV_MINPRI);
	if (ev_priority(watcher) > EV_MAXPRI)
		ev_set_priority(watcher, EV_MAXPRI);
	watcher->active = active;
}

static inline bool ringwake_ev_is_on_io_uring(const struct ringwake_ev *binding)
{
	return ev_backend(binding->loop) == EVBACKEND_IOURING;
}

/* loops.c. Returns NULL if the loop is not attached. */
struct ringwake_ev *ringwake_ev_find(const struct ev_loop *loop);

/* Makes ringwake_ev_find() return it. -EBUSY: the loop is attached already; -ENOMEM. */
int ringwake_ev_enlist(struct ringwake_ev *binding);
void ringwake_ev_delist(struct ringwake_ev *binding);

/* attach.c. Loop thread. The caller will call the next function when the loop is destroyed. The
 * loop need not be attached. */
void ringwake_ev_stop_cleanup(struct ev_loop *loop);

/* The loop was destroyed, and libev has not called its cleanup watcher. */
void ringwake_ev_leave_destroyed(struct ringwake_ev *binding);

/* wait.c. libev calls them before and after each wait of an attached loop. */
void ringwake_ev_before_wait(struct ev_loop *loop);
void ringwake_ev_after_wait(struct ev_loop *loop);

/* Loop thread, in a callback of priority EV_MAXPRI. Runs the callbacks of messages, any of which
 * may detach. */
void ringwake_ev_deliver(struct ringwake_ev *binding);

/* wait_cb.c. Loop thread. take has libev call the two functions of wait.c, give_back the
 * application's. */
void ringwake_ev_take_wait_cbs(struct ringwake_ev *binding);
void ringwake_ev_give_back_wait_cbs(struct ringwake_ev *binding);
void ringwake_ev_stop_cleanup_of_wait_cbs(struct ev_loop *loop);
void ringwake_ev_forget_wait_cbs(const struct ev_loop *loop); /* it may be destroyed */

/* helpers.c. Loop thread. Opens all helpers, with the doorbell of binding->target. */
int ringwake_ev_open_helpers(struct ringwake_ev *binding);
void ringwake_ev_stop_helpers(struct ringwake_ev *binding);

/* wait.c. Loop thread, before a wait. Spins if that may shorten the wait. */
void ringwake_ev_spin(struct ringwake_ev *binding);

/* helpers.c. Keeps the loop from blocking in the wait that is about to begin. */
void ringwake_ev_keep_awake(struct ringwake_ev *binding);

/* Any thread, any signal handler. Ends the loop's wait without the doorbell. */
int ringwake_ev_wake_by_libev(void *binding);

/* doorbell.c. Loop thread. Opens the descriptors of doorbell and keep_awake. */
int ringwake_ev_open_doorbells(struct ringwake_ev *binding);

/* Keeps the loop from blocking, on io_uring. */
void ringwake_ev_start_keep_awake(struct ringwake_ev *binding);

/* The last step of detach. close frees the memory as soon as libev allows it, free at once: the
 * loop is destroyed. */
void ringwake_ev_close_doorbells(struct ringwake_ev *binding, bool is_inherited);
void ringwake_ev_free(struct ringwake_ev *binding);

/* Puts another target in the place of binding->target. */
int ringwake_ev_change_doorbell(
	struct ringwake_ev *binding, struct ringwake *target, bool is_rebuilding);

/* fork.c. Loop thread, in a forked child. Opens a target of its own and binds the asyncs to it. */
int ringwake_ev_fork(struct ringwake_ev *binding, bool is_rebuilding);

/* async.c. Loop thread. Binds the started asyncs to the target that a forked child has opened. */
void ringwake_ev_move_asyncs(struct ringwake_ev *binding);

/* Notes the started asyncs whose sends could not reach the target. */
void ringwake_ev_note_missed(struct ringwake_ev *binding);
void ringwake_ev_stop_asyncs(struct ringwake_ev *binding);
void ringwake_ev_abandon_asyncs(struct ringwake_ev *binding); /* of a destroyed loop */

/* order.c. Loop thread. Adds to, and removes from, the started asyncs in libev's order. */
void ringwake_ev_append(struct ringwake_ev *binding, ringwake_ev_async *async);
void ringwake_ev_remove(struct ringwake_ev *binding, ringwake_ev_async *async);

/* The async's message has arrived. The loop feeds the async after the messages' callbacks. */
void ringwake_ev_note(struct ringwake_ev *binding, ringwake_ev_async *async);

/* Feeds the asyncs that were noted. */
void ringwake_ev_feed_asyncs(struct ringwake_ev *binding);

/* work.c. Loop thread. Feeds the work whose messages have arrived. */
void ringwake_ev_feed_work(struct ringwake_ev *binding);

/* The completions of outstanding work will not arrive. */
void ringwake_ev_forget_work(struct ringwake_ev *binding);

#endif
