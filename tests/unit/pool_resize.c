/* SPDX-License-Identifier: MIT */
/* The size of a pool changes by call. */
#include "pool_size.h"

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
	/* The pool grows and shrinks as before. */
	struct job jobs[3];
	struct meeting meeting;
	failures = 1;
	assert_int_equal(ringwake_pool_resize(pool, 4, 8), -EAGAIN);
	submit_meeting(&meeting, pool, target, jobs, 3);
	end_meeting(&meeting, target);
	await_threads(pool, 1);
	destroy_meeting(&meeting);
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

int main(void)
{
	const struct CMUnitTest resize_tests[] = {
		HOOKED(test_resize_stops_growth),
		HOOKED(test_ended_workers_are_joined),
		HOOKED(test_bad_sizes),
		HOOKED(test_resize),
		HOOKED(test_resize_lets_the_pool_grow),
		HOOKED(test_resize_lets_the_pool_shrink),
		HOOKED(test_resize_below_the_busy_workers),
		HOOKED(test_resize_fails),
		HOOKED(test_resize_by_a_worker),
		HOOKED(test_close_stops_resize),
		HOOKED(test_forked_child),
		HOOKED(test_races),
	};
	return RUN_BOUNDED(resize_tests, 300);
}
