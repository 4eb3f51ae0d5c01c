/* SPDX-License-Identifier: MIT */
/* The life of a worker: it runs work, goes idle, spins, blocks, and is woken. */
#include <errno.h>

#include "pool_private.h"
#include "probes.h"
#include "spin.h"
#include "system.h"

static bool needs_retrier(const struct ringwake_pool *pool)
{
	return pool->retries.count > 0 && !pool->has_retrier;
}

/* Takes the worker that must be woken now off the stack of idle workers; NULL: none. */
static struct worker *pick_worker(struct ringwake_pool *pool)
{
	struct worker *worker = pool->idle;
	if (worker == NULL)
		return pool->watcher_state ? ringwake_pool_pick_watcher(pool) : NULL;
	bool has_work = ringwake_pool_has_work(pool);
	if (!has_work && pool->wakes_in_flight > 0)
		return NULL;
	if (!has_work && !needs_retrier(pool)) {
		if (!pool->kick_pending)
			pool->kick_pending = ringwake_pool_try_arm(pool);
		if (pool->kick_pending)
			return NULL;
	}
	pool->idle = worker->next_idle;
	pool->wakes_in_flight++;
	return worker;
}

static void wake(struct worker *worker)
{
	/* Release: pairs with the acquire in block. The pool may be freed from here on. */
	uint32_t before = atomic_exchange_explicit(&worker->word, AWAKE, memory_order_release);
	if (before == BLOCKED)
		ringwake_system.futex_wake(&worker->word, 1);
	else
		ringwake_sends_to_awake++;
}

void ringwake_pool_unlock_and_wake(struct ringwake_pool *pool)
{
	struct worker *worker = pick_worker(pool);
	pthread_mutex_unlock(&pool->lock);
	if (worker)
		wake(worker);
}

void ringwake_pool_unlock_and_wake_all(struct ringwake_pool *pool)
{
	struct worker *worker = pool->idle;
	for (struct worker *each = worker; each; each = each->next_idle)
		pool->wakes_in_flight++;
	pool->idle = NULL;
	ringwake_pool_unlock_and_wake(pool);
	while (worker) {
		struct worker *next = worker->next_idle; /* the worker may go idle again */
		wake(worker);
		worker = next;
	}
}

/* Returns how long it took, as of the last reading of the clock, until the worker was woken; -1 if
 * it was not before the time was over. Relaxed: block reads the word again. */
static int64_t spin_for(const struct worker *worker, uint64_t time_ns)
{
	int64_t begin = ringwake_now_ns(), now = begin;
	do {
		for (int i = 0; i < SPINS_PER_CLOCK_READ; i++) {
			if (atomic_load_explicit(&worker->word, memory_order_relaxed) == AWAKE)
				return now - begin;
			ringwake_relax();
		}
		now = ringwake_now_ns();
	} while ((uint64_t)(now - begin) < time_ns);
	return -1;
}

static void spin(struct worker *worker)
{
	uint64_t limit = ringwake_spinner_begin(&worker->spinner);
	if (worker->end_ns != INT64_MAX && limit > worker->pool->shrink_after_ns)
		limit = worker->pool->shrink_after_ns;
	if (limit > 0)
		ringwake_spinner_end(&worker->spinner, spin_for(worker, limit));
}

/* For the retrier, while it is idle: returns how long it may block. Negative: nothing is left to
 * retry, so it is the retrier no more. */
static int64_t retry(struct ringwake_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	int64_t pause_ns = ringwake_retry(&pool->retries, !pool->closing);
	pool->has_retrier = pause_ns >= 0;
	pthread_mutex_unlock(&pool->lock);
	return pause_ns;
}

/* The workers that look for work. */
static unsigned workers_ready(const struct ringwake_pool *pool)
{
	return pool->stats.threads - pool->starting;
}

/* For a worker that has been idle until its end_ns. Returns true with the lock if it must end. */
static bool retire(struct worker *worker)
{
	struct ringwake_pool *pool = worker->pool;
	pthread_mutex_lock(&pool->lock);
	struct worker **place = &pool->idle;
	while (*place && *place != worker)
		place = &(*place)->next_idle;
	/* If it is not on the stack, a thread is about to wake it. */
	bool ends = *place && workers_ready(pool) > pool->min_threads;
	if (ends)
		*place = worker->next_idle;
	else
		pthread_mutex_unlock(&pool->lock);
	worker->end_ns = INT64_MAX;
	return ends;
}

/* Returns false with the lock if the worker must end. Acquire, throughout: pairs with the release
 * in wake. */
static bool block(struct worker *worker, bool *is_retrier)
{
	uint32_t word = IDLE;
	if (!atomic_compare_exchange_strong_explicit(
		    &worker->word, &word, BLOCKED, memory_order_acquire, memory_order_acquire))
		return true;
	while (atomic_load_explicit(&worker->word, memory_order_acquire) == BLOCKED) {
		int64_t pause_ns = *is_retrier ? retry(worker->pool) : -1;
		*is_retrier = pause_ns >= 0;
		if (worker->end_ns != INT64_MAX) {
			int64_t left_ns = worker->end_ns - ringwake_now_ns();
			if (left_ns <= 0 && retire(worker))
				return false;
			if (left_ns <= 0)
				continue;
			if (pause_ns < 0 || left_ns < pause_ns)
				pause_ns = left_ns;
		}
		struct timespec pause = ringwake_timespec(pause_ns);
		ringwake_system.futex_wait(&worker->word, BLOCKED, pause_ns >= 0 ? &pause : NULL);
	}
	return true;
}

/* True if the worker that would be woken next still spins. Relaxed: an old value does no harm. */
static bool has_spinning_worker(const struct ringwake_pool *pool)
{
	return pool->idle && atomic_load_explicit(&pool->idle->word, memory_order_relaxed) == IDLE;
}

/* Returns false if the worker has been idle for so long that it must end. */
static bool go_idle(struct ringwake_pool *pool, struct worker *worker)
{
	/* One worker that spins is enough. It stays on top of the stack, to be woken first. */
	bool is_second = has_spinning_worker(pool);
	struct worker **below = is_second ? &pool->idle->next_idle : &pool->idle;
	worker->next_idle = *below;
	*below = worker;
	/* Relaxed: a thread that wakes the worker has found it under the lock. */
	atomic_store_explicit(&worker->word, IDLE, memory_order_relaxed);
	bool is_retrier = needs_retrier(pool);
	if (is_retrier)
		pool->has_retrier = true;
	bool may_end = workers_ready(pool) > pool->min_threads;
	worker->end_ns = may_end ? ringwake_deadline(pool->shrink_after_ns) : INT64_MAX;
	ringwake_pool_unlock_and_wake(pool);
	if (!is_second && !is_retrier) /* the retrier has to look at the time */
		spin(worker);
	bool is_woken = block(worker, &is_retrier);
	if (is_woken) {
		pthread_mutex_lock(&pool->lock);
		pool->wakes_in_flight--;
	}
	if (is_retrier)
		pool->has_retrier = false;
	return is_woken;
}

struct ringwake *ringwake_pool_send(
	struct ringwake *target, struct ringwake_msg *msg, const void *mark)
{
	(void)mark;
	int error = ringwake_send(target, msg); /* the work is the loop's from here on */
	if (error < 0 && error != -ECANCELED && error != -EOWNERDEAD)
		return target;
	if (error < 0)
		DEBUG_UNQUEUE(mark);
	ringwake_unref(target);
	return NULL;
}

static struct ringwake *complete_piece(struct ringwake_batch *batch, struct ringwake_work *work)
{
	(void)work;
	struct ringwake *target = batch->target;
	DEBUG_UNQUEUE(WORK_MARK(work));
	/* Release: pairs with the acquire of the thread that completes the last piece, and sends
	 * what all of them have written. The batch is the loop's then. */
	if (atomic_fetch_sub_explicit(&batch->left, 1, memory_order_acq_rel) > 1)
		return NULL;
	return ringwake_pool_send(target, &batch->msg, WORK_MARK(batch));
}

struct ringwake *ringwake_pool_complete(struct ringwake_work *work, int status)
{
	PROBE2(pool_done, work, status);
	work->status = status;
	if (work->batch)
		return complete_piece(work->batch, work);
	return ringwake_pool_send(work->target, &work->msg, WORK_MARK(work));
}

/* Before the completion is sent: a loop that has called done finds the work counted. Relaxed: the
 * completion publishes it. Not a read-modify-write, because no other thread writes it. */
static void count_completed(struct worker *worker)
{
	uint64_t completed = atomic_load_explicit(&worker->completed, memory_order_relaxed);
	atomic_store_explicit(&worker->completed, completed + 1, memory_order_relaxed);
}

static void run(struct worker *worker, struct ringwake_work *work)
{
	struct ringwake_pool *pool = worker->pool;
	enum ringwake_work_class work_class = work->work_class;
	work->worker = worker;
	worker->work = work;
	/* Relaxed: only a thread that has the lock sets it, and only this worker's work reads it.
	 */
	atomic_store_explicit(&worker->is_cancelled, false, memory_order_relaxed);
	ringwake_pool_unlock_and_wake(pool);
	PROBE2(pool_start, work, pool);
	if (worker->times)
		ringwake_pool_run_timed(worker->times, work);
	else
		work->run(work);
	count_completed(worker);
	struct ringwake *refused = ringwake_pool_complete(work, 0);
	pthread_mutex_lock(&pool->lock);
	if (refused)
		ringwake_retry_add(&pool->retries, refused);
	ringwake_pool_end_work(pool, work_class);
}

/* The worker has started. If it is one more than the minimum, idle workers must look at the time
 * from now on. */
static void hold_lock_first(struct ringwake_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->starting--;
	if (pool->idle && workers_ready(pool) > pool->min_threads) {
		ringwake_pool_unlock_and_wake_all(pool);
		pthread_mutex_lock(&pool->lock);
	}
}

void ringwake_pool_run_worker(struct worker *worker)
{
	struct ringwake_pool *pool = worker->pool;
	hold_lock_first(pool);
	while (workers_ready(pool) <= pool->max_threads) {
		if (pool->retries.count > 0)
			ringwake_retry(&pool->retries, !pool->closing);
		struct ringwake_work *work = ringwake_pool_take(pool);
		if (work)
			run(worker, work);
		else if ((pool->closing && !pool->kick_pending) || !go_idle(pool, worker))
			break;
	}
	pool->stats.threads--;
}
