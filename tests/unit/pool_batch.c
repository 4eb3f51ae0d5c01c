/* SPDX-License-Identifier: MIT */
/* Many pieces of work in one submit, with a completion each, or with one for all. */
#include "pool_batch.h"

static const unsigned counts[] = {0, 1, 2, 3, MOST};
enum { COUNTS = sizeof counts / sizeof *counts };

static void test_many(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(2);
	struct ringwake_pool_stats stats;
	for (unsigned i = 0; i < COUNTS; i++) {
		clear_jobs();
		assert_int_equal(ringwake_pool_submit_many(
					 pool, target, works, counts[i], run_job, finish_job, NULL),
			0);
		wait_for_jobs(target, counts[i]);
		for (unsigned j = 0; j < MOST; j++) {
			assert_int_equal(jobs[j].runs, j < counts[i] ? 1 : 0);
			assert_int_equal(jobs[j].dones, j < counts[i] ? 1 : 0);
			assert_int_equal(jobs[j].status, 0);
		}
	}
	ringwake_pool_get_stats(pool, &stats, sizeof stats);
	assert_int_equal(stats.submitted, 6 + MOST);
	end_pool(pool, target);
}

static void test_batch(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(2);
	for (unsigned i = 0; i < COUNTS; i++) {
		struct counted_batch counted = {.dones = 0};
		uint64_t messages = stats_of(target).messages;
		clear_jobs();
		batches_done = 0;
		assert_int_equal(submit_batch(pool, target, &counted, counts[i]), 0);
		wait_for_batches(target, 1);
		assert_true(pthread_equal(counted.done_on, pthread_self()));
		for (unsigned j = 0; j < counts[i]; j++) {
			assert_int_equal(jobs[j].runs, 1);
			assert_int_equal(ringwake_work_status(works[j]), 0);
		}
		assert_int_equal(ringwake_wait(target, 0), -ETIME);
		assert_int_equal(counted.dones, 1);
		assert_int_equal(jobs_done, 0);
		assert_int_equal(stats_of(target).messages, messages + 1);
	}
	end_pool(pool, target);
}

static unsigned order[MOST], order_length;

static void note_order(struct ringwake_work *work)
{
	order[order_length++] = (unsigned)((struct job *)work - jobs);
}

/* The pieces keep their order, among themselves and with other work of their class. */
static void test_order(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(1);
	struct keeper keeper;
	struct counted_batch counted = {.dones = 0};
	struct ringwake_submit_params fast = {.work_class = FAST};
	keep_busy(&keeper, pool, target, 1);
	clear_jobs();
	order_length = 0;
	batches_done = 0;
	ringwake_pool_submit(pool, target, works[0], note_order, finish_job);
	ringwake_pool_submit_many(pool, target, works + 1, 3, note_order, finish_job, NULL);
	ringwake_pool_submit_batch(
		pool, target, &counted.batch, works + 4, 3, note_order, finish_batch, NULL);
	ringwake_pool_submit_many(pool, target, works + 7, 3, note_order, finish_job, &fast);
	ringwake_pool_submit(pool, target, works[10], note_order, finish_job);
	let_go(&keeper);
	wait_for_jobs(target, 9);
	wait_for_batches(target, 1);
	static const unsigned expected[] = {7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 10};
	assert_int_equal(order_length, 11);
	assert_memory_equal(order, expected, sizeof expected);
	end_pool(pool, target);
	destroy_keeper(&keeper);
}

static void test_cancelled_pieces(void **state)
{
	(void)state;
	enum { COUNT = 6 };
	for (unsigned cancelled = 0; cancelled < 1u << COUNT; cancelled++) {
		struct ringwake *target = open_target(NULL);
		struct ringwake_pool *pool = open_pool(1);
		struct keeper keeper;
		struct counted_batch counted = {.dones = 0};
		clear_jobs();
		batches_done = 0;
		keep_busy(&keeper, pool, target, 1);
		assert_int_equal(submit_batch(pool, target, &counted, COUNT), 0);
		for (unsigned i = 0; i < COUNT; i++)
			if (cancelled & 1u << i)
				assert_int_equal(ringwake_pool_cancel(pool, works[i]), 0);
		/* All were cancelled: done is called although the worker is busy. */
		if (cancelled + 1 == 1u << COUNT)
			wait_for_batches(target, 1);
		else
			assert_int_equal(ringwake_wait(target, 0), -ETIME);
		let_go(&keeper);
		wait_for_batches(target, 1);
		wait_for_jobs(target, 1);
		for (unsigned i = 0; i < COUNT; i++) {
			bool is_cancelled = cancelled & 1u << i;
			assert_int_equal(jobs[i].runs, !is_cancelled);
			assert_int_equal(
				ringwake_work_status(works[i]), is_cancelled ? -ECANCELED : 0);
		}
		end_pool(pool, target);
		assert_int_equal(counted.dones, 1);
		destroy_keeper(&keeper);
	}
}

static void test_params(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(1);
	struct counted_batch counted = {.dones = 0};
	struct ringwake_submit_params params[8] = {{.work_class = (enum ringwake_work_class)3}};
	clear_jobs();
	batches_done = 0;
	for (unsigned i = 0; i < 7; i++)
		params[1 + i].reserved[i] = 1;
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(ringwake_pool_submit_many(
					 pool, target, works, 2, run_job, finish_job, &params[i]),
			-EINVAL);
		assert_int_equal(ringwake_pool_submit_batch(pool, target, &counted.batch, works, 2,
					 run_job, finish_batch, &params[i]),
			-EINVAL);
	}
	assert_int_equal(
		ringwake_pool_submit_many(pool, target, works, 2, NULL, finish_job, NULL), -EINVAL);
	assert_int_equal(
		ringwake_pool_submit_many(pool, target, works, 2, run_job, NULL, NULL), -EINVAL);
	assert_int_equal(ringwake_pool_submit_batch(
				 pool, target, &counted.batch, works, 2, NULL, finish_batch, NULL),
		-EINVAL);
	assert_int_equal(ringwake_pool_submit_batch(
				 pool, target, &counted.batch, works, 2, run_job, NULL, NULL),
		-EINVAL);
	assert_int_equal(submit_batch(pool, target, &counted, 2), 0);
	wait_for_batches(target, 1);
	end_pool(pool, target);
}

/* One wake for all pieces; with no_kick, none until the kick. */
static void test_one_wake(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct ringwake_submit_params params = {.no_kick = i == 1};
		struct counted_batch counted = {.dones = 0};
		count_futexes();
		struct ringwake *target = open_target(NULL);
		struct ringwake_pool *pool = open_pool(1);
		while (futex_waits == 0)
			sched_yield();
		clear_jobs();
		batches_done = 0;
		futex_wakes = 0;
		assert_int_equal(ringwake_pool_submit_many(
					 pool, target, works, 50, run_job, finish_job, &params),
			i);
		if (i == 1) {
			assert_int_equal(ringwake_pool_submit_batch(pool, target, &counted.batch,
						 works + 50, 50, run_job, finish_batch, &params),
				0);
			assert_int_equal(futex_wakes, 0);
			ringwake_pool_kick(pool);
			wait_for_batches(target, 1);
		}
		wait_for_jobs(target, 50);
		assert_true(futex_wakes <= 1);
		end_pool(pool, target);
		unhook();
	}
}

/* All workers take part, though the submit wakes one. Each waits for the others. */
static void test_all_workers_take_part(void **state)
{
	(void)state;
	pthread_barrier_t started, go_on;
	pthread_barrier_init(&started, NULL, 4);
	pthread_barrier_init(&go_on, NULL, 4);
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(4);
	struct counted_batch counted = {.dones = 0};
	clear_jobs();
	batches_done = 0;
	for (unsigned i = 0; i < 4; i++) {
		jobs[i].started = &started;
		jobs[i].go_on = &go_on;
	}
	assert_int_equal(submit_batch(pool, target, &counted, 4), 0);
	wait_for_batches(target, 1);
	end_pool(pool, target);
	pthread_barrier_destroy(&started);
	pthread_barrier_destroy(&go_on);
}

/* A piece that runs is asked to end; the others run. */
static void run_until_cancelled(struct ringwake_work *work)
{
	struct job *job = (struct job *)work;
	if (job == jobs)
		pthread_barrier_wait(job->started);
	while (job == jobs && !ringwake_work_is_cancelled(work))
		sched_yield();
	job->runs++;
}

static void test_a_piece_is_asked_to_end(void **state)
{
	(void)state;
	pthread_barrier_t started;
	pthread_barrier_init(&started, NULL, 2);
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(1);
	struct counted_batch counted = {.dones = 0};
	clear_jobs();
	batches_done = 0;
	jobs[0].started = &started;
	ringwake_pool_submit_batch(
		pool, target, &counted.batch, works, 3, run_until_cancelled, finish_batch, NULL);
	pthread_barrier_wait(&started);
	assert_int_equal(ringwake_pool_cancel(pool, works[0]), -EBUSY);
	wait_for_batches(target, 1);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(jobs[i].runs, 1);
		assert_int_equal(ringwake_work_status(works[i]), 0);
	}
	end_pool(pool, target);
	pthread_barrier_destroy(&started);
}

int main(void)
{
	const struct CMUnitTest batch_tests[] = {
		ON_BOTH_PATHS(test_many),
		ON_BOTH_PATHS(test_batch),
		ON_BOTH_PATHS(test_order),
		ON_BOTH_PATHS(test_cancelled_pieces),
		ON_BOTH_PATHS(test_params),
		ON_BOTH_PATHS(test_one_wake),
		ON_BOTH_PATHS(test_all_workers_take_part),
		ON_BOTH_PATHS(test_a_piece_is_asked_to_end),
	};
	return RUN_BOUNDED(batch_tests, 120);
}
