/* SPDX-License-Identifier: MIT */
/* ringwake_ev_send_work(), and ringwake_call() to a libev loop. */
#include "common.h"

static struct ringwake_pool *pool;
static pthread_barrier_t running, released;

struct job {
	ringwake_ev_work work;
	struct ringwake *target;
	struct ringwake_pool *pool;
	bool blocks;
	int result;
	_Atomic unsigned runs;
	unsigned completions;
	pthread_t completed_on;
};

static void run_job(ringwake_ev_work *work)
{
	struct job *job = (struct job *)work;
	if (job->blocks) {
		pthread_barrier_wait(&running);
		pthread_barrier_wait(&released);
	}
	atomic_fetch_add(&job->runs, 1);
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
	memset(job, 0, sizeof *job);
	ringwake_ev_work_init(&job->work, run_job, complete_job);
	job->target = ringwake_ev_target(binding);
	job->pool = pool;
}

static void *send_job(void *argument)
{
	struct job *job = argument;
	job->result = ringwake_ev_send_work(job->target, job->pool, &job->work);
	return NULL;
}

/* Another thread sends the work, and has returned when the loop runs. */
static void send_from_thread(struct job *job)
{
	init_job(job);
	job->result = 1;
	join(start(send_job, job));
	assert_int_equal(job->result, 0);
}

static void assert_completed(const struct job *job, int status)
{
	assert_int_equal(job->completions, 1);
	assert_int_equal(job->work.status, status);
	assert_int_equal(job->runs, status == 0);
	assert_true(pthread_equal(job->completed_on, pthread_self()));
}

/* The watcher keeps the loop alive until the loop has taken the work. */
static struct watched alive;

static void open_all(void **state)
{
	open_loop(state);
	start_watched(&alive, 0);
	assert_int_equal(ringwake_pool_open(&pool, 1), 0);
	pthread_barrier_init(&running, NULL, 2);
	pthread_barrier_init(&released, NULL, 2);
}

static void stop_alive(void)
{
	ringwake_ev_async_stop(&alive.async);
}

static void close_pool(void)
{
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	pthread_barrier_destroy(&running);
	pthread_barrier_destroy(&released);
}

static void close_all(void)
{
	stop_alive();
	close_pool();
	close_loop();
}

static void run_until_completed(const struct job *job)
{
	while (job->completions == 0)
		ev_run(loop, EVRUN_ONCE);
}

static void test_from_a_foreign_thread(void **state)
{
	struct job job;
	open_all(state);
	init_job(&job);
	pthread_t thread = start(send_job, &job);
	run_until_completed(&job);
	join(thread);
	assert_int_equal(job.result, 0);
	assert_completed(&job, 0);
	close_all();
}

/* Once the loop has taken the work, the work alone keeps it alive. */
static void test_keeps_the_loop_alive(void **state)
{
	struct job job;
	open_all(state);
	init_job(&job);
	job.blocks = true;
	assert_int_equal(ringwake_ev_send_work(job.target, pool, &job.work), 0);
	assert_int_equal(ringwake_ev_send_work(job.target, pool, &job.work), -EBUSY);
	assert_int_equal(ringwake_ev_queue_work(binding, pool, &job.work), -EBUSY);
	assert_false(ev_is_active(&job.work));
	while (!ev_is_active(&job.work))
		ev_run(loop, EVRUN_NOWAIT);
	pthread_barrier_wait(&running);
	stop_alive();
	assert_int_equal(ringwake_ev_detach(binding), -EBUSY);
	assert_int_equal(ringwake_ev_cancel(pool, &job.work), -EBUSY);
	pthread_barrier_wait(&released);
	ev_run(loop, 0);
	assert_completed(&job, 0);
	close_pool();
	close_loop();
}

/* A cancel before the loop has taken the work, and while it is queued in its pool. */
static void test_cancel(void **state)
{
	struct job early, blocker, queued;
	open_all(state);
	send_from_thread(&early);
	assert_int_equal(ringwake_ev_cancel(pool, &early.work), 0);
	assert_int_equal(ringwake_ev_cancel(pool, &early.work), -EBUSY);
	assert_int_equal(early.completions, 0);
	run_until_completed(&early);
	assert_completed(&early, -ECANCELED);
	assert_int_equal(ringwake_ev_cancel(pool, &early.work), -EBUSY);

	init_job(&blocker);
	blocker.blocks = true;
	assert_int_equal(ringwake_ev_queue_work(binding, pool, &blocker.work), 0);
	pthread_barrier_wait(&running);
	send_from_thread(&queued);
	while (!ev_is_active(&queued.work))
		ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(ringwake_ev_cancel(pool, &queued.work), 0);
	pthread_barrier_wait(&released);
	run_until_completed(&blocker);
	run_until_completed(&queued);
	assert_completed(&queued, -ECANCELED);

	send_from_thread(&early); /* again */
	run_until_completed(&early);
	assert_completed(&early, 0);
	close_all();
}

static void test_refused(void **state)
{
	struct job job;
	const struct variant *variant = *state;
	open_all(state);
	init_job(&job);
	struct ringwake *target = ringwake_ref(job.target);
	pid_t child = fork();
	if (child == 0)
		_exit(ringwake_ev_send_work(target, pool, &job.work) != -EOWNERDEAD);
	assert_child_succeeds(child);
	assert_int_equal(ringwake_ev_send_work(target, NULL, &job.work), -EINVAL);
	close_all();
	assert_int_equal(ringwake_ev_send_work(target, pool, &job.work), -ECANCELED);
	assert_int_equal(job.completions, 0);
	ringwake_unref(target);

	struct ringwake_params params = {.path = variant->path};
	assert_int_equal(ringwake_open(&target, NULL, &params), 0); /* of no libev loop */
	assert_int_equal(ringwake_ev_send_work(target, pool, &job.work), -EINVAL);
	ringwake_close(target);
}

/* Work that the loop has not taken is cancelled by detach. */
static void test_detach_cancels(void **state)
{
	struct job job;
	open_all(state);
	send_from_thread(&job);
	close_all();
	assert_completed(&job, -ECANCELED);
}

static void test_destroy_cancels(void **state)
{
	struct job job;
	open_all(state);
	send_from_thread(&job);
	stop_alive();
	ev_loop_destroy(loop);
	assert_completed(&job, -ECANCELED);
	close_pool();
}

static void *cancel_pool(void *argument)
{
	ringwake_pool_close(argument, RINGWAKE_POOL_CANCEL);
	return NULL;
}

/* The loop cannot queue the work, because the pool is closing. */
static void test_pool_is_closing(void **state)
{
	struct job blocker, queued, job;
	open_all(state);
	init_job(&blocker);
	init_job(&queued);
	blocker.blocks = true;
	assert_int_equal(ringwake_ev_queue_work(binding, pool, &blocker.work), 0);
	pthread_barrier_wait(&running);
	assert_int_equal(ringwake_ev_queue_work(binding, pool, &queued.work), 0);
	pthread_t closer = start(cancel_pool, pool);
	run_until_completed(&queued);
	assert_completed(&queued, -ECANCELED);
	send_from_thread(&job);
	run_until_completed(&job);
	assert_completed(&job, -ECANCELED);
	pthread_barrier_wait(&released);
	join(closer);
	run_until_completed(&blocker);
	assert_completed(&blocker, 0);
	assert_int_equal(ringwake_pool_open(&pool, 1), 0);
	close_all();
}

enum { SENDERS = 4, JOBS = 100 };

struct sender {
	struct ringwake *target;
	struct job jobs[JOBS];
};

static void *send_many(void *argument)
{
	struct sender *sender = argument;
	for (unsigned i = 0; i < JOBS; i++)
		send_job(&sender->jobs[i]);
	ringwake_unref(sender->target);
	return NULL;
}

static void check_sender(const struct sender *sender)
{
	for (unsigned i = 0; i < JOBS; i++) {
		const struct job *job = &sender->jobs[i];
		assert_true(job->result == 0 || job->result == -ECANCELED);
		assert_int_equal(job->completions, job->result == 0);
		if (job->completions)
			assert_completed(job, job->work.status == 0 ? 0 : -ECANCELED);
		else
			assert_int_equal(job->runs, 0);
	}
}

static void send_and_detach(unsigned iterations)
{
	pthread_t threads[SENDERS];
	struct sender *senders = calloc(SENDERS, sizeof *senders);
	assert_non_null(senders);
	for (unsigned i = 0; i < SENDERS; i++) {
		senders[i].target = ringwake_ref(ringwake_ev_target(binding));
		for (unsigned j = 0; j < JOBS; j++)
			init_job(&senders[i].jobs[j]);
		threads[i] = start(send_many, &senders[i]);
	}
	for (unsigned i = 0; i < iterations; i++)
		ev_run(loop, EVRUN_NOWAIT);
	stop_alive();
	while (ringwake_ev_detach(binding) == -EBUSY)
		ev_run(loop, EVRUN_NOWAIT);
	for (unsigned i = 0; i < SENDERS; i++)
		join(threads[i]);
	for (unsigned i = 0; i < SENDERS; i++)
		check_sender(&senders[i]);
	ev_loop_destroy(loop);
	free(senders);
}

/* Threads send while the loop is detached: each accepted work ends once, each refused never. */
static void test_threads_send_while_it_detaches(void **state)
{
	unsigned seed = (unsigned)time(NULL);
	print_message("seed %u\n", seed);
	for (unsigned round = 0; round < rounds_here(15); round++) {
		open_all(state);
		send_and_detach(rand_r(&seed) % 8);
		close_pool();
	}
}

struct asked {
	struct ringwake *target;
	int result;
	unsigned runs;
	pthread_t ran_on;
};

static void answer(void *argument)
{
	struct asked *asked = argument;
	asked->runs++;
	asked->ran_on = pthread_self();
	ev_break(loop, EVBREAK_ALL);
}

static void *call_loop(void *argument)
{
	struct asked *asked = argument;
	asked->result = ringwake_call(asked->target, answer, asked, PATIENCE_NS);
	return NULL;
}

static void call_itself(struct ev_loop *in, ev_timer *timer, int revents)
{
	struct asked *asked = timer->data;
	(void)revents;
	asked->result = ringwake_call(asked->target, answer, asked, -1);
	ev_break(in, EVBREAK_ALL);
}

static void test_call(void **state)
{
	struct asked asked = {.result = 1};
	ev_timer timer;
	open_all(state);
	asked.target = ringwake_ev_target(binding);
	pthread_t thread = start(call_loop, &asked);
	ev_run(loop, 0);
	join(thread);
	assert_int_equal(asked.result, 0);
	assert_int_equal(asked.runs, 1);
	assert_true(pthread_equal(asked.ran_on, pthread_self()));

	ev_timer_init(&timer, call_itself, 0.001, 0.);
	timer.data = &asked;
	ev_timer_start(loop, &timer);
	ev_run(loop, 0);
	assert_int_equal(asked.result, -EDEADLK);
	assert_int_equal(asked.runs, 1);
	close_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_ALL(test_from_a_foreign_thread),
		ON_ALL(test_keeps_the_loop_alive),
		ON_ALL(test_cancel),
		ON_ALL(test_refused),
		ON_ALL(test_detach_cancels),
		ON_ALL(test_destroy_cancels),
		ON_ALL(test_pool_is_closing),
		ON_ALL(test_threads_send_while_it_detaches),
		ON_ALL(test_call),
	};
	return RUN_BOUNDED(tests, 120);
}
