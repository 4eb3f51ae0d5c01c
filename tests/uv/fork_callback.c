/* SPDX-License-Identifier: MIT */
/* A callback forks, in the midst of an iteration of the loop. */
#include "fork.h"

struct forker {
	struct counter counter;
	struct fixture *f;
	struct counter *later; /* its message is the next of the same dispatch, and the parent's */
	pid_t child;
};

static void fork_now(ringwake_uv_async_t *async)
{
	struct forker *forker = (struct forker *)async;
	count_call(async);
	if (forker->counter.calls == 1) {
		send_counter(forker->later);
		forker->child = fork();
		if (forker->child == 0)
			CHILD_ASSERT(fork_loop(forker->f));
	}
	if (forker->child == 0 && forker->counter.calls == 1) {
		send_counter(&forker->counter); /* for the child's loop */
		return;
	}
	close_counter(&forker->counter);
	close_counter(forker->later);
}

static void test_fork_in_a_callback(void **state)
{
	(void)state;
	for (int on_ring = 0; on_ring < 2; on_ring++) {
		struct fixture f;
		struct counter later;
		struct forker forker = {.f = &f, .later = &later};
		open_loop(&f);
		open_counter(&f, &later, 0);
		assert_int_equal(
			ringwake_uv_async_init(f.binding, &forker.counter.async, fork_now), 0);
		send_counter(&forker.counter);
		int alive = run_loop(&f, on_ring, UV_RUN_DEFAULT);
		if (forker.child == 0) {
			CHILD_ASSERT(alive == 0);
			CHILD_ASSERT(forker.counter.calls == 2 && later.calls == 0);
			close_loop_in_child(&f);
			_exit(0);
		}
		assert_int_equal(alive, 0);
		assert_child_succeeds(forker.child);
		close_loop(&f);
	}
}

struct splitter {
	struct counter counter;
	uv_timer_t timer;
	pid_t child;
};

static void end_child(uv_timer_t *timer)
{
	(void)timer;
	_exit(0);
}

static void fork_once(ringwake_uv_async_t *async)
{
	struct splitter *splitter = (struct splitter *)async;
	count_call(async);
	if (splitter->counter.calls > 1)
		return;
	splitter->child = fork();
	if (splitter->child == 0)
		uv_timer_start(&splitter->timer, end_child, 20, 0);
	else
		assert_child_succeeds(splitter->child);
}

/* The child runs its loop without uv_loop_fork() until its timer ends it. The parent waits for the
 * child, and then uses its ring again. */
static void test_child_that_goes_on(void **state)
{
	(void)state;
	for (int on_ring = 0; on_ring < 2; on_ring++) {
		struct fixture f;
		struct splitter splitter = {.counter.close_at = 100, .child = -1};
		open_loop(&f);
		assert_int_equal(uv_timer_init(&f.loop, &splitter.timer), 0);
		assert_int_equal(
			ringwake_uv_async_init(f.binding, &splitter.counter.async, fork_once), 0);
		/* The parent has no other thread when it forks: ThreadSanitizer does not support
		 * that. */
		send_counter(&splitter.counter);
		while (splitter.counter.calls < 1 || splitter.child == 0)
			run_loop(&f, on_ring, UV_RUN_ONCE);
		for (unsigned i = 2; i <= 100; i++) {
			pthread_t thread = start(send_from_here, &splitter.counter);
			while (splitter.counter.calls < i)
				run_loop(&f, on_ring, UV_RUN_ONCE);
			join(thread);
		}
		uv_close((uv_handle_t *)&splitter.timer, NULL);
		close_loop(&f);
	}
}

/* The parent's loop blocks on a ring. A callback forks, and the child's loop has no ring. */
struct ringless {
	struct fixture f;
	struct counter counter;
	uv_timer_t timer, again;
	bool in_timer;
	unsigned calls_in_child;
	pid_t child;
};

static void lose_the_ring(struct ringless *ringless)
{
	ringless->child = fork();
	if (ringless->child != 0)
		return;
	setenv("RINGWAKE_PATH", "eventfd", 1);
	CHILD_ASSERT(fork_loop(&ringless->f));
	CHILD_ASSERT(ringwake_get_path(ringwake_uv_target(ringless->f.binding)) ==
		RINGWAKE_PATH_EVENTFD);
}

static void send_now(uv_timer_t *timer)
{
	struct ringless *ringless = timer->data;
	send_counter(&ringless->counter);
	uv_close((uv_handle_t *)timer, NULL);
}

/* The loop blocks once more before the message. */
static void fork_then_send(uv_timer_t *timer)
{
	struct ringless *ringless = timer->data;
	if (ringless->in_timer)
		lose_the_ring(ringless);
	uv_timer_start(timer, send_now, 5, 0);
}

static void fork_when_called(ringwake_uv_async_t *async)
{
	struct ringless *ringless = async->data;
	if (!ringless->in_timer && ringless->calls_in_child == 0)
		lose_the_ring(ringless);
	if (!ringless->in_timer && ringless->child == 0 && ++ringless->calls_in_child == 1) {
		uv_timer_init(&ringless->f.loop, &ringless->again);
		ringless->again.data = ringless;
		uv_timer_start(&ringless->again, send_now, 5, 0);
		return;
	}
	count_call(async);
}

static void lose_the_ring_in(bool in_timer)
{
	struct ringless ringless = {.in_timer = in_timer, .child = -1};
	open_loop(&ringless.f); /* skips */
	assert_int_equal(ringwake_uv_detach(ringless.f.binding), 0);
	assert_int_equal(ringwake_uv_attach(&ringless.f.binding, &ringless.f.loop, NULL), 0);
	ringless.counter.close_at = 1;
	assert_int_equal(ringwake_uv_async_init(
				 ringless.f.binding, &ringless.counter.async, fork_when_called),
		0);
	ringless.counter.async.data = &ringless;
	uv_timer_init(&ringless.f.loop, &ringless.timer);
	ringless.timer.data = &ringless;
	uv_timer_start(&ringless.timer, fork_then_send, 5, 0);
	int alive = ringwake_uv_run(ringless.f.binding, UV_RUN_DEFAULT);
	if (ringless.child == 0)
		_exit(alive != 0 || !ringless.counter.closed);
	assert_int_equal(alive, 0);
	assert_child_succeeds(ringless.child);
	close_loop(&ringless.f);
}

static void test_child_without_a_ring(void **state)
{
	(void)state;
	lose_the_ring_in(true);
	lose_the_ring_in(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_fork_in_a_callback),
		ON_BOTH_PATHS(test_child_that_goes_on),
		ON_BOTH_PATHS(test_child_without_a_ring),
	};
	return RUN_BOUNDED(tests, 60);
}
