/* SPDX-License-Identifier: MIT */
/* ringwake_uv_async_t under plain uv_run(): which callbacks a send causes, and on which thread. */
#include "fixture.h"

#include <sched.h>
#include <signal.h>

static void runs_in_mode(uv_run_mode mode)
{
	struct fixture f;
	struct counter counter;
	open_loop(&f);
	open_counter(&f, &counter, 0);
	for (unsigned i = 1; i <= 3; i++) {
		send_counter(&counter);
		assert_int_equal(counter.calls, i - 1);
		assert_int_not_equal(uv_run(&f.loop, mode), 0);
		assert_int_equal(counter.calls, i);
		assert_true(is_this_thread(counter.thread));
	}
	close_counter(&counter);
	close_loop(&f);
	assert_true(counter.closed);
	assert_int_equal(counter.calls, 3);
}

static void test_run_once(void **state)
{
	(void)state;
	runs_in_mode(UV_RUN_ONCE);
}

static void test_run_nowait(void **state)
{
	(void)state;
	runs_in_mode(UV_RUN_NOWAIT);
}

static void test_run_default(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter;
	open_loop(&f);
	open_counter(&f, &counter, 1);
	send_counter(&counter);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(counter.calls, 1);
	assert_true(counter.closed);
	close_loop(&f);
}

static void test_nowait_without_a_send(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter;
	open_loop(&f);
	open_counter(&f, &counter, 0);
	for (int i = 0; i < 3; i++)
		assert_int_not_equal(uv_run(&f.loop, UV_RUN_NOWAIT), 0);
	assert_int_equal(counter.calls, 0);
	close_counter(&counter);
	close_loop(&f);
}

static void test_sends_coalesce(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter;
	open_loop(&f);
	open_counter(&f, &counter, 0);
	for (int i = 0; i < 1000; i++)
		send_counter(&counter);
	uv_run(&f.loop, UV_RUN_NOWAIT);
	uv_run(&f.loop, UV_RUN_NOWAIT);
	assert_int_equal(counter.calls, 1);
	close_counter(&counter);
	close_loop(&f);
}

/* After every send a callback runs that sees all writes before the send. */
struct publisher {
	struct counter counter;
	unsigned rounds;
	_Atomic unsigned written;
	unsigned seen;
};

static void look(ringwake_uv_async_t *async)
{
	struct publisher *publisher = (struct publisher *)async;
	count_call(async);
	publisher->seen = atomic_load_explicit(&publisher->written, memory_order_relaxed);
	if (publisher->seen == publisher->rounds)
		close_counter(&publisher->counter);
}

static void *publish(void *argument)
{
	struct publisher *publisher = argument;
	for (unsigned i = 1; i <= publisher->rounds; i++) {
		atomic_store_explicit(&publisher->written, i, memory_order_relaxed);
		int result = ringwake_uv_async_send(&publisher->counter.async);
		/* The callback of an earlier send may have seen the last value and closed the
		 * handle. */
		if (result != 0 && (result != UV_ECANCELED || i < publisher->rounds))
			abort();
	}
	return NULL;
}

static void test_callback_after_the_last_send(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		struct fixture f;
		struct publisher publisher = {.rounds = 5000};
		open_loop(&f);
		assert_int_equal(
			ringwake_uv_async_init(f.binding, &publisher.counter.async, look), 0);
		pthread_t thread = start(publish, &publisher);
		assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
		join(thread);
		assert_int_equal(publisher.seen, publisher.rounds);
		assert_true(publisher.counter.calls >= 1);
		assert_true(publisher.counter.calls <= publisher.rounds);
		close_loop(&f);
	}
}

static void *send_from_here(void *argument)
{
	struct counter *counter = argument;
	if (ringwake_uv_async_send(&counter->async) != 0)
		abort();
	return NULL;
}

static void test_send_from_another_thread_in_once(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter;
	open_loop(&f);
	open_counter(&f, &counter, 0);
	for (unsigned i = 1; i <= 200; i++) {
		pthread_t thread = start(send_from_here, &counter);
		while (counter.calls < i)
			assert_int_not_equal(uv_run(&f.loop, UV_RUN_ONCE), 0);
		join(thread);
		assert_true(is_this_thread(counter.thread));
	}
	close_counter(&counter);
	close_loop(&f);
	assert_int_equal(counter.calls, 200);
}

static void test_null_callback(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter = {0};
	open_loop(&f);
	assert_int_equal(ringwake_uv_async_init(f.binding, &counter.async, NULL), 0);
	send_counter(&counter);
	assert_int_not_equal(uv_run(&f.loop, UV_RUN_NOWAIT), 0);
	pthread_t thread = start(send_from_here, &counter);
	assert_int_not_equal(uv_run(&f.loop, UV_RUN_ONCE), 0); /* the send also wakes the loop */
	join(thread);
	close_counter(&counter);
	close_loop(&f);
	assert_true(counter.closed);
}

static void send_again(ringwake_uv_async_t *async)
{
	count_call(async);
	if (((struct counter *)async)->calls < 10)
		ringwake_uv_async_send(async);
	else
		close_counter((struct counter *)async);
}

static void test_send_in_own_callback(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter = {0};
	open_loop(&f);
	assert_int_equal(ringwake_uv_async_init(f.binding, &counter.async, send_again), 0);
	send_counter(&counter);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(counter.calls, 10);
	close_loop(&f);
}

static void test_only_the_signalled_runs(void **state)
{
	(void)state;
	enum { COUNT = 1000 };
	struct fixture f;
	struct counter *counters = calloc(COUNT, sizeof *counters);
	assert_non_null(counters);
	open_loop(&f);
	for (unsigned i = 0; i < COUNT; i++)
		open_counter(&f, &counters[i], 0);
	send_counter(&counters[7]);
	send_counter(&counters[700]);
	assert_int_not_equal(uv_run(&f.loop, UV_RUN_NOWAIT), 0);
	for (unsigned i = 0; i < COUNT; i++) {
		assert_int_equal(counters[i].calls, i == 7 || i == 700);
		close_counter(&counters[i]);
	}
	close_loop(&f);
	free(counters);
}

/* Signal handlers send: in the loop's running thread, and while it is blocked. */
static struct counter *signalled;
static _Atomic unsigned acknowledged;

static void send_in_handler(int number)
{
	(void)number;
	int saved = errno;
	errno = 4711;
	if (ringwake_uv_async_send(&signalled->async) != 0 || errno != 4711)
		abort();
	errno = saved;
}

static void acknowledge(ringwake_uv_async_t *async)
{
	count_call(async);
	atomic_store(&acknowledged, ((struct counter *)async)->calls);
}

enum { INTERRUPTS = 500 };

static void *interrupt(void *argument)
{
	pthread_t loop_thread = *(pthread_t *)argument;
	for (unsigned i = 1; i <= INTERRUPTS; i++) {
		pthread_kill(loop_thread, SIGUSR1);
		while (atomic_load(&acknowledged) < i)
			sched_yield();
	}
	return NULL;
}

static void test_send_in_signal_handler(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter = {.close_at = INTERRUPTS};
	struct sigaction action = {.sa_handler = send_in_handler}, before;
	open_loop(&f);
	assert_int_equal(ringwake_uv_async_init(f.binding, &counter.async, acknowledge), 0);
	signalled = &counter;
	acknowledged = 0;
	assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
	pthread_t self = pthread_self();
	pthread_t thread = start(interrupt, &self);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	join(thread);
	sigaction(SIGUSR1, &before, NULL);
	assert_int_equal(counter.calls, INTERRUPTS);
	close_loop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_run_once),
		ON_BOTH_PATHS(test_run_nowait),
		ON_BOTH_PATHS(test_run_default),
		ON_BOTH_PATHS(test_nowait_without_a_send),
		ON_BOTH_PATHS(test_sends_coalesce),
		ON_BOTH_PATHS(test_callback_after_the_last_send),
		ON_BOTH_PATHS(test_send_from_another_thread_in_once),
		ON_BOTH_PATHS(test_null_callback),
		ON_BOTH_PATHS(test_send_in_own_callback),
		ON_BOTH_PATHS(test_only_the_signalled_runs),
		ON_BOTH_PATHS(test_send_in_signal_handler),
	};
	return RUN_BOUNDED(tests, 60);
}
