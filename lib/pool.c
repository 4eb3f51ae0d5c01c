/* SPDX-License-Identifier: MIT */
/*
 * Worker threads, and the work that waits for them. This file opens and closes a pool, and has the
 * argument; pool_submit.c has the submits, pool_queue.c the work that waits, pool_worker.c the life
 * of a worker, pool_threads.c the threads, pool_size.c how many, pool_times.c how long work waits
 * and runs. A completion is an ordinary message to the target, so completions that arrive before
 * the loop is awake share one doorbell.
 *
 * Work waits in two places. A submit pushes work onto the inbox, without the lock. A thread that
 * holds the lock moves the inbox's work to the queues, one for each class. A queue is linked both
 * ways, so that cancel can take any work out of it. A worker takes one piece of work at a time.
 * Other workers can take what it has not started.
 *
 * Which work is next. A worker takes the oldest work of the highest class that can be taken. Slow
 * work can be taken only while slow_running is below slow_limit. If a class could be taken, but was
 * passed over 16 times in a row, it is next. To look into the inbox for every piece of work would
 * cost a cache miss each. While the queues hold normal work, others_submitted shows whether the
 * inbox may hold work of another class. While they hold fast work, a worker looks once in 16 times,
 * so that no work starves there. Otherwise it always looks.
 *
 * The inbox is one word:
 *
 *   0       no work was submitted
 *   work    the newest work, linked to older work
 *   ARMED   no work was submitted, and the next submit must wake a worker
 *   CLOSED  for good
 *
 *   thread       change                  function
 *   submit       any but CLOSED -> work  ringwake_pool_push
 *   lock holder  0 -> ARMED              ringwake_pool_try_arm: fails if work was submitted
 *   lock holder  work -> 0               ringwake_pool_empty_inbox
 *   lock holder  any -> CLOSED           ringwake_pool_close_inbox
 *
 * Each worker has a word:
 *
 *   STARTING  its worker_start has not returned
 *   REFUSED   for good: worker_start has returned an error, and the thread ends
 *   AWAKE     it runs work, or looks for work
 *   IDLE      it went onto the stack of idle workers, and has not blocked yet
 *   BLOCKED   it blocks, or is about to, in futex(2)
 *
 *   thread   change                         function
 *   worker   STARTING -> AWAKE, REFUSED     report_start: wakes the thread that starts the worker
 *   worker   AWAKE -> IDLE, with the lock   go_idle
 *   worker   IDLE -> BLOCKED                block: fails if the worker was woken before
 *   waker    IDLE or BLOCKED -> AWAKE       ringwake_pool_unlock_and_wake: a system call only if
 *                                           the worker was BLOCKED
 *
 * Invariants, while no thread holds the lock
 *
 *   1. wakes_in_flight is the number of workers that were taken off the stack of idle workers and
 *      have not held the lock since.
 *   2. kick_pending is set while the inbox is ARMED, and after a submit has replaced ARMED until
 *      this submit, or its ringwake_pool_kick(), has held the lock.
 *   3. If a worker is idle, wakes_in_flight is not 0 or kick_pending is set.
 *   4. If a doorbell is to be retried, a worker is awake, a worker is the retrier, or
 *      wakes_in_flight is not 0.
 *   5. While the pool is closing, no worker ends while kick_pending is set. Otherwise at least
 *      min_threads workers stay.
 *   6. slow_running is the number of workers that have taken slow work and have not held the lock
 *      since it ended. If slow work in its queue cannot be taken, slow_running is not 0.
 *
 * Why no work is forgotten. If no worker is idle, each worker looks for work again before it goes
 * idle. If a worker is idle, 3 leaves three cases. A woken worker takes the lock and looks for
 * work. A submit that replaced ARMED takes the lock, and wakes a worker when it releases the lock.
 * Or the inbox is ARMED; then the inbox is empty, and the queues hold nothing that can be taken,
 * because ringwake_pool_unlock_and_wake() arms the inbox only then. Every thread that adds an idle
 * worker, lowers wakes_in_flight or clears kick_pending releases the lock by
 * ringwake_pool_unlock_and_wake(), which restores 3: it arms the inbox, and if that fails because
 * work was submitted, it wakes a worker.
 *
 * Workers that end. A worker above min_threads that has been idle for shrink_after_ns takes itself
 * off the stack, with the lock, and ends. If it is not on the stack, a thread is about to set its
 * word, so it blocks until then. A worker ends after its work if there are more than max_threads.
 * Each releases the lock by ringwake_pool_unlock_and_wake(), which restores the invariants for the
 * workers that are left. If there are more than min_threads, each idle worker looks at the time: a
 * worker that is one too many wakes all idle workers when it has started, and so does a resize.
 *
 * The watcher. A pool that may grow has one more thread (pool_size.c). It keeps one more invariant:
 *
 *   7. If no worker is idle, none starts, wakes_in_flight is 0 and max_threads is not reached, then
 *      the watcher does not park, unless nothing can be taken and kick_pending is set.
 *
 * As 3 does for idle workers, this leaves the inbox ARMED while all workers are busy and no work
 * waits. So the submit whose work must wait for a busy worker replaces ARMED, and wakes the watcher
 * when it releases the lock. In a pool that does not grow, the inbox is not armed then, and such a
 * submit does not take the lock. A pool that is closing wakes the watcher when nothing can be taken
 * any more, and the watcher ends. Until then it starts workers: queued work may have to run so that
 * running work ends.
 *
 * Slow work that cannot be taken wakes no worker and keeps none from going idle, blocking or
 * ending. It can be taken when slow_running falls, which only a worker does that has run slow work
 * (6). This worker then looks for work before it releases the lock, so it takes the slow work, or
 * takes other work and wakes an idle worker for the slow work. If slow work is submitted while
 * slow_limit is reached, the worker that is woken for it moves it to its queue and goes idle again.
 *
 * Cancel. Work that waits is taken out of its queue, with the lock. Work that runs can only be
 * asked to end. The flag for this is the worker's, because done may free the work, or submit it
 * again, while the worker still has to take the lock. A cancel that comes too late sets the flag to
 * no effect: the worker clears it when it takes its next work. A cancel finds the worker by
 * work->worker, which only a thread that has the lock writes, and which is NULL until a worker has
 * taken the work. This worker may have taken other work since, so a cancel also compares
 * worker->work.
 *
 * A batch. Its pieces are pushed by one change of the inbox. Each piece that has run or was
 * cancelled takes 1 from batch->left, and the thread that takes the last sends the batch's message.
 * The batch has one reference to the target, and its pieces have none.
 *
 * How many workers are woken. A submit that replaces ARMED wakes one. ringwake_pool_enqueue()
 * leaves this to a later ringwake_pool_kick(), because a worker that is woken at once may take the
 * processor from a loop that has more work to submit. Submits after it make no system call, and
 * neither do submits while all workers are busy. A worker that takes work and sees more that can be
 * taken wakes one more worker, so long work spreads over all of them. The worker that went idle
 * last is woken first: its caches are warm, and it may not have blocked yet. docs/design.md has the
 * measurements.
 *
 * A refused doorbell. The completion is in the target's word, but its loop is blocked. The pool
 * remembers the target (retry.h), and workers retry between two pieces of work until the loop has
 * taken its messages. If workers are idle, one of them is the retrier: it blocks only until the
 * next retry is due. While there is none, pick_worker() does not leave all workers idle (4).
 *
 * Memory. Work is the caller's until the push succeeds, then the pool's until its completion is
 * sent. After its push a submit touches the pool only if it replaced ARMED, and 5 keeps the pool
 * alive until it has held the lock. A worker does not end while a thread is about to set its word
 * to AWAKE. So ringwake_pool_close(), which waits for all threads, comes after both. Only
 * futex_wake() may come later, on an address that is free or reused. It wakes no thread, or one
 * that checks its own word again.
 *
 * Memory order. A push is a release and emptying the inbox an acquire: they pass the work on.
 * Waking a worker is a release and its look at its word an acquire: all that the waker did to the
 * pool comes before the worker's end. The lock passes on everything else, so the rest is relaxed.
 *
 * Checked: tests/model/pool.pml and pool_size.pml are this protocol, and look for states in which
 * work, a completion or the pool's memory is lost. tests/unit/pool*.c run it on threads.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pool_private.h"
#include "process.h"
#include "reserved.h"
#include "spin.h"
#include "system.h"

/* How long close retries doorbells that the kernel goes on refusing. */
#define LAST_RETRIES_NS 500000000

/* If the kernel refuses a doorbell for good, close must end all the same. */
static void retry_for_the_last_time(struct ringwake_pool *pool)
{
	static const _Atomic uint32_t never_woken;
	int64_t end_ns = ringwake_deadline(LAST_RETRIES_NS);
	for (;;) {
		pthread_mutex_lock(&pool->lock);
		int64_t pause_ns = ringwake_retry(&pool->retries, false);
		pthread_mutex_unlock(&pool->lock);
		if (pause_ns < 0 || ringwake_now_ns() >= end_ns)
			return;
		struct timespec pause = ringwake_timespec(pause_ns);
		ringwake_system.futex_wait(&never_woken, 0, &pause);
	}
}

static void free_pool(struct ringwake_pool *pool)
{
	/* Relaxed: no other thread is left. */
	struct worker *worker = atomic_load_explicit(&pool->workers, memory_order_relaxed);
	while (worker) {
		struct worker *next = worker->next;
		free(worker->times);
		free(worker);
		worker = next;
	}
	pthread_attr_destroy(&pool->attributes);
	free(pool);
}

int ringwake_pool_open_with(struct ringwake_pool **out, const struct ringwake_pool_params *params)
{
	static const struct ringwake_pool_params defaults;
	if (params == NULL)
		params = &defaults;
	int saved = errno;
	int64_t process = ringwake_process_number();
	if (process < 0)
		return (int)process;
	struct spinner spinner;
	if (ringwake_spinner_set(&spinner, params->spin_ns) < 0 || !RESERVED_IS_ZERO(params))
		return -EINVAL;
	struct ringwake_pool *pool = aligned_alloc(CACHE_LINE, sizeof *pool);
	errno = saved;
	if (pool == NULL)
		return -ENOMEM;
	memset(pool, 0, sizeof *pool);
	pthread_mutex_init(&pool->lock, NULL);
	pthread_mutex_init(&pool->size_lock, NULL);
	pool->process = (uint32_t)process;
	pool->spinner = spinner;
	int error = ringwake_pool_set_attributes(pool, params);
	if (error == 0)
		error = ringwake_pool_open_times(pool, params->record_times);
	if (error == 0)
		error = ringwake_pool_open_size(pool, params);
	errno = saved;
	if (error < 0) {
		ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
		return error;
	}
	*out = pool;
	return 0;
}

int ringwake_pool_open(struct ringwake_pool **out, unsigned threads)
{
	return ringwake_pool_open_with(out, &(struct ringwake_pool_params){.threads = threads});
}

/* Asks run to end early, if the work runs. */
static void cancel_running(const struct ringwake_work *work)
{
	struct worker *worker = work->worker;
	/* Release: pairs with the acquire in ringwake_work_is_cancelled. */
	if (worker && worker->work == work)
		atomic_store_explicit(&worker->is_cancelled, true, memory_order_release);
}

bool ringwake_work_is_cancelled(const struct ringwake_work *work)
{
	const struct worker *worker = work->worker;
	/* Acquire: pairs with the release in cancel_running and in ringwake_pool_close. run sees
	 * what the caller of these has written before. */
	return atomic_load_explicit(&worker->is_cancelled, memory_order_acquire) ||
		atomic_load_explicit(&worker->pool->is_cancelled, memory_order_acquire);
}

int ringwake_pool_cancel(struct ringwake_pool *pool, struct ringwake_work *work)
{
	if (!ringwake_is_this_process(pool->process))
		return -EOWNERDEAD;
	pthread_mutex_lock(&pool->lock);
	ringwake_pool_empty_inbox(pool);
	bool found = work->queued;
	struct ringwake *refused = NULL;
	if (found) {
		ringwake_pool_dequeue(pool, work);
		pool->stats.cancelled++;
		/* With the lock: the work may be the last reason why the pool stays open. */
		refused = ringwake_pool_complete(work, -ECANCELED);
	} else {
		cancel_running(work);
	}
	if (refused) {
		ringwake_retry_add(&pool->retries, refused);
		ringwake_pool_unlock_and_wake(pool);
	} else {
		pthread_mutex_unlock(&pool->lock);
	}
	return found ? 0 : -EBUSY;
}

void ringwake_pool_close(struct ringwake_pool *pool, enum ringwake_pool_close_mode mode)
{
	if (!ringwake_is_this_process(pool->process)) {
		/* The threads are the parent's, and one of them may have held the lock. A pool of
		 * another copy of the library is left alone. */
		if (ringwake_is_of_this_copy(pool->process))
			free_pool(pool);
		return;
	}
	struct ringwake_work *cancelled = NULL;
	pthread_mutex_lock(&pool->lock);
	ringwake_pool_close_inbox(pool);
	pool->closing = true;
	ringwake_retry_soon(&pool->retries);
	if (mode == RINGWAKE_POOL_CANCEL) {
		cancelled = ringwake_pool_dequeue_all(pool);
		/* Release: pairs with the acquire in ringwake_work_is_cancelled. */
		atomic_store_explicit(&pool->is_cancelled, true, memory_order_release);
	}
	ringwake_pool_unlock_and_wake(pool);
	while (cancelled) {
		struct ringwake_work *work = cancelled;
		cancelled = work->next;
		struct ringwake *refused = ringwake_pool_complete(work, -ECANCELED);
		if (refused == NULL)
			continue;
		pthread_mutex_lock(&pool->lock);
		ringwake_retry_add(&pool->retries, refused);
		pthread_mutex_unlock(&pool->lock);
	}
	retry_for_the_last_time(pool); /* work that still runs may take long */
	ringwake_pool_join(pool);
	retry_for_the_last_time(pool);
	ringwake_retry_end(&pool->retries);
	pthread_mutex_destroy(&pool->size_lock);
	pthread_mutex_destroy(&pool->lock);
	free_pool(pool);
}

void ringwake_pool_get_stats(
	struct ringwake_pool *pool, struct ringwake_pool_stats *stats, size_t size)
{
	pthread_mutex_lock(&pool->lock);
	ringwake_pool_empty_inbox(pool);
	struct ringwake_pool_stats now = pool->stats;
	for (const struct worker *worker = pool->idle; worker; worker = worker->next_idle)
		now.idle++;
	/* Relaxed: no worker is added without the lock, and each count stands alone. */
	const struct worker *worker = atomic_load_explicit(&pool->workers, memory_order_relaxed);
	for (; worker; worker = worker->next)
		now.completed += atomic_load_explicit(&worker->completed, memory_order_relaxed);
	pthread_mutex_unlock(&pool->lock);
	ringwake_copy_out(stats, size, &now, sizeof now);
}
