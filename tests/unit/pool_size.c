/* SPDX-License-Identifier: MIT */
/* The size of a pool: it grows while work waits, shrinks while it is idle, and changes by call. */
#include <sched.h>

#include "pool.h"

#define FOREVER_NS UINT64_MAX

/* Waits with a timeout that are in progress, and others. */
static _Atomic int timed_waits, untimed_waits;

static int hooked_futex_wait(
	const _Atomic uint32_t *word, uint32_t expected, const struct timespec *timeout)
{
	_Atomic int *waits = timeout ? &timed_waits : &untimed_waits;
	atomic_fetch_add(waits, 1);
	int result = real_system.futex_wait(word, expected, timeout);
	atomic_fetch_sub(waits, 1);
	return result;
}

/* The next threads that cannot be created, and how many were tried. */
static _Atomic int failures;
static _Atomic unsigned creations;

static int hooked_create_thread(
	pthread_t *out, const pthread_attr_t *attributes, void *(*function)(void *), void *argument)
{
	atomic_fetch_add(&creations, 1);
	if (atomic_load(&failures) > 0 && atomic_fetch_sub(&failures, 1) > 0)
		return -EAGAIN;
	return real_system.create_thread(out, attributes, function, argument);
}

static int hook(void **state)
{
	hook_doorbell();
	timed_waits = untimed_waits = failures = 0;
	creations = 0;
	jobs_done = 0;
	ringwake_system.futex_wait = hooked_futex_wait;
	ringwake_system.create_thread = hooked_create_thread;
	return use_eventfd(state); /* these tests are about workers, not about the doorbell */
}

static int unhook_all(void **state)
{
	(void)state;
	unhook();
	return 0;
}

#define HOOKED(test) cmocka_unit_test_setup_teardown(test, hook, unhook_all)

static void await_threads(struct ringwake_pool *pool, unsigned threads)
{
	while (threads_of(pool) != threads)
		sched_yield();
}

static void submit(struct ringwake_pool *pool, struct ringwake *target, struct job *job)
{
	assert_int_equal(ringwake_pool_submit(pool, target, &job->work, run_job, finish_job), 0);
}

/* Jobs that end when all of them run. */
struct meeting {
	pthread_barrier_t barrier;
	struct job *jobs;
	unsigned count;
};

static void submit_meeting(struct meeting *meeting, struct ringwake_pool *pool,
	struct ringwake *target, struct job *jobs, unsigned count)
{
	meeting->jobs = jobs;
	meeting->count = count;
	pthread_barrier_init(&meeting->barrier, NULL, count);
	jobs_done = 0;
	for (unsigned i = 0; i < count; i++) {
		jobs[i] = (struct job){.started = &meeting->barrier, .go_on = &meeting->barrier};
		submit(pool, target, &jobs[i]);
	}
}

static void end_meeting(struct meeting *meeting, struct ringwake *target)
{
	wait_for_jobs(target, meeting->count);
	for (unsigned i = 0; i < meeting->count; i++) {
		assert_int_equal(meeting->jobs[i].runs, 1);
		assert_int_equal(meeting->jobs[i].dones, 1);
	}
}

/* After the workers have ended. */
static void destroy_meeting(struct meeting *meeting)
{
	pthread_barrier_destroy(&meeting->barrier);
}

/* Per-worker calls. No two workers have one number at a time. */
enum { MANY = 1000 };
static _Atomic int has_number[RINGWAKE_POOL_MAX_THREADS];
static _Atomic unsigned wrong_numbers, starts, ends, largest_number;
static _Atomic int refusals; /* of the next calls of begin */

static int begin(unsigned number, void *context)
{
	(void)context;
	atomic_fetch_add(&starts, 1);
	if (atomic_load(&refusals) > 0 && atomic_fetch_sub(&refusals, 1) > 0)
		return -EUCLEAN;
	wrong_numbers += atomic_fetch_add(&has_number[number], 1) != 0;
	unsigned largest = largest_number;
	while (number > largest && !atomic_compare_exchange_weak(&largest_number, &largest, number))
		;
	return 0;
}

static void end(unsigned number, void *context)
{
	(void)context;
	atomic_fetch_add(&ends, 1);
	atomic_fetch_sub(&has_number[number], 1);
}

static void reset_calls(void)
{
	wrong_numbers = starts = ends = largest_number = 0;
	refusals = 0;
}

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
	const uint64_t times[] = {FOREVER_NS, INT64_MAX, 3600 * UINT64_C(1000000000)};
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
		.shrink_after_ns = FOREVER_NS});
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

/* The watcher is about to start a worker when the maximum falls. */
static void test_resize_stops_growth(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool =
		open_with((struct ringwake_pool_params){.threads = 1, .grow_after_ns = 500000000});
	struct keeper keeper;
	struct job job = {.runs = 0};
	keep_busy(&keeper, pool, target, 1);
	assert_int_equal(ringwake_pool_resize(pool, 1, 2), 0);
	submit(pool, target, &job);
	assert_int_equal(ringwake_pool_resize(pool, 1, 0), 0);
	while (untimed_waits < 1) /* the watcher */
		sched_yield();
	assert_int_equal(creations, 2);
	let_go(&keeper);
	wait_for_jobs(target, 2);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
	destroy_keeper(&keeper);
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

static unsigned long mapped_bytes(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%lu", &pages), 1);
	fclose(file);
	return pages * (unsigned long)getpagesize();
}

/* A worker that has ended is joined while the pool is open, or its stack would stay. */
static void test_ended_workers_are_joined(void **state)
{
	(void)state;
	enum { ROUNDS = 100, STACK = 8 << 20 };
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(1);
	unsigned long before = 0;
	for (int i = 0; i < ROUNDS; i++) {
		assert_int_equal(ringwake_pool_resize(pool, 3, 0), 0);
		assert_int_equal(ringwake_pool_resize(pool, 1, 0), 0);
		await_threads(pool, 1);
		if (i == 1)
			before = mapped_bytes();
	}
	assert_true(mapped_bytes() < before + ROUNDS / 2ul * STACK);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
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
			.shrink_after_ns = FOREVER_NS,
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

static void test_bad_sizes(void **state)
{
	(void)state;
	const unsigned too_many = RINGWAKE_POOL_MAX_THREADS + 1;
	const struct ringwake_pool_params bad[] = {
		{.threads = too_many},
		{.threads = 1, .max_threads = too_many},
		{.max_threads = too_many},
		{.threads = 3, .max_threads = 2},
	};
	struct ringwake_pool *pool;
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(ringwake_pool_open_with(&pool, &bad[i]), -EINVAL);
	pool = open_with((struct ringwake_pool_params){.max_threads = 1});
	assert_int_equal(threads_of(pool), 1);
	assert_int_equal(ringwake_pool_resize(pool, 0, 0), -EINVAL);
	assert_int_equal(ringwake_pool_resize(pool, 0, 2), -EINVAL);
	assert_int_equal(ringwake_pool_resize(pool, 3, 2), -EINVAL);
	assert_int_equal(ringwake_pool_resize(pool, too_many, 0), -EINVAL);
	assert_int_equal(ringwake_pool_resize(pool, 1, too_many), -EINVAL);
	assert_int_equal(threads_of(pool), 1);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
}

static void test_resize(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	reset_calls();
	struct ringwake_pool *pool = open_with((struct ringwake_pool_params){
		.threads = 2, .worker_start = begin, .worker_end = end});
	const unsigned sizes[] = {5, 1, 3, 3, 8, 2};
	for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct job jobs[8];
		struct meeting meeting;
		assert_int_equal(ringwake_pool_resize(pool, sizes[i], 0), 0);
		assert_true(threads_of(pool) >= sizes[i]);
		submit_meeting(&meeting, pool, target, jobs, sizes[i]);
		end_meeting(&meeting, target);
		await_threads(pool, sizes[i]);
		destroy_meeting(&meeting);
	}
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	assert_int_equal(wrong_numbers, 0);
	assert_int_equal(starts, ends);
	ringwake_close(target);
}

/* The maximum alone: work that waits already gets a worker. */
static void test_resize_lets_the_pool_grow(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_with((struct ringwake_pool_params){
		.threads = 1, .grow_after_ns = 1000000, .shrink_after_ns = 1000000});
	struct job jobs[4];
	struct meeting meeting;
	submit_meeting(&meeting, pool, target, jobs, 4);
	assert_int_equal(threads_of(pool), 1);
	assert_int_equal(ringwake_pool_resize(pool, 1, 4), 0);
	end_meeting(&meeting, target);
	await_threads(pool, 1);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
	destroy_meeting(&meeting);
}

/* The minimum alone: idle workers end in time, though they blocked without a timeout before. */
static void test_resize_lets_the_pool_shrink(void **state)
{
	(void)state;
	struct ringwake_pool *pool =
		open_with((struct ringwake_pool_params){.threads = 5, .shrink_after_ns = 1000000});
	while (untimed_waits < 5)
		sched_yield();
	assert_int_equal(ringwake_pool_resize(pool, 2, 5), 0);
	await_threads(pool, 2);
	while (untimed_waits < 3 || timed_waits > 0)
		sched_yield();
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
}

/* Busy workers end when their work has ended. */
static void test_resize_below_the_busy_workers(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(2);
	struct keeper keeper;
	struct job jobs[10] = {{.runs = 0}};
	keep_busy(&keeper, pool, target, 2);
	for (int i = 0; i < 10; i++)
		submit(pool, target, &jobs[i]);
	assert_int_equal(ringwake_pool_resize(pool, 1, 0), 0);
	assert_int_equal(threads_of(pool), 2);
	let_go(&keeper);
	await_threads(pool, 1);
	wait_for_jobs(target, 12);
	for (int i = 0; i < 10; i++)
		assert_int_equal(jobs[i].runs, 1);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
	destroy_keeper(&keeper);
}

/* The size does not change if the workers cannot be started. */
static void test_resize_fails(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	reset_calls();
	struct ringwake_pool *pool = open_with((struct ringwake_pool_params){
		.threads = 2, .shrink_after_ns = 1000, .worker_start = begin, .worker_end = end});
	for (int by_call = 0; by_call < 2; by_call++) {
		struct job jobs[2];
		struct meeting meeting;
		if (by_call)
			refusals = 1;
		else
			failures = 1;
		errno = 12345;
		assert_int_equal(ringwake_pool_resize(pool, 6, 0), by_call ? -EUCLEAN : -EAGAIN);
		assert_int_equal(errno, 12345);
		await_threads(pool, 2);
		submit_meeting(&meeting, pool, target, jobs, 2);
		end_meeting(&meeting, target);
		destroy_meeting(&meeting);
	}
	/* The watcher is a thread, too. */
	failures = 1;
	assert_int_equal(ringwake_pool_resize(pool, 1, 3), -EAGAIN);
	assert_int_equal(threads_of(pool), 2);
	assert_int_equal(ringwake_pool_resize(pool, 1, 3), 0);
	await_threads(pool, 1);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	assert_int_equal(starts, ends + 1);
	ringwake_close(target);
}

static struct ringwake_pool *pool_of_resizing;
static _Atomic int resized;
static void resize_to_two(struct ringwake_work *work)
{
	run_job(work);
	resized = ringwake_pool_resize(pool_of_resizing, 2, 3);
}

static void test_resize_by_a_worker(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct job job = {.runs = 0};
	pool_of_resizing = open_pool(1);
	resized = 1;
	assert_int_equal(ringwake_pool_submit(
				 pool_of_resizing, target, &job.work, resize_to_two, finish_job),
		0);
	wait_for_jobs(target, 1);
	assert_int_equal(resized, 0);
	assert_int_equal(threads_of(pool_of_resizing), 2);
	ringwake_pool_close(pool_of_resizing, RINGWAKE_POOL_FINISH);

	/* While the pool is being closed. */
	struct keeper keeper;
	struct job last = {.started = &keeper.started, .go_on = &keeper.go_on};
	pool_of_resizing = open_pool(1);
	struct closing closing = {pool_of_resizing, RINGWAKE_POOL_FINISH};
	pthread_barrier_init(&keeper.started, NULL, 2);
	pthread_barrier_init(&keeper.go_on, NULL, 2);
	jobs_done = 0;
	ringwake_pool_submit(pool_of_resizing, target, &last.work, resize_to_two, finish_job);
	pthread_barrier_wait(&keeper.started);
	pthread_t closer = start(close_pool, &closing);
	struct job refused = {.runs = 0};
	unsigned accepted = 0;
	while (ringwake_pool_submit(closing.pool, target, &refused.work, run_job, finish_job) ==
		0) {
		/* The work is taken back, so that it can be submitted again. */
		assert_int_equal(ringwake_pool_cancel(closing.pool, &refused.work), 0);
		accepted++;
		wait_for_jobs(target, accepted);
	}
	let_go(&keeper);
	join(closer);
	while (ringwake_dispatch(target, 0) > 0)
		;
	assert_int_equal(resized, -ECANCELED);
	ringwake_close(target);
	destroy_keeper(&keeper);
}

/* The third worker starts only when the pool is closing. */
static _Atomic bool is_starting, is_running, is_closing;

static int start_while_closing(unsigned number, void *context)
{
	(void)context;
	atomic_fetch_add(&starts, 1);
	if (number < 2)
		return 0;
	atomic_store(&is_starting, true);
	while (!atomic_load(&is_closing))
		sched_yield();
	return 0;
}

static struct ringwake_pool *closing_pool;

static void resize_until_closing(struct ringwake_work *work)
{
	run_job(work);
	resized = ringwake_pool_resize(closing_pool, MANY, MANY);
}

static void run_until_closing(struct ringwake_work *work)
{
	run_job(work);
	atomic_store(&is_running, true); /* close would cancel it before */
	while (!ringwake_work_is_cancelled(work))
		sched_yield();
	atomic_store(&is_closing, true);
}

/* A worker that starts in a pool that is closing ends at once, so it is not started again. */
static void test_close_stops_resize(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct job jobs[2] = {{.runs = 0}};
	reset_calls();
	is_starting = is_running = is_closing = false;
	closing_pool = open_with(
		(struct ringwake_pool_params){.threads = 2, .worker_start = start_while_closing});
	submit_as(closing_pool, target, &jobs[0], resize_until_closing, NORMAL);
	submit_as(closing_pool, target, &jobs[1], run_until_closing, NORMAL);
	while (!atomic_load(&is_starting) || !atomic_load(&is_running))
		sched_yield();
	ringwake_pool_close(closing_pool, RINGWAKE_POOL_CANCEL);
	assert_int_equal(resized, -ECANCELED);
	assert_int_equal(starts, 3);
	wait_for_jobs(target, 2);
	ringwake_close(target);
}

static void test_forked_child(void **state)
{
	(void)state;
	struct ringwake_pool *pool =
		open_with((struct ringwake_pool_params){.threads = 1, .max_threads = 2});
	pid_t child = fork();
	if (child == 0) {
		int result = ringwake_pool_resize(pool, 2, 0);
		ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
		_exit(result == -EOWNERDEAD ? 0 : 1);
	}
	assert_child_succeeds(child);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
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

/* Everything at once: two threads submit and cancel, and one resizes. */
enum { SUBMITTERS = 2, EACH = 2000 };
static struct job many[SUBMITTERS][EACH];
static _Atomic bool stop;

static void *submit_and_cancel(void *argument)
{
	struct submit *all = argument;
	for (unsigned i = 0; i < all->count; i++) {
		submit(all->pool, all->target, &all->jobs[i]);
		if (i % 5 == 0)
			ringwake_pool_cancel(all->pool, &all->jobs[i].work);
		if (i % 16 == 0)
			sched_yield();
	}
	return NULL;
}

static void *resize_often(void *argument)
{
	unsigned seed = 1;
	while (!stop) {
		seed = seed * 1103515245 + 12345;
		unsigned threads = 1 + (seed >> 16) % 4;
		unsigned max_threads = (seed >> 20) % 2 ? threads + (seed >> 24) % 4 : 0;
		int result = ringwake_pool_resize(argument, threads, max_threads);
		assert_true(result == 0 || result == -EAGAIN);
	}
	return NULL;
}

static void test_races(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	for (unsigned round = 0; round < 4; round++) {
		reset_calls();
		struct ringwake_pool *pool = open_with((struct ringwake_pool_params){.threads = 1,
			.max_threads = 4,
			.grow_after_ns = 1,
			.shrink_after_ns = 1 + round % 2 * 100000,
			.worker_start = round > 1 ? begin : NULL,
			.worker_end = round > 1 ? end : NULL});
		struct submit submits[SUBMITTERS];
		pthread_t threads[SUBMITTERS];
		memset(many, 0, sizeof many);
		jobs_done = 0;
		stop = false;
		pthread_t resizer = start(resize_often, pool);
		for (int i = 0; i < SUBMITTERS; i++) {
			submits[i] = (struct submit){pool, target, many[i], EACH};
			threads[i] = start(submit_and_cancel, &submits[i]);
		}
		wait_for_jobs(target, SUBMITTERS * EACH);
		for (int i = 0; i < SUBMITTERS; i++)
			join(threads[i]);
		stop = true;
		join(resizer);
		ringwake_pool_close(pool, round % 2);
		for (int i = 0; i < SUBMITTERS * EACH; i++) {
			struct job *job = &many[i / EACH][i % EACH];
			assert_int_equal(job->dones, 1);
			assert_int_equal(job->runs, job->status == 0 ? 1 : 0);
		}
		assert_int_equal(wrong_numbers, 0);
		assert_int_equal(starts, ends);
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
		HOOKED(test_resize_stops_growth),
		HOOKED(test_idle_pool_does_not_wake),
		HOOKED(test_workers_stay_for_a_time),
		HOOKED(test_ended_workers_are_joined),
		HOOKED(test_spinning_worker_ends),
		HOOKED(test_failures_while_growing),
		HOOKED(test_failures_are_not_retried_at_once),
		HOOKED(test_closing_pool_grows),
		HOOKED(test_bad_sizes),
		HOOKED(test_resize),
		HOOKED(test_resize_lets_the_pool_grow),
		HOOKED(test_resize_lets_the_pool_shrink),
		HOOKED(test_resize_below_the_busy_workers),
		HOOKED(test_resize_fails),
		HOOKED(test_resize_by_a_worker),
		HOOKED(test_close_stops_resize),
		HOOKED(test_forked_child),
		HOOKED(test_work_comes_while_a_worker_ends),
		HOOKED(test_races),
		HOOKED(test_close_races_with_growth),
	};
	return RUN_BOUNDED(size_tests, 300);
}
