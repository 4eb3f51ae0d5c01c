/* SPDX-License-Identifier: MIT */
/* Work in a forked child, and work of the parent when it forks. */
#include "fork.h"

struct job {
	ringwake_ev_work work;
	pthread_barrier_t *gate;
};

static void run_job(ringwake_ev_work *work)
{
	pthread_barrier_wait(((struct job *)work)->gate);
}

static void complete_job(struct ev_loop *in, ringwake_ev_work *work, int revents)
{
	(void)in;
	(void)work;
	(void)revents;
}

static struct ringwake_pool *pool;

static int child_finds_no_work(void)
{
	struct job job;
	ringwake_ev_work_init(&job.work, run_job, complete_job);
	ringwake_ev_async_stop(&watched.async);
	CHILD_EXPECT(ringwake_ev_detach(binding) == -EBUSY);
	ev_loop_fork(loop);
	ev_run(loop, EVRUN_NOWAIT);
	CHILD_EXPECT(ringwake_ev_queue_work(binding, pool, &job.work) == -EOWNERDEAD);
	CHILD_EXPECT(ringwake_ev_detach(binding) == 0);
	return 0;
}

static int child_queues_before_it_runs(void)
{
	struct job job;
	struct ringwake_pool *own;
	ringwake_ev_work_init(&job.work, run_job, complete_job);
	ev_loop_fork(loop);
	CHILD_EXPECT(ringwake_pool_open(&own, 1) == 0);
	CHILD_EXPECT(ringwake_ev_queue_work(binding, own, &job.work) == -EOWNERDEAD);
	CHILD_EXPECT(!ev_is_active(&job.work));
	return 0;
}

/* Work whose completion would go to the parent's target is refused. */
static void test_work_before_the_childs_loop_runs(void **state)
{
	open_all(state);
	check_child(child_queues_before_it_runs, fork);
	check_child(child_queues_before_it_runs, fork_by_system_call);
	close_all();
}

static void test_work_stays_the_parents(void **state)
{
	open_all(state);
	pthread_barrier_t gate;
	pthread_barrier_init(&gate, NULL, 2);
	struct job job = {.gate = &gate};
	ringwake_ev_work_init(&job.work, run_job, complete_job);
	assert_int_equal(ringwake_pool_open(&pool, 1), 0);
	assert_int_equal(ringwake_ev_queue_work(binding, pool, &job.work), 0);
	check_child(child_finds_no_work, fork);
	pthread_barrier_wait(&gate);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_ev_async_stop(&watched.async);
	assert_int_equal(ev_run(loop, 0), 0);
	assert_false(ev_is_active(&job.work));
	close_loop();
	pthread_barrier_destroy(&gate);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_ALL(test_work_stays_the_parents),
		ON_ALL(test_work_before_the_childs_loop_runs),
	};
	return RUN_BOUNDED(tests, 120);
}
