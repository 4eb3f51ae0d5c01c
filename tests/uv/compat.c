/* SPDX-License-Identifier: MIT */
/* A program for libuv, compiled with <ringwake/uv-compat.h>. */
#include "../common.h"

#include <ringwake/uv-compat.h>

struct counter {
	uv_async_t async;
	unsigned calls;
	bool closed;
};

static void count_call(uv_async_t *async)
{
	((struct counter *)async)->calls++;
}

static void note_close(uv_handle_t *handle)
{
	((struct counter *)handle)->closed = true;
}

static void use_path(void)
{
	setenv("RINGWAKE_PATH", test_path == RINGWAKE_PATH_EVENTFD ? "eventfd" : "", 1);
}

static void test_async(void **state)
{
	(void)state;
	uv_loop_t loop;
	struct counter counter = {0};
	use_path();
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(uv_async_init(&loop, &counter.async, count_call), 0);
	assert_int_equal(uv_async_send(&counter.async), 0);
	assert_int_equal(uv_async_send(&counter.async), 0);
	assert_int_not_equal(uv_run(&loop, UV_RUN_NOWAIT), 0);
	assert_int_equal(counter.calls, 1);
	assert_int_equal(uv_loop_close(&loop), UV_EBUSY);
	assert_int_equal(uv_async_send(&counter.async), 0);
	uv_close((uv_handle_t *)&counter.async, note_close);
	assert_int_equal(uv_async_send(&counter.async), 0); /* closing: no callback follows */
	assert_int_equal(uv_loop_close(&loop), UV_EBUSY);
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	assert_true(counter.closed);
	assert_int_equal(counter.calls, 1);
	assert_int_equal(uv_loop_close(&loop), 0);
}

/* ringwake delivers the callbacks. */
static void test_loop_has_a_target(void **state)
{
	(void)state;
	uv_loop_t loop;
	struct counter counter = {0};
	struct ringwake_uv *binding;
	use_path();
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(uv_async_init(&loop, &counter.async, count_call), 0);
	assert_int_equal(ringwake_uv_of_loop(&binding, &loop), 0);
	assert_int_equal(uv_async_send(&counter.async), 0);
	assert_int_not_equal(uv_run(&loop, UV_RUN_ONCE), 0);
	assert_int_equal(
		stats_of(ringwake_uv_target(binding)).messages, ringwake_uv_knows_libuv(binding));
	uv_close((uv_handle_t *)&counter.async, NULL);
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

/* Handles in memory of the size that libuv reports, by any of its functions. */
static void test_size_is_libuvs(void **state)
{
	(void)state;
	uv_loop_t *loop = malloc(uv_loop_size());
	union uv_any_handle any;
	uv_async_t *async = malloc(uv_handle_size(UV_ASYNC));
	use_path();
	assert_int_equal(uv_loop_init(loop), 0);
	assert_int_equal(uv_async_init(loop, async, NULL), 0);
	assert_int_equal(uv_async_init(loop, &any.async, NULL), 0);
	assert_int_equal(uv_async_send(async), 0);
	assert_int_equal(uv_async_send(&any.async), 0);
	assert_int_not_equal(uv_run(loop, UV_RUN_ONCE), 0);
	uv_close((uv_handle_t *)async, free_handle);
	uv_close(&any.handle, NULL);
	assert_int_equal(uv_run(loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(loop), 0);
	free(loop);
}

static void do_work(uv_work_t *request)
{
	*(uv_thread_t *)request->data = uv_thread_self();
}

static void test_work(void **state)
{
	(void)state;
	uv_loop_t loop;
	uv_thread_t self = uv_thread_self(), there = self;
	uv_work_t request = {.data = &there};
	use_path();
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(uv_queue_work(&loop, &request, do_work, NULL), 0);
	assert_int_equal(uv_loop_close(&loop), UV_EBUSY);
	int result = uv_cancel((uv_req_t *)&request);
	assert_true(result == 0 || result == UV_EBUSY);
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	if (result == UV_EBUSY)
		assert_false(uv_thread_equal(&self, &there));
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void stat_done(uv_fs_t *request)
{
	uv_fs_req_cleanup(request);
}

/* The loop has a million handles. One handle and libuv's own workers wake the loop. */
static void test_million_handles(void **state)
{
	(void)state;
	enum { COUNT = 1000000 };
	if (getenv("RINGWAKE_UV_PUBLIC")) {
		print_message("with public functions only, the handles are libuv's own\n");
		skip();
	}
	uv_loop_t loop;
	struct counter *counters = calloc(COUNT, sizeof *counters);
	assert_non_null(counters);
	use_path();
	assert_int_equal(uv_loop_init(&loop), 0);
	for (unsigned i = 0; i < COUNT; i++)
		assert_int_equal(uv_async_init(&loop, &counters[i].async, count_call), 0);
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(uv_async_send(&counters[i * 999].async), 0);
		assert_int_not_equal(uv_run(&loop, UV_RUN_ONCE), 0);
		assert_int_equal(counters[i * 999].calls, 1);
	}
	uv_fs_t request;
	assert_int_equal(uv_fs_stat(&loop, &request, "/", stat_done), 0);
	for (unsigned i = 0; i < COUNT; i++) {
		assert_int_equal(uv_async_send(&counters[i].async), 0);
		uv_close((uv_handle_t *)&counters[i].async, note_close);
	}
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	for (unsigned i = 0; i < COUNT; i++)
		assert_true(counters[i].closed);
	assert_int_equal(uv_loop_close(&loop), 0);
	free(counters);
}

/* A send to a handle that was closed long ago is harmless. */
struct late {
	struct counter counter;
	_Atomic bool closed;
};

static void *send_on(void *argument)
{
	struct late *late = argument;
	for (int left = 1000; left > 0; left -= atomic_load(&late->closed))
		if (uv_async_send(&late->counter.async) != 0)
			abort();
	return NULL;
}

static void test_late_sends(void **state)
{
	(void)state;
	uv_loop_t loop;
	struct late late = {0};
	use_path();
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(uv_async_init(&loop, &late.counter.async, count_call), 0);
	pthread_t thread = start(send_on, &late);
	while (late.counter.calls < 10)
		assert_int_not_equal(uv_run(&loop, UV_RUN_ONCE), 0);
	uv_close((uv_handle_t *)&late.counter.async, note_close);
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	assert_true(late.counter.closed);
	unsigned calls = late.counter.calls;
	atomic_store(&late.closed, true);
	join(thread);
	assert_int_equal(late.counter.calls, calls);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_default_loop(void **state)
{
	(void)state;
	use_path();
	for (int i = 0; i < 3; i++) {
		uv_async_t async;
		assert_int_equal(uv_async_init(uv_default_loop(), &async, NULL), 0);
		uv_close((uv_handle_t *)&async, NULL);
		assert_int_equal(uv_run(uv_default_loop(), UV_RUN_DEFAULT), 0);
		assert_int_equal(uv_loop_close(uv_default_loop()), 0);
		uv_loop_t *loop = uv_loop_new();
		assert_int_equal(uv_async_init(loop, &async, NULL), 0);
		uv_close((uv_handle_t *)&async, NULL);
		assert_int_equal(uv_run(loop, UV_RUN_DEFAULT), 0);
		uv_loop_delete(loop);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_async),
		ON_BOTH_PATHS(test_loop_has_a_target),
		ON_BOTH_PATHS(test_size_is_libuvs),
		ON_BOTH_PATHS(test_work),
		ON_BOTH_PATHS(test_million_handles),
		ON_BOTH_PATHS(test_late_sends),
		ON_BOTH_PATHS(test_default_loop),
	};
	return RUN_BOUNDED(tests, 120);
}
