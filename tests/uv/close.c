/* SPDX-License-Identifier: MIT */
/* Closes handles: idle ones, ones with a queued message, and while other threads send. */
#include "fixture.h"

#include <sched.h>

static void test_idle_handle(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter;
	open_loop(&f);
	open_counter(&f, &counter, 0);
	assert_false(uv_is_closing(handle_of(&counter)));
	close_counter(&counter);
	assert_true(uv_is_closing(handle_of(&counter)));
	assert_false(counter.closed);
	assert_int_equal(uv_run(&f.loop, UV_RUN_NOWAIT), 0);
	assert_true(counter.closed);
	close_loop(&f);
}

static void test_pending_close_in_one_nowait_iteration(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter;
	open_loop(&f);
	open_counter(&f, &counter, 0);
	send_counter(&counter);
	close_counter(&counter);
	assert_false(counter.closed);
	assert_int_equal(uv_run(&f.loop, UV_RUN_NOWAIT), 0);
	assert_true(counter.closed);
	assert_int_equal(counter.calls, 0);
	close_loop(&f);
}

static void test_without_callback(void **state)
{
	(void)state;
	struct fixture f;
	struct counter idle, pending;
	open_loop(&f);
	open_counter(&f, &idle, 0);
	open_counter(&f, &pending, 0);
	send_counter(&pending);
	ringwake_uv_close(handle_of(&idle), NULL);
	ringwake_uv_close(handle_of(&pending), NULL);
	close_loop(&f);
	assert_int_equal(pending.calls, 0);
}

static void test_in_own_callback(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter;
	open_loop(&f);
	open_counter(&f, &counter, 1);
	send_counter(&counter);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_true(counter.closed);
	assert_int_equal(counter.calls, 1);
	close_loop(&f);
}

/* Each handle's callback closes the other handle, whose message is also queued. */
struct pair {
	struct counter counter;
	struct counter *other;
};

static void close_other(ringwake_uv_async_t *async)
{
	struct pair *pair = (struct pair *)async;
	count_call(async);
	close_counter(pair->other);
	close_counter(&pair->counter);
}

static void test_in_another_callback(void **state)
{
	(void)state;
	struct fixture f;
	struct pair pairs[2] = {0};
	open_loop(&f);
	for (int i = 0; i < 2; i++) {
		pairs[i].other = &pairs[1 - i].counter;
		assert_int_equal(
			ringwake_uv_async_init(f.binding, &pairs[i].counter.async, close_other), 0);
		send_counter(&pairs[i].counter);
	}
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(pairs[0].counter.calls, 1);
	assert_int_equal(pairs[1].counter.calls, 0);
	assert_true(pairs[0].counter.closed && pairs[1].counter.closed);
	close_loop(&f);
}

static void test_send_to_a_closing_handle(void **state)
{
	(void)state;
	struct fixture f;
	struct counter idle, pending;
	open_loop(&f);
	open_counter(&f, &idle, 0);
	open_counter(&f, &pending, 0);
	send_counter(&pending);
	close_counter(&idle);
	close_counter(&pending);
	assert_int_equal(ringwake_uv_async_send(&idle.async), UV_ECANCELED);
	assert_int_equal(ringwake_uv_async_send(&pending.async), UV_ECANCELED);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(idle.calls, 0);
	assert_int_equal(pending.calls, 0);
	close_loop(&f);
}

static void test_ordinary_handles(void **state)
{
	(void)state;
	struct fixture f;
	uv_timer_t timer;
	uv_async_t async;
	open_loop(&f);
	uv_timer_init(&f.loop, &timer);
	assert_int_equal(uv_async_init(&f.loop, &async, NULL), 0);
	ringwake_uv_close((uv_handle_t *)&timer, NULL);
	ringwake_uv_close((uv_handle_t *)&async, NULL);
	close_loop(&f);
}

/* The close callback frees the memory; the sender no longer uses it by then. */
struct freed {
	struct counter counter;
	bool *gone;
};

static void free_closed(uv_handle_t *handle)
{
	struct freed *freed = (struct freed *)handle;
	*freed->gone = true;
	free(freed);
}

static void test_memory_is_free_in_the_callback(void **state)
{
	(void)state;
	struct fixture f;
	open_loop(&f);
	for (int pending = 0; pending < 2; pending++) {
		bool gone = false;
		struct freed *freed = malloc(sizeof *freed);
		assert_non_null(freed);
		open_counter(&f, &freed->counter, 0);
		freed->gone = &gone;
		if (pending)
			send_counter(&freed->counter);
		ringwake_uv_close(handle_of(&freed->counter), free_closed);
		assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
		assert_true(gone);
	}
	close_loop(&f);
}

/* Closed while other threads send: a send returns 0 before the close, UV_ECANCELED after it. */
struct storm {
	struct counter counter;
	_Atomic unsigned refused;
	_Atomic bool wrong;
};

static void *send_until_refused(void *argument)
{
	struct storm *storm = argument;
	int result;
	while ((result = ringwake_uv_async_send(&storm->counter.async)) == 0)
		;
	if (result != UV_ECANCELED)
		atomic_store(&storm->wrong, true);
	atomic_fetch_add(&storm->refused, 1);
	return NULL;
}

static void test_while_senders_run(void **state)
{
	(void)state;
	enum { SENDERS = 3 };
	for (unsigned round = 1; round <= 50; round++) {
		struct fixture f;
		struct storm storm = {0};
		pthread_t threads[SENDERS];
		open_loop(&f);
		open_counter(&f, &storm.counter, round % 7 + 1);
		for (int i = 0; i < SENDERS; i++)
			threads[i] = start(send_until_refused, &storm);
		assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
		assert_true(storm.counter.closed);
		for (int i = 0; i < SENDERS; i++)
			join(threads[i]);
		assert_false(storm.wrong);
		assert_int_equal(storm.refused, SENDERS);
		assert_int_equal(storm.counter.calls, round % 7 + 1);
		close_loop(&f);
	}
}

/*
 * A callback of the loop sends the handle, so the handle's callback is due in the next iteration.
 * Then another callback sends the handle again, and closes it. libuv has closed the handle in that
 * iteration, but the second message is behind more messages than a dispatch runs.
 */
enum { MANY = 300 };

static struct due_handle {
	struct fixture f;
	struct counter counter;
	struct ringwake_msg first, second, others[MANY];
} due_handle;

static void send_and_close(struct ringwake_msg *msg)
{
	(void)msg;
	send_counter(&due_handle.counter);
	close_counter(&due_handle.counter);
}

static void ignore(struct ringwake_msg *msg)
{
	(void)msg;
}

static void send_message(struct ringwake_msg *msg, ringwake_msg_fn fn)
{
	msg->fn = fn;
	assert_int_equal(ringwake_send(ringwake_uv_target(due_handle.f.binding), msg), 0);
}

static void send_all(struct ringwake_msg *msg)
{
	(void)msg;
	send_counter(&due_handle.counter);
	send_message(&due_handle.second, send_and_close);
	for (unsigned i = 0; i < MANY; i++)
		send_message(&due_handle.others[i], ignore);
}

static void test_due_handle(void **state)
{
	(void)state;
	for (int on_ring = 0; on_ring < 2; on_ring++) {
		memset(&due_handle, 0, sizeof due_handle);
		open_loop(&due_handle.f);
		open_counter(&due_handle.f, &due_handle.counter, 0);
		send_message(&due_handle.first, send_all);
		if (on_ring)
			ringwake_uv_run(due_handle.f.binding, UV_RUN_DEFAULT);
		close_loop(&due_handle.f);
		assert_true(due_handle.counter.closed);
		assert_int_equal(due_handle.counter.calls, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_idle_handle),
		ON_BOTH_PATHS(test_pending_close_in_one_nowait_iteration),
		ON_BOTH_PATHS(test_without_callback),
		ON_BOTH_PATHS(test_in_own_callback),
		ON_BOTH_PATHS(test_in_another_callback),
		ON_BOTH_PATHS(test_send_to_a_closing_handle),
		ON_BOTH_PATHS(test_ordinary_handles),
		ON_BOTH_PATHS(test_memory_is_free_in_the_callback),
		ON_BOTH_PATHS(test_while_senders_run),
		ON_BOTH_PATHS(test_due_handle),
	};
	return RUN_BOUNDED(tests, 60);
}
