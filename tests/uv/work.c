/* SPDX-License-Identifier: MIT */
/* ringwake_uv_queue_work() and ringwake_uv_cancel(). */
#include "fixture.h"

#include <ringwake/pool.h>

struct task {
	uv_work_t request;
	struct ringwake_uv *binding;
	unsigned runs, ends;
	int status;
	uv_thread_t ran_on, ended_on;
};

static void run_task(uv_work_t *request)
{
	struct task *task = (struct task *)request;
	task->runs++;
	task->ran_on = uv_thread_self();
}

static void end_task(uv_work_t *request, int status)
{
	struct task *task = (struct task *)request;
	task->ends++;
	task->status = status;
	task->ended_on = uv_thread_self();
}

static void test_runs_there_and_ends_here(void **state)
{
	(void)state;
	struct fixture f;
	struct task task = {0};
	open_loop(&f);
	assert_int_equal(ringwake_uv_queue_work(f.binding, &task.request, run_task, end_task), 0);
	assert_int_equal(uv_req_get_type((uv_req_t *)&task.request), UV_WORK);
	assert_true(uv_loop_alive(&f.loop));
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(task.runs, 1);
	assert_int_equal(task.ends, 1);
	assert_int_equal(task.status, 0);
	assert_false(is_this_thread(task.ran_on));
	assert_true(is_this_thread(task.ended_on));
	close_loop(&f);
}

static void test_without_end(void **state)
{
	(void)state;
	struct fixture f;
	struct task task = {0};
	open_loop(&f);
	assert_int_equal(
		ringwake_uv_queue_work(f.binding, &task.request, NULL, end_task), UV_EINVAL);
	assert_false(uv_loop_alive(&f.loop));
	assert_int_equal(ringwake_uv_queue_work(f.binding, &task.request, run_task, NULL), 0);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(task.runs, 1);
	close_loop(&f);
}

static void test_many(void **state)
{
	(void)state;
	enum { COUNT = 5000 };
	struct fixture f;
	struct task *tasks = calloc(COUNT, sizeof *tasks);
	assert_non_null(tasks);
	open_loop(&f);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(
			ringwake_uv_queue_work(f.binding, &tasks[i].request, run_task, end_task),
			0);
	assert_int_equal(ringwake_uv_detach(f.binding), UV_EBUSY);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(tasks[i].runs, 1);
		assert_int_equal(tasks[i].ends, 1);
	}
	close_loop(&f);
	free(tasks);
}

static void queue_again(uv_work_t *request, int status)
{
	struct task *task = (struct task *)request;
	end_task(request, status);
	if (task->ends < 100)
		assert_int_equal(ringwake_uv_queue_work(
					 task->binding, &task->request, run_task, queue_again),
			0);
}

static void test_again_from_its_end(void **state)
{
	(void)state;
	struct fixture f;
	struct task task = {0};
	open_loop(&f);
	task.binding = f.binding;
	assert_int_equal(
		ringwake_uv_queue_work(f.binding, &task.request, run_task, queue_again), 0);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(task.runs, 100);
	assert_int_equal(task.ends, 100);
	close_loop(&f);
}

/* Work that occupies a worker until the test releases it. */
struct blocker {
	struct task task;
	pthread_barrier_t *running, *released;
};

static void block(uv_work_t *request)
{
	struct blocker *blocker = (struct blocker *)request;
	run_task(request);
	pthread_barrier_wait(blocker->running);
	pthread_barrier_wait(blocker->released);
}

struct blockade {
	struct blocker blockers[8];
	unsigned count;
	pthread_barrier_t running, released;
};

/* Returns when count workers are occupied, which proves that at least count workers exist. */
static void occupy(struct fixture *f, struct blockade *blockade, unsigned count)
{
	memset(blockade, 0, sizeof *blockade);
	blockade->count = count;
	pthread_barrier_init(&blockade->running, NULL, count + 1);
	pthread_barrier_init(&blockade->released, NULL, count + 1);
	for (unsigned i = 0; i < count; i++) {
		struct blocker *blocker = &blockade->blockers[i];
		blocker->running = &blockade->running;
		blocker->released = &blockade->released;
		assert_int_equal(
			ringwake_uv_queue_work(f->binding, &blocker->task.request, block, end_task),
			0);
	}
	pthread_barrier_wait(&blockade->running);
}

static void let_go(struct blockade *blockade)
{
	pthread_barrier_wait(&blockade->released);
}

static void end_blockade(struct blockade *blockade)
{
	for (unsigned i = 0; i < blockade->count; i++) {
		assert_int_equal(blockade->blockers[i].task.ends, 1);
		assert_int_equal(blockade->blockers[i].task.status, 0);
	}
	pthread_barrier_destroy(&blockade->running);
	pthread_barrier_destroy(&blockade->released);
}

static void check_cancel(unsigned workers)
{
	struct fixture f;
	struct blockade blockade;
	struct task queued = {0}, kept = {0};
	open_loop(&f);
	occupy(&f, &blockade, workers);
	uv_req_t *running = (uv_req_t *)&blockade.blockers[0].task.request;
	assert_int_equal(ringwake_uv_cancel(running), UV_EBUSY);
	assert_int_equal(ringwake_uv_queue_work(f.binding, &queued.request, run_task, end_task), 0);
	assert_int_equal(ringwake_uv_queue_work(f.binding, &kept.request, run_task, end_task), 0);
	assert_int_equal(ringwake_uv_cancel((uv_req_t *)&queued.request), 0);
	assert_int_equal(ringwake_uv_cancel((uv_req_t *)&queued.request), UV_EBUSY);
	assert_int_equal(queued.ends, 0); /* uv_cancel() itself calls no callback */
	while (queued.ends == 0)
		assert_int_not_equal(uv_run(&f.loop, UV_RUN_ONCE), 0);
	assert_int_equal(queued.runs, 0);
	assert_int_equal(queued.status, UV_ECANCELED);
	let_go(&blockade);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	end_blockade(&blockade);
	assert_int_equal(queued.ends, 1);
	assert_int_equal(kept.runs, 1);
	assert_int_equal(kept.status, 0);
	assert_int_equal(ringwake_uv_cancel((uv_req_t *)&kept.request), UV_EBUSY);
	close_loop(&f);
}

static void test_cancel(void **state)
{
	(void)state;
	unsetenv("UV_THREADPOOL_SIZE");
	check_cancel(4);
}

static void test_threadpool_size(void **state)
{
	(void)state;
	setenv("UV_THREADPOOL_SIZE", "1", 1);
	check_cancel(
		1); /* work queued behind one running work does not start: only one worker exists */
	setenv("UV_THREADPOOL_SIZE", "7", 1);
	check_cancel(7);
	setenv("UV_THREADPOOL_SIZE", "0", 1);
	check_cancel(1);
	unsetenv("UV_THREADPOOL_SIZE");
}

static void ignore_fs(uv_fs_t *request)
{
	uv_fs_req_cleanup(request);
}

static void test_cancel_of_other_requests(void **state)
{
	(void)state;
	struct fixture f;
	uv_fs_t request;
	struct task task = {0};
	open_loop(&f);
	assert_int_equal(uv_fs_stat(&f.loop, &request, "/", ignore_fs), 0);
	int result = ringwake_uv_cancel((uv_req_t *)&request);
	assert_true(result == 0 || result == UV_EBUSY);
	assert_int_equal(uv_queue_work(&f.loop, &task.request, run_task, end_task), 0);
	result = ringwake_uv_cancel((uv_req_t *)&task.request);
	assert_true(result == 0 || result == UV_EBUSY);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(task.ends, 1);
	close_loop(&f);
}

static void test_two_loops_share_the_workers(void **state)
{
	(void)state;
	struct fixture f, g;
	struct task first = {0}, second = {0};
	open_loop(&f);
	open_loop(&g);
	assert_int_equal(ringwake_uv_queue_work(f.binding, &first.request, run_task, end_task), 0);
	assert_int_equal(ringwake_uv_queue_work(g.binding, &second.request, run_task, end_task), 0);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(first.ends, 1);
	assert_int_equal(second.ends, 0);
	close_loop(&f);
	assert_int_equal(uv_run(&g.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(second.ends, 1);
	close_loop(&g);
}

/* The application's pool runs the loop's work. Afterwards the shared workers run it again. */
static void test_use_pool(void **state)
{
	(void)state;
	struct fixture f;
	struct task task = {0};
	struct ringwake_pool *pool;
	struct ringwake_pool_stats stats;
	open_loop(&f);
	assert_int_equal(ringwake_pool_open(&pool, 1), 0);
	assert_int_equal(ringwake_uv_queue_work(f.binding, &task.request, run_task, end_task), 0);
	assert_int_equal(ringwake_uv_use_pool(f.binding, pool), UV_EBUSY);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(ringwake_uv_use_pool(f.binding, pool), 0);
	assert_int_equal(ringwake_uv_queue_work(f.binding, &task.request, run_task, end_task), 0);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(task.ends, 2);
	uv_thread_t of_pool = task.ran_on;
	ringwake_pool_get_stats(pool, &stats, sizeof stats);
	assert_int_equal(stats.submitted, 1);
	assert_int_equal(ringwake_uv_use_pool(f.binding, NULL), 0);
	assert_int_equal(ringwake_uv_queue_work(f.binding, &task.request, run_task, end_task), 0);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(task.ends, 3);
	assert_false(uv_thread_equal(&task.ran_on, &of_pool));
	ringwake_pool_get_stats(pool, &stats, sizeof stats);
	assert_int_equal(stats.submitted, 1);
	assert_int_equal(ringwake_uv_use_pool(f.binding, pool), 0);
	close_loop(&f); /* does not close the pool */
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
}

static struct ringwake_pool_times times_of(struct ringwake_uv *binding)
{
	struct ringwake_pool_times times;
	ringwake_pool_get_times(ringwake_uv_pool(binding), &times, sizeof times);
	return times;
}

/* The figures of the shared workers, and of the application's pool. */
static void test_figures(void **state)
{
	(void)state;
	struct fixture f;
	struct task tasks[3] = {{.runs = 0}};
	struct ringwake_pool *pool;
	struct ringwake_pool_stats stats;
	open_loop(&f);
	assert_null(ringwake_uv_pool(f.binding));
	setenv("RINGWAKE_POOL_TIMES", "on", 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(
			ringwake_uv_queue_work(f.binding, &tasks[i].request, run_task, end_task),
			0);
	unsetenv("RINGWAKE_POOL_TIMES");
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	ringwake_pool_get_stats(ringwake_uv_pool(f.binding), &stats, sizeof stats);
	assert_int_equal(stats.submitted, 3);
	assert_int_equal(stats.queued, 0);
	assert_int_equal(times_of(f.binding).waiting.count, 3);
	assert_int_equal(times_of(f.binding).running.count, 3);

	assert_int_equal(ringwake_pool_open(&pool, 1), 0);
	assert_int_equal(ringwake_uv_use_pool(f.binding, pool), 0);
	assert_ptr_equal(ringwake_uv_pool(f.binding), pool);
	assert_int_equal(times_of(f.binding).running.count, 0);
	assert_int_equal(ringwake_uv_use_pool(f.binding, NULL), 0);
	assert_null(ringwake_uv_pool(f.binding));
	close_loop(&f);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
}

/* The parent's workers are of no use to a forked child. */
static void test_figures_after_fork(void **state)
{
	(void)state;
	struct fixture f;
	struct task task = {0};
	open_loop(&f);
	assert_int_equal(ringwake_uv_queue_work(f.binding, &task.request, run_task, end_task), 0);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	pid_t child = fork();
	if (child == 0)
		_exit(ringwake_uv_pool(f.binding) == NULL ? 0 : 1);
	assert_child_succeeds(child);
	assert_non_null(ringwake_uv_pool(f.binding));
	close_loop(&f);
}

/* uv_cancel() removes work that is queued in the application's pool. */
static void test_cancel_in_a_pool(void **state)
{
	(void)state;
	struct fixture f;
	struct blockade blockade;
	struct task queued = {0};
	struct ringwake_pool *pool;
	open_loop(&f);
	assert_int_equal(ringwake_pool_open(&pool, 1), 0);
	assert_int_equal(ringwake_uv_use_pool(f.binding, pool), 0);
	occupy(&f, &blockade, 1);
	assert_int_equal(ringwake_uv_queue_work(f.binding, &queued.request, run_task, end_task), 0);
	assert_int_equal(ringwake_uv_cancel((uv_req_t *)&queued.request), 0);
	let_go(&blockade);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	end_blockade(&blockade);
	assert_int_equal(queued.status, UV_ECANCELED);
	close_loop(&f);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
}

/* Each job names its pool. All keep the loop alive, and a cancel finds the job's own pool. */
static void test_several_pools(void **state)
{
	(void)state;
	struct fixture f;
	struct blockade blockade;
	struct task task = {0}, queued = {0}, shared = {0};
	struct ringwake_pool *one, *other;
	struct ringwake_pool_stats stats;
	open_loop(&f);
	assert_int_equal(ringwake_pool_open(&one, 1), 0);
	assert_int_equal(ringwake_pool_open(&other, 1), 0);
	assert_int_equal(ringwake_uv_use_pool(f.binding, one), 0);
	occupy(&f, &blockade, 1);
	assert_int_equal(ringwake_uv_queue_work(f.binding, &queued.request, run_task, end_task), 0);
	assert_int_equal(
		ringwake_uv_queue_work_on(f.binding, other, &task.request, run_task, end_task), 0);
	assert_int_equal(ringwake_uv_use_pool(f.binding, other), UV_EBUSY);
	assert_int_equal(ringwake_uv_detach(f.binding), UV_EBUSY);
	while (task.ends == 0) /* the other pool is free */
		assert_int_not_equal(uv_run(&f.loop, UV_RUN_ONCE), 0);
	assert_int_equal(queued.ends, 0);
	assert_int_equal(ringwake_uv_cancel((uv_req_t *)&task.request), UV_EBUSY);
	assert_int_equal(ringwake_uv_cancel((uv_req_t *)&queued.request), 0);
	let_go(&blockade);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	end_blockade(&blockade);
	assert_int_equal(queued.status, UV_ECANCELED);
	ringwake_pool_get_stats(one, &stats, sizeof stats);
	assert_int_equal(stats.submitted, 2);
	assert_int_equal(stats.cancelled, 1);
	ringwake_pool_get_stats(other, &stats, sizeof stats);
	assert_int_equal(stats.submitted, 1);

	/* A cancel on another pool than the loop's. */
	assert_int_equal(ringwake_uv_use_pool(f.binding, NULL), 0);
	pthread_barrier_t running, released;
	pthread_barrier_init(&running, NULL, 2);
	pthread_barrier_init(&released, NULL, 2);
	struct blocker blocker = {.running = &running, .released = &released};
	memset(&queued, 0, sizeof queued);
	assert_int_equal(
		ringwake_uv_queue_work_on(f.binding, other, &blocker.task.request, block, end_task),
		0);
	pthread_barrier_wait(&running);
	assert_int_equal(
		ringwake_uv_queue_work_on(f.binding, other, &queued.request, run_task, end_task),
		0);
	assert_int_equal(
		ringwake_uv_queue_work_on(f.binding, NULL, &shared.request, run_task, end_task), 0);
	while (shared.ends == 0)
		assert_int_not_equal(uv_run(&f.loop, UV_RUN_ONCE), 0);
	assert_int_equal(ringwake_uv_cancel((uv_req_t *)&queued.request), 0);
	pthread_barrier_wait(&released);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(queued.runs, 0);
	assert_int_equal(queued.status, UV_ECANCELED);
	assert_int_equal(blocker.task.ends, 1);
	pthread_barrier_destroy(&running);
	pthread_barrier_destroy(&released);

	ringwake_pool_close(one, RINGWAKE_POOL_FINISH);
	assert_int_equal(ringwake_uv_queue_work_on(f.binding, other, &task.request, NULL, end_task),
		UV_EINVAL);
	ringwake_pool_close(other, RINGWAKE_POOL_FINISH);
	close_loop(&f);
}

struct queuer {
	struct ringwake_msg msg;
	struct ringwake_uv *binding;
	struct task task;
	int result;
};

static void queue_now(struct ringwake_msg *msg)
{
	struct queuer *queuer = (struct queuer *)msg;
	queuer->result =
		ringwake_uv_queue_work(queuer->binding, &queuer->task.request, run_task, end_task);
}

/* The callback of a message that detach runs: a completion could not arrive any more. */
static void test_queue_during_detach(void **state)
{
	(void)state;
	struct fixture f;
	struct queuer queuer = {.msg.fn = queue_now};
	open_loop(&f);
	queuer.binding = f.binding;
	assert_int_equal(ringwake_send(ringwake_uv_target(f.binding), &queuer.msg), 0);
	assert_int_equal(ringwake_uv_detach(f.binding), 0);
	assert_int_equal(uv_loop_close(&f.loop), 0);
	assert_int_equal(queuer.result, UV_ECANCELED);
	assert_int_equal(queuer.task.ends, 0);
	assert_int_equal(queuer.task.runs, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_runs_there_and_ends_here),
		ON_BOTH_PATHS(test_without_end),
		ON_BOTH_PATHS(test_many),
		ON_BOTH_PATHS(test_again_from_its_end),
		ON_BOTH_PATHS(test_cancel),
		ON_BOTH_PATHS(test_threadpool_size),
		ON_BOTH_PATHS(test_cancel_of_other_requests),
		ON_BOTH_PATHS(test_two_loops_share_the_workers),
		ON_BOTH_PATHS(test_use_pool),
		ON_BOTH_PATHS(test_figures),
		ON_BOTH_PATHS(test_figures_after_fork),
		ON_BOTH_PATHS(test_cancel_in_a_pool),
		ON_BOTH_PATHS(test_several_pools),
		ON_BOTH_PATHS(test_queue_during_detach),
	};
	return RUN_BOUNDED(tests, 60);
}
