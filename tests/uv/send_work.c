/* SPDX-License-Identifier: MIT */
/* ringwake_uv_send_work(), and ringwake_call() to a libuv loop. */
#include "fixture.h"

#include <ringwake/pool.h>
#include <sched.h>

struct task {
	uv_work_t request;
	struct ringwake *target;
	struct ringwake_pool *pool;
	_Atomic unsigned runs;
	unsigned ends;
	int status, result;
	uv_thread_t ended_on;
};

static void run_task(uv_work_t *request)
{
	struct task *task = (struct task *)request;
	atomic_fetch_add(&task->runs, 1);
}

static void end_task(uv_work_t *request, int status)
{
	struct task *task = (struct task *)request;
	task->ends++;
	task->status = status;
	task->ended_on = uv_thread_self();
}

static int send_task(struct task *task)
{
	return ringwake_uv_send_work(task->target, task->pool, &task->request, run_task, end_task);
}

static void *send_on_thread(void *argument)
{
	struct task *task = argument;
	task->result = send_task(task);
	return NULL;
}

/* Another thread sends the work, and has returned when the loop runs. */
static void send_from_thread(struct task *task, struct fixture *f)
{
	task->target = ringwake_uv_target(f->binding);
	task->result = 1;
	join(start(send_on_thread, task));
	assert_int_equal(task->result, 0);
}

static void assert_ended(const struct task *task, int status)
{
	assert_int_equal(task->ends, 1);
	assert_int_equal(task->status, status);
	assert_int_equal(task->runs, status == 0);
	assert_true(is_this_thread(task->ended_on));
}

/* The counter keeps the loop alive until the loop has taken the work. */
static void open_alive_loop(struct fixture *f, struct counter *counter)
{
	open_loop(f);
	open_counter(f, counter, 0);
}

/* Unlike close_loop(), without another iteration. */
static void detach_at_once(struct fixture *f)
{
	assert_int_equal(ringwake_uv_detach(f->binding), 0);
	assert_int_equal(uv_loop_close(&f->loop), 0);
}

static pthread_barrier_t running, released;

static void block(uv_work_t *request)
{
	pthread_barrier_wait(&running);
	pthread_barrier_wait(&released);
	run_task(request);
}

static void init_barriers(void)
{
	pthread_barrier_init(&running, NULL, 2);
	pthread_barrier_init(&released, NULL, 2);
}

static void destroy_barriers(void)
{
	pthread_barrier_destroy(&running);
	pthread_barrier_destroy(&released);
}

static void test_from_a_foreign_thread(void **state)
{
	(void)state;
	struct fixture f;
	struct task task = {0};
	struct counter counter;
	open_alive_loop(&f, &counter);
	task.target = ringwake_uv_target(f.binding);
	pthread_t thread = start(send_on_thread, &task);
	while (task.ends == 0)
		assert_int_not_equal(uv_run(&f.loop, UV_RUN_ONCE), 0);
	join(thread);
	assert_int_equal(task.result, 0);
	assert_ended(&task, 0);
	close_counter(&counter);
	close_loop(&f);
}

/* Once the loop has taken the work, the work alone keeps it alive. */
static void test_keeps_the_loop_alive(void **state)
{
	(void)state;
	struct fixture f;
	struct task task = {0};
	struct counter counter;
	init_barriers();
	open_alive_loop(&f, &counter);
	assert_int_equal(ringwake_uv_send_work(ringwake_uv_target(f.binding), NULL, &task.request,
				 block, end_task),
		0);
	while (uv_req_get_type((uv_req_t *)&task.request) != UV_WORK)
		assert_int_not_equal(uv_run(&f.loop, UV_RUN_NOWAIT), 0);
	pthread_barrier_wait(&running);
	close_counter(&counter);
	while (!counter.closed)
		assert_int_not_equal(uv_run(&f.loop, UV_RUN_NOWAIT), 0);
	assert_true(uv_loop_alive(&f.loop));
	assert_int_equal(ringwake_uv_detach(f.binding), UV_EBUSY);
	assert_int_equal(ringwake_uv_cancel((uv_req_t *)&task.request), UV_EBUSY);
	pthread_barrier_wait(&released);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_ended(&task, 0);
	destroy_barriers();
	close_loop(&f);
}

static void send_another(uv_work_t *request)
{
	struct task *task = (struct task *)request;
	task->result = send_task(task + 1);
}

/* A worker sends more work. The work that runs keeps the loop alive. */
static void test_from_a_worker(void **state)
{
	(void)state;
	struct fixture f;
	struct task tasks[2];
	memset(tasks, 0, sizeof tasks);
	open_loop(&f);
	assert_int_equal(ringwake_pool_open(&tasks[1].pool, 1), 0);
	tasks[1].target = ringwake_uv_target(f.binding);
	assert_int_equal(
		ringwake_uv_queue_work(f.binding, &tasks[0].request, send_another, end_task), 0);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(tasks[0].result, 0);
	assert_ended(&tasks[1], 0);
	struct ringwake_pool_stats stats;
	ringwake_pool_get_stats(tasks[1].pool, &stats, sizeof stats);
	assert_int_equal(stats.submitted, 1);
	ringwake_pool_close(tasks[1].pool, RINGWAKE_POOL_FINISH);
	close_loop(&f);
}

static void run_until_end(struct fixture *f, const struct task *task)
{
	while (task->ends == 0) {
		assert_true(uv_loop_alive(&f->loop));
		uv_run(&f->loop, UV_RUN_ONCE);
	}
}

/* A cancel before the loop has taken the work, and while it is queued in its pool. */
static void test_cancel(void **state)
{
	(void)state;
	struct fixture f;
	struct task early = {0}, blocker = {0}, queued = {0};
	struct counter counter;
	init_barriers();
	open_alive_loop(&f, &counter);
	send_from_thread(&early, &f);
	assert_int_equal(ringwake_uv_cancel((uv_req_t *)&early.request), 0);
	assert_int_equal(ringwake_uv_cancel((uv_req_t *)&early.request), UV_EBUSY);
	assert_int_equal(early.ends, 0);
	run_until_end(&f, &early);
	assert_ended(&early, UV_ECANCELED);
	assert_int_equal(ringwake_uv_cancel((uv_req_t *)&early.request), UV_EBUSY);

	assert_int_equal(ringwake_pool_open(&queued.pool, 1), 0);
	assert_int_equal(ringwake_uv_queue_work_on(
				 f.binding, queued.pool, &blocker.request, block, end_task),
		0);
	pthread_barrier_wait(&running);
	send_from_thread(&queued, &f);
	while (uv_req_get_type((uv_req_t *)&queued.request) != UV_WORK)
		assert_int_not_equal(uv_run(&f.loop, UV_RUN_NOWAIT), 0);
	assert_int_equal(ringwake_uv_cancel((uv_req_t *)&queued.request), 0);
	pthread_barrier_wait(&released);
	run_until_end(&f, &blocker);
	run_until_end(&f, &queued);
	assert_ended(&queued, UV_ECANCELED);
	ringwake_pool_close(queued.pool, RINGWAKE_POOL_FINISH);

	/* The request can be sent again. */
	memset(&early, 0, sizeof early);
	send_from_thread(&early, &f);
	run_until_end(&f, &early);
	assert_ended(&early, 0);
	close_counter(&counter);
	destroy_barriers();
	close_loop(&f);
}

static void test_refused(void **state)
{
	(void)state;
	struct fixture f;
	struct task task = {0};
	open_loop(&f);
	struct ringwake *target = task.target = ringwake_ref(ringwake_uv_target(f.binding));
	assert_int_equal(
		ringwake_uv_send_work(target, NULL, &task.request, NULL, end_task), UV_EINVAL);
	pid_t child = fork();
	if (child == 0)
		_exit(send_task(&task) != -EOWNERDEAD);
	assert_child_succeeds(child);
	close_loop(&f);
	assert_int_equal(send_task(&task), UV_ECANCELED);
	assert_int_equal(task.ends, 0);
	ringwake_unref(target);

	struct ringwake_params params = {.path = test_path};
	assert_int_equal(ringwake_open(&target, NULL, &params), 0); /* of no libuv loop */
	task.target = target;
	assert_int_equal(send_task(&task), UV_EINVAL);
	ringwake_close(target);
}

/* Work that the loop has not taken is cancelled by detach. */
static void test_detach_cancels(void **state)
{
	(void)state;
	struct fixture f;
	struct task task = {0}, without = {0};
	open_loop(&f);
	send_from_thread(&task, &f);
	assert_int_equal(ringwake_uv_send_work(ringwake_uv_target(f.binding), NULL,
				 &without.request, run_task, NULL),
		0);
	detach_at_once(&f);
	assert_ended(&task, UV_ECANCELED);
	assert_int_equal(without.runs, 0);
}

static void *close_pool(void *pool)
{
	ringwake_pool_close(pool, RINGWAKE_POOL_CANCEL);
	return NULL;
}

/* The loop cannot queue the work, because the pool is closing. */
static void test_pool_is_closing(void **state)
{
	(void)state;
	struct fixture f;
	struct task blocker = {0}, queued = {0}, task = {0};
	struct ringwake_pool *pool;
	init_barriers();
	open_loop(&f);
	assert_int_equal(ringwake_pool_open(&pool, 1), 0);
	assert_int_equal(
		ringwake_uv_queue_work_on(f.binding, pool, &blocker.request, block, end_task), 0);
	pthread_barrier_wait(&running);
	assert_int_equal(
		ringwake_uv_queue_work_on(f.binding, pool, &queued.request, run_task, end_task), 0);
	pthread_t closer = start(close_pool, pool);
	run_until_end(&f, &queued); /* close has cancelled it */
	assert_ended(&queued, UV_ECANCELED);
	task.pool = pool;
	send_from_thread(&task, &f);
	run_until_end(&f, &task);
	assert_ended(&task, UV_ECANCELED);
	pthread_barrier_wait(&released);
	join(closer);
	run_until_end(&f, &blocker);
	assert_ended(&blocker, 0);
	destroy_barriers();
	close_loop(&f);
}

enum { SENDERS = 4, TASKS = 200 };

struct sender {
	struct ringwake *target;
	struct ringwake_pool *pool;
	struct task tasks[TASKS];
};

static void *send_many(void *argument)
{
	struct sender *sender = argument;
	for (unsigned i = 0; i < TASKS; i++) {
		struct task *task = &sender->tasks[i];
		task->target = sender->target;
		task->pool = i % 2 ? sender->pool : NULL;
		task->result = send_task(task);
	}
	ringwake_unref(sender->target);
	return NULL;
}

static void check_sender(const struct sender *sender)
{
	for (unsigned i = 0; i < TASKS; i++) {
		const struct task *task = &sender->tasks[i];
		assert_true(task->result == 0 || task->result == UV_ECANCELED);
		assert_int_equal(task->ends, task->result == 0);
		if (task->ends)
			assert_ended(task, task->status == 0 ? 0 : UV_ECANCELED);
		else
			assert_int_equal(task->runs, 0);
	}
}

/* Threads send while the loop is detached: each accepted work ends once, each refused never. */
static void test_threads_send_while_it_detaches(void **state)
{
	(void)state;
	unsigned seed = (unsigned)time(NULL);
	print_message("seed %u\n", seed);
	struct ringwake_pool *pool;
	assert_int_equal(ringwake_pool_open(&pool, 2), 0);
	for (unsigned round = 0; round < rounds_here(40); round++) {
		struct fixture f;
		pthread_t threads[SENDERS];
		struct sender *senders = calloc(SENDERS, sizeof *senders);
		unsigned iterations = rand_r(&seed) % 8;
		assert_non_null(senders);
		open_loop(&f);
		for (unsigned i = 0; i < SENDERS; i++) {
			senders[i].target = ringwake_ref(ringwake_uv_target(f.binding));
			senders[i].pool = pool;
			threads[i] = start(send_many, &senders[i]);
		}
		for (unsigned i = 0; i < iterations; i++)
			uv_run(&f.loop, UV_RUN_NOWAIT);
		while (ringwake_uv_detach(f.binding) == UV_EBUSY)
			uv_run(&f.loop, UV_RUN_NOWAIT);
		for (unsigned i = 0; i < SENDERS; i++)
			join(threads[i]);
		for (unsigned i = 0; i < SENDERS; i++)
			check_sender(&senders[i]);
		assert_int_equal(uv_loop_close(&f.loop), 0);
		free(senders);
	}
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
}

/* ringwake_call() finds out that the caller runs the loop, whatever callback it is in. */
struct asked {
	struct ringwake *target;
	int result;
	unsigned runs;
	uv_thread_t ran_on;
};

static void answer(void *argument)
{
	struct asked *asked = argument;
	asked->runs++;
	asked->ran_on = uv_thread_self();
}

static void call_itself(uv_timer_t *timer)
{
	struct asked *asked = timer->data;
	asked->result = ringwake_call(asked->target, answer, asked, -1);
	uv_close((uv_handle_t *)timer, NULL);
}

static void call_from_worker(uv_work_t *request)
{
	struct asked *asked = request->data;
	asked->result = ringwake_call(asked->target, answer, asked, PATIENCE_NS);
}

static void test_call(void **state)
{
	(void)state;
	struct fixture f;
	struct asked asked = {.result = 1};
	struct task task = {.request.data = &asked};
	uv_timer_t timer;
	open_loop(&f);
	asked.target = ringwake_uv_target(f.binding);
	assert_int_equal(
		ringwake_uv_queue_work(f.binding, &task.request, call_from_worker, end_task), 0);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(asked.result, 0);
	assert_int_equal(asked.runs, 1);
	assert_true(is_this_thread(asked.ran_on));

	assert_int_equal(uv_timer_init(&f.loop, &timer), 0);
	timer.data = &asked;
	assert_int_equal(uv_timer_start(&timer, call_itself, 1, 0), 0);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(asked.result, -EDEADLK);
	assert_int_equal(asked.runs, 1);
	close_loop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_from_a_foreign_thread),
		ON_BOTH_PATHS(test_keeps_the_loop_alive),
		ON_BOTH_PATHS(test_from_a_worker),
		ON_BOTH_PATHS(test_cancel),
		ON_BOTH_PATHS(test_refused),
		ON_BOTH_PATHS(test_detach_cancels),
		ON_BOTH_PATHS(test_pool_is_closing),
		ON_BOTH_PATHS(test_threads_send_while_it_detaches),
		ON_BOTH_PATHS(test_call),
	};
	return RUN_BOUNDED(tests, 60);
}
