/* SPDX-License-Identifier: MIT */
/* ringwake_uv_run(): the loop blocks in its ring. These tests cover what libuv's own tests do not.
 */
#include "../blocked.h"
#include "fixture.h"

#include <poll.h>
#include <sched.h>

static int run(struct fixture *f, uv_run_mode mode)
{
	return ringwake_uv_run(f->binding, mode);
}

static bool waits_in_epoll(const struct fixture *f)
{
	return test_path == RINGWAKE_PATH_EVENTFD || !ringwake_uv_knows_libuv(f->binding);
}

static void end(struct fixture *f)
{
	assert_int_equal(run(f, UV_RUN_DEFAULT), 0);
	close_loop(f);
}

static void *send_from_here(void *argument)
{
	struct counter *counter = argument;
	if (ringwake_uv_async_send(&counter->async) != 0)
		abort();
	return NULL;
}

static void wakes_in_mode(uv_run_mode mode)
{
	struct fixture f;
	struct counter counter;
	open_loop(&f);
	open_counter(&f, &counter, 200);
	for (unsigned i = 1; i <= 200; i++) {
		pthread_t thread = start(send_from_here, &counter);
		while (counter.calls < i && !counter.closed)
			run(&f, mode);
		join(thread);
		assert_int_equal(counter.calls, i);
		assert_true(is_this_thread(counter.thread));
	}
	end(&f);
}

static void test_wakes_in_once(void **state)
{
	(void)state;
	wakes_in_mode(UV_RUN_ONCE);
}

static void test_wakes_in_nowait(void **state)
{
	(void)state;
	wakes_in_mode(UV_RUN_NOWAIT);
}

/* Two loops, each blocked most of the time: a lost wake makes the test hang. */
struct player {
	struct fixture f;
	struct counter counter;
	struct player *other;
};

static void hit(ringwake_uv_async_t *async)
{
	struct player *player = async->data;
	count_call(async);
	int result = ringwake_uv_async_send(&player->other->counter.async);
	if (result != 0 && result != UV_ECANCELED)
		abort();
}

static void *play(void *argument)
{
	struct player *player = argument;
	if (ringwake_uv_run(player->f.binding, UV_RUN_DEFAULT) != 0)
		abort();
	return NULL;
}

static void test_two_loops(void **state)
{
	(void)state;
	static struct player players[2];
	pthread_t threads[2];
	for (int i = 0; i < 2; i++) {
		struct player *player = &players[i];
		memset(player, 0, sizeof *player);
		open_loop(&player->f);
		player->other = &players[1 - i];
		player->counter.close_at = 20000;
		assert_int_equal(
			ringwake_uv_async_init(player->f.binding, &player->counter.async, hit), 0);
		player->counter.async.data = player;
	}
	for (int i = 0; i < 2; i++)
		threads[i] = start(play, &players[i]);
	send_counter(&players[0].counter);
	for (int i = 0; i < 2; i++)
		join(threads[i]);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(players[i].counter.calls, 20000);
		close_loop(&players[i].f);
	}
}

static void *send_when_blocked(void *argument)
{
	await_blocked_loop();
	return send_from_here(argument);
}

/* A callback starts to read a pipe, and another thread writes to it. */
struct reading {
	struct fixture f;
	struct counter counter;
	uv_pipe_t pipe;
	uv_file ends[2];
	char buffer[64];
	unsigned bytes;
};

static void open_reading(struct reading *reading)
{
	memset(reading, 0, sizeof *reading);
	open_loop(&reading->f);
	assert_int_equal(uv_pipe(reading->ends, UV_NONBLOCK_PIPE, UV_NONBLOCK_PIPE), 0);
	uv_pipe_init(&reading->f.loop, &reading->pipe, 0);
	assert_int_equal(uv_pipe_open(&reading->pipe, reading->ends[0]), 0);
	reading->pipe.data = reading;
}

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct reading *reading = handle->data;
	(void)suggested;
	*buffer = uv_buf_init(reading->buffer, sizeof reading->buffer);
}

static void take_bytes(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
	struct reading *reading = stream->data;
	(void)buffer;
	assert_true(count > 0);
	reading->bytes += (unsigned)count;
	uv_close((uv_handle_t *)stream, NULL);
}

static void start_reading(ringwake_uv_async_t *async)
{
	struct reading *reading = async->data;
	count_call(async);
	assert_int_equal(uv_read_start((uv_stream_t *)&reading->pipe, give_buffer, take_bytes), 0);
}

static void *wake_then_write(void *argument)
{
	struct reading *reading = argument;
	send_from_here(&reading->counter);
	if (write(reading->ends[1], "x", 1) != 1)
		abort();
	return NULL;
}

static void test_watcher_started_in_a_callback(void **state)
{
	(void)state;
	struct reading reading;
	open_reading(&reading);
	reading.counter.close_at = 1;
	assert_int_equal(
		ringwake_uv_async_init(reading.f.binding, &reading.counter.async, start_reading),
		0);
	reading.counter.async.data = &reading;
	pthread_t thread = start(wake_then_write, &reading);
	assert_int_equal(run(&reading.f, UV_RUN_DEFAULT), 0);
	join(thread);
	assert_int_equal(reading.bytes, 1);
	close(reading.ends[1]);
	close_loop(&reading.f);
}

/* A ready descriptor that is no longer watched must not end UV_RUN_ONCE without a callback. */
static void test_once_ignores_what_is_not_watched(void **state)
{
	(void)state;
	struct reading reading;
	struct counter counter;
	open_reading(&reading);
	open_counter(&reading.f, &counter, 0);
	assert_int_equal(uv_read_start((uv_stream_t *)&reading.pipe, give_buffer, take_bytes), 0);
	send_counter(&counter);
	assert_int_not_equal(run(&reading.f, UV_RUN_ONCE), 0); /* epoll watches it now */
	assert_int_equal(counter.calls, 1);
	uv_read_stop((uv_stream_t *)&reading.pipe);
	assert_int_equal(write(reading.ends[1], "x", 1), 1);
	pthread_t thread = start(send_when_blocked, &counter);
	assert_int_not_equal(run(&reading.f, UV_RUN_ONCE), 0);
	join(thread); /* blocks, too, if the iteration has ended too early */
	assert_int_equal(counter.calls, 2);
	close_counter(&counter);
	uv_close((uv_handle_t *)&reading.pipe, NULL);
	close(reading.ends[1]);
	end(&reading.f);
}

static void test_once_returns_after_reading(void **state)
{
	(void)state;
	struct reading reading;
	struct counter counter;
	open_reading(&reading);
	open_counter(&reading.f, &counter, 0);
	assert_int_equal(uv_read_start((uv_stream_t *)&reading.pipe, give_buffer, take_bytes), 0);
	assert_int_equal(write(reading.ends[1], "x", 1), 1);
	assert_int_not_equal(run(&reading.f, UV_RUN_ONCE), 0);
	assert_int_equal(reading.bytes, 1);
	close_counter(&counter);
	close(reading.ends[1]);
	end(&reading.f);
}

static void test_alternates_with_uv_run(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter;
	open_loop(&f);
	open_counter(&f, &counter, 0);
	for (unsigned i = 1; i <= 100; i++) {
		pthread_t thread = start(send_from_here, &counter);
		while (counter.calls < i)
			i % 2 ? run(&f, UV_RUN_ONCE) : uv_run(&f.loop, UV_RUN_ONCE);
		join(thread);
	}
	close_counter(&counter);
	end(&f);
}

/* A thread's requests end with the thread. The loop continues in another thread. */
static void *run_one_iteration(void *argument)
{
	struct reading *reading = argument;
	unsigned before = reading->counter.calls;
	while (reading->counter.calls == before)
		run(&reading->f, UV_RUN_ONCE);
	return NULL;
}

static void test_changes_threads(void **state)
{
	(void)state;
	struct reading reading;
	open_reading(&reading);
	open_counter(&reading.f, &reading.counter, 0);
	for (unsigned i = 1; i <= 50; i++) {
		pthread_t thread = start(run_one_iteration, &reading);
		send_counter(&reading.counter);
		join(thread);
		assert_int_equal(reading.counter.calls, i);
	}
	/* The ring still polls libuv's epoll. */
	assert_int_equal(uv_read_start((uv_stream_t *)&reading.pipe, give_buffer, take_bytes), 0);
	close_counter(&reading.counter);
	assert_int_equal(write(reading.ends[1], "x", 1), 1);
	end(&reading.f);
	assert_int_equal(reading.bytes, 1);
	close(reading.ends[1]);
}

struct detaching {
	struct ringwake_msg msg;
	struct ringwake_uv *binding;
	int result;
};

static void try_to_detach(struct ringwake_msg *msg)
{
	struct detaching *message = (struct detaching *)msg;
	message->result = ringwake_uv_detach(message->binding);
}

static void test_detach_while_running_is_refused(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter;
	open_loop(&f);
	struct detaching message = {{.fn = try_to_detach}, f.binding, 0};
	open_counter(&f, &counter, 1);
	assert_int_equal(ringwake_send(ringwake_uv_target(f.binding), &message.msg), 0);
	send_counter(&counter);
	assert_int_equal(run(&f, UV_RUN_DEFAULT), 0);
	assert_int_equal(message.result, UV_EBUSY);
	close_loop(&f);
}

/* A program with its own loop polls libuv's epoll descriptor and runs the libuv loop when it is
 * ready. */
static void test_embedded(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter;
	open_loop(&f);
	open_counter(&f, &counter, 20);
	run(&f, UV_RUN_NOWAIT);
	while (uv_loop_alive(&f.loop)) {
		pthread_t thread = start(send_from_here, &counter);
		unsigned before = counter.calls;
		while (counter.calls == before) {
			struct pollfd entry = {.fd = uv_backend_fd(&f.loop), .events = POLLIN};
			poll(&entry, 1, uv_backend_timeout(&f.loop));
			uv_run(&f.loop, UV_RUN_NOWAIT);
		}
		join(thread);
	}
	assert_int_equal(counter.calls, 20);
	end(&f);
}

/* A callback takes longer than the time until the next timer is due. */
struct long_callback {
	struct fixture f;
	struct counter counter;
	uv_timer_t timer;
	pthread_t thread;
	long blocked; /* how often the loop's thread had blocked when the callback ended */
};

static void run_timer(uv_timer_t *timer)
{
	struct long_callback *test = timer->data;
	assert_int_equal(times_blocked(), test->blocked);
	uv_close((uv_handle_t *)timer, NULL);
}

/* The first message ends the wait of uv_run()'s first iteration, which may be in epoll. */
static void take_long(ringwake_uv_async_t *async)
{
	struct long_callback *test = async->data;
	count_call(async);
	if (test->counter.calls == 1) {
		test->thread = start(send_when_blocked, &test->counter);
		return;
	}
	uv_timer_start(&test->timer, run_timer, 10, 0);
	for (uint64_t end = uv_hrtime() + 20000000; uv_hrtime() < end;)
		;
	test->blocked = times_blocked();
}

static void test_timer_is_due_after_a_long_callback(void **state)
{
	(void)state;
	struct long_callback test = {.counter.close_at = 2};
	open_loop(&test.f);
	assert_int_equal(ringwake_uv_async_init(test.f.binding, &test.counter.async, take_long), 0);
	test.counter.async.data = &test;
	uv_timer_init(&test.f.loop, &test.timer);
	test.timer.data = &test;
	pthread_t thread = start(send_when_blocked, &test.counter);
	assert_int_equal(run(&test.f, UV_RUN_DEFAULT), 0);
	join(thread);
	join(test.thread);
	assert_int_equal(test.counter.calls, 2);
	close_loop(&test.f);
}

/* A flood of messages does not starve the timers and libuv's own descriptors. */
struct flood {
	struct reading reading;
	struct echo {
		struct ringwake_msg msg;
		struct flood *flood;
	} echoes[64];
	uv_timer_t timer;
	unsigned ticks;
};

static void echo_again(struct ringwake_msg *msg)
{
	struct echo *echo = (struct echo *)msg;
	struct flood *flood = echo->flood;
	if (flood->ticks < 20 || flood->reading.bytes == 0)
		ringwake_send(ringwake_uv_target(flood->reading.f.binding), &echo->msg);
}

static void tick(uv_timer_t *timer)
{
	struct flood *flood = timer->data;
	flood->ticks++;
	if (flood->ticks == 10)
		assert_int_equal(write(flood->reading.ends[1], "x", 1), 1);
	if (flood->ticks == 20)
		uv_close((uv_handle_t *)timer, NULL);
}

static void test_flood(void **state)
{
	(void)state;
	static struct flood flood;
	memset(&flood, 0, sizeof flood);
	open_reading(&flood.reading);
	struct fixture *f = &flood.reading.f;
	assert_int_equal(
		uv_read_start((uv_stream_t *)&flood.reading.pipe, give_buffer, take_bytes), 0);
	uv_timer_init(&f->loop, &flood.timer);
	flood.timer.data = &flood;
	uv_timer_start(&flood.timer, tick, 1, 1);
	for (int i = 0; i < 64; i++) {
		flood.echoes[i] = (struct echo){{.fn = echo_again}, &flood};
		assert_int_equal(
			ringwake_send(ringwake_uv_target(f->binding), &flood.echoes[i].msg), 0);
	}
	assert_int_equal(run(f, UV_RUN_DEFAULT), 0);
	assert_int_equal(flood.ticks, 20);
	assert_int_equal(flood.reading.bytes, 1);
	close(flood.reading.ends[1]);
	close_loop(f);
}

/*
 * A late doorbell, whose message was already taken, must not end UV_RUN_ONCE. A loop that waits in
 * epoll cannot detect this: libuv returns from UV_RUN_ONCE for any ready descriptor.
 */
static void test_once_returns_for_a_callback(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter;
	open_loop(&f);
	open_counter(&f, &counter, 1000);
	for (unsigned i = 1; i <= 1000; i++) {
		pthread_t thread = start(send_from_here, &counter);
		int alive = run(&f, UV_RUN_ONCE);
		if (counter.calls < i && waits_in_epoll(&f))
			alive = run(&f, UV_RUN_ONCE);
		assert_int_equal(alive != 0, i < 1000);
		join(thread);
		assert_int_equal(counter.calls, i);
	}
	end(&f);
}

static void *wake_from_here(void *argument)
{
	if (ringwake_wake(argument) != 0)
		abort();
	return NULL;
}

/* A wake without a message has no callback, but it ends UV_RUN_ONCE. */
static void test_wake_ends_once(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter;
	open_loop(&f);
	open_counter(&f, &counter, 0);
	struct ringwake *target = ringwake_uv_target(f.binding);
	for (int i = 0; i < 500; i++) {
		pthread_t thread = start(wake_from_here, target);
		if (i % 2)
			join(thread);
		assert_int_not_equal(run(&f, UV_RUN_ONCE), 0);
		if (i % 2 == 0)
			join(thread);
	}
	close_counter(&counter);
	end(&f);
}

/* Sends one message at a time, each after the previous one was received. */
struct serve {
	struct fixture f;
	struct counter counter;
	uv_sem_t received;
};

static void receive(ringwake_uv_async_t *async)
{
	struct serve *serve = async->data;
	count_call(async);
	uv_sem_post(&serve->received);
}

static void *send_one_at_a_time(void *argument)
{
	struct serve *serve = argument;
	for (int i = 0; i < 200; i++) {
		send_from_here(&serve->counter);
		uv_sem_wait(&serve->received);
	}
	return NULL;
}

static void test_spinning_loop_needs_no_doorbell(void **state)
{
	(void)state;
	struct serve serve = {.counter.close_at = 200};
	skip_if_public("the loop does not block in its ring");
	open_loop(&serve.f);
	uv_sem_init(&serve.received, 0);
	assert_int_equal(ringwake_uv_async_init(serve.f.binding, &serve.counter.async, receive), 0);
	serve.counter.async.data = &serve;
	pthread_t thread = start(send_one_at_a_time, &serve);
	assert_int_equal(run(&serve.f, UV_RUN_DEFAULT), 0);
	join(thread);
	assert_int_equal(serve.counter.calls, 200);
	/* libuv's own iterations, such as the first one, arm the target briefly. */
	assert_true(stats_of(ringwake_uv_target(serve.f.binding)).doorbells <= 20);
	uv_sem_destroy(&serve.received);
	close_loop(&serve.f);
}

static int begin_to_spin(void **state)
{
	test_spin_ns = INT64_MAX;
	return use_msg_ring(state);
}

static int end_to_spin(void **state)
{
	(void)state;
	test_spin_ns = 0;
	return 0;
}

/* The loop spins without a limit: a test hangs if its event does not end the spinning. */
#define SPINNING(test)                                                                             \
	{                                                                                          \
#test " spinning", test, begin_to_spin, end_to_spin, NULL                          \
	}
#define ON_ALL(test) ON_BOTH_PATHS(test), SPINNING(test)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_ALL(test_wakes_in_once),
		ON_ALL(test_wakes_in_nowait),
		ON_ALL(test_two_loops),
		ON_ALL(test_watcher_started_in_a_callback),
		ON_ALL(test_once_ignores_what_is_not_watched),
		ON_ALL(test_once_returns_after_reading),
		ON_ALL(test_alternates_with_uv_run),
		ON_ALL(test_changes_threads),
		ON_ALL(test_detach_while_running_is_refused),
		ON_ALL(test_embedded),
		ON_BOTH_PATHS(test_timer_is_due_after_a_long_callback),
		ON_ALL(test_flood),
		ON_ALL(test_once_returns_for_a_callback),
		ON_ALL(test_wake_ends_once),
		SPINNING(test_spinning_loop_needs_no_doorbell),
	};
	return RUN_BOUNDED(tests, 90);
}
