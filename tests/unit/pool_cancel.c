/* SPDX-License-Identifier: MIT */
/* Work that runs is asked to end early. tests/unit/pool.c has work that has not started. */
#include <sched.h>

#include "pool.h"

/* Runs until it is cancelled, or until it may end. */
struct asked {
	struct job job; /* first */
	struct ringwake_pool *pool;
	struct ringwake *target;
	_Atomic bool may_end;
	_Atomic unsigned starts;
	bool was_cancelled;
	int reason, reason_seen;
};

static void run_until_cancelled(struct ringwake_work *work)
{
	struct asked *asked = (struct asked *)work;
	atomic_fetch_add(&asked->starts, 1);
	while (!ringwake_work_is_cancelled(work) && !asked->may_end)
		sched_yield();
	asked->was_cancelled = ringwake_work_is_cancelled(work);
	if (asked->was_cancelled)
		asked->reason_seen = asked->reason;
	run_job(work);
}

static void submit_asked(struct asked *asked)
{
	asked->may_end = false;
	asked->was_cancelled = false;
	assert_int_equal(ringwake_pool_submit(asked->pool, asked->target, &asked->job.work,
				 run_until_cancelled, finish_job),
		0);
}

static void wait_until_started(struct asked *asked, unsigned starts)
{
	while (asked->starts < starts)
		sched_yield();
}

static void test_cancel_asks_work_that_runs(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(2);
	struct asked first = {.pool = pool, .target = target}, second = first;
	jobs_done = 0;
	submit_asked(&first);
	submit_asked(&second);
	wait_until_started(&first, 1);
	wait_until_started(&second, 1);
	first.reason = 7; /* visible to run, without more */
	assert_int_equal(ringwake_pool_cancel(pool, &first.job.work), -EBUSY);
	wait_for_jobs(target, 1);
	assert_true(first.was_cancelled);
	assert_int_equal(first.reason_seen, 7);
	assert_int_equal(first.job.status, 0);
	assert_int_equal(first.job.dones, 1);
	assert_int_equal(second.job.dones, 0);
	second.may_end = true;
	wait_for_jobs(target, 2);
	assert_false(second.was_cancelled);
	end_pool(pool, target);
}

/* A cancel asks one run of one work: not the next work of that worker, not the next run. */
static void test_cancel_asks_nothing_else(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(1);
	struct asked first = {.pool = pool, .target = target}, second = first;
	jobs_done = 0;
	submit_asked(&first);
	wait_until_started(&first, 1);
	ringwake_pool_cancel(pool, &first.job.work);
	submit_asked(&second);
	wait_until_started(&second, 1);
	wait_for_jobs(target, 1);
	/* It has ended, and its worker runs other work. */
	assert_int_equal(ringwake_pool_cancel(pool, &first.job.work), -EBUSY);
	second.may_end = true;
	wait_for_jobs(target, 2);
	assert_true(first.was_cancelled);
	assert_false(second.was_cancelled);
	assert_int_equal(ringwake_pool_cancel(pool, &first.job.work), -EBUSY);
	assert_int_equal(ringwake_pool_cancel(pool, &second.job.work), -EBUSY);
	submit_asked(&first);
	wait_until_started(&first, 2);
	first.may_end = true;
	wait_for_jobs(target, 3);
	assert_false(first.was_cancelled);
	end_pool(pool, target);
}

static void test_cancel_before_the_start(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(1);
	struct asked asked = {.pool = pool, .target = target};
	struct keeper keeper;
	memset(&asked.job.work, 0xff, sizeof asked.job.work); /* need not be initialised */
	keep_busy(&keeper, pool, target, 1);
	submit_asked(&asked);
	assert_int_equal(ringwake_pool_cancel(pool, &asked.job.work), 0);
	assert_int_equal(ringwake_pool_cancel(pool, &asked.job.work), -EBUSY);
	wait_for_jobs(target, 1);
	assert_int_equal(asked.job.status, -ECANCELED);
	submit_asked(&asked);
	let_go(&keeper);
	wait_until_started(&asked, 1);
	asked.may_end = true;
	wait_for_jobs(target, 3);
	assert_false(asked.was_cancelled);
	assert_int_equal(asked.job.status, 0);
	end_pool(pool, target);
	destroy_keeper(&keeper);
}

static void *close_cancelling(void *pool)
{
	ringwake_pool_close(pool, RINGWAKE_POOL_CANCEL);
	return NULL;
}

static void test_close_asks_all_that_runs(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(2);
	struct asked asked[3] = {{.pool = pool, .target = target}};
	asked[1] = asked[2] = asked[0];
	jobs_done = 0;
	for (int i = 0; i < 3; i++)
		submit_asked(&asked[i]);
	while (asked[0].starts + asked[1].starts + asked[2].starts < 2)
		sched_yield();
	join(start(close_cancelling, pool));
	while (ringwake_dispatch(target, 0) > 0)
		;
	assert_int_equal(jobs_done, 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(asked[i].was_cancelled, asked[i].job.runs);
		assert_int_equal(asked[i].job.status, asked[i].job.runs ? 0 : -ECANCELED);
	}
	ringwake_close(target);
}

/* The close that finishes work has begun when it wakes the blocked worker. */
static _Atomic unsigned futex_wakes, futex_waits;

static int counting_futex_wake(const _Atomic uint32_t *word, int count)
{
	atomic_fetch_add(&futex_wakes, 1);
	return real_system.futex_wake(word, count);
}

static int counting_futex_wait(
	const _Atomic uint32_t *word, uint32_t expected, const struct timespec *timeout)
{
	atomic_fetch_add(&futex_waits, 1);
	return real_system.futex_wait(word, expected, timeout);
}

static void run_until_closing(struct ringwake_work *work)
{
	struct asked *asked = (struct asked *)work;
	atomic_fetch_add(&asked->starts, 1);
	while (!asked->may_end || futex_wakes == 0)
		sched_yield();
	asked->was_cancelled = ringwake_work_is_cancelled(work);
	run_job(work);
}

static void test_close_that_finishes_asks_nothing(void **state)
{
	(void)state;
	hook_doorbell();
	futex_waits = 0;
	ringwake_system.futex_wait = counting_futex_wait;
	ringwake_system.futex_wake = counting_futex_wake;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(2);
	struct asked asked = {.pool = pool, .target = target};
	jobs_done = 0;
	while (futex_waits < 2)
		sched_yield();
	ringwake_pool_submit(pool, target, &asked.job.work, run_until_closing, finish_job);
	wait_until_started(&asked, 1);
	futex_wakes = 0;
	asked.may_end = true;
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	while (ringwake_dispatch(target, 0) > 0)
		;
	assert_int_equal(asked.job.dones, 1);
	assert_false(asked.was_cancelled);
	ringwake_close(target);
	unhook();
}

/*
 * Threads cancel work while it is submitted again and again. A run may be asked only by a cancel
 * that had not ended when the work was submitted.
 */
enum { CONTESTED = 8, CANCELLERS = 2 };
static struct contested {
	struct ringwake_work work; /* first */
	_Atomic unsigned cancels_begun, cancels_ended, cancels_returned_0;
	unsigned ended_before, runs, dones, cancelled;
} contested[CONTESTED];
static _Atomic unsigned wrongly_asked, rightly_asked;
static _Atomic bool cancellers_end;
static struct ringwake_pool *contested_pool;
static struct ringwake *contested_target;
static unsigned contested_left;

static void run_contested(struct ringwake_work *work)
{
	struct contested *one = (struct contested *)work;
	one->runs++;
	for (int i = 0; i < 20 && !ringwake_work_is_cancelled(work); i++)
		sched_yield();
	if (!ringwake_work_is_cancelled(work))
		return;
	atomic_fetch_add(&rightly_asked, 1);
	if (one->cancels_begun == one->ended_before)
		atomic_fetch_add(&wrongly_asked, 1);
}

static void end_contested(struct ringwake_work *work, int status);

static void submit_contested(struct contested *one)
{
	one->ended_before = one->cancels_ended;
	assert_int_equal(ringwake_pool_submit(contested_pool, contested_target, &one->work,
				 run_contested, end_contested),
		0);
}

static void end_contested(struct ringwake_work *work, int status)
{
	struct contested *one = (struct contested *)work;
	one->dones++;
	one->cancelled += status == -ECANCELED;
	contested_left--;
	if (contested_left >= CONTESTED)
		submit_contested(one);
}

static void *cancel_contested(void *argument)
{
	unsigned seed = *(unsigned *)argument;
	while (!cancellers_end) {
		struct contested *one = &contested[(unsigned)rand_r(&seed) % CONTESTED];
		atomic_fetch_add(&one->cancels_begun, 1);
		if (ringwake_pool_cancel(contested_pool, &one->work) == 0)
			atomic_fetch_add(&one->cancels_returned_0, 1);
		atomic_fetch_add(&one->cancels_ended, 1);
		sched_yield();
	}
	return NULL;
}

static void test_cancels_race_with_runs(void **state)
{
	(void)state;
	unsigned seeds[CANCELLERS], seed = random_seed(), rounds = rounds_here(20000);
	pthread_t cancellers[CANCELLERS];
	memset(contested, 0, sizeof contested);
	contested_target = open_target(NULL);
	contested_pool = open_pool(2);
	contested_left = rounds + CONTESTED;
	wrongly_asked = rightly_asked = 0;
	cancellers_end = false;
	for (int i = 0; i < CONTESTED; i++)
		submit_contested(&contested[i]);
	for (unsigned i = 0; i < CANCELLERS; i++) {
		seeds[i] = seed + i;
		cancellers[i] = start(cancel_contested, &seeds[i]);
	}
	while (contested_left > 0)
		assert_true(ringwake_wait(contested_target, PATIENCE_NS) >= 0);
	cancellers_end = true;
	for (int i = 0; i < CANCELLERS; i++)
		join(cancellers[i]);
	unsigned dones = 0;
	for (int i = 0; i < CONTESTED; i++) {
		dones += contested[i].dones;
		assert_int_equal(contested[i].dones, contested[i].runs + contested[i].cancelled);
		assert_int_equal(contested[i].cancelled, contested[i].cancels_returned_0);
	}
	assert_int_equal(dones, rounds + CONTESTED);
	assert_int_equal(wrongly_asked, 0);
	print_message("%u runs were asked to end\n", rightly_asked);
	end_pool(contested_pool, contested_target);
}

int main(void)
{
	const struct CMUnitTest cancel_tests[] = {
		ON_BOTH_PATHS(test_cancel_asks_work_that_runs),
		ON_BOTH_PATHS(test_cancel_asks_nothing_else),
		ON_BOTH_PATHS(test_cancel_before_the_start),
		ON_BOTH_PATHS(test_close_asks_all_that_runs),
		ON_BOTH_PATHS(test_close_that_finishes_asks_nothing),
		ON_BOTH_PATHS(test_cancels_race_with_runs),
	};
	return RUN_BOUNDED(cancel_tests, 120);
}
