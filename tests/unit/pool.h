/* SPDX-License-Identifier: MIT */
/* What the tests of the pool share. */
#ifndef POOL_H
#define POOL_H

#include <ringwake/pool.h>

#include "hooks.h"

struct job {
	struct ringwake_work work;
	unsigned runs, dones;
	int status;
	pthread_t ran_on, done_on;
	pthread_barrier_t *started, *go_on;
};

static inline void run_job(struct ringwake_work *work)
{
	struct job *job = (struct job *)work;
	job->runs++;
	job->ran_on = pthread_self();
	if (job->started) {
		pthread_barrier_wait(job->started);
		pthread_barrier_wait(job->go_on);
	}
}

static unsigned jobs_done;
static inline void finish_job(struct ringwake_work *work, int status)
{
	struct job *job = (struct job *)work;
	job->dones++;
	job->status = status;
	job->done_on = pthread_self();
	jobs_done++;
}

static inline struct ringwake_pool *open_pool(unsigned threads)
{
	struct ringwake_pool *pool;
	assert_int_equal(ringwake_pool_open(&pool, threads), 0);
	return pool;
}

static inline void wait_for_jobs(struct ringwake *target, unsigned count)
{
	while (jobs_done < count)
		assert_true(ringwake_wait(target, PATIENCE_NS) >= 0);
}

/* Keeps workers busy, so that what is submitted next stays in the queue. */
struct keeper {
	pthread_barrier_t started, go_on;
	struct job jobs[2];
};

static inline void keep_busy(struct keeper *keeper, struct ringwake_pool *pool,
	struct ringwake *target, unsigned workers)
{
	pthread_barrier_init(&keeper->started, NULL, workers + 1);
	pthread_barrier_init(&keeper->go_on, NULL, workers + 1);
	jobs_done = 0;
	for (unsigned i = 0; i < workers; i++) {
		keeper->jobs[i] =
			(struct job){.started = &keeper->started, .go_on = &keeper->go_on};
		ringwake_pool_submit(pool, target, &keeper->jobs[i].work, run_job, finish_job);
	}
	pthread_barrier_wait(&keeper->started);
}

static inline void let_go(struct keeper *keeper)
{
	pthread_barrier_wait(&keeper->go_on);
}

/* After the workers have ended. */
static inline void destroy_keeper(struct keeper *keeper)
{
	pthread_barrier_destroy(&keeper->started);
	pthread_barrier_destroy(&keeper->go_on);
}

#define NORMAL RINGWAKE_WORK_NORMAL
#define FAST   RINGWAKE_WORK_FAST
#define SLOW   RINGWAKE_WORK_SLOW

static const enum ringwake_work_class classes[] = {NORMAL, FAST, SLOW};
enum { CLASSES = sizeof classes / sizeof *classes };

static inline int submit_as(struct ringwake_pool *pool, struct ringwake *target, struct job *job,
	void (*run)(struct ringwake_work *work), enum ringwake_work_class work_class)
{
	struct ringwake_submit_params params = {.work_class = work_class};
	return ringwake_pool_submit_with(pool, target, &job->work, run, finish_job, &params);
}

static inline struct ringwake_pool *open_with(struct ringwake_pool_params params)
{
	struct ringwake_pool *pool;
	assert_int_equal(ringwake_pool_open_with(&pool, &params), 0);
	return pool;
}

static inline unsigned threads_of(struct ringwake_pool *pool)
{
	struct ringwake_pool_stats stats;
	ringwake_pool_get_stats(pool, &stats, sizeof stats);
	return stats.threads;
}

static inline struct ringwake_pool *open_pool_with(unsigned threads, unsigned slow_threads)
{
	return open_with(
		(struct ringwake_pool_params){.threads = threads, .slow_threads = slow_threads});
}

static inline void end_pool(struct ringwake_pool *pool, struct ringwake *target)
{
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
}

static inline unsigned random_seed(void)
{
	unsigned seed = (unsigned)time(NULL);
	print_message("seed %u\n", seed);
	return seed;
}

struct closing {
	struct ringwake_pool *pool;
	enum ringwake_pool_close_mode mode;
};

static inline void *close_pool(void *argument)
{
	struct closing *closing = argument;
	ringwake_pool_close(closing->pool, closing->mode);
	return NULL;
}

struct submit {
	struct ringwake_pool *pool;
	struct ringwake *target;
	struct job *jobs;
	unsigned count;
};

static inline void *submit_all(void *argument)
{
	struct submit *submit = argument;
	for (unsigned i = 0; i < submit->count; i++)
		ringwake_pool_submit(
			submit->pool, submit->target, &submit->jobs[i].work, run_job, finish_job);
	return NULL;
}

#endif
