/* SPDX-License-Identifier: MIT */
/* Work from its submission to its completion: order, cancel, close, fork. */
#include <sys/wait.h>

#include "pool.h"

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
	ringwake_pool_get_stats(pool, &stats, sizeof stats);
	assert_int_equal(stats.submitted, COUNT);
	assert_int_equal(stats.threads, 4);
	assert_int_equal(stats.queued, 0);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
}

/* The worker has not done anything else since, if it is slow. */
static void test_completed_when_done_is_called(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(2);
	struct ringwake_pool_stats stats;
	jobs_done = 0;
	for (unsigned i = 1; i <= rounds_here(5000); i++) {
		struct job job = {.runs = 0};
		ringwake_pool_submit(pool, target, &job.work, run_job, finish_job);
		wait_for_jobs(target, i);
		ringwake_pool_get_stats(pool, &stats, sizeof stats);
		assert_int_equal(stats.completed, i);
	}
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
	assert_int_equal(stats_of(target).doorbells, 1);
	ringwake_close(target);
}

static void test_cancel(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(1);
	struct keeper keeper;
	struct job queued[3] = {{.runs = 0}};
	keep_busy(&keeper, pool, target, 1);
	for (int i = 0; i < 3; i++)
		ringwake_pool_submit(pool, target, &queued[i].work, run_job, finish_job);
	assert_int_equal(ringwake_pool_cancel(pool, &queued[1].work), 0);
	assert_int_equal(ringwake_pool_cancel(pool, &queued[1].work), -EBUSY);
	assert_int_equal(ringwake_pool_cancel(pool, &keeper.jobs[0].work), -EBUSY);
	wait_for_jobs(target, 1); /* at once, though the only worker is busy */
	assert_int_equal(queued[1].status, -ECANCELED);
	let_go(&keeper);
	wait_for_jobs(target, 4);
	assert_int_equal(keeper.jobs[0].status, 0);
	assert_int_equal(queued[0].runs + queued[2].runs, 2);
	assert_int_equal(queued[1].runs, 0);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
	destroy_keeper(&keeper);
}

static void close_with_work_queued(enum ringwake_pool_close_mode mode, int expected)
{
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(1);
	struct keeper keeper;
	struct job queued[10] = {{.runs = 0}};
	keep_busy(&keeper, pool, target, 1);
	for (int i = 0; i < 10; i++)
		ringwake_pool_submit(pool, target, &queued[i].work, run_job, finish_job);
	struct closing closing = {pool, mode};
	pthread_t closer = start(close_pool, &closing);
	if (mode == RINGWAKE_POOL_CANCEL)
		wait_for_jobs(target, 10);
	let_go(&keeper);
	join(closer);
	while (ringwake_dispatch(target, 0) > 0)
		;
	assert_int_equal(jobs_done, 11);
	assert_int_equal(keeper.jobs[0].status, 0);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(queued[i].dones, 1);
		assert_int_equal(queued[i].status, expected);
		assert_int_equal(queued[i].runs, expected == 0 ? 1 : 0);
	}
	ringwake_close(target);
	destroy_keeper(&keeper);
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

/* A pool and a target that do not belong to one process: 0 if the child is told so each time. */
static int try_pools_of_the_child(struct ringwake_pool *inherited, struct ringwake *parents)
{
#ifdef __SANITIZE_THREAD__
	return 0; /* it does not bear threads in a forked child */
#endif
	struct job jobs[3] = {{.runs = 0}};
	struct ringwake *target;
	struct ringwake_pool *pool;
	struct ringwake_params params = {.path = test_path};
	if (ringwake_open(&target, NULL, &params) != 0 || ringwake_pool_open(&pool, 1) != 0)
		return 2;
	int submit = ringwake_pool_submit(pool, parents, &jobs[0].work, run_job, finish_job);
	int queue = ringwake_pool_enqueue(pool, parents, &jobs[1].work, run_job, finish_job);
	if (queue == 1)
		ringwake_pool_kick(pool);
	int swapped = ringwake_pool_submit(inherited, target, &jobs[2].work, run_job, finish_job);
	struct ringwake_pool_stats stats;
	ringwake_pool_get_stats(pool, &stats, sizeof stats);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
	if (submit != -EOWNERDEAD || queue != -EOWNERDEAD || swapped != -EOWNERDEAD)
		return 3;
	return stats.submitted == 0 ? 0 : 4;
}

static void test_limits_and_fork(void **state)
{
	(void)state;
	struct ringwake_pool *pool;
	assert_int_equal(ringwake_pool_open(&pool, RINGWAKE_POOL_MAX_THREADS + 1), -EINVAL);
	struct ringwake *target = open_target(NULL);
	pool = open_pool(0);
	struct ringwake_pool_stats stats;
	ringwake_pool_get_stats(pool, &stats, sizeof stats);
	assert_true(stats.threads >= 1);
	pid_t child = fork();
	if (child == 0) {
		struct job job = {.runs = 0};
		int submit = ringwake_pool_submit(pool, target, &job.work, run_job, finish_job);
		ringwake_pool_kick(pool);
		int cancel = ringwake_pool_cancel(pool, &job.work);
		int other = try_pools_of_the_child(pool, target);
		ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
		ringwake_close(target);
		_exit(submit == -EOWNERDEAD && cancel == -EOWNERDEAD ? other : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
}

static struct job *order[10];
static unsigned order_length;
static void note_order(struct ringwake_work *work)
{
	order[order_length++] = (struct job *)work;
}

static void test_order(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(1);
	struct keeper keeper;
	struct job queued[10] = {{.runs = 0}};
	struct ringwake_pool_stats stats;
	order_length = 0;
	keep_busy(&keeper, pool, target, 1);
	for (unsigned i = 0; i < 10; i++) {
		ringwake_pool_submit(pool, target, &queued[i].work, note_order, finish_job);
		if (i % 4 != 3)
			continue;
		ringwake_pool_get_stats(pool, &stats, sizeof stats);
		assert_int_equal(stats.queued, i + 1);
		assert_int_equal(stats.submitted, i + 2);
	}
	let_go(&keeper);
	wait_for_jobs(target, 11);
	for (unsigned i = 0; i < 10; i++)
		assert_ptr_equal(order[i], &queued[i]);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
	destroy_keeper(&keeper);
}

enum { SUBMITTERS = 3, EACH = 3000 };
static struct job many[SUBMITTERS][EACH];

static void *submit_and_cancel(void *argument)
{
	struct submit *submit = argument;
	for (unsigned i = 0; i < submit->count; i++) {
		struct ringwake_work *work = &submit->jobs[i].work;
		ringwake_pool_submit(submit->pool, submit->target, work, run_job, finish_job);
		if (i % 3 == 0)
			ringwake_pool_cancel(submit->pool, work);
	}
	return NULL;
}

static void test_many_submitters(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(3);
	struct submit submits[SUBMITTERS];
	pthread_t threads[SUBMITTERS];
	unsigned cancelled = 0;
	memset(many, 0, sizeof many);
	jobs_done = 0;
	for (int i = 0; i < SUBMITTERS; i++) {
		submits[i] = (struct submit){pool, target, many[i], EACH};
		threads[i] = start(submit_and_cancel, &submits[i]);
	}
	wait_for_jobs(target, SUBMITTERS * EACH);
	for (int i = 0; i < SUBMITTERS; i++)
		join(threads[i]);
	for (int i = 0; i < SUBMITTERS * EACH; i++) {
		struct job *job = &many[i / EACH][i % EACH];
		assert_int_equal(job->dones, 1);
		assert_int_equal(job->runs, job->status == 0 ? 1 : 0);
		cancelled += job->status == -ECANCELED;
	}
	struct ringwake_pool_stats stats;
	ringwake_pool_get_stats(pool, &stats, sizeof stats);
	assert_int_equal(stats.submitted, SUBMITTERS * EACH);
	assert_int_equal(stats.cancelled, cancelled);
	assert_int_equal(stats.queued, 0);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
}

/* The loop closes as soon as it has seen the work, perhaps before the submits have returned. */
static void test_close_after_the_last_done(void **state)
{
	(void)state;
	for (unsigned round = 0; round < rounds_here(1000); round++) {
		struct job jobs[3] = {{.runs = 0}};
		struct submit submit = {open_pool(2), open_target(NULL), jobs, 3};
		jobs_done = 0;
		pthread_t thread = start(submit_all, &submit);
		wait_for_jobs(submit.target, 3);
		ringwake_pool_close(submit.pool, round % 2);
		join(thread);
		ringwake_close(submit.target);
	}
}

/* Work that submits more work, until it is refused. */
static struct submit refused;
static _Atomic unsigned accepted;
static void submit_next(struct ringwake_work *work)
{
	struct job *job = (struct job *)work;
	run_job(work);
	if (job + 1 == refused.jobs + refused.count)
		return;
	if (ringwake_pool_submit(
		    refused.pool, refused.target, &job[1].work, submit_next, finish_job) == 0)
		atomic_fetch_add(&accepted, 1);
}

static void test_close_while_work_submits(void **state)
{
	(void)state;
	for (int round = 0; round < 100; round++) {
		struct ringwake *target = open_target(NULL);
		refused = (struct submit){open_pool(2), target, many[0], EACH};
		memset(many, 0, sizeof many[0]);
		jobs_done = 0;
		accepted = 1;
		ringwake_pool_submit(
			refused.pool, target, &many[0][0].work, submit_next, finish_job);
		wait_for_jobs(target, 1);
		ringwake_pool_close(refused.pool, round % 2);
		while (ringwake_dispatch(target, 0) > 0)
			;
		assert_int_equal(jobs_done, accepted);
		for (unsigned i = 0; i < EACH; i++)
			assert_int_equal(many[0][i].dones, i < accepted ? 1 : 0);
		ringwake_close(target);
	}
}

int main(void)
{
	const struct CMUnitTest pool_tests[] = {
		ON_BOTH_PATHS(test_done_runs_on_the_loop),
		ON_BOTH_PATHS(test_completed_when_done_is_called),
		ON_BOTH_PATHS(test_completions_share_a_wake),
		ON_BOTH_PATHS(test_cancel),
		ON_BOTH_PATHS(test_close_finishes),
		ON_BOTH_PATHS(test_close_cancels),
		ON_BOTH_PATHS(test_limits_and_fork),
		ON_BOTH_PATHS(test_order),
		ON_BOTH_PATHS(test_many_submitters),
		ON_BOTH_PATHS(test_close_after_the_last_done),
		ON_BOTH_PATHS(test_close_while_work_submits),
	};
	return RUN_BOUNDED(pool_tests, 120);
}
