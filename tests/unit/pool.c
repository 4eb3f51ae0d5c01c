/* SPDX-License-Identifier: MIT */
#include <ringwake/pool.h>
#include <signal.h>
#include <sys/wait.h>

#include "hooks.h"

struct job {
	struct ringwake_work work;
	unsigned runs, dones;
	int status;
	pthread_t ran_on, done_on;
	pthread_barrier_t *started, *go_on;
};

static void run_job(struct ringwake_work *work)
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
static void finish_job(struct ringwake_work *work, int status)
{
	struct job *job = (struct job *)work;
	job->dones++;
	job->status = status;
	job->done_on = pthread_self();
	jobs_done++;
}

static struct ringwake_pool *open_pool(unsigned threads)
{
	struct ringwake_pool *pool;
	assert_int_equal(ringwake_pool_open(&pool, threads), 0);
	return pool;
}

static void wait_for_jobs(struct ringwake *target, unsigned count)
{
	while (jobs_done < count)
		assert_true(ringwake_wait(target, 30000000000) >= 0);
}

static void test_done_runs_on_the_loop(void **state)
{
	(void)state;
	enum { COUNT = 1000 };
	static struct job jobs[COUNT];
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(4);
	memset(jobs, 0, sizeof jobs);
	jobs_done = 0;
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(
			ringwake_pool_submit(pool, target, &jobs[i].work, run_job, finish_job), 0);
	wait_for_jobs(target, COUNT);
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(jobs[i].runs, 1);
		assert_int_equal(jobs[i].dones, 1);
		assert_int_equal(jobs[i].status, 0);
		assert_true(pthread_equal(jobs[i].done_on, pthread_self()));
		assert_false(pthread_equal(jobs[i].ran_on, pthread_self()));
	}
	struct ringwake_pool_stats stats;
	ringwake_pool_stats(pool, &stats);
	assert_int_equal(stats.submitted, COUNT);
	assert_int_equal(stats.threads, 4);
	assert_int_equal(stats.queued, 0);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
}

/* Completions that arrive before the loop looks share one wake. */
static void test_completions_share_a_wake(void **state)
{
	(void)state;
	static struct job jobs[200];
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(2);
	memset(jobs, 0, sizeof jobs);
	jobs_done = 0;
	assert_true(ringwake_arm(target));
	for (int i = 0; i < 200; i++)
		ringwake_pool_submit(pool, target, &jobs[i].work, run_job, finish_job);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_disarm(target);
	assert_int_equal(ringwake_dispatch(target, 1000), 200);
	assert_int_equal(stats_of(target).wakes_rung, 1);
	ringwake_close(target);
}

static void test_cancel(void **state)
{
	(void)state;
	pthread_barrier_t started, go_on;
	pthread_barrier_init(&started, NULL, 2);
	pthread_barrier_init(&go_on, NULL, 2);
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(1);
	struct job running = {.started = &started, .go_on = &go_on}, queued[3] = {{.runs = 0}};
	jobs_done = 0;
	ringwake_pool_submit(pool, target, &running.work, run_job, finish_job);
	for (int i = 0; i < 3; i++)
		ringwake_pool_submit(pool, target, &queued[i].work, run_job, finish_job);
	pthread_barrier_wait(&started);
	assert_int_equal(ringwake_pool_cancel(pool, &running.work), -EBUSY);
	assert_int_equal(ringwake_pool_cancel(pool, &queued[1].work), 0);
	assert_int_equal(ringwake_pool_cancel(pool, &queued[1].work), -EBUSY);
	wait_for_jobs(target, 1); /* at once, though the only worker is busy */
	assert_int_equal(queued[1].status, -ECANCELED);
	pthread_barrier_wait(&go_on);
	wait_for_jobs(target, 4);
	assert_int_equal(running.status, 0);
	assert_int_equal(queued[0].runs + queued[2].runs, 2);
	assert_int_equal(queued[1].runs, 0);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
	pthread_barrier_destroy(&started);
	pthread_barrier_destroy(&go_on);
}

struct closing {
	struct ringwake_pool *pool;
	enum ringwake_pool_close_mode mode;
};
static void *close_pool(void *argument)
{
	struct closing *closing = argument;
	ringwake_pool_close(closing->pool, closing->mode);
	return NULL;
}

static void close_with_work_queued(enum ringwake_pool_close_mode mode, int expected)
{
	pthread_barrier_t started, go_on;
	pthread_barrier_init(&started, NULL, 2);
	pthread_barrier_init(&go_on, NULL, 2);
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(1);
	struct job running = {.started = &started, .go_on = &go_on}, queued[10] = {{.runs = 0}};
	jobs_done = 0;
	ringwake_pool_submit(pool, target, &running.work, run_job, finish_job);
	pthread_barrier_wait(&started);
	for (int i = 0; i < 10; i++)
		ringwake_pool_submit(pool, target, &queued[i].work, run_job, finish_job);
	struct closing closing = {pool, mode};
	pthread_t closer = start(close_pool, &closing);
	if (mode == RINGWAKE_POOL_CANCEL)
		wait_for_jobs(target, 10);
	pthread_barrier_wait(&go_on);
	join(closer);
	while (ringwake_dispatch(target, 0) > 0)
		;
	assert_int_equal(jobs_done, 11);
	assert_int_equal(running.status, 0);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(queued[i].dones, 1);
		assert_int_equal(queued[i].status, expected);
		assert_int_equal(queued[i].runs, expected == 0 ? 1 : 0);
	}
	ringwake_close(target);
	pthread_barrier_destroy(&started);
	pthread_barrier_destroy(&go_on);
}

static void test_close_finishes(void **state)
{
	(void)state;
	close_with_work_queued(RINGWAKE_POOL_FINISH, 0);
}

static void test_close_cancels(void **state)
{
	(void)state;
	close_with_work_queued(RINGWAKE_POOL_CANCEL, -ECANCELED);
}

static void check_mask(struct ringwake_work *work)
{
	sigset_t mask;
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	((struct job *)work)->runs = sigismember(&mask, SIGINT) && sigismember(&mask, SIGUSR1);
}

static void test_workers_block_signals(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(1);
	struct job job = {.runs = 0};
	jobs_done = 0;
	ringwake_pool_submit(pool, target, &job.work, check_mask, finish_job);
	wait_for_jobs(target, 1);
	assert_int_equal(job.runs, 1);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
}

static void test_limits_and_fork(void **state)
{
	(void)state;
	struct ringwake_pool *pool;
	assert_int_equal(ringwake_pool_open(&pool, RINGWAKE_POOL_MAX_THREADS + 1), -EINVAL);
	struct ringwake *target = open_target(NULL);
	pool = open_pool(0);
	struct ringwake_pool_stats stats;
	ringwake_pool_stats(pool, &stats);
	assert_true(stats.threads >= 1);
	pid_t child = fork();
	if (child == 0) {
		struct job job = {.runs = 0};
		int submit = ringwake_pool_submit(pool, target, &job.work, run_job, finish_job);
		int cancel = ringwake_pool_cancel(pool, &job.work);
		ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
		ringwake_close(target);
		_exit(submit == -EOWNERDEAD && cancel == -EOWNERDEAD ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
}

int main(void)
{
	const struct CMUnitTest pool_tests[] = {
		ON_BOTH_PATHS(test_done_runs_on_the_loop),
		ON_BOTH_PATHS(test_completions_share_a_wake),
		ON_BOTH_PATHS(test_cancel),
		ON_BOTH_PATHS(test_close_finishes),
		ON_BOTH_PATHS(test_close_cancels),
		ON_BOTH_PATHS(test_workers_block_signals),
		ON_BOTH_PATHS(test_limits_and_fork),
	};
	return RUN_BOUNDED(pool_tests, 120);
}
