/* SPDX-License-Identifier: MIT */
/*
 * Workers and one queue under one lock. A worker's completion is an ordinary message to the target,
 * so completions that arrive while the loop is busy, or before it has woken up, share one wake.
 */
#include <errno.h>
#include <pthread.h>
#include <ringwake/pool.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "process.h"

struct ringwake_pool {
	pthread_mutex_t lock; /* guards all below but the threads */
	pthread_cond_t more;
	struct ringwake_work *first, *last;
	unsigned idle;
	bool closing;
	struct ringwake_pool_stats stats;

	uint32_t process;
	pthread_t threads[];
};

static void enqueue(struct ringwake_pool *pool, struct ringwake_work *work)
{
	work->next = NULL;
	work->previous = pool->last;
	if (pool->last)
		pool->last->next = work;
	else
		pool->first = work;
	pool->last = work;
	work->queued = true;
	pool->stats.queued++;
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

static void deliver(struct ringwake_msg *msg)
{
	struct ringwake_work *work = (struct ringwake_work *)msg; /* its first member */
	work->done(work, work->status);
}

static void complete(struct ringwake_work *work, int status)
{
	struct ringwake *target = work->target;
	work->status = status;
	ringwake_send(target, &work->msg); /* the work is the loop's from here on */
	ringwake_unref(target);
}

static void *run_worker(void *argument)
{
	struct ringwake_pool *pool = argument;
	pthread_mutex_lock(&pool->lock);
	for (;;) {
		while (pool->first == NULL && !pool->closing) {
			pool->idle++;
			pthread_cond_wait(&pool->more, &pool->lock);
			pool->idle--;
		}
		struct ringwake_work *work = pool->first;
		if (work == NULL)
			break;
		dequeue(pool, work);
		pthread_mutex_unlock(&pool->lock);
		work->run(work);
		complete(work, 0);
		pthread_mutex_lock(&pool->lock);
		pool->stats.completed++;
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static unsigned processors(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof set, &set) != 0)
		return 1;
	return (unsigned)CPU_COUNT(&set);
}

static void stop_workers(struct ringwake_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->closing = true;
	pthread_cond_broadcast(&pool->more);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->stats.threads; i++)
		pthread_join(pool->threads[i], NULL);
}

static void destroy(struct ringwake_pool *pool)
{
	pthread_cond_destroy(&pool->more);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

/* With all signals blocked: handlers run on the application's threads. */
static int start_workers(struct ringwake_pool *pool, unsigned threads)
{
	sigset_t all, before;
	int error = 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (error == 0 && pool->stats.threads < threads) {
		error = pthread_create(&pool->threads[pool->stats.threads], NULL, run_worker, pool);
		if (error == 0)
			pool->stats.threads++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

int ringwake_pool_open(struct ringwake_pool **out, unsigned threads)
{
	int saved = errno;
	int64_t process = ringwake_process_number();
	if (process < 0)
		return (int)process;
	if (threads > RINGWAKE_POOL_MAX_THREADS)
		return -EINVAL;
	if (threads == 0)
		threads = processors();
	struct ringwake_pool *pool = calloc(1, sizeof *pool + threads * sizeof pool->threads[0]);
	errno = saved;
	if (pool == NULL)
		return -ENOMEM;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->more, NULL);
	pool->process = (uint32_t)process;
	int error = start_workers(pool, threads);
	if (error < 0) {
		stop_workers(pool);
		destroy(pool);
		return error;
	}
	*out = pool;
	return 0;
}

int ringwake_pool_submit(struct ringwake_pool *pool, struct ringwake *target,
	struct ringwake_work *work, void (*run)(struct ringwake_work *work),
	void (*done)(struct ringwake_work *work, int status))
{
	if (!ringwake_process_is(pool->process))
		return -EOWNERDEAD;
	work->msg.fn = deliver;
	work->target = target;
	work->run = run;
	work->done = done;
	pthread_mutex_lock(&pool->lock);
	if (pool->closing) {
		pthread_mutex_unlock(&pool->lock);
		return -ECANCELED;
	}
	ringwake_ref(target);
	enqueue(pool, work);
	pool->stats.submitted++;
	if (pool->idle > 0)
		pthread_cond_signal(&pool->more);
	pthread_mutex_unlock(&pool->lock);
	return 0;
}

int ringwake_pool_cancel(struct ringwake_pool *pool, struct ringwake_work *work)
{
	if (!ringwake_process_is(pool->process))
		return -EOWNERDEAD;
	pthread_mutex_lock(&pool->lock);
	bool found = work->queued;
	if (found) {
		dequeue(pool, work);
		pool->stats.cancelled++;
	}
	pthread_mutex_unlock(&pool->lock);
	if (!found)
		return -EBUSY;
	complete(work, -ECANCELED);
	return 0;
}

void ringwake_pool_close(struct ringwake_pool *pool, enum ringwake_pool_close_mode mode)
{
	if (!ringwake_process_is(pool->process)) {
		free(pool); /* the threads, and whoever held the lock, are the parent's */
		return;
	}
	pthread_mutex_lock(&pool->lock);
	pool->closing = true;
	struct ringwake_work *cancelled = NULL;
	if (mode == RINGWAKE_POOL_CANCEL) {
		cancelled = pool->first;
		pool->first = pool->last = NULL;
		for (struct ringwake_work *work = cancelled; work; work = work->next)
			work->queued = false;
	}
	pthread_mutex_unlock(&pool->lock);
	while (cancelled) {
		struct ringwake_work *work = cancelled;
		cancelled = work->next;
		complete(work, -ECANCELED);
	}
	stop_workers(pool);
	destroy(pool);
}

void ringwake_pool_stats(struct ringwake_pool *pool, struct ringwake_pool_stats *stats)
{
	pthread_mutex_lock(&pool->lock);
	*stats = pool->stats;
	pthread_mutex_unlock(&pool->lock);
}
