/* SPDX-License-Identifier: MIT */
/*
 * The size of a pool. ringwake_pool_resize() sets its limits. Workers end by themselves
 * (pool_worker.c). If the pool may have more workers than its minimum, it has one thread more, the
 * watcher, which starts workers. pool.c explains when it is woken.
 *
 * While work waits that no worker takes, the watcher blocks until the oldest work has waited for
 * grow_after_ns, and then starts a worker. When that worker takes work and more waits, it wakes the
 * watcher, which looks at the oldest work again. So there are never more workers than pieces of
 * work that have waited for too long. If nothing waits, the watcher blocks without a timeout.
 */
#include <errno.h>

#include "pool_private.h"
#include "process.h"
#include "spin.h"
#include "system.h"

#define GROW_AFTER_NS   10000000
#define SHRINK_AFTER_NS UINT64_C(10000000000)

/* When a worker must be started; INT64_MAX: not before the watcher is woken again. */
static int64_t due_ns(const struct ringwake_pool *pool)
{
	if (pool->idle || pool->wakes_in_flight > 0 || pool->starting > 0 ||
		pool->numbers_used >= pool->max_threads)
		return INT64_MAX;
	int64_t oldest_ns = ringwake_pool_oldest(pool);
	if (oldest_ns == INT64_MAX)
		return INT64_MAX;
	if (pool->grow_after_ns >= (uint64_t)(INT64_MAX - oldest_ns))
		return INT64_MAX - 1;
	return oldest_ns + (int64_t)pool->grow_after_ns;
}

/* The same conditions as in due_ns: the watcher must not wake itself before it parks. */
struct worker *ringwake_pool_pick_watcher(struct ringwake_pool *pool)
{
	if (pool->watcher_state == WATCHER_AWAKE)
		return NULL;
	bool has_work = ringwake_pool_has_work(pool);
	if (has_work || !pool->closing) {
		if (pool->watcher_state == WATCHER_TIMED || pool->wakes_in_flight > 0 ||
			pool->starting > 0 || pool->numbers_used >= pool->max_threads)
			return NULL;
		if (!has_work && !pool->kick_pending)
			pool->kick_pending = ringwake_pool_try_arm(pool);
		if (!has_work && pool->kick_pending)
			return NULL;
	}
	pool->watcher_state = WATCHER_AWAKE;
	return &pool->watcher;
}

/* With the lock, which it releases meanwhile. */
static void wait_until(struct ringwake_pool *pool, int64_t end_ns)
{
	_Atomic uint32_t *word = &pool->watcher.word;
	bool is_timed = end_ns != INT64_MAX;
	pool->watcher_state = is_timed ? WATCHER_TIMED : WATCHER_PARKED;
	/* Relaxed: a thread that wakes the watcher has found its state under the lock. */
	atomic_store_explicit(word, BLOCKED, memory_order_relaxed);
	ringwake_pool_unlock_and_wake(pool);
	/* Acquire: pairs with the release in wake. */
	while (atomic_load_explicit(word, memory_order_acquire) == BLOCKED) {
		int64_t left_ns = is_timed ? end_ns - ringwake_now_ns() : 0;
		if (is_timed && left_ns <= 0) {
			pthread_mutex_lock(&pool->lock);
			if (pool->watcher_state != WATCHER_AWAKE)
				return;
			/* A thread is about to wake it. */
			pthread_mutex_unlock(&pool->lock);
			is_timed = false;
		}
		struct timespec left = ringwake_timespec(left_ns);
		ringwake_system.futex_wait(word, BLOCKED, is_timed ? &left : NULL);
	}
	pthread_mutex_lock(&pool->lock);
}

/* Starts a worker, unless none is due any more. */
static int grow(struct ringwake_pool *pool)
{
	int error = 0;
	pthread_mutex_lock(&pool->size_lock);
	pthread_mutex_lock(&pool->lock);
	bool is_due = due_ns(pool) <= ringwake_now_ns();
	pthread_mutex_unlock(&pool->lock);
	if (is_due)
		error = ringwake_pool_start_worker(pool);
	pthread_mutex_unlock(&pool->size_lock);
	return error;
}

void ringwake_pool_watch(struct ringwake_pool *pool)
{
	int64_t pause_ns = RETRY_FIRST_NS;
	int64_t not_before_ns = 0; /* a worker could not be started */
	pthread_mutex_lock(&pool->lock);
	for (;;) {
		ringwake_pool_empty_inbox(pool);
		if (pool->closing && !ringwake_pool_has_work(pool))
			break;
		int64_t end_ns = due_ns(pool);
		if (end_ns < not_before_ns)
			end_ns = not_before_ns;
		if (end_ns > ringwake_now_ns()) {
			wait_until(pool, end_ns);
			pool->watcher_state = WATCHER_AWAKE;
			continue;
		}
		pthread_mutex_unlock(&pool->lock);
		bool has_failed = grow(pool) < 0;
		pause_ns = has_failed ? ringwake_next_pause(pause_ns) : RETRY_FIRST_NS;
		not_before_ns = has_failed ? ringwake_deadline((uint64_t)pause_ns) : 0;
		pthread_mutex_lock(&pool->lock);
	}
	pool->watcher_state = WATCHER_NONE;
}

/* With size_lock. */
static int set_limits(struct ringwake_pool *pool, unsigned threads, unsigned max_threads)
{
	pthread_mutex_lock(&pool->lock);
	if (pool->closing) {
		pthread_mutex_unlock(&pool->lock);
		return -ECANCELED;
	}
	pool->min_threads = threads;
	pool->max_threads = max_threads;
	ringwake_pool_limit_slow_work(pool, pool->slow_wanted, max_threads);
	/* Relaxed: work for which no time was noted counts as old. */
	atomic_store_explicit(&pool->notes_time, pool->records_times || max_threads > threads,
		memory_order_relaxed);
	/* Idle workers look whether they must end, and when. */
	ringwake_pool_unlock_and_wake_all(pool);
	return 0;
}

/* 1: a worker is missing. 0: none is. -ECANCELED: a worker that starts now may end at once, so that
 * one would always be missing. */
static int is_one_missing(struct ringwake_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	int result = pool->closing ? -ECANCELED : pool->stats.threads < pool->min_threads;
	pthread_mutex_unlock(&pool->lock);
	return result;
}

/* With size_lock. */
static int start_missing(struct ringwake_pool *pool)
{
	int result;
	while ((result = is_one_missing(pool)) > 0) {
		int error = ringwake_pool_start_worker(pool);
		if (error < 0)
			return error;
	}
	return result;
}

int ringwake_pool_open_size(struct ringwake_pool *pool, const struct ringwake_pool_params *params)
{
	unsigned threads = ringwake_pool_threads_wanted(params);
	unsigned max_threads = params->max_threads ? params->max_threads : threads;
	if (params->threads == 0 && threads > max_threads)
		threads = max_threads;
	if (params->threads > RINGWAKE_POOL_MAX_THREADS || max_threads < threads ||
		max_threads > RINGWAKE_POOL_MAX_THREADS)
		return -EINVAL;
	pool->slow_wanted = params->slow_threads;
	pool->grow_after_ns = params->grow_after_ns ? params->grow_after_ns : GROW_AFTER_NS;
	pool->shrink_after_ns = params->shrink_after_ns ? params->shrink_after_ns : SHRINK_AFTER_NS;
	set_limits(pool, threads, max_threads);
	pthread_mutex_lock(&pool->size_lock);
	int error = start_missing(pool);
	if (error == 0 && max_threads > threads)
		error = ringwake_pool_start_watcher(pool);
	pthread_mutex_unlock(&pool->size_lock);
	return error;
}

int ringwake_pool_resize(struct ringwake_pool *pool, unsigned threads, unsigned max_threads)
{
	if (!ringwake_is_this_process(pool->process))
		return -EOWNERDEAD;
	if (max_threads == 0)
		max_threads = threads;
	if (threads == 0 || max_threads < threads || max_threads > RINGWAKE_POOL_MAX_THREADS)
		return -EINVAL;
	int saved = errno;
	pthread_mutex_lock(&pool->size_lock);
	unsigned min_before = pool->min_threads, max_before = pool->max_threads;
	/* First: if it fails, no worker has ended because of the new limits. */
	int error = max_threads > threads ? ringwake_pool_start_watcher(pool) : 0;
	if (error == 0)
		error = set_limits(pool, threads, max_threads);
	if (error == 0) {
		error = start_missing(pool);
		if (error < 0)
			set_limits(pool, min_before, max_before);
	}
	pthread_mutex_unlock(&pool->size_lock);
	errno = saved;
	return error;
}
