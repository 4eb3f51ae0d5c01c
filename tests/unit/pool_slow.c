/* SPDX-License-Identifier: MIT */
/* Slow work: how many workers it holds, and what waits for it. */
#include <limits.h>
#include <sched.h>

#include "pool.h"

/* Slow work that is held until it is released. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct job jobs[200];
static unsigned running, most_running, started, may_end;

static void run_held(struct ringwake_work *work)
{
	run_job(work);
	pthread_mutex_lock(&lock);
	running++;
	started++;
	if (running > most_running)
		most_running = running;
	pthread_cond_broadcast(&changed);
	while (may_end == 0)
		pthread_cond_wait(&changed, &lock);
	may_end--;
	running--;
	pthread_mutex_unlock(&lock);
}

static void hold_work(void)
{
	running = most_running = started = may_end = 0;
	jobs_done = 0;
	memset(jobs, 0, sizeof jobs);
}

static void release_work(unsigned count)
{
	pthread_mutex_lock(&lock);
	may_end += count;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void wait_until_started(unsigned count)
{
	pthread_mutex_lock(&lock);
	while (started < count)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

static void test_short_work_waits_for_no_slow_work(void **state)
{
	(void)state;
	enum { LONG = 8, SHORT = 100 };
	static const enum ringwake_work_class shorts[] = {NORMAL, FAST};
	for (unsigned i = 0; i < 2; i++) {
		struct ringwake *target = open_target(NULL);
		struct ringwake_pool *pool = open_pool(4);
		hold_work();
		for (unsigned j = 0; j < LONG; j++)
			submit_as(pool, target, &jobs[j], run_held, SLOW);
		for (unsigned j = 0; j < SHORT; j++) {
			submit_as(pool, target, &jobs[LONG + j], run_job, shorts[i]);
			wait_for_jobs(target, j + 1);
		}
		release_work(LONG);
		wait_for_jobs(target, LONG + SHORT);
		assert_true(most_running <= 2);
		end_pool(pool, target);
	}
}

/* Each round, slow work holds exactly as many workers as it may. */
static void test_slow_limit(void **state)
{
	(void)state;
	static const struct {
		unsigned threads, slow_threads, limit;
	} cases[] = {{1, 0, 1}, {2, 0, 1}, {3, 0, 2}, {4, 0, 2}, {5, 0, 3}, {8, 0, 4}, {1, 1, 1},
		{1, 7, 1}, {2, 1, 1}, {2, 2, 1}, {4, 1, 1}, {4, 3, 3}, {4, 4, 3}, {4, UINT_MAX, 3}};
	enum { ROUNDS = 4 };
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		unsigned limit = cases[i].limit;
		struct ringwake *target = open_target(NULL);
		struct ringwake_pool *pool =
			open_pool_with(cases[i].threads, cases[i].slow_threads);
		hold_work();
		for (unsigned j = 0; j < limit * ROUNDS; j++)
			submit_as(pool, target, &jobs[j], run_held, SLOW);
		for (unsigned round = 1; round <= ROUNDS; round++) {
			wait_until_started(limit * round);
			release_work(limit);
		}
		wait_for_jobs(target, limit * ROUNDS);
		assert_int_equal(most_running, limit);
		end_pool(pool, target);
	}
}

static _Atomic unsigned futex_waits;

static int counting_futex_wait(
	const _Atomic uint32_t *word, uint32_t expected, const struct timespec *timeout)
{
	atomic_fetch_add(&futex_waits, 1);
	return real_system.futex_wait(word, expected, timeout);
}

static void wait_until_blocked(unsigned workers)
{
	while (futex_waits < workers)
		sched_yield();
}

/* Slow work that waits for the limit keeps no worker awake. When it need not wait any more, the
 * worker that ended slow work gets fast work, so the worker that is blocked must be woken. */
static void test_a_blocked_worker_is_woken_for_slow_work(void **state)
{
	(void)state;
	hook_doorbell();
	futex_waits = 0;
	ringwake_system.futex_wait = counting_futex_wait;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(2);
	struct ringwake_submit_params params = {.work_class = FAST, .no_kick = true};
	hold_work();
	wait_until_blocked(2);
	submit_as(pool, target, &jobs[0], run_held, SLOW);
	wait_until_started(1);
	submit_as(pool, target, &jobs[1], run_held, SLOW);
	wait_until_blocked(3);
	assert_int_equal(ringwake_pool_submit_with(
				 pool, target, &jobs[2].work, run_held, finish_job, &params),
		1);
	assert_int_equal(started, 1);
	release_work(1);
	wait_until_started(3);
	ringwake_pool_kick(pool);
	release_work(2);
	wait_for_jobs(target, 3);
	end_pool(pool, target);
	unhook();
}

static void *close_pool_finishing(void *pool)
{
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	return NULL;
}

static void *close_pool_cancelling(void *pool)
{
	ringwake_pool_close(pool, RINGWAKE_POOL_CANCEL);
	return NULL;
}

/* The pool is closed while slow work waits for a worker. */
static void close_with_slow_work(unsigned threads, bool cancels)
{
	enum { COUNT = 6 };
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(threads);
	hold_work();
	for (unsigned i = 0; i < COUNT; i++)
		submit_as(pool, target, &jobs[i], run_held, SLOW);
	wait_until_started(1);
	pthread_t closer = start(cancels ? close_pool_cancelling : close_pool_finishing, pool);
	if (cancels)
		wait_for_jobs(target, COUNT - 1);
	release_work(COUNT);
	join(closer);
	while (ringwake_dispatch(target, 0) > 0)
		;
	assert_int_equal(jobs_done, COUNT);
	for (unsigned i = 0; i < COUNT; i++) {
		assert_int_equal(jobs[i].dones, 1);
		assert_int_equal(jobs[i].runs, jobs[i].status == 0 ? 1 : 0);
		if (!cancels || i == 0)
			assert_int_equal(jobs[i].status, 0);
		else
			assert_int_equal(jobs[i].status, -ECANCELED);
	}
	ringwake_close(target);
}

static void test_close_with_slow_work(void **state)
{
	(void)state;
	for (unsigned threads = 1; threads <= 2; threads++) {
		close_with_slow_work(threads, false);
		close_with_slow_work(threads, true);
	}
}

enum { SUBMITTERS = 3, OF_EACH = 2000 };
static struct job crowd[SUBMITTERS][OF_EACH];
static _Atomic int slow_now, slow_most;

static void run_slow(struct ringwake_work *work)
{
	int now = atomic_fetch_add(&slow_now, 1) + 1, most = slow_most;
	while (now > most && !atomic_compare_exchange_weak(&slow_most, &most, now))
		;
	run_job(work);
	sched_yield();
	atomic_fetch_sub(&slow_now, 1);
}

struct crowd_submit {
	struct ringwake_pool *pool;
	struct ringwake *target;
	struct job *jobs;
	unsigned seed;
};

static void *submit_crowd(void *argument)
{
	struct crowd_submit *submit = argument;
	for (unsigned i = 0; i < OF_EACH; i++) {
		enum ringwake_work_class work_class = classes[rand_r(&submit->seed) % CLASSES];
		struct job *job = &submit->jobs[i];
		submit_as(submit->pool, submit->target, job,
			work_class == SLOW ? run_slow : run_job, work_class);
		if (rand_r(&submit->seed) % 4 == 0)
			ringwake_pool_cancel(submit->pool, &job->work);
	}
	return NULL;
}

static void test_many_submitters(void **state)
{
	(void)state;
	unsigned seed = random_seed();
	for (unsigned threads = 1; threads <= 3; threads++) {
		struct ringwake *target = open_target(NULL);
		struct ringwake_pool *pool = open_pool_with(threads, 1);
		struct crowd_submit submits[SUBMITTERS];
		pthread_t submitters[SUBMITTERS];
		memset(crowd, 0, sizeof crowd);
		jobs_done = 0;
		slow_now = slow_most = 0;
		for (unsigned i = 0; i < SUBMITTERS; i++) {
			submits[i] = (struct crowd_submit){pool, target, crowd[i], seed + i};
			submitters[i] = start(submit_crowd, &submits[i]);
		}
		wait_for_jobs(target, SUBMITTERS * OF_EACH);
		for (unsigned i = 0; i < SUBMITTERS; i++)
			join(submitters[i]);
		for (unsigned i = 0; i < SUBMITTERS * OF_EACH; i++) {
			struct job *job = &crowd[i / OF_EACH][i % OF_EACH];
			assert_int_equal(job->dones, 1);
			assert_int_equal(job->runs, job->status == 0 ? 1 : 0);
		}
		assert_true(slow_most <= 1);
		end_pool(pool, target);
	}
}

int main(void)
{
	const struct CMUnitTest slow_tests[] = {
		ON_BOTH_PATHS(test_short_work_waits_for_no_slow_work),
		ON_BOTH_PATHS(test_slow_limit),
		ON_BOTH_PATHS(test_a_blocked_worker_is_woken_for_slow_work),
		ON_BOTH_PATHS(test_close_with_slow_work),
		ON_BOTH_PATHS(test_many_submitters),
	};
	return RUN_BOUNDED(slow_tests, 120);
}
