/* SPDX-License-Identifier: MIT */
/* uv_ref(), uv_unref(), uv_walk() and similar functions handle a ringwake_uv_async_t like a
 * uv_async_t. */
#include "fixture.h"

static void test_keeps_the_loop_alive(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter;
	open_loop(&f);
	assert_false(uv_loop_alive(&f.loop));
	open_counter(&f, &counter, 0);
	assert_true(uv_loop_alive(&f.loop));
	assert_int_not_equal(uv_run(&f.loop, UV_RUN_NOWAIT), 0);
	close_counter(&counter);
	assert_true(uv_loop_alive(&f.loop));
	assert_int_equal(uv_run(&f.loop, UV_RUN_NOWAIT), 0);
	assert_false(uv_loop_alive(&f.loop));
	close_loop(&f);
}

static void test_unref_lets_the_loop_end(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter;
	open_loop(&f);
	open_counter(&f, &counter, 0);
	assert_true(uv_has_ref(handle_of(&counter)));
	uv_unref(handle_of(&counter));
	uv_unref(handle_of(&counter));
	assert_false(uv_has_ref(handle_of(&counter)));
	assert_true(uv_is_active(handle_of(&counter)));
	assert_false(uv_loop_alive(&f.loop));
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	uv_ref(handle_of(&counter));
	uv_ref(handle_of(&counter));
	assert_true(uv_has_ref(handle_of(&counter)));
	assert_true(uv_loop_alive(&f.loop));
	close_counter(&counter);
	close_loop(&f);
}

static void test_unreferenced_still_runs(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter, other;
	open_loop(&f);
	open_counter(&f, &counter, 0);
	open_counter(&f, &other, 1);
	uv_unref(handle_of(&counter));
	send_counter(&counter);
	send_counter(&other);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(counter.calls, 1);
	close_counter(&counter);
	close_loop(&f);
	assert_true(counter.closed);
}

static void test_closes_when_unreferenced(void **state)
{
	(void)state;
	struct fixture f;
	struct counter idle, pending;
	open_loop(&f);
	open_counter(&f, &idle, 0);
	open_counter(&f, &pending, 0);
	uv_unref(handle_of(&idle));
	uv_unref(handle_of(&pending));
	send_counter(&pending);
	close_counter(&idle);
	close_counter(&pending);
	close_loop(&f);
	assert_true(idle.closed);
	assert_true(pending.closed);
}

static void test_is_like_a_uv_async(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter;
	open_loop(&f);
	open_counter(&f, &counter, 0);
	uv_handle_t *handle = handle_of(&counter);
	assert_true(uv_is_active(handle));
	assert_false(uv_is_closing(handle));
	assert_int_equal(uv_handle_get_type(handle), UV_ASYNC);
	assert_ptr_equal(uv_handle_get_loop(handle), &f.loop);
	counter.async.data = &f;
	assert_ptr_equal(uv_handle_get_data(handle), &f);
	uv_handle_set_data(handle, handle);
	assert_ptr_equal(counter.async.data, handle);
	uv_os_fd_t fd;
	assert_int_equal(uv_fileno(handle, &fd), UV_EINVAL);
	close_counter(&counter);
	assert_false(uv_is_active(handle));
	assert_true(uv_is_closing(handle));
	assert_int_equal(uv_handle_get_type(handle), UV_ASYNC);
	close_loop(&f);
	assert_ptr_equal(counter.async.data, handle);
}

struct walk {
	struct counter *counters;
	unsigned seen[3];
};

static void note(uv_handle_t *handle, void *argument)
{
	struct walk *walk = argument;
	struct counter *counter = (struct counter *)handle;
	if (getenv("RINGWAKE_UV_PUBLIC") &&
		(counter < walk->counters || counter > walk->counters + 2))
		return; /* a helper handle */
	assert_int_equal(handle->type, UV_ASYNC);
	assert_true(counter - walk->counters >= 0 && counter - walk->counters <= 2);
	walk->seen[counter - walk->counters]++;
}

static void test_walk_sees_each_handle_once(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counters[3];
	struct walk walk = {.counters = counters};
	open_loop(&f);
	for (int i = 0; i < 3; i++)
		open_counter(&f, &counters[i], 0);
	uv_walk(&f.loop, note, &walk);
	send_counter(&counters[0]);
	uv_run(&f.loop, UV_RUN_NOWAIT);
	close_counter(&counters[1]); /* uv_walk() also reports closing handles */
	uv_walk(&f.loop, note, &walk);
	for (int i = 0; i < 3; i++)
		assert_int_equal(walk.seen[i], 2);
	uv_run(&f.loop, UV_RUN_NOWAIT);
	uv_walk(&f.loop, note, &walk);
	assert_int_equal(walk.seen[0], 3);
	assert_int_equal(walk.seen[1], 2);
	close_counter(&counters[0]);
	close_counter(&counters[2]);
	close_loop(&f);
}

static void close_walked(uv_handle_t *handle, void *argument)
{
	(void)argument;
	if (!uv_is_closing(handle))
		ringwake_uv_close(handle, NULL);
}

static void test_walk_and_close_everything(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counters[3];
	uv_timer_t timer;
	open_loop(&f);
	uv_timer_init(&f.loop, &timer);
	for (int i = 0; i < 3; i++)
		open_counter(&f, &counters[i], 0);
	send_counter(&counters[2]);
	uv_walk(&f.loop, close_walked, NULL);
	close_loop(&f);
}

static void stop_the_loop(ringwake_uv_async_t *async)
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
	assert_int_equal(ringwake_uv_async_init(f.binding, &counter.async, stop_the_loop), 0);
	for (unsigned i = 1; i <= 3; i++) {
		send_counter(&counter);
		assert_int_not_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
		assert_int_equal(counter.calls, i);
	}
	close_counter(&counter);
	close_loop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_keeps_the_loop_alive),
		ON_BOTH_PATHS(test_unref_lets_the_loop_end),
		ON_BOTH_PATHS(test_unreferenced_still_runs),
		ON_BOTH_PATHS(test_closes_when_unreferenced),
		ON_BOTH_PATHS(test_is_like_a_uv_async),
		ON_BOTH_PATHS(test_walk_sees_each_handle_once),
		ON_BOTH_PATHS(test_walk_and_close_everything),
		ON_BOTH_PATHS(test_uv_stop),
	};
	return RUN_BOUNDED(tests, 60);
}
