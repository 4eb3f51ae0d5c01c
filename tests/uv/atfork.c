/* SPDX-License-Identifier: MIT */
/*
 * pthread_atfork() handlers that are registered before and after the first loop. They use libuv
 * before the fork, in the parent and in the child.
 */
#include "../common.h"

#include <ringwake/uv-compat.h>
#include <sys/wait.h>

static uv_loop_t loop; /* open while the process forks */
static uv_async_t
	async; /* of that loop, and the async to which the handlers send before the fork */
static uv_async_t parents;
static bool is_on; /* the handlers must do something */

static void die(int error)
{
	if (error < 0)
		abort();
}

static void close_itself(uv_async_t *handle)
{
	uv_close((uv_handle_t *)handle, NULL);
}

static void do_nothing(uv_work_t *request)
{
	(void)request;
}

/* Opens, uses and closes a loop. */
static void use_a_loop(bool with_work)
{
	uv_loop_t own;
	uv_async_t handle;
	uv_work_t work;
	die(uv_loop_init(&own));
	die(uv_async_init(&own, &handle, close_itself));
	if (with_work)
		die(uv_queue_work(&own, &work, do_nothing, NULL));
	die(uv_async_send(&handle));
	die(uv_run(&own, UV_RUN_DEFAULT));
	die(uv_loop_close(&own));
}

static void in_prepare(void)
{
	if (!is_on)
		return;
	use_a_loop(true);
	die(uv_async_send(&parents));
}

static void in_parent(void)
{
	if (!is_on)
		return;
	use_a_loop(true);
	die(uv_async_send(&parents));
}

static void in_child(void)
{
	if (!is_on)
		return;
	use_a_loop(false);
	die(uv_loop_fork(&loop)); /* both handlers call it */
}

static unsigned calls;
static void count_call(uv_async_t *handle)
{
	(void)handle;
	calls++;
}

static void *use_libuv(void *argument)
{
	_Atomic bool *stop = argument;
	while (!atomic_load(stop))
		use_a_loop(true);
	return NULL;
}

static int child_status(void)
{
	calls = 0;
	use_a_loop(false);
	die(uv_async_send(&async));
	while (calls == 0)
		uv_run(&loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&async, NULL);
	uv_close((uv_handle_t *)&parents, NULL);
	die(uv_run(&loop, UV_RUN_DEFAULT));
	return uv_loop_close(&loop) < 0;
}

static void fork_times(unsigned times)
{
	is_on = true;
	for (unsigned i = 0; i < times; i++) {
		int status;
		pid_t child = fork();
		if (child == 0)
			_exit(child_status());
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
	}
	is_on = false;
}

static void open_the_loop(void)
{
	setenv("RINGWAKE_PATH", test_path == RINGWAKE_PATH_EVENTFD ? "eventfd" : "", 1);
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(uv_async_init(&loop, &async, count_call), 0);
	assert_int_equal(uv_async_init(&loop, &parents, NULL), 0);
}

static void close_the_loop(void)
{
	uv_run(&loop, UV_RUN_NOWAIT);
	uv_close((uv_handle_t *)&parents, NULL);
	uv_close((uv_handle_t *)&async, NULL);
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void skip_under_sanitizers(void)
{
#if defined __SANITIZE_THREAD__ || defined __SANITIZE_ADDRESS__
	print_message("sanitizers do not support fork() while other threads allocate\n");
	skip();
#endif
}

static void test_handlers_use_libuv(void **state)
{
	(void)state;
	skip_under_sanitizers();
	open_the_loop();
	fork_times(5);
	close_the_loop();
}

/* A child must not find a lock held by a thread that does not exist in the child. */
static void test_with_other_threads(void **state)
{
	(void)state;
	_Atomic bool stop = false;
	pthread_t threads[2];
	skip_under_sanitizers();
	open_the_loop();
	for (int i = 0; i < 2; i++)
		threads[i] = start(use_libuv, &stop);
	fork_times(50);
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++)
		join(threads[i]);
	close_the_loop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_handlers_use_libuv),
		ON_BOTH_PATHS(test_with_other_threads),
	};
	pthread_atfork(in_prepare, in_parent, in_child); /* before any loop */
	uv_loop_t first;
	uv_async_t handle;
	die(uv_loop_init(&first));
	die(uv_async_init(&first, &handle, close_itself));
	die(uv_async_send(&handle));
	die(uv_run(&first, UV_RUN_DEFAULT));
	die(uv_loop_close(&first));
	pthread_atfork(in_prepare, in_parent, in_child); /* after it */
	return RUN_BOUNDED(tests, 120);
}
