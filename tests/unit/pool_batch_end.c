/* SPDX-License-Identifier: MIT */
/* Batches whose pool or target is closed, or that are another process's; many batches at once. */
#include <stdlib.h>

#include "../../lib/target.h"
#include "pool_batch.h"

static void *close_cancelling(void *pool)
{
	ringwake_pool_close(pool, RINGWAKE_POOL_CANCEL);
	return NULL;
}

static void test_close(void **state)
{
	(void)state;
	enum { COUNT = 10 };
	for (unsigned cancels = 0; cancels < 2; cancels++) {
		struct ringwake *target = open_target(NULL);
		struct ringwake_pool *pool = open_pool(1);
		struct keeper keeper;
		struct counted_batch counted = {.dones = 0};
		clear_jobs();
		batches_done = 0;
		keep_busy(&keeper, pool, target, 1);
		assert_int_equal(submit_batch(pool, target, &counted, COUNT), 0);
		if (cancels) {
			pthread_t closer = start(close_cancelling, pool);
			wait_for_batches(target, 1);
			let_go(&keeper);
			join(closer);
		} else {
			let_go(&keeper);
			ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
		}
		while (ringwake_dispatch(target, 0) > 0)
			;
		assert_int_equal(counted.dones, 1);
		for (unsigned i = 0; i < COUNT; i++)
			assert_int_equal(ringwake_work_status(works[i]), cancels ? -ECANCELED : 0);
		ringwake_close(target);
		destroy_keeper(&keeper);
	}
}

/* Work submits after the pool has refused it, which leaves the memory to the caller. */
static struct {
	struct ringwake_pool *pool;
	struct ringwake *target;
	struct counted_batch batches[2];
	_Atomic bool started;
	int many, none, batch, empty;
} refused;

static void submit_when_closing(struct ringwake_work *work)
{
	(void)work;
	futex_wakes = 0;
	refused.started = true;
	while (futex_wakes == 0) /* close wakes the worker that is blocked */
		sched_yield();
	refused.many = ringwake_pool_submit_many(
		refused.pool, refused.target, works + 1, 3, run_job, finish_job, NULL);
	refused.none = ringwake_pool_submit_many(
		refused.pool, refused.target, works, 0, run_job, finish_job, NULL);
	refused.batch = ringwake_pool_submit_batch(refused.pool, refused.target,
		&refused.batches[0].batch, works + 1, 3, run_job, finish_batch, NULL);
	refused.empty = submit_batch(refused.pool, refused.target, &refused.batches[1], 0);
}

static void test_refused_when_closing(void **state)
{
	(void)state;
	count_futexes();
	clear_jobs();
	batches_done = 0;
	memset(&refused, 0, sizeof refused);
	refused.target = open_target(NULL);
	refused.pool = open_pool(2);
	while (futex_waits < 2)
		sched_yield();
	ringwake_pool_submit(
		refused.pool, refused.target, works[0], submit_when_closing, finish_job);
	while (!refused.started)
		sched_yield();
	ringwake_pool_close(refused.pool, RINGWAKE_POOL_FINISH);
	assert_int_equal(refused.many, -ECANCELED);
	assert_int_equal(refused.none, 0);
	assert_int_equal(refused.batch, -ECANCELED);
	assert_int_equal(refused.empty, -ECANCELED);
	/* Nothing was kept: no reference, and all can be submitted to another pool. */
	assert_int_equal(refused.target->references, 1);
	refused.pool = open_pool(1);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(ringwake_pool_submit_batch(refused.pool, refused.target,
					 &refused.batches[i].batch, works + 1, i == 0 ? 3 : 0,
					 run_job, finish_batch, NULL),
			0);
	wait_for_batches(refused.target, 2);
	wait_for_jobs(refused.target, 1);
	assert_int_equal(jobs[1].runs + jobs[2].runs + jobs[3].runs, 3);
	end_pool(refused.pool, refused.target);
	unhook();
}

/* done is not called, and nothing leaks. */
static void test_target_is_closed_before(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL), *other = open_target(NULL);
	struct ringwake_pool *pool = open_pool(1);
	struct keeper keeper;
	struct counted_batch counted = {.dones = 0}, empty = counted;
	clear_jobs();
	batches_done = 0;
	keep_busy(&keeper, pool, other, 1);
	ringwake_ref(target);
	assert_int_equal(submit_batch(pool, target, &counted, 3), 0);
	ringwake_close(target);
	assert_int_equal(submit_batch(pool, target, &empty, 0), 0);
	ringwake_unref(target);
	let_go(&keeper);
	end_pool(pool, other);
	assert_int_equal(batches_done, 0);
	assert_int_equal(jobs[0].runs + jobs[1].runs + jobs[2].runs, 3);
	destroy_keeper(&keeper);
}

static void test_fork(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(1);
	struct counted_batch counted = {.dones = 0};
	clear_jobs();
	pid_t child = fork();
	if (child == 0) {
		int many = ringwake_pool_submit_many(
			pool, target, works, 2, run_job, finish_job, NULL);
		int batch = submit_batch(pool, target, &counted, 2);
		int empty = submit_batch(pool, target, &counted, 0);
		_exit(many != -EOWNERDEAD || batch != -EOWNERDEAD || empty != -EOWNERDEAD);
	}
	assert_child_succeeds(child);
	end_pool(pool, target);
}

/* Threads submit batches of any size and class, and cancel some pieces. done finds all that the
 * pieces have written, and submits the batch again. */
enum { SUBMITTERS = 2, BATCHES = 4, LARGEST = 8 };
static struct crowd {
	struct ringwake_batch batch; /* first */
	struct ringwake_work *works[LARGEST];
	struct job pieces[LARGEST];
	unsigned count, rounds, seed;
	struct ringwake_pool *pool;
	struct ringwake *target;
} crowd[SUBMITTERS][BATCHES];
static unsigned crowd_left;

static void finish_crowd(struct ringwake_batch *batch);

static void submit_crowd(struct crowd *one)
{
	struct ringwake_submit_params params = {.work_class = classes[rand_r(&one->seed) % 3]};
	one->count = (unsigned)rand_r(&one->seed) % (LARGEST + 1);
	memset(one->pieces, 0, sizeof one->pieces);
	assert_int_equal(ringwake_pool_submit_batch(one->pool, one->target, &one->batch, one->works,
				 one->count, run_job, finish_crowd, &params),
		0);
}

static void finish_crowd(struct ringwake_batch *batch)
{
	struct crowd *one = (struct crowd *)batch;
	for (unsigned i = 0; i < LARGEST; i++) {
		bool has_run = i < one->count && ringwake_work_status(one->works[i]) == 0;
		assert_int_equal(one->pieces[i].runs, has_run);
	}
	crowd_left--;
	if (--one->rounds == 0)
		return;
	submit_crowd(one);
	/* The batch is this thread's to cancel: only the loop calls done. */
	if (one->count > 0 && rand_r(&one->seed) % 2 == 0)
		ringwake_pool_cancel(
			one->pool, one->works[(unsigned)rand_r(&one->seed) % one->count]);
}

static void *submit_mine(void *argument)
{
	struct crowd *mine = argument;
	for (unsigned i = 0; i < BATCHES; i++)
		submit_crowd(&mine[i]);
	return NULL;
}

static void test_many_batches(void **state)
{
	(void)state;
	unsigned seed = random_seed(), rounds = rounds_here(2000);
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(3);
	pthread_t submitters[SUBMITTERS];
	memset(crowd, 0, sizeof crowd);
	crowd_left = SUBMITTERS * BATCHES * rounds;
	for (unsigned i = 0; i < SUBMITTERS * BATCHES; i++) {
		struct crowd *one = &crowd[i / BATCHES][i % BATCHES];
		one->pool = pool;
		one->target = target;
		one->rounds = rounds;
		one->seed = seed + i;
		for (unsigned j = 0; j < LARGEST; j++)
			one->works[j] = &one->pieces[j].work;
	}
	for (unsigned i = 0; i < SUBMITTERS; i++)
		submitters[i] = start(submit_mine, crowd[i]);
	while (crowd_left > 0)
		assert_true(ringwake_wait(target, PATIENCE_NS) >= 0);
	for (unsigned i = 0; i < SUBMITTERS; i++)
		join(submitters[i]);
	end_pool(pool, target);
}

int main(void)
{
	const struct CMUnitTest batch_end_tests[] = {
		ON_BOTH_PATHS(test_close),
		ON_BOTH_PATHS(test_refused_when_closing),
		ON_BOTH_PATHS(test_target_is_closed_before),
		ON_BOTH_PATHS(test_fork),
		ON_BOTH_PATHS(test_many_batches),
	};
	return RUN_BOUNDED(batch_end_tests, 120);
}
