/* SPDX-License-Identifier: MIT */
/* ringwake_uv_run(): the phases of a turn, timers, uv_stop() and signals. */
#include "fixture.h"

#include <sched.h>
#include <signal.h>

static int run(struct fixture *f, uv_run_mode mode)
{
	return ringwake_uv_run(f->attached, mode);
}

static void *send_from_here(void *argument)
{
	struct counter *counter = argument;
	if (ringwake_uv_async_send(&counter->async) != 0)
		abort();
	return NULL;
}

/* What a callback says next is done in a prepare callback, before the loop sleeps again. */
struct flusher {
	struct fixture f;
	struct counter counter;
	uv_prepare_t prepare;
	uv_check_t check;
	bool work_to_flush;
	unsigned flushed, checks;
	pthread_t thread;
};

static void note_work(ringwake_uv_async_t *async)
{
	struct flusher *flusher = async->data;
	count_call(async);
	flusher->work_to_flush = true;
}

static void flush(uv_prepare_t *prepare)
{
	struct flusher *flusher = prepare->data;
	if (!flusher->work_to_flush)
		return;
	flusher->work_to_flush = false;
	if (++flusher->flushed < 50) {
		send_counter(&flusher->counter);
		return;
	}
	uv_close((uv_handle_t *)&flusher->prepare, NULL);
	uv_close((uv_handle_t *)&flusher->check, NULL);
	close_counter(&flusher->counter);
}

static void note_check(uv_check_t *check)
{
	struct flusher *flusher = check->data;
	flusher->checks++;
}

static void test_prepare_comes_before_sleep(void **state)
{
	(void)state;
	struct flusher flusher = {0};
	open_loop(&flusher.f);
	assert_int_equal(
		ringwake_uv_async_init(flusher.f.attached, &flusher.counter.async, note_work), 0);
	uv_prepare_init(&flusher.f.loop, &flusher.prepare);
	uv_check_init(&flusher.f.loop, &flusher.check);
	flusher.counter.async.data = flusher.prepare.data = flusher.check.data = &flusher;
	uv_prepare_start(&flusher.prepare, flush);
	uv_check_start(&flusher.check, note_check);
	pthread_t thread = start(send_from_here, &flusher.counter);
	assert_int_equal(run(&flusher.f, UV_RUN_DEFAULT), 0);
	join(thread);
	assert_int_equal(flusher.flushed, 50);
	assert_true(flusher.checks >= 50);
	close_loop(&flusher.f);
}

/* Prepare handles that were started before the loop was attached run before the sleep all the same.
 */
static void test_prepare_from_before_the_attach(void **state)
{
	(void)state;
	struct flusher flusher = {0};
	assert_int_equal(uv_loop_init(&flusher.f.loop), 0);
	uv_prepare_init(&flusher.f.loop, &flusher.prepare);
	uv_check_init(&flusher.f.loop, &flusher.check);
	uv_prepare_start(&flusher.prepare, flush);
	uv_check_start(&flusher.check, note_check);
	flusher.f.attached = attach(&flusher.f.loop);
	assert_int_equal(
		ringwake_uv_async_init(flusher.f.attached, &flusher.counter.async, note_work), 0);
	flusher.counter.async.data = flusher.prepare.data = flusher.check.data = &flusher;
	send_counter(&flusher.counter);
	assert_int_equal(run(&flusher.f, UV_RUN_DEFAULT), 0);
	assert_int_equal(flusher.flushed, 50);
	close_loop(&flusher.f);
}

/* The loop's time is the time at which it woke up, not that at which it fell asleep. */
struct clock {
	struct fixture f;
	struct counter counter;
	uv_timer_t timer;
	uint64_t set_at, fired_at;
};

static void fire(uv_timer_t *timer)
{
	struct clock *clock = timer->data;
	clock->fired_at = uv_hrtime();
	uv_close((uv_handle_t *)timer, NULL);
}

static void set_timer(ringwake_uv_async_t *async)
{
	struct clock *clock = async->data;
	count_call(async);
	clock->set_at = uv_hrtime();
	uv_timer_start(&clock->timer, fire, 40, 0);
}

static void *send_after_a_while(void *argument)
{
	uint64_t end = uv_hrtime() + 60 * 1000000;
	while (uv_hrtime() < end)
		sched_yield();
	return send_from_here(argument);
}

static void test_time_is_fresh(void **state)
{
	(void)state;
	struct clock clock = {.counter.close_at = 1};
	open_loop(&clock.f);
	uv_timer_init(&clock.f.loop, &clock.timer);
	assert_int_equal(
		ringwake_uv_async_init(clock.f.attached, &clock.counter.async, set_timer), 0);
	clock.timer.data = clock.counter.async.data = &clock;
	pthread_t thread = start(send_after_a_while, &clock.counter);
	assert_int_equal(run(&clock.f, UV_RUN_DEFAULT), 0);
	join(thread);
	assert_true(clock.fired_at - clock.set_at >= 38 * 1000000);
	close_loop(&clock.f);
}

static void count_tick(uv_timer_t *timer)
{
	++*(unsigned *)timer->data;
}

static void test_timers(void **state)
{
	(void)state;
	struct fixture f;
	uv_timer_t first, second;
	unsigned ticks = 0, repeats = 0;
	open_loop(&f);
	uv_timer_init(&f.loop, &first);
	uv_timer_init(&f.loop, &second);
	first.data = &ticks;
	second.data = &repeats;
	uv_timer_start(&first, count_tick, 25, 0);
	uv_timer_start(&second, count_tick, 1, 1);
	uint64_t began = uv_hrtime();
	assert_int_not_equal(run(&f, UV_RUN_ONCE), 0);
	assert_true(repeats >= 1);
	while (ticks == 0)
		assert_int_not_equal(run(&f, UV_RUN_ONCE), 0);
	assert_true(uv_hrtime() - began >= 23 * 1000000);
	uv_timer_stop(&second);
	uv_timer_start(&first, count_tick, 3, 0);
	assert_int_equal(run(&f, UV_RUN_DEFAULT), 0);
	assert_int_equal(ticks, 2);
	uv_close((uv_handle_t *)&first, NULL);
	uv_close((uv_handle_t *)&second, NULL);
	assert_int_equal(run(&f, UV_RUN_DEFAULT), 0);
	close_loop(&f);
}

static void stop_loop(ringwake_uv_async_t *async)
{
	count_call(async);
	uv_stop(uv_handle_get_loop((uv_handle_t *)async));
}

static void test_uv_stop(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter = {0};
	open_loop(&f);
	assert_int_equal(ringwake_uv_async_init(f.attached, &counter.async, stop_loop), 0);
	for (unsigned i = 1; i <= 5; i++) {
		pthread_t thread = start(send_from_here, &counter);
		assert_int_not_equal(run(&f, UV_RUN_DEFAULT), 0);
		join(thread);
		assert_int_equal(counter.calls, i);
	}
	close_counter(&counter);
	assert_int_equal(run(&f, UV_RUN_DEFAULT), 0);
	close_loop(&f);
}

static void on_signal(uv_signal_t *handle, int number)
{
	(void)number;
	uv_close((uv_handle_t *)handle, NULL);
}

static void *raise_signal(void *argument)
{
	pthread_kill(*(pthread_t *)argument, SIGUSR2);
	return NULL;
}

static void test_uv_signal(void **state)
{
	(void)state;
	struct fixture f;
	uv_signal_t handle;
	pthread_t self = pthread_self();
	open_loop(&f);
	uv_signal_init(&f.loop, &handle);
	assert_int_equal(uv_signal_start(&handle, on_signal, SIGUSR2), 0);
	pthread_t thread = start(raise_signal, &self);
	assert_int_equal(run(&f, UV_RUN_DEFAULT), 0);
	join(thread);
	close_loop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_prepare_comes_before_sleep),
		ON_BOTH_PATHS(test_prepare_from_before_the_attach),
		ON_BOTH_PATHS(test_time_is_fresh),
		ON_BOTH_PATHS(test_timers),
		ON_BOTH_PATHS(test_uv_stop),
		ON_BOTH_PATHS(test_uv_signal),
	};
	return RUN_BOUNDED(tests, 90);
}
