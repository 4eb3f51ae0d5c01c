/* SPDX-License-Identifier: MIT */
/* The figures of a pool: how long work waits and runs, and how many workers are idle. */
#include <sched.h>

#include "../../lib/spin.h"
#include "pool.h"

static struct ringwake_pool *open_recording_pool(unsigned threads)
{
	struct ringwake_pool *pool;
	struct ringwake_pool_params params = {.threads = threads, .record_times = true};
	assert_int_equal(ringwake_pool_open_with(&pool, &params), 0);
	return pool;
}

static void assert_consistent(const struct ringwake_histogram *histogram)
{
	uint64_t count = 0;
	for (unsigned i = 0; i < RINGWAKE_HISTOGRAM_BUCKETS; i++)
		count += histogram->buckets[i];
	assert_int_equal(histogram->count, count);
	assert_true(histogram->max <= histogram->sum);
}

static struct ringwake_pool_times times_of(struct ringwake_pool *pool)
{
	struct ringwake_pool_times times;
	ringwake_pool_get_times(pool, &times, sizeof times);
	assert_consistent(&times.waiting);
	assert_consistent(&times.running);
	return times;
}

static struct ringwake_pool_stats pool_stats_of(struct ringwake_pool *pool)
{
	struct ringwake_pool_stats stats;
	ringwake_pool_get_stats(pool, &stats, sizeof stats);
	return stats;
}

/* Once the loop has called done, the work is in the figures. */
static void test_each_work_is_counted(void **state)
{
	(void)state;
	enum { COUNT = 1000 };
	static struct job jobs[COUNT];
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_recording_pool(3);
	memset(jobs, 0, sizeof jobs);
	jobs_done = 0;
	for (unsigned i = 0; i < COUNT; i++) {
		ringwake_pool_submit(pool, target, &jobs[i].work, run_job, finish_job);
		if (i % 100 != 99)
			continue;
		wait_for_jobs(target, i + 1);
		struct ringwake_pool_times times = times_of(pool);
		assert_int_equal(times.waiting.count, i + 1);
		assert_int_equal(times.running.count, i + 1);
	}
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
}

/* Work that notes when it runs. */
struct noted {
	struct ringwake_work work;
	int64_t begin_ns, end_ns;
};

static void run_noted(struct ringwake_work *work)
{
	struct noted *noted = (struct noted *)work;
	noted->begin_ns = ringwake_now_ns();
	while ((noted->end_ns = ringwake_now_ns()) < noted->begin_ns + 2000000)
		;
}

static void finish_noted(struct ringwake_work *work, int status)
{
	(void)work;
	assert_int_equal(status, 0);
	jobs_done++;
}

static void assert_between(uint64_t value, int64_t least, int64_t most)
{
	assert_true((int64_t)value >= least);
	assert_true((int64_t)value <= most);
}

/* Each time lies between two that the test knows, however slow the machine is. */
static void test_times_are_true(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_recording_pool(1);
	struct keeper keeper;
	struct noted noted;
	int64_t begin_ns = ringwake_now_ns();
	keep_busy(&keeper, pool, target, 1);
	struct ringwake_pool_times before = times_of(pool);
	assert_int_equal(before.waiting.count, 1); /* it has started, and not ended */
	assert_int_equal(before.running.count, 0);
	int64_t submit_ns = ringwake_now_ns();
	ringwake_pool_submit(pool, target, &noted.work, run_noted, finish_noted);
	int64_t submitted_ns = ringwake_now_ns();
	while (ringwake_now_ns() < submitted_ns + 3000000)
		;
	int64_t let_go_ns = ringwake_now_ns();
	let_go(&keeper);
	wait_for_jobs(target, 2);
	int64_t done_ns = ringwake_now_ns();
	struct ringwake_pool_times after = times_of(pool);
	assert_int_equal(after.waiting.count, 2);
	assert_int_equal(after.running.count, 2);
	assert_between(after.waiting.sum - before.waiting.sum, let_go_ns - submitted_ns,
		noted.begin_ns - submit_ns);
	/* The worker ran one after the other. */
	assert_between(after.running.sum, let_go_ns - submit_ns + noted.end_ns - noted.begin_ns,
		done_ns - begin_ns);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
	destroy_keeper(&keeper);
}

/* Each piece of a submit of many has waited since that submit. */
static void test_many_pieces(void **state)
{
	(void)state;
	enum { COUNT = 20 };
	struct job jobs[COUNT];
	struct ringwake_work *works[COUNT];
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_recording_pool(1);
	struct keeper keeper;
	memset(jobs, 0, sizeof jobs);
	for (unsigned i = 0; i < COUNT; i++)
		works[i] = &jobs[i].work;
	keep_busy(&keeper, pool, target, 1);
	uint64_t before = times_of(pool).waiting.sum;
	int64_t submit_ns = ringwake_now_ns();
	assert_int_equal(
		ringwake_pool_submit_many(pool, target, works, COUNT, run_job, finish_job, NULL),
		0);
	int64_t submitted_ns = ringwake_now_ns();
	while (ringwake_now_ns() < submitted_ns + 1000000)
		;
	int64_t let_go_ns = ringwake_now_ns();
	let_go(&keeper);
	wait_for_jobs(target, 1 + COUNT);
	int64_t done_ns = ringwake_now_ns();
	struct ringwake_pool_times times = times_of(pool);
	assert_int_equal(times.waiting.count, 1 + COUNT);
	assert_int_equal(times.running.count, 1 + COUNT);
	assert_between(times.waiting.sum - before, COUNT * (let_go_ns - submitted_ns),
		COUNT * (done_ns - submit_ns));
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
	destroy_keeper(&keeper);
}

/* A worker that waits for work does not run it. */
static void test_idle_time_is_no_running_time(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_recording_pool(1);
	struct job first = {.runs = 0}, second = {.runs = 0};
	jobs_done = 0;
	ringwake_pool_submit(pool, target, &first.work, run_job, finish_job);
	wait_for_jobs(target, 1);
	uint64_t before = times_of(pool).running.sum;
	int64_t idle_ns = ringwake_now_ns();
	while (pool_stats_of(pool).idle == 0 || ringwake_now_ns() < idle_ns + 5000000)
		sched_yield();
	int64_t submit_ns = ringwake_now_ns();
	ringwake_pool_submit(pool, target, &second.work, run_job, finish_job);
	wait_for_jobs(target, 2);
	struct ringwake_pool_times times = times_of(pool);
	int64_t most_ns = ringwake_now_ns() - submit_ns;
	assert_between(times.running.sum - before, 0, most_ns);
	assert_int_equal(times.waiting.count, 2);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
}

static void test_cancelled_work_is_not_counted(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_recording_pool(1);
	struct keeper keeper;
	struct job cancelled = {.runs = 0};
	keep_busy(&keeper, pool, target, 1);
	ringwake_pool_submit(pool, target, &cancelled.work, run_job, finish_job);
	assert_int_equal(ringwake_pool_cancel(pool, &cancelled.work), 0);
	let_go(&keeper);
	wait_for_jobs(target, 2);
	assert_int_equal(times_of(pool).waiting.count, 1);
	assert_int_equal(times_of(pool).running.count, 1);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
	destroy_keeper(&keeper);
}

static void test_idle_workers(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(3);
	struct keeper keeper;
	while (pool_stats_of(pool).idle < 3)
		sched_yield();
	keep_busy(&keeper, pool, target, 2);
	while (pool_stats_of(pool).idle != 1)
		sched_yield();
	let_go(&keeper);
	wait_for_jobs(target, 2);
	while (pool_stats_of(pool).idle < 3)
		sched_yield();
	assert_int_equal(pool_stats_of(pool).threads, 3);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
	destroy_keeper(&keeper);
}

static uint64_t counted_with(const char *variable, bool record_times)
{
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool_params params = {.threads = 1, .record_times = record_times};
	struct ringwake_pool *pool;
	struct job job = {.runs = 0};
	if (variable)
		setenv("RINGWAKE_POOL_TIMES", variable, 1);
	assert_int_equal(ringwake_pool_open_with(&pool, &params), 0);
	unsetenv("RINGWAKE_POOL_TIMES");
	jobs_done = 0;
	ringwake_pool_submit(pool, target, &job.work, run_job, finish_job);
	wait_for_jobs(target, 1);
	struct ringwake_pool_times times = times_of(pool);
	assert_int_equal(times.waiting.count, times.running.count);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
	return times.running.count;
}

static void test_who_asks_for_times(void **state)
{
	(void)state;
	unsetenv("RINGWAKE_POOL_TIMES");
	assert_int_equal(counted_with(NULL, false), 0);
	assert_int_equal(counted_with(NULL, true), 1);
	assert_int_equal(counted_with("", false), 0);
	assert_int_equal(counted_with("off", false), 0);
	assert_int_equal(counted_with("off", true), 1);
	assert_int_equal(counted_with("on", false), 1);
	const char *const invalid[] = {"1", "ON", "on ", "yes"};
	for (unsigned i = 0; i < 2 * sizeof invalid / sizeof *invalid; i++) {
		const struct ringwake_pool_params params = {.record_times = i % 2};
		struct ringwake_pool *pool = NULL;
		setenv("RINGWAKE_POOL_TIMES", invalid[i / 2], 1);
		errno = 1234;
		assert_int_equal(ringwake_pool_open_with(&pool, &params), -EINVAL);
		assert_int_equal(errno, 1234);
		assert_null(pool);
	}
	unsetenv("RINGWAKE_POOL_TIMES");
}

static void test_times_of_another_size(void **state)
{
	(void)state;
	static struct {
		struct ringwake_pool_times times;
		uint64_t later;
	} larger;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_recording_pool(1);
	struct job job = {.runs = 0};
	jobs_done = 0;
	ringwake_pool_submit(pool, target, &job.work, run_job, finish_job);
	wait_for_jobs(target, 1);
	memset(&larger, 0xff, sizeof larger);
	ringwake_pool_get_times(pool, &larger.times, sizeof larger);
	assert_int_equal(larger.times.running.count, 1);
	assert_int_equal(larger.later, 0);
	memset(&larger, 0xff, sizeof larger);
	ringwake_pool_get_times(pool, &larger.times, sizeof larger.times.waiting);
	assert_int_equal(larger.times.waiting.count, 1);
	assert_int_equal(larger.times.running.count, UINT64_MAX);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
}

/* The child's copy of the pool must be freed completely, which a leak checker sees. */
static void test_fork(void **state)
{
	(void)state;
	struct ringwake_pool *pool = open_recording_pool(1);
	pid_t child = fork();
	if (child == 0) {
		ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
		_exit(0);
	}
	assert_child_succeeds(child);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
}

int main(void)
{
	const struct CMUnitTest times_tests[] = {
		ON_BOTH_PATHS(test_each_work_is_counted),
		ON_BOTH_PATHS(test_times_are_true),
		ON_BOTH_PATHS(test_many_pieces),
		ON_BOTH_PATHS(test_idle_time_is_no_running_time),
		ON_BOTH_PATHS(test_cancelled_work_is_not_counted),
		ON_BOTH_PATHS(test_idle_workers),
		ON_BOTH_PATHS(test_who_asks_for_times),
		ON_BOTH_PATHS(test_times_of_another_size),
		cmocka_unit_test(test_fork),
	};
	return RUN_BOUNDED(times_tests, 60);
}
