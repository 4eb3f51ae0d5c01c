/* SPDX-License-Identifier: MIT */
/*
 * Workers, and the work that waits for them. A completion is an ordinary message to the target, so
 * completions that arrive while the loop is busy, or before it has woken up, share one wake.
 *
 * Work waits in two places. A submit pushes it on the inbox, without the lock. Whoever has the lock
 * and needs to know moves what is there to the queue, which is linked both ways, so that cancel can
 * take any of it out. A worker takes one piece at a time: what it has not started, another can.
 *
 * The inbox is one word.
 *
 *   0        nothing was submitted
 *   work     the newest, linked to older work
 *   ASLEEP   nothing was submitted, and the next submit has to call a worker
 *   CLOSED   for good
 *
 *   who      change                  function
 *   submit   any but CLOSED -> work  ringwake_pool_enqueue
 *   lock     0 -> ASLEEP             pick_worker: fails if anything was submitted
 *   lock     work -> 0               empty_inbox
 *   lock     any -> CLOSED           refuse_work
 *
 * The word of a worker says how to call it.
 *
 *   AWAKE    it works, or looks for work
 *   RESTING  it is on the stack of idle workers, and on its way to sleep
 *   PARKED   it sleeps
 *
 *   who      change                            function
 *   worker   AWAKE -> RESTING, with the lock   rest
 *   worker   RESTING -> PARKED                 park: fails if it was called, perhaps while it spun
 *   caller   RESTING or PARKED -> AWAKE        unlock_and_call: a system call if it was PARKED
 *
 * Why no work is forgotten. Whoever gives the lock back while a worker is idle has seen to it that
 * somebody will come and look: a worker that was called and has not had the lock since (called), or
 * the submit that clears ASLEEP, which takes the lock next (expecting). If neither is to come he
 * sets ASLEEP, and if that fails, because something was submitted, he calls a worker. Who comes
 * does the same before he goes.
 *
 * How many are called. A submit that finds ASLEEP calls one; it may put that off, and is told so
 * (ringwake_pool_enqueue), as a worker that is called at once may take the processor from a loop
 * that has more work to give. Submits after it are left to that worker, and make no system call;
 * nor do submits that find all workers busy. Each time a worker takes work and sees more in the
 * queue it calls another, so that work that takes long is spread over all of them. Measured with
 * 1,000 empty jobs under way: calling another only when the one before had come took two processors
 * to less than half the rate, as that one may have to wait for a processor; one for every submit
 * while any was idle took twice the processor time. Who rested last is called first: it is the
 * warmest, and perhaps not asleep yet. A worker that spins before it parks gains nothing if the
 * loop sleeps meanwhile, and all if that spins too (question H of tests/bench/RESULTS.md), so it is
 * left to the user. Giving way to other threads took a quarter off the processor time of single
 * jobs and cost three times as much with 1,000.
 *
 * A refused doorbell. The completion is on the target's list then, but its loop sleeps. The pool
 * remembers the target, and its workers ring again until the loop has taken its messages: at once,
 * then after the times of retry.h. A worker looks between two pieces of work. If workers are idle,
 * one of them attends to it: it parks for that time only. pick_worker sees to it that there is one.
 *
 * Memory. Work is the caller's until the push succeeds, then the pool's. A submit touches the pool
 * after its push only if it is expected, and no worker ends while one is; nor does the worker that
 * it calls before its word is AWAKE. So close, which waits for the workers, comes after both. Only
 * the system call may come later, with an address that is free or another's: it wakes nobody, or
 * somebody who looks at his own word again.
 *
 * Memory order. A push is a release, emptying the inbox an acquire: the work. Calling a worker is a
 * release, its look at its word an acquire: what the caller did to the pool comes before its end.
 * All else is handed over with the lock, so the rest is relaxed.
 */
#include <errno.h>
#include <pthread.h>
#include <ringwake/pool.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process.h"
#include "reserved.h"
#include "retry.h"
#include "spin.h"
#include "system.h"
#include "target.h"

#define ASLEEP ((uintptr_t)1)
#define CLOSED (UINTPTR_MAX & ~ASLEEP) /* no work lies at the end of the address space */

#define LAST_ATTEMPTS_NS 500000000

/* As libuv's workers have from 1.45 on, whatever the limit of the process is. */
#define STACK_SIZE (8u << 20)

/* For a debug build: the work has the address of its message, which is sent in between. */
#define WORK_MARK(work) ((const char *)(work) + 1)

enum { AWAKE, RESTING, PARKED };

struct worker {
	struct ringwake_pool *pool;
	struct worker *below; /* on the stack of idle workers */
	pthread_t thread;
	_Atomic uint32_t word;
};

struct ringwake_pool {
	/* Every submit writes it. */
	alignas(CACHE_LINE) _Atomic uintptr_t inbox;

	/* Written at open, read by every submit and worker. */
	alignas(CACHE_LINE) uint32_t process;
	uint64_t spin_ns;

	alignas(CACHE_LINE) pthread_mutex_t lock; /* guards all below but the workers */
	struct ringwake_work *first, *last;       /* the queue */
	struct worker *idle;                      /* a stack */
	unsigned called; /* workers taken off the stack that have not looked for work since */
	bool expecting;  /* ASLEEP was set, and who cleared it does not hold the lock */
	bool closing;
	struct ringwake_pool_stats stats;
	struct retries retries; /* completions whose doorbell was refused */
	bool attended;          /* an idle worker rings these again when it is time */

	struct worker workers[];
};

/* The work is linked from the newest to the oldest, by previous. */
static void enqueue(struct ringwake_pool *pool, struct ringwake_work *newest)
{
	struct ringwake_work *oldest = NULL;
	unsigned count = 0;
	for (struct ringwake_work *work = newest; work; work = work->previous) {
		work->next = oldest;
		work->queued = true;
		oldest = work;
		count++;
	}
	if (count == 0)
		return;
	oldest->previous = pool->last;
	if (pool->last)
		pool->last->next = oldest;
	else
		pool->first = oldest;
	pool->last = newest;
	pool->stats.queued += count;
	pool->stats.submitted += count;
}

static void dequeue(struct ringwake_pool *pool, struct ringwake_work *work)
{
	if (work->previous)
		work->previous->next = work->next;
	else
		pool->first = work->next;
	if (work->next)
		work->next->previous = work->previous;
	else
		pool->last = work->previous;
	work->queued = false;
	pool->stats.queued--;
}

static void empty_inbox(struct ringwake_pool *pool)
{
	uintptr_t word = atomic_load_explicit(&pool->inbox, memory_order_relaxed);
	if (word == 0 || word == ASLEEP || word == CLOSED)
		return;
	/* Acquire: pairs with the release of every submit. */
	word = atomic_exchange_explicit(&pool->inbox, 0, memory_order_acquire);
	enqueue(pool, (struct ringwake_work *)word);
}

/*
 * Finds the idle worker that has to be called now, if one has. Relaxed: nothing is handed over with
 * ASLEEP, who clears it takes the lock.
 */
static struct worker *pick_worker(struct ringwake_pool *pool)
{
	struct worker *worker = pool->idle;
	if (worker == NULL)
		return NULL;
	if (pool->first == NULL && pool->called > 0)
		return NULL;
	bool is_neglected = pool->retries.count > 0 && !pool->attended;
	if (pool->first == NULL && !is_neglected) {
		if (pool->expecting)
			return NULL;
		uintptr_t word = 0;
		pool->expecting = atomic_compare_exchange_strong_explicit(
			&pool->inbox, &word, ASLEEP, memory_order_relaxed, memory_order_relaxed);
		if (pool->expecting)
			return NULL;
	}
	pool->idle = worker->below;
	pool->called++;
	return worker;
}

static void unlock_and_call(struct ringwake_pool *pool)
{
	struct worker *worker = pick_worker(pool);
	pthread_mutex_unlock(&pool->lock);
	if (worker == NULL)
		return;
	/* Release: pairs with the acquire in park. After it, the pool may be gone. */
	uint32_t before = atomic_exchange_explicit(&worker->word, AWAKE, memory_order_release);
	if (before == PARKED)
		ringwake_system.futex_wake(&worker->word, 1);
}

/* Looks out for a call, awake, so that it needs no system call. */
static void spin(const struct worker *worker)
{
	/* Relaxed: a setting, which orders nothing. */
	uint64_t spin_ns = worker->pool->spin_ns;
	if (spin_ns == 0)
		return;
	int64_t end = ringwake_deadline(spin_ns);
	do {
		for (int i = 0; i < LOOKS; i++) {
			/* Relaxed: park looks again. */
			if (atomic_load_explicit(&worker->word, memory_order_relaxed) == AWAKE)
				return;
			ringwake_relax();
		}
	} while (ringwake_now_ns() < end);
}

/* For the idle worker that attends: how long to park. It attends no more if that is negative. */
static int64_t attend(struct ringwake_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	int64_t pause_ns = ringwake_retry(&pool->retries, !pool->closing);
	pool->attended = pause_ns >= 0;
	pthread_mutex_unlock(&pool->lock);
	return pause_ns;
}

/* Returns whether it attends still. Acquire, throughout: pairs with the release in unlock_and_call.
 */
static bool park(struct worker *worker, bool attends)
{
	uint32_t word = RESTING;
	if (!atomic_compare_exchange_strong_explicit(
		    &worker->word, &word, PARKED, memory_order_acquire, memory_order_acquire))
		return attends;
	while (atomic_load_explicit(&worker->word, memory_order_acquire) == PARKED) {
		int64_t pause_ns = attends ? attend(worker->pool) : -1;
		attends = pause_ns >= 0;
		struct timespec pause = ringwake_timespec(pause_ns);
		ringwake_system.futex_wait(&worker->word, PARKED, attends ? &pause : NULL);
	}
	return attends;
}

static void rest(struct ringwake_pool *pool, struct worker *worker)
{
	worker->below = pool->idle;
	pool->idle = worker;
	/* Relaxed: who calls it has found it under the lock. */
	atomic_store_explicit(&worker->word, RESTING, memory_order_relaxed);
	bool attends = pool->retries.count > 0 && !pool->attended;
	if (attends)
		pool->attended = true;
	unlock_and_call(pool);
	spin(worker);
	attends = park(worker, attends);
	pthread_mutex_lock(&pool->lock);
	pool->called--;
	if (attends)
		pool->attended = false;
}

static void deliver(struct ringwake_msg *msg)
{
	struct ringwake_work *work = (struct ringwake_work *)msg; /* its first member */
	DEBUG_UNQUEUE(WORK_MARK(work));
	work->done(work, work->status);
}

/* Returns the target, with the work's reference, if its doorbell was refused. */
static struct ringwake *complete(struct ringwake_work *work, int status)
{
	struct ringwake *target = work->target;
	work->status = status;
	int error = ringwake_send(target, &work->msg); /* the work is the loop's from here on */
	if (error < 0 && error != -ECANCELED && error != -EOWNERDEAD)
		return target;
	if (error < 0)
		DEBUG_UNQUEUE(WORK_MARK(work));
	ringwake_unref(target);
	return NULL;
}

static void *run_worker(void *argument)
{
	struct worker *worker = argument;
	struct ringwake_pool *pool = worker->pool;
	pthread_mutex_lock(&pool->lock);
	for (;;) {
		if (pool->retries.count > 0)
			ringwake_retry(&pool->retries, !pool->closing);
		if (pool->first == NULL)
			empty_inbox(pool);
		struct ringwake_work *work = pool->first;
		if (work) {
			dequeue(pool, work);
			unlock_and_call(pool);
			work->run(work);
			struct ringwake *refused = complete(work, 0);
			pthread_mutex_lock(&pool->lock);
			if (refused)
				ringwake_retry_add(&pool->retries, refused);
			pool->stats.completed++;
		} else if (pool->closing && !pool->expecting) {
			break;
		} else {
			rest(pool, worker);
		}
	}
	unlock_and_call(pool);
	return NULL;
}

/* That this thread may run on; all, on a machine with more than a cpu_set_t has room for. */
static unsigned processors(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof set, &set) == 0)
		return (unsigned)CPU_COUNT(&set);
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	if (online < 1)
		return 1;
	return online < RINGWAKE_POOL_MAX_THREADS ? (unsigned)online : RINGWAKE_POOL_MAX_THREADS;
}

static void refuse_work(struct ringwake_pool *pool)
{
	/* Acquire: as in empty_inbox. */
	uintptr_t word = atomic_exchange_explicit(&pool->inbox, CLOSED, memory_order_acquire);
	if (word == ASLEEP)
		pool->expecting = false;
	else
		enqueue(pool, (struct ringwake_work *)word);
	pool->closing = true;
	ringwake_retry_soon(&pool->retries);
}

/* What is refused for good must not keep close from its end. */
static void ring_for_the_last_time(struct ringwake_pool *pool)
{
	static const _Atomic uint32_t never_woken;
	int64_t end_ns = ringwake_deadline(LAST_ATTEMPTS_NS);
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

static void join_workers(struct ringwake_pool *pool)
{
	for (unsigned i = 0; i < pool->stats.threads; i++)
		pthread_join(pool->workers[i].thread, NULL);
	ring_for_the_last_time(pool);
	ringwake_retry_end(&pool->retries);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

/*
 * Handlers run on the application's threads. But a signal that a thread causes itself finds no
 * other thread, and the kernel ends the process if it is blocked; and a profiler wants to see
 * workers.
 */
static sigset_t blocked_signals(void)
{
	static const int open[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGPROF};
	sigset_t set;
	sigfillset(&set);
	for (size_t i = 0; i < sizeof open / sizeof *open; i++)
		sigdelset(&set, open[i]);
	return set;
}

static int start_workers(struct ringwake_pool *pool, unsigned threads)
{
	sigset_t blocked = blocked_signals(), before;
	pthread_attr_t attributes;
	int error = pthread_attr_init(&attributes);
	if (error != 0)
		return -error;
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	pthread_sigmask(SIG_SETMASK, &blocked, &before);
	while (error == 0 && pool->stats.threads < threads) {
		struct worker *worker = &pool->workers[pool->stats.threads];
		worker->pool = pool;
		error = pthread_create(&worker->thread, &attributes, run_worker, worker);
		if (error == 0)
			pool->stats.threads++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return -error;
}

int ringwake_pool_open(struct ringwake_pool **out, const struct ringwake_pool_params *params)
{
	static const struct ringwake_pool_params defaults;
	if (params == NULL)
		params = &defaults;
	int saved = errno;
	int64_t process = ringwake_process_number();
	if (process < 0)
		return (int)process;
	if (params->threads > RINGWAKE_POOL_MAX_THREADS || !RESERVED_IS_ZERO(params))
		return -EINVAL;
	unsigned threads = params->threads ? params->threads : processors();
	size_t size = sizeof(struct ringwake_pool) + threads * sizeof(struct worker);
	size = (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	struct ringwake_pool *pool = aligned_alloc(CACHE_LINE, size);
	errno = saved;
	if (pool == NULL)
		return -ENOMEM;
	memset(pool, 0, size);
	pthread_mutex_init(&pool->lock, NULL);
	pool->process = (uint32_t)process;
	pool->spin_ns = params->spin_ns;
	int error = start_workers(pool, threads);
	errno = saved;
	if (error < 0) {
		ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
		return error;
	}
	*out = pool;
	return 0;
}

/* For the one submit that has cleared ASLEEP. */
static void show_up(struct ringwake_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->expecting = false;
	unlock_and_call(pool);
}

void ringwake_pool_kick(struct ringwake_pool *pool)
{
	if (ringwake_process_is(pool->process))
		show_up(pool);
}

int ringwake_pool_enqueue(struct ringwake_pool *pool, struct ringwake *target,
	struct ringwake_work *work, void (*run)(struct ringwake_work *work),
	void (*done)(struct ringwake_work *work, int status))
{
	if (pool->process != target->process || !ringwake_process_is(pool->process))
		return -EOWNERDEAD;
	if (run == NULL || done == NULL)
		return -EINVAL;
	DEBUG_QUEUE(WORK_MARK(work), "work is submitted again before its done was called");
	work->msg.fn = deliver;
	work->target = ringwake_ref(target);
	work->run = run;
	work->done = done;
	uintptr_t word = atomic_load_explicit(&pool->inbox, memory_order_relaxed);
	do {
		if (word == CLOSED) {
			DEBUG_UNQUEUE(WORK_MARK(work));
			ringwake_unref(target);
			return -ECANCELED;
		}
		work->previous = (struct ringwake_work *)(word & ~ASLEEP);
		/* Release: pairs with the acquire in empty_inbox. */
	} while (!atomic_compare_exchange_weak_explicit(
		&pool->inbox, &word, (uintptr_t)work, memory_order_release, memory_order_relaxed));
	return word == ASLEEP;
}

int ringwake_pool_submit(struct ringwake_pool *pool, struct ringwake *target,
	struct ringwake_work *work, void (*run)(struct ringwake_work *work),
	void (*done)(struct ringwake_work *work, int status))
{
	int result = ringwake_pool_enqueue(pool, target, work, run, done);
	if (result <= 0)
		return result;
	show_up(pool);
	return 0;
}

int ringwake_pool_cancel(struct ringwake_pool *pool, struct ringwake_work *work)
{
	if (!ringwake_process_is(pool->process))
		return -EOWNERDEAD;
	pthread_mutex_lock(&pool->lock);
	empty_inbox(pool);
	bool found = work->queued;
	struct ringwake *refused = NULL;
	if (found) {
		dequeue(pool, work);
		pool->stats.cancelled++;
		refused = complete(work, -ECANCELED); /* before the pool can be gone */
	}
	if (refused) {
		ringwake_retry_add(&pool->retries, refused);
		unlock_and_call(pool);
	} else {
		pthread_mutex_unlock(&pool->lock);
	}
	return found ? 0 : -EBUSY;
}

void ringwake_pool_close(struct ringwake_pool *pool, enum ringwake_pool_close_mode mode)
{
	if (!ringwake_process_is(pool->process)) {
		/* The threads are the parent's, and so is what one of them was changing. Or all of
		 * it is of another copy of the library. */
		if (ringwake_process_is_known(pool->process))
			free(pool);
		return;
	}
	struct ringwake_work *cancelled = NULL;
	pthread_mutex_lock(&pool->lock);
	refuse_work(pool);
	if (mode == RINGWAKE_POOL_CANCEL) {
		cancelled = pool->first;
		pool->first = pool->last = NULL;
		pool->stats.queued = 0;
		for (struct ringwake_work *work = cancelled; work; work = work->next)
			work->queued = false;
	}
	unlock_and_call(pool);
	while (cancelled) {
		struct ringwake_work *work = cancelled;
		cancelled = work->next;
		struct ringwake *refused = complete(work, -ECANCELED);
		if (refused == NULL)
			continue;
		pthread_mutex_lock(&pool->lock);
		ringwake_retry_add(&pool->retries, refused);
		pthread_mutex_unlock(&pool->lock);
	}
	ring_for_the_last_time(pool); /* work that runs may take long */
	join_workers(pool);
}

void ringwake_pool_get_stats(
	struct ringwake_pool *pool, struct ringwake_pool_stats *stats, size_t size)
{
	pthread_mutex_lock(&pool->lock);
	empty_inbox(pool);
	struct ringwake_pool_stats now = pool->stats;
	pthread_mutex_unlock(&pool->lock);
	ringwake_copy_out(stats, size, &now, sizeof now);
}
