/* SPDX-License-Identifier: MIT */
/* A loop in a forked child, after uv_loop_fork() and ringwake_uv_fork(). */
#include "fork.h"

#include <poll.h>
#include <sys/resource.h>

static void use_in_child(struct fixture *f, struct counter *counter, bool on_ring)
{
	unsigned ends = 0;
	uv_work_t work = {.data = &ends};
	pthread_t thread;
	CHILD_ASSERT(ringwake_uv_async_send(&counter->async) == -EOWNERDEAD);
	CHILD_ASSERT(fork_loop(f));
	CHILD_ASSERT(ringwake_get_path(ringwake_uv_target(f->binding)) == test_path);
	for (unsigned i = 1; i <= 10; i++) {
		CHILD_ASSERT(pthread_create(&thread, NULL, send_from_here, counter) == 0);
		while (counter->calls < i)
			run_loop(f, on_ring, UV_RUN_ONCE);
		CHILD_ASSERT(pthread_join(thread, NULL) == 0);
	}
	CHILD_ASSERT(ringwake_uv_queue_work(f->binding, &work, do_nothing, count_end) == 0);
	close_counter(counter);
	CHILD_ASSERT(uv_run(&f->loop, UV_RUN_DEFAULT) == 0);
	CHILD_ASSERT(counter->closed);
	CHILD_ASSERT(ends == 1);
	close_loop_in_child(f);
}

static void test_child_has_a_loop_of_its_own(void **state)
{
	(void)state;
#ifdef __SANITIZE_THREAD__
	print_message("ThreadSanitizer does not bear threads in a forked child\n");
	skip();
#endif
	for (int on_ring = 0; on_ring < 2; on_ring++) {
		struct fixture f, other;
		struct counter counter;
		unsigned ends = 0;
		uv_work_t work = {.data = &ends}, others_work = {.data = &ends};
		open_loop(&f);
		open_loop(&other);
		settle_workers(&f);
		open_counter(&f, &counter, 0);
		send_counter(&counter);
		run_loop(&f, on_ring, UV_RUN_ONCE);
		assert_int_equal(counter.calls, 1);
		counter.calls = 0;
		/* When it forks, the parent has workers and a message that has not been delivered.
		 */
		assert_int_equal(
			ringwake_uv_queue_work(f.binding, &work, do_nothing, count_end), 0);
		while (ends == 0)
			uv_run(&f.loop, UV_RUN_ONCE);
		assert_int_equal(
			ringwake_uv_queue_work(other.binding, &others_work, do_nothing, count_end),
			0);
		assert_int_equal(uv_run(&other.loop, UV_RUN_DEFAULT), 0);
		send_counter(&counter);
		pid_t child = fork();
		if (child == 0) {
			use_in_child(&f, &counter, on_ring);
			_exit(0);
		}
		assert_child_succeeds(child);
		assert_int_equal(counter.calls, 0);
		assert_int_not_equal(uv_run(&f.loop, UV_RUN_NOWAIT), 0);
		assert_int_equal(counter.calls, 1);
		close_counter(&counter);
		close_loop(&f);
		close_loop(&other);
	}
}

/* A closing handle that waits for its message waits for it in both processes. */
static void test_closing_goes_on_in_both(void **state)
{
	(void)state;
	struct fixture f;
	struct counter pending, idle;
	open_loop(&f);
	open_counter(&f, &pending, 0);
	open_counter(&f, &idle, 0);
	send_counter(&pending);
	close_counter(&pending);
	close_counter(&idle);
	pid_t child = fork();
	if (child == 0) {
		CHILD_ASSERT(fork_loop(&f));
		CHILD_ASSERT(ringwake_uv_async_send(&idle.async) == UV_ECANCELED);
		CHILD_ASSERT(uv_run(&f.loop, UV_RUN_DEFAULT) == 0);
		CHILD_ASSERT(pending.closed && idle.closed);
		CHILD_ASSERT(pending.calls == 0);
		close_loop_in_child(&f);
		_exit(0);
	}
	assert_child_succeeds(child);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_true(pending.closed && idle.closed);
	close_loop(&f);
}

/* libuv allows uv_loop_fork() in a process that has not forked. */
static void test_fork_without_a_fork(void **state)
{
	(void)state;
	for (int on_ring = 0; on_ring < 2; on_ring++) {
		struct fixture f;
		struct counter counter;
		unsigned ends = 0;
		uv_work_t work = {.data = &ends};
		open_loop(&f);
		open_counter(&f, &counter, 0);
		for (unsigned i = 1; i <= 3; i++) {
			assert_int_equal(
				ringwake_uv_queue_work(f.binding, &work, do_nothing, count_end), 0);
			send_counter(&counter);
			assert_int_equal(uv_loop_fork(&f.loop), 0);
			assert_int_equal(ringwake_uv_fork(f.binding), 0);
			while (counter.calls < i || ends < i)
				run_loop(&f, on_ring, UV_RUN_ONCE);
		}
		close_counter(&counter);
		close_loop(&f);
	}
}

/* The child's loop blocks until its timer is due, also if the parent has a message. */
static void count_iteration(uv_prepare_t *prepare)
{
	++*(unsigned *)prepare->data;
}

static void stop_loop(uv_timer_t *timer)
{
	uv_stop(timer->loop);
}

static void use_without_fork(struct fixture *f)
{
	uv_prepare_t prepare;
	uv_timer_t timer;
	unsigned iterations = 0;
	uv_prepare_init(&f->loop, &prepare);
	prepare.data = &iterations;
	uv_prepare_start(&prepare, count_iteration);
	uv_timer_init(&f->loop, &timer);
	uv_timer_start(&timer, stop_loop, 100, 0);
	CHILD_ASSERT(uv_run(&f->loop, UV_RUN_DEFAULT) != 0);
	CHILD_ASSERT(iterations < 10);
}

static void test_child_without_uv_loop_fork_blocks(void **state)
{
	(void)state;
	for (int has_message = 0; has_message < 2; has_message++) {
		struct fixture f;
		struct counter counter;
		open_loop(&f);
		open_counter(&f, &counter, 0);
		assert_int_not_equal(uv_run(&f.loop, UV_RUN_NOWAIT), 0);
		/* With public functions only, the child's loop still sees the parent's
		 * doorbell. */
		if (has_message && ringwake_uv_knows_libuv(f.binding))
			send_counter(&counter);
		pid_t child = fork();
		if (child == 0) {
			use_without_fork(&f);
			_exit(0);
		}
		assert_child_succeeds(child);
		close_counter(&counter);
		close_loop(&f);
	}
}

/* The child ends without a call for the loop. */
static void test_child_that_ends_at_once(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter;
	open_loop(&f);
	open_counter(&f, &counter, 1);
	pid_t child = fork();
	if (child == 0)
		exit(0);
	assert_child_succeeds(child);
	pthread_t thread = start(send_from_here, &counter);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	join(thread);
	close_loop(&f);
}

static void in_an_hour(uv_timer_t *timer)
{
	(void)timer;
}

/* A child that has not called uv_loop_fork() shares the parent's epoll and must not change it. */
static void test_child_that_only_closes(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter;
	uv_timer_t timer;
	open_loop(&f);
	uv_timer_init(&f.loop, &timer);
	uv_timer_start(&timer, in_an_hour, 3600000, 0);
	uv_run(&f.loop, UV_RUN_NOWAIT); /* epoll watches */
	uv_close((uv_handle_t *)&timer, NULL);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	pid_t child = fork();
	if (child == 0) {
		close_loop_in_child(&f);
		_exit(0);
	}
	assert_child_succeeds(child);
	open_counter(&f, &counter, 1);
	uv_run(&f.loop, UV_RUN_NOWAIT);
	send_counter(&counter);
	struct pollfd epoll = {.fd = uv_backend_fd(&f.loop), .events = POLLIN};
	assert_int_equal(poll(&epoll, 1, 0), 1);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	close_loop(&f);
}

/*
 * The child has no descriptor left for a target of its own. Sends are refused, the loop still runs,
 * and a later call succeeds.
 */
static void try_twice(struct fixture *f, struct counter *counter, bool on_ring)
{
	struct rlimit limit, none;
	CHILD_ASSERT(uv_loop_fork(&f->loop) == 0);
	CHILD_ASSERT(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	none = (struct rlimit){0, limit.rlim_max};
	CHILD_ASSERT(setrlimit(RLIMIT_NOFILE, &none) == 0);
	for (int i = 0; i < 2; i++) {
		CHILD_ASSERT(ringwake_uv_fork(f->binding) < 0);
		CHILD_ASSERT(ringwake_uv_async_send(&counter->async) == -EOWNERDEAD);
		run_loop(f, on_ring, UV_RUN_NOWAIT);
	}
	CHILD_ASSERT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHILD_ASSERT(ringwake_uv_fork(f->binding) == 0);
	CHILD_ASSERT(ringwake_uv_async_send(&counter->async) == 0);
	run_loop(f, on_ring, UV_RUN_DEFAULT);
	CHILD_ASSERT(counter->closed && counter->calls == 1);
	close_loop_in_child(f);
}

static void detach_after_failure(struct fixture *f, struct counter *counter)
{
	struct rlimit limit, none;
	CHILD_ASSERT(uv_loop_fork(&f->loop) == 0);
	CHILD_ASSERT(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	none = (struct rlimit){0, limit.rlim_max};
	CHILD_ASSERT(setrlimit(RLIMIT_NOFILE, &none) == 0);
	CHILD_ASSERT(ringwake_uv_fork(f->binding) < 0);
	CHILD_ASSERT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	close_counter(counter);
	CHILD_ASSERT(uv_run(&f->loop, UV_RUN_DEFAULT) == 0);
	CHILD_ASSERT(counter->closed);
	close_loop_in_child(f);
}

static void test_failed_reopen(void **state)
{
	(void)state;
	for (int way = 0; way < 3; way++) {
		struct fixture f;
		struct counter counter;
		open_loop(&f);
		if (way == 1)
			ringwake_uv_ring(f.binding); /* there is one even on eventfd */
		open_counter(&f, &counter, 1);
		pid_t child = fork();
		if (child == 0) {
			way < 2 ? try_twice(&f, &counter, way == 1)
				: detach_after_failure(&f, &counter);
			_exit(0);
		}
		assert_child_succeeds(child);
		send_counter(&counter);
		close_loop(&f);
	}
}

int main(void)
{
	setenv("UV_THREADPOOL_SIZE", "4", 1); /* WORKERS */
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_child_has_a_loop_of_its_own),
		ON_BOTH_PATHS(test_closing_goes_on_in_both),
		ON_BOTH_PATHS(test_fork_without_a_fork),
		ON_BOTH_PATHS(test_child_without_uv_loop_fork_blocks),
		ON_BOTH_PATHS(test_child_that_ends_at_once),
		ON_BOTH_PATHS(test_child_that_only_closes),
		ON_BOTH_PATHS(test_failed_reopen),
	};
	return RUN_BOUNDED(tests, 60);
}
