/* SPDX-License-Identifier: MIT */
#ifndef RINGWAKE_EV_ATTACH_H
#define RINGWAKE_EV_ATTACH_H

#include <ringwake/ev.h>

struct ringwake_ev {
	struct ringwake_ev *next; /* in the list of all attached loops */
	struct ev_loop *loop;
	struct ringwake *target;       /* NULL: detached, but for watchers that have not fired */
	struct ringwake_params params; /* for the next target, in a forked child */
	enum ringwake_path path;       /* the present target's */
	struct inherited *inherited;   /* targets of the processes that this one was forked from */
	bool foreign;                  /* the target is, or was, the parent process's */
	unsigned waits_at; /* ev_depth() of the outermost turn between its edges, or 0 */

	ev_prepare before; /* the edges of the wait */
	ev_check after;
	ev_io doorbell;      /* ends the wait */
	ev_io busy;          /* started when the loop must not wait: on io_uring, ... */
	ev_idle idle;        /* ... and elsewhere */
	ev_watcher dispatch; /* fed after each wait; user callbacks run from it */
	ev_fork forked;
	ev_cleanup destroyed;

	ringwake_ev_async *asyncs; /* the started ones */
	unsigned outstanding;      /* work */
};

/* What ev_TYPE_start() does for watchers of libev's own. */
static inline void ringwake_ev_activate(ev_watcher *watcher)
{
	if (ev_priority(watcher) < EV_MINPRI)
		ev_set_priority(watcher, EV_MINPRI);
	if (ev_priority(watcher) > EV_MAXPRI)
		ev_set_priority(watcher, EV_MAXPRI);
	watcher->active = 1;
}

/* registry.c. NULL if the loop has no target; -EBUSY if it has one, -ENOMEM. */
struct ringwake_ev *ringwake_ev_find(const struct ev_loop *loop);
int ringwake_ev_enlist(struct ringwake_ev *attached);
void ringwake_ev_delist(struct ringwake_ev *attached);

/* Loop thread. The descriptors that end the wait. */
int ringwake_ev_open_watched(struct ringwake_ev *attached);
int ringwake_ev_change_doorbell(struct ringwake_ev *attached, const struct ringwake *target);

/* Loop thread. The target is the parent's of this forked child. */
bool ringwake_ev_is_foreign(struct ringwake_ev *attached);

/* The loop must not wait in this turn; it is over. */
void ringwake_ev_stay_awake(struct ringwake_ev *attached);
void ringwake_ev_may_wait(struct ringwake_ev *attached);

/* Loop thread, the last of detaching: as soon as libev allows; at once, when the loop goes. */
void ringwake_ev_end_watched(struct ringwake_ev *attached);
void ringwake_ev_release_watched(struct ringwake_ev *attached);

/* Loop thread, in a forked child: a target of its own, and all that goes with it. */
void ringwake_ev_renew(struct ringwake_ev *attached);
void ringwake_ev_forget_inherited(struct ringwake_ev *attached);

/* Loop thread. Gives the started asyncs, and sends that they have not noted, to a new target. */
void ringwake_ev_move_asyncs(struct ringwake_ev *attached);
void ringwake_ev_stop_asyncs(struct ringwake_ev *attached);

/* Loop thread. Completions of outstanding work will not come. */
void ringwake_ev_forget_work(struct ringwake_ev *attached);

#endif
