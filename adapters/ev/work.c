/* SPDX-License-Identifier: MIT */
/*
 * Work whose completion is an event of the loop. The pool's message feeds the work as a watcher, so
 * the callback runs with the watcher's priority.
 */
#include "binding.h"

#include <errno.h>
#include <stddef.h>

static ringwake_ev_work *work_of(struct ringwake_work *work)
{
	return (ringwake_ev_work *)((char *)work - offsetof(ringwake_ev_work, work));
}

static void hold(struct ringwake_ev *binding)
{
	if (binding->outstanding++ == 0)
		ev_ref(binding->loop);
}

static void release(struct ringwake_ev *binding)
{
	if (--binding->outstanding == 0)
		ev_unref(binding->loop);
}

void ringwake_ev_forget_work(struct ringwake_ev *binding)
{
	if (binding->outstanding > 0)
		ev_unref(binding->loop);
	binding->outstanding = 0;
	binding->completed = NULL;
}

static void run(struct ringwake_work *pooled)
{
	ringwake_ev_work *work = work_of(pooled);
	work->run(work);
}

static void done(struct ringwake_work *pooled, int status)
{
	ringwake_ev_work *work = work_of(pooled);
	struct ringwake_ev *binding = work->binding;
	work->status = status;
	if (binding->outstanding == 0) {
		work->active = 0; /* the loop is being destroyed */
		return;
	}
	work->next = binding->completed;
	binding->completed = work;
	ev_feed_event(binding->loop, &binding->feeder, EV_CUSTOM);
}

/* libev calls first what was fed last, so the newest work is fed first. */
void ringwake_ev_feed_work(struct ringwake_ev *binding)
{
	while (binding->completed) {
		ringwake_ev_work *work = binding->completed;
		binding->completed = work->next;
		work->active = 0;
		release(binding);
		ev_feed_event(binding->loop, work, EV_CUSTOM);
	}
}

void ringwake_ev_work_init(
	ringwake_ev_work *work, void (*work_run)(ringwake_ev_work *work), ringwake_ev_work_cb cb)
{
	ev_init(work, cb);
	work->run = work_run;
	work->status = 0;
}

int ringwake_ev_queue_work(
	struct ringwake_ev *binding, struct ringwake_pool *pool, ringwake_ev_work *work)
{
	if (ev_is_active(work) || ev_is_pending(work))
		return -EBUSY;
	if (binding->detaching)
		return -ECANCELED;
	if (ringwake_is_inherited(binding->target))
		return -EOWNERDEAD;
	work->binding = binding;
	int error = ringwake_pool_submit(pool, binding->target, &work->work, run, done);
	if (error < 0)
		return error;
	ringwake_ev_activate((ev_watcher *)work, 1);
	hold(binding);
	return 0;
}

int ringwake_ev_cancel(struct ringwake_pool *pool, ringwake_ev_work *work)
{
	if (!ev_is_active(work))
		return -EBUSY;
	return ringwake_pool_cancel(pool, &work->work);
}
