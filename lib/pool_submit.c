/* SPDX-License-Identifier: MIT */
/* Submits: from the caller's work to the inbox, and back to the caller by its done. */
#include <errno.h>

#include "pool_private.h"
#include "process.h"
#include "reserved.h"

/* For the one submit that has replaced ARMED. */
static void kick(struct ringwake_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->kick_pending = false;
	ringwake_pool_unlock_and_wake(pool);
}

void ringwake_pool_kick(struct ringwake_pool *pool)
{
	if (ringwake_is_this_process(pool->process))
		kick(pool);
}

static void deliver(struct ringwake_msg *msg)
{
	struct ringwake_work *work = (struct ringwake_work *)msg; /* its first member */
	DEBUG_UNQUEUE(WORK_MARK(work));
	work->done(work, work->status);
}

static int enqueue(struct ringwake_pool *pool, struct ringwake *target, struct ringwake_work *work,
	void (*run)(struct ringwake_work *work),
	void (*done)(struct ringwake_work *work, int status), enum ringwake_work_class work_class)
{
	if (pool->process != target->process || !ringwake_is_this_process(pool->process))
		return -EOWNERDEAD;
	if (run == NULL || done == NULL)
		return -EINVAL;
	DEBUG_QUEUE(WORK_MARK(work), "work is submitted again before its done was called");
	work->msg.fn = deliver;
	work->target = ringwake_ref(target);
	work->run = run;
	work->done = done;
	work->work_class = (uint8_t)work_class;
	int result = ringwake_pool_push(pool, work);
	if (result < 0) {
		DEBUG_UNQUEUE(WORK_MARK(work));
		ringwake_unref(target);
	}
	return result;
}

int ringwake_pool_enqueue(struct ringwake_pool *pool, struct ringwake *target,
	struct ringwake_work *work, void (*run)(struct ringwake_work *work),
	void (*done)(struct ringwake_work *work, int status))
{
	return enqueue(pool, target, work, run, done, RINGWAKE_WORK_NORMAL);
}

static int kick_if_told(struct ringwake_pool *pool, int result)
{
	if (result <= 0)
		return result;
	kick(pool);
	return 0;
}

int ringwake_pool_submit(struct ringwake_pool *pool, struct ringwake *target,
	struct ringwake_work *work, void (*run)(struct ringwake_work *work),
	void (*done)(struct ringwake_work *work, int status))
{
	return kick_if_told(pool, enqueue(pool, target, work, run, done, RINGWAKE_WORK_NORMAL));
}

int ringwake_pool_submit_with(struct ringwake_pool *pool, struct ringwake *target,
	struct ringwake_work *work, void (*run)(struct ringwake_work *work),
	void (*done)(struct ringwake_work *work, int status),
	const struct ringwake_submit_params *params)
{
	static const struct ringwake_submit_params defaults;
	if (params == NULL)
		params = &defaults;
	if ((unsigned)params->work_class >= CLASSES || !RESERVED_IS_ZERO(params))
		return -EINVAL;
	int result = enqueue(pool, target, work, run, done, params->work_class);
	return params->no_kick ? result : kick_if_told(pool, result);
}
