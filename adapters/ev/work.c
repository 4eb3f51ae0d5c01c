/* SPDX-License-Identifier: MIT */
/*
 * Work whose completion is an event of the loop. The pool's message feeds the work as a watcher, so
 * the callback runs with the watcher's priority.
 *
 * Work that another thread sends is a message to the loop. The loop queues it when it takes the
 * message, so only the loop's thread ever changes what keeps the loop alive. The sender knows the
 * loop by its target, to which it may hold a reference. It does not look at the binding, which the
 * loop may be freeing.
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
	work->sent_to = NULL;
}

static bool is_busy(const ringwake_ev_work *work)
{
	return ev_is_active(work) || ev_is_pending(work) || work->sent_to;
}

static int submit(struct ringwake_ev *binding, struct ringwake_pool *pool, ringwake_ev_work *work)
{
	if (binding->detaching)
		return -ECANCELED; /* a completion would not arrive */
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

int ringwake_ev_queue_work(
	struct ringwake_ev *binding, struct ringwake_pool *pool, ringwake_ev_work *work)
{
	return is_busy(work) ? -EBUSY : submit(binding, pool, work);
}

/* A loop that is being detached may not run again. */
static void end_unqueued(ringwake_ev_work *work, int status)
{
	const struct ringwake_ev *binding = work->binding;
	work->status = status;
	if (binding->loop == NULL)
		return; /* it is destroyed */
	if (binding->detaching)
		ev_invoke(binding->loop, work, EV_CUSTOM);
	else
		ev_feed_event(binding->loop, work, EV_CUSTOM);
}

/* The loop takes work that another thread has sent. */
static void take(struct ringwake_msg *msg)
{
	ringwake_ev_work *work =
		(ringwake_ev_work *)((char *)msg - offsetof(ringwake_ev_work, msg));
	struct ringwake_pool *pool = work->sent_to;
	work->sent_to = NULL;
	int error = work->status; /* it may have been cancelled */
	if (error == 0)
		error = submit(work->binding, pool, work);
	if (error < 0)
		end_unqueued(work, error);
}

int ringwake_ev_send_work(
	struct ringwake *target, struct ringwake_pool *pool, ringwake_ev_work *work)
{
	if (is_busy(work))
		return -EBUSY;
	work->binding = ringwake_get_context(target);
	if (work->binding == NULL || pool == NULL)
		return -EINVAL;
	work->msg.fn = take;
	work->status = 0;
	work->sent_to = pool;
	int error = ringwake_send(target, &work->msg);
	if (ringwake_was_refused(error)) {
		work->sent_to = NULL;
		return error;
	}
	return error < 0 ? -EIO : 0;
}

int ringwake_ev_cancel(struct ringwake_pool *pool, ringwake_ev_work *work)
{
	if (work->sent_to && work->status == 0) {
		work->status = -ECANCELED;
		return 0;
	}
	if (!ev_is_active(work))
		return -EBUSY;
	return ringwake_pool_cancel(pool, &work->work);
}
