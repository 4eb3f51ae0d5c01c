/* SPDX-License-Identifier: MIT */
/* A pool's completions are events of a loop. */
#include "common.h"

static struct ringwake_pool *pool;

struct job {
	ringwake_ev_work work;
	pthread_t ran_on, completed_on;
	unsigned runs, completions;
	pthread_barrier_t *gate;
};

static void run_job(ringwake_ev_work *work)
{
	struct job *job = (struct job *)work;
	if (job->gate) {
		pthread_barrier_wait(job->gate);
		pthread_barrier_wait(job->gate);
	}
	job->ran_on = pthread_self();
	job->runs++;
}

static void complete_job(struct ev_loop *in, ringwake_ev_work *work, int revents)
{
	struct job *job = (struct job *)work;
	assert_ptr_equal(in, loop);
	assert_int_equal(revents, EV_CUSTOM);
	assert_false(ev_is_active(work));
	job->completed_on = pthread_self();
	job->completions++;
}

static void init_job(struct job *job)
{
	*job = (struct job){.runs = 0};
	ringwake_ev_work_init(&job->work, run_job, complete_job);
}

static void open_all(void **state, unsigned threads)
{
	open_loop(state);
	assert_int_equal(ringwake_pool_open(&pool, threads), 0);
}

static void close_all(void)
{
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	close_loop();
}

static void test_work_keeps_the_loop_alive_until_it_is_done(void **state)
{
	static struct job jobs[300];
	open_all(state, 3);
	for (int i = 0; i < 300; i++) {
		init_job(&jobs[i]);
		assert_int_equal(ringwake_ev_queue_work(binding, pool, &jobs[i].work), 0);
		assert_true(ev_is_active(&jobs[i].work));
	}
	assert_int_equal(ringwake_ev_detach(binding), -EBUSY);
	assert_int_equal(ev_run(loop, 0), 0);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(jobs[i].runs, 1);
		assert_int_equal(jobs[i].completions, 1);
		assert_int_equal(jobs[i].work.status, 0);
		assert_false(pthread_equal(jobs[i].ran_on, pthread_self()));
		assert_true(pthread_equal(jobs[i].completed_on, pthread_self()));
	}
	close_all();
}

static void queue_again(struct ev_loop *in, ringwake_ev_work *work, int revents)
{
	struct job *job = (struct job *)work;
	(void)in;
	(void)revents;
	if (++job->completions < 50)
		assert_int_equal(ringwake_ev_queue_work(binding, pool, work), 0);
}

static void test_callback_queues_again(void **state)
{
	open_all(state, 2);
	struct job job;
	init_job(&job);
	ringwake_ev_work_init(&job.work, run_job, queue_again);
	assert_int_equal(ringwake_ev_queue_work(binding, pool, &job.work), 0);
	ev_run(loop, 0);
	assert_int_equal(job.runs, 50);
	assert_int_equal(job.completions, 50);
	close_all();
}

/* One work runs, and another is queued behind it. */
static void test_cancel(void **state)
{
	open_all(state, 1);
	pthread_barrier_t gate;
	pthread_barrier_init(&gate, NULL, 2);
	struct job running, waiting;
	init_job(&running);
	init_job(&waiting);
	running.gate = &gate;
	assert_int_equal(ringwake_ev_cancel(pool, &waiting.work), -EBUSY);
	assert_int_equal(ringwake_ev_queue_work(binding, pool, &running.work), 0);
	assert_int_equal(ringwake_ev_queue_work(binding, pool, &waiting.work), 0);
	assert_int_equal(ringwake_ev_queue_work(binding, pool, &waiting.work), -EBUSY);
	pthread_barrier_wait(&gate);
	assert_int_equal(ringwake_ev_cancel(pool, &running.work), -EBUSY);
	assert_int_equal(ringwake_ev_cancel(pool, &waiting.work), 0);
	assert_int_equal(waiting.completions, 0);
	pthread_barrier_wait(&gate);
	ev_run(loop, 0);
	assert_int_equal(running.completions, 1);
	assert_int_equal(running.work.status, 0);
	assert_int_equal(waiting.completions, 1);
	assert_int_equal(waiting.work.status, -ECANCELED);
	assert_int_equal(waiting.runs, 0);
	assert_int_equal(ringwake_ev_cancel(pool, &running.work), -EBUSY);
	pthread_barrier_destroy(&gate);
	close_all();
}

static char order[8];

static void note_name(struct ev_loop *in, ringwake_ev_work *work, int revents)
{
	(void)in;
	(void)revents;
	strcat(order, work->data);
}

/* Both are complete before the loop runs, so they are events of one iteration. */
static void test_priority(void **state)
{
	open_all(state, 1);
	struct job low, high;
	init_job(&low);
	init_job(&high);
	ringwake_ev_work_init(&low.work, run_job, note_name);
	ringwake_ev_work_init(&high.work, run_job, note_name);
	ev_set_priority(&low.work, EV_MINPRI);
	ev_set_priority(&high.work, EV_MAXPRI + 5);
	low.work.data = "l";
	high.work.data = "h";
	assert_int_equal(ringwake_ev_queue_work(binding, pool, &low.work), 0);
	assert_int_equal(ringwake_ev_queue_work(binding, pool, &high.work), 0);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	order[0] = '\0';
	assert_int_equal(ev_run(loop, 0), 0);
	assert_string_equal(order, "hl");
	close_loop();
}

static void *run_loop(void *argument)
{
	ev_run(argument, 0);
	return NULL;
}

static void count_completion(struct ev_loop *in, ringwake_ev_work *work, int revents)
{
	(void)in;
	(void)revents;
	((struct job *)work)->completions++;
}

/* Two loops in two threads share one pool. */
static void test_loops_share_a_pool(void **state)
{
	enum { EACH = 50 };
	static struct job jobs[2][EACH];
	struct ev_loop *loops[2];
	struct ringwake_ev *both[2];
	pthread_t threads[2];
	loops[0] = make_loop(*state, 0);
	both[0] = attach_to(loops[0], *state);
	loops[1] = make_loop(*state, 0);
	both[1] = attach_to(loops[1], *state);
	assert_int_equal(ringwake_pool_open(&pool, 2), 0);
	for (int i = 0; i < 2; i++) {
		for (int k = 0; k < EACH; k++) {
			init_job(&jobs[i][k]);
			ringwake_ev_work_init(&jobs[i][k].work, run_job, count_completion);
			assert_int_equal(
				ringwake_ev_queue_work(both[i], pool, &jobs[i][k].work), 0);
		}
	}
	for (int i = 0; i < 2; i++)
		threads[i] = start(run_loop, loops[i]);
	for (int i = 0; i < 2; i++)
		join(threads[i]);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	for (int i = 0; i < 2; i++) {
		for (int k = 0; k < EACH; k++)
			assert_int_equal(jobs[i][k].completions, 1);
		assert_int_equal(ringwake_ev_detach(both[i]), 0);
		ev_loop_destroy(loops[i]);
	}
}

/* The loop is destroyed first: the work runs, and its completion is dropped. */
static void test_loop_destroyed_with_work_outstanding(void **state)
{
	open_all(state, 1);
	pthread_barrier_t gate;
	pthread_barrier_init(&gate, NULL, 2);
	struct job job;
	init_job(&job);
	job.gate = &gate;
	assert_int_equal(ringwake_ev_queue_work(binding, pool, &job.work), 0);
	pthread_barrier_wait(&gate);
	ev_loop_destroy(loop);
	pthread_barrier_wait(&gate);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	assert_int_equal(job.runs, 1);
	assert_int_equal(job.completions, 0);
	pthread_barrier_destroy(&gate);
}

/* The completion was sent, but the loop does not run before it is destroyed. */
static void test_loop_destroyed_with_work_completed(void **state)
{
	open_all(state, 1);
	struct job job;
	init_job(&job);
	assert_int_equal(ringwake_ev_queue_work(binding, pool, &job.work), 0);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ev_loop_destroy(loop);
	assert_int_equal(job.runs, 1);
	assert_int_equal(job.completions, 0);
	assert_false(ev_is_active(&job.work));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_ALL(test_work_keeps_the_loop_alive_until_it_is_done),
		ON_ALL(test_callback_queues_again),
		ON_ALL(test_cancel),
		ON_ALL(test_priority),
		ON_ALL(test_loops_share_a_pool),
		ON_ALL(test_loop_destroyed_with_work_outstanding),
		ON_ALL(test_loop_destroyed_with_work_completed),
	};
	return RUN_BOUNDED(tests, 60);
}
