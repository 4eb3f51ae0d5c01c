/* SPDX-License-Identifier: MIT */
/* A pool grows while work waits, and shrinks while it is idle. */
#include "pool_size.h"

/* One worker, and jobs that block until all of them run. Then all but one worker end. */
static void test_many_blocked_jobs(void **state)
{
	(void)state;
	static struct job jobs[MANY];
	struct meeting meeting;
	struct ringwake *target = open_target(NULL);
	reset_calls();
	struct ringwake_pool *pool = open_with((struct ringwake_pool_params){.threads = 1,
		.max_threads = MANY,
		.stack_size = 256 << 10,
		.shrink_after_ns = 1000000,
		.worker_start = begin,
		.worker_end = end});
	assert_int_equal(threads_of(pool), 1);
	const unsigned counts[] = {MANY, 100}; /* the second time, numbers are used again */
	for (unsigned round = 0; round < 2; round++) {
		submit_meeting(&meeting, pool, target, jobs, counts[round]);
		end_meeting(&meeting, target);
		await_threads(pool, 1);
		destroy_meeting(&meeting);
		assert_true(largest_number == MANY - 1);
	}
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	assert_int_equal(wrong_numbers, 0);
	assert_true(starts >= MANY + 99);
	assert_int_equal(starts, ends);
	ringwake_close(target);
}

/* A job waits for one that is submitted when all workers have long been busy. */
static void test_work_behind_a_blocked_worker(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_with((struct ringwake_pool_params){
		.threads = 1, .max_threads = 2, .grow_after_ns = 1000000});
	struct keeper keeper;
	struct job job = {.runs = 0};
	keep_busy(&keeper, pool, target, 1);
	while (untimed_waits < 1) /* the watcher */
		sched_yield();
	submit(pool, target, &job);
	wait_for_jobs(target, 1);
	assert_int_equal(job.dones, 1);
	assert_int_equal(threads_of(pool), 2);
	let_go(&keeper);
	wait_for_jobs(target, 2);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
	destroy_keeper(&keeper);
}

/* Work that has not waited for so long starts no worker; close does not wait for that time. */
static void test_work_waits_before_the_pool_grows(void **state)
{
	(void)state;
	const uint64_t times[] = {UINT64_MAX, INT64_MAX, 3600 * UINT64_C(1000000000)};
	for (unsigned i = 0; i < sizeof times / sizeof *times; i++) {
		struct ringwake *target = open_target(NULL);
		struct ringwake_pool *pool = open_with((struct ringwake_pool_params){
			.threads = 1, .max_threads = 2, .grow_after_ns = times[i]});
		struct keeper keeper;
		struct job job = {.runs = 0};
		keep_busy(&keeper, pool, target, 1);
		submit(pool, target, &job);
		while (timed_waits < 1) /* the watcher */
			sched_yield();
		assert_int_equal(threads_of(pool), 1);
		assert_int_equal(job.runs, 0);
		let_go(&keeper);
		wait_for_jobs(target, 2);
		assert_int_equal(threads_of(pool), 1);
		ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
		ringwake_close(target);
		destroy_keeper(&keeper);
	}
}

static void test_waiting_time(void **state)
{
	(void)state;
	enum { WAIT_MS = 60 };
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_with(
		(struct ringwake_pool_params){.threads = 1, .grow_after_ns = WAIT_MS * 1000000});
	struct keeper keeper;
	struct job job = {.runs = 0};
	struct timespec before, after;
	keep_busy(&keeper, pool, target, 1);
	assert_int_equal(ringwake_pool_resize(pool, 1, 2), 0);
	clock_gettime(CLOCK_MONOTONIC, &before);
	submit(pool, target, &job);
	wait_for_jobs(target, 1);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true((after.tv_sec - before.tv_sec) * 1000 +
			(after.tv_nsec - before.tv_nsec) / 1000000 + 1 >=
		WAIT_MS);
	let_go(&keeper);
	wait_for_jobs(target, 2);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
	destroy_keeper(&keeper);
}

/* No more workers than max_threads, and none for work that an idle worker takes. */
static void test_no_more_than_needed(void **state)
{
	(void)state;
	enum { MOST = 3, JOBS = 50 };
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_with((struct ringwake_pool_params){.threads = MOST - 1,
		.max_threads = MOST,
		.grow_after_ns = 1,
		.shrink_after_ns = UINT64_MAX});
	struct keeper keeper;
	struct job jobs[JOBS] = {{.runs = 0}};
	struct meeting meeting;
	submit_meeting(&meeting, pool, target, jobs, MOST);
	end_meeting(&meeting, target);
	assert_int_equal(threads_of(pool), MOST);
	keep_busy(&keeper, pool, target, 2);
	memset(jobs, 0, sizeof jobs);
	for (int i = 0; i < JOBS; i++)
		submit(pool, target, &jobs[i]);
	wait_for_jobs(target, JOBS);
	assert_int_equal(threads_of(pool), MOST);
	let_go(&keeper);
	wait_for_jobs(target, JOBS + 2);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	assert_int_equal(creations, MOST + 1);
	ringwake_close(target);
	destroy_keeper(&keeper);
	destroy_meeting(&meeting);
}

/* One worker for one piece of work, however late the new worker comes. */
static void test_one_worker_for_one_job(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	for (unsigned round = 0; round < 50; round++) {
		struct keeper keeper;
		struct job job = {.runs = 0};
		creations = 0;
		struct ringwake_pool *pool = open_with((struct ringwake_pool_params){
			.threads = 1, .max_threads = 20, .grow_after_ns = 1});
		keep_busy(&keeper, pool, target, 1);
		submit(pool, target, &job);
		wait_for_jobs(target, 1);
		let_go(&keeper);
		wait_for_jobs(target, 2);
		ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
		destroy_keeper(&keeper);
		/* The first job may also have waited, until the first worker had started. */
		assert_true(creations == 3 || creations == 4);
	}
	ringwake_close(target);
}

/* Nothing of an idle pool looks at the time. A pool of a fixed size has no watcher. */
static void test_idle_pool_does_not_wake(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_with((struct ringwake_pool_params){.threads = 2,
		.max_threads = 6,
		.grow_after_ns = 1000000,
		.shrink_after_ns = 1000000});
	struct job jobs[6];
	struct meeting meeting;
	submit_meeting(&meeting, pool, target, jobs, 6);
	end_meeting(&meeting, target);
	await_threads(pool, 2);
	while (untimed_waits < 3 || timed_waits > 0)
		sched_yield();
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	destroy_meeting(&meeting);

	creations = 0;
	pool = open_with((struct ringwake_pool_params){.threads = 2, .max_threads = 2});
	while (untimed_waits < 2)
		sched_yield();
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	assert_int_equal(creations, 2);
	ringwake_close(target);
}

/* A worker that has been used within shrink_after_ns does not end. */
static void test_workers_stay_for_a_time(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_with((struct ringwake_pool_params){.threads = 1,
		.max_threads = 4,
		.grow_after_ns = 1000,
		.shrink_after_ns = 3600 * UINT64_C(1000000000)});
	struct job jobs[4];
	struct meeting meeting;
	submit_meeting(&meeting, pool, target, jobs, 4);
	end_meeting(&meeting, target);
	while (timed_waits < 4)
		sched_yield();
	assert_int_equal(threads_of(pool), 4);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
	destroy_meeting(&meeting);
}

/* A worker that spins for ever ends in time. */
static void test_spinning_worker_ends(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_with((struct ringwake_pool_params){.threads = 1,
		.max_threads = 2,
		.grow_after_ns = 1000,
		.shrink_after_ns = 1000000,
		.spin_ns = INT64_MAX});
	struct job jobs[2];
	struct meeting meeting;
	submit_meeting(&meeting, pool, target, jobs, 2);
	end_meeting(&meeting, target);
	await_threads(pool, 1);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
	destroy_meeting(&meeting);
}

/* A thread that cannot be created, or whose worker_start refuses, is tried again. */
static void test_failures_while_growing(void **state)
{
	(void)state;
	for (int by_call = 0; by_call < 2; by_call++) {
		enum { FAILURES = 5, JOBS = 4 };
		struct ringwake *target = open_target(NULL);
		reset_calls();
		creations = 0;
		struct ringwake_pool *pool = open_with((struct ringwake_pool_params){.threads = 1,
			.max_threads = JOBS,
			.grow_after_ns = 1000,
			.shrink_after_ns = UINT64_MAX,
			.worker_start = begin,
			.worker_end = end});
		struct job jobs[JOBS];
		struct meeting meeting;
		if (by_call)
			refusals = FAILURES;
		else
			failures = FAILURES;
		submit_meeting(&meeting, pool, target, jobs, JOBS);
		end_meeting(&meeting, target);
		assert_int_equal(threads_of(pool), JOBS);
		ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
		assert_int_equal(creations, 1 + JOBS + FAILURES);
		assert_int_equal(ends, JOBS);
		ringwake_close(target);
		destroy_meeting(&meeting);
	}
}

/* It is tried again after a pause, not all the time. */
static void test_failures_are_not_retried_at_once(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_with(
		(struct ringwake_pool_params){.threads = 1, .max_threads = 2, .grow_after_ns = 1});
	struct keeper keeper;
	struct job job = {.runs = 0};
	failures = INT32_MAX;
	keep_busy(&keeper, pool, target, 1);
	submit(pool, target, &job);
	while (creations < 4 || timed_waits < 1)
		sched_yield();
	assert_int_equal(threads_of(pool), 1);
	let_go(&keeper);
	wait_for_jobs(target, 2);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
	destroy_keeper(&keeper);
}

/* The pool is closed while work waits for a worker, which waits for that work. */
static void test_closing_pool_grows(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct closing closing = {
		open_with((struct ringwake_pool_params){
			.threads = 1, .max_threads = 3, .grow_after_ns = 20000000}),
		RINGWAKE_POOL_FINISH};
	struct job jobs[3];
	struct meeting meeting;
	submit_meeting(&meeting, closing.pool, target, jobs, 3);
	pthread_t closer = start(close_pool, &closing);
	end_meeting(&meeting, target);
	join(closer);
	ringwake_close(target);
	destroy_meeting(&meeting);
}

/* The only other worker is blocked. Work comes when the last idle worker ends. */
static void test_work_comes_while_a_worker_ends(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	for (unsigned spins = 0; spins < 2; spins++) {
		struct ringwake_pool *pool = open_with((struct ringwake_pool_params){.threads = 1,
			.max_threads = 2,
			.grow_after_ns = 1,
			.shrink_after_ns = 1,
			.spin_ns = spins ? 0 : RINGWAKE_SPIN_OFF});
		struct keeper keeper;
		keep_busy(&keeper, pool, target, 1);
		for (unsigned round = 0; round < rounds_here(1000); round++) {
			struct job job = {.runs = 0};
			submit(pool, target, &job);
			wait_for_jobs(target, round + 1);
			assert_int_equal(job.runs, 1);
			for (unsigned i = 0; i < round % 16; i++)
				sched_yield();
		}
		let_go(&keeper);
		wait_for_jobs(target, rounds_here(1000) + 1);
		ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
		destroy_keeper(&keeper);
	}
	ringwake_close(target);
}

/* The pool is closed at any moment of growing and shrinking. */
static void test_close_races_with_growth(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	for (unsigned round = 0; round < rounds_here(500); round++) {
		struct ringwake_pool *pool = open_with((struct ringwake_pool_params){.threads = 1,
			.max_threads = 3,
			.grow_after_ns = 1,
			.shrink_after_ns = 1 + round % 3 * 20000});
		struct job jobs[4] = {{.runs = 0}};
		jobs_done = 0;
		for (int i = 0; i < 4; i++)
			submit(pool, target, &jobs[i]);
		for (unsigned i = 0; i < round % 16; i++)
			sched_yield();
		ringwake_pool_close(pool, round % 2);
		while (ringwake_dispatch(target, 0) > 0)
			;
		assert_int_equal(jobs_done, 4);
	}
	ringwake_close(target);
}

int main(void)
{
	const struct CMUnitTest size_tests[] = {
		HOOKED(test_many_blocked_jobs),
		HOOKED(test_work_behind_a_blocked_worker),
		HOOKED(test_work_waits_before_the_pool_grows),
		HOOKED(test_waiting_time),
		HOOKED(test_no_more_than_needed),
		HOOKED(test_one_worker_for_one_job),
		HOOKED(test_idle_pool_does_not_wake),
		HOOKED(test_workers_stay_for_a_time),
		HOOKED(test_spinning_worker_ends),
		HOOKED(test_failures_while_growing),
		HOOKED(test_failures_are_not_retried_at_once),
		HOOKED(test_closing_pool_grows),
		HOOKED(test_work_comes_while_a_worker_ends),
		HOOKED(test_close_races_with_growth),
	};
	return RUN_BOUNDED(size_tests, 300);
}
