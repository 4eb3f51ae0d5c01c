/* SPDX-License-Identifier: MIT */
/* Submits: from the caller's work to the inbox, and back to the caller by its done. */
#include <errno.h>

#include "pool_private.h"
#include "process.h"
#include "reserved.h"
#include "spin.h"

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

static void deliver_batch(struct ringwake_msg *msg)
{
	struct ringwake_batch *batch = (struct ringwake_batch *)msg; /* its first member */
	DEBUG_UNQUEUE(WORK_MARK(batch));
	batch->done(batch);
}

static int check(
	const struct ringwake_pool *pool, const struct ringwake *target, bool has_callbacks)
{
	if (pool->process != target->process || !ringwake_is_this_process(pool->process))
		return -EOWNERDEAD;
	return has_callbacks ? 0 : -EINVAL;
}

static const struct ringwake_submit_params defaults;

static int check_with(const struct ringwake_pool *pool, const struct ringwake *target,
	bool has_callbacks, const struct ringwake_submit_params *params)
{
	int result = check(pool, target, has_callbacks);
	bool is_valid = (unsigned)params->work_class < CLASSES && RESERVED_IS_ZERO(params);
	return result == 0 && !is_valid ? -EINVAL : result;
}

static int kick_if_told(struct ringwake_pool *pool, int result)
{
	if (result <= 0)
		return result;
	kick(pool);
	return 0;
}

static void prepare(struct ringwake_work *work, struct ringwake *target,
	void (*run)(struct ringwake_work *work), enum ringwake_work_class work_class)
{
	DEBUG_QUEUE(WORK_MARK(work), "work is submitted again before its done was called");
	work->msg.fn = deliver;
	work->target = target;
	work->run = run;
	work->batch = NULL;
	work->work_class = (uint8_t)work_class;
}

/* Relaxed: work for which no time was noted counts as old. */
static int64_t submit_time(const struct ringwake_pool *pool)
{
	return atomic_load_explicit(&pool->notes_time, memory_order_relaxed) ? ringwake_now_ns()
									     : 0;
}

static int push(struct ringwake_pool *pool, struct ringwake_work *const *works, size_t count)
{
	int64_t now_ns = submit_time(pool);
	for (size_t i = 0; i < count; i++) {
		works[i]->submitted_ns = now_ns;
		works[i]->previous = i > 0 ? works[i - 1] : NULL;
	}
	int result = ringwake_pool_push(pool, works[count - 1], works[0], count);
	for (size_t i = 0; result < 0 && i < count; i++)
		DEBUG_UNQUEUE(WORK_MARK(works[i]));
	return result;
}

/* As push(), for one piece that has a completion of its own. */
static inline int push_one(struct ringwake_pool *pool, struct ringwake *target,
	struct ringwake_work *work, void (*run)(struct ringwake_work *work),
	void (*done)(struct ringwake_work *work, int status), enum ringwake_work_class work_class)
{
	prepare(work, ringwake_ref(target), run, work_class);
	work->done = done;
	work->submitted_ns = submit_time(pool);
	int result = ringwake_pool_push(pool, work, work, 1);
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
	int result = check(pool, target, run && done);
	return result < 0 ? result : push_one(pool, target, work, run, done, RINGWAKE_WORK_NORMAL);
}

int ringwake_pool_submit(struct ringwake_pool *pool, struct ringwake *target,
	struct ringwake_work *work, void (*run)(struct ringwake_work *work),
	void (*done)(struct ringwake_work *work, int status))
{
	return kick_if_told(pool, ringwake_pool_enqueue(pool, target, work, run, done));
}

int ringwake_pool_submit_with(struct ringwake_pool *pool, struct ringwake *target,
	struct ringwake_work *work, void (*run)(struct ringwake_work *work),
	void (*done)(struct ringwake_work *work, int status),
	const struct ringwake_submit_params *params)
{
	params = params ? params : &defaults;
	int result = check_with(pool, target, run && done, params);
	if (result < 0)
		return result;
	result = push_one(pool, target, work, run, done, params->work_class);
	return params->no_kick ? result : kick_if_told(pool, result);
}

int ringwake_pool_submit_many(struct ringwake_pool *pool, struct ringwake *target,
	struct ringwake_work *const *works, size_t count, void (*run)(struct ringwake_work *work),
	void (*done)(struct ringwake_work *work, int status),
	const struct ringwake_submit_params *params)
{
	params = params ? params : &defaults;
	int result = check_with(pool, target, run && done, params);
	if (result < 0)
		return result;
	if (count == 0)
		return 0;
	for (size_t i = 0; i < count; i++) {
		prepare(works[i], ringwake_ref(target), run, params->work_class);
		works[i]->done = done;
	}
	result = push(pool, works, count);
	for (size_t i = 0; result < 0 && i < count; i++)
		ringwake_unref(target);
	return params->no_kick ? result : kick_if_told(pool, result);
}

/* Its pieces have all ended, because there are none. */
static int complete_empty(struct ringwake_pool *pool, struct ringwake_batch *batch)
{
	pthread_mutex_lock(&pool->lock);
	int result = pool->closing ? -ECANCELED : 0;
	struct ringwake *refused = NULL;
	if (result == 0)
		refused = ringwake_pool_send(batch->target, &batch->msg, WORK_MARK(batch));
	if (refused)
		ringwake_retry_add(&pool->retries, refused);
	ringwake_pool_unlock_and_wake(pool);
	return result;
}

static int push_batch(struct ringwake_pool *pool, struct ringwake_batch *batch,
	struct ringwake_work *const *works, size_t count, void (*run)(struct ringwake_work *work),
	enum ringwake_work_class work_class)
{
	for (size_t i = 0; i < count; i++) {
		prepare(works[i], NULL, run, work_class);
		works[i]->batch = batch;
	}
	return push(pool, works, count);
}

int ringwake_pool_submit_batch(struct ringwake_pool *pool, struct ringwake *target,
	struct ringwake_batch *batch, struct ringwake_work *const *works, size_t count,
	void (*run)(struct ringwake_work *work), void (*done)(struct ringwake_batch *batch),
	const struct ringwake_submit_params *params)
{
	params = params ? params : &defaults;
	int result = check_with(pool, target, run && done, params);
	if (result < 0)
		return result;
	DEBUG_QUEUE(WORK_MARK(batch), "a batch is submitted again before its done was called");
	batch->msg.fn = deliver_batch;
	batch->target = ringwake_ref(target);
	batch->done = done;
	atomic_init(&batch->left, count); /* the push passes it on */
	if (count > 0)
		result = push_batch(pool, batch, works, count, run, params->work_class);
	else
		result = complete_empty(pool, batch);
	if (result < 0) {
		DEBUG_UNQUEUE(WORK_MARK(batch));
		ringwake_unref(target);
	}
	return params->no_kick ? result : kick_if_told(pool, result);
}

int ringwake_work_status(const struct ringwake_work *work)
{
	return work->status;
}
