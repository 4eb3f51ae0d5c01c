/* SPDX-License-Identifier: MIT */
/* uv_run() and ringwake_uv_run(): the phases of an iteration, timers, uv_stop() and signals. */
#include "../blocked.h"
#include "fixture.h"

#include <sched.h>
#include <signal.h>
#include <sys/socket.h>

static int run(struct fixture *f, uv_run_mode mode)
{
	return ringwake_uv_run(f->binding, mode);
}

static void *send_from_here(void *argument)
{
	struct counter *counter = argument;
	if (ringwake_uv_async_send(&counter->async) != 0)
		abort();
	return NULL;
}

/* A prepare callback handles what an async's callback has noted, before the loop blocks again. */
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

static void test_prepare_runs_before_the_wait(void **state)
{
	(void)state;
	struct flusher flusher = {0};
	open_loop(&flusher.f);
	assert_int_equal(
		ringwake_uv_async_init(flusher.f.binding, &flusher.counter.async, note_work), 0);
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

/* Prepare handles that are older than the attachment also run before the loop blocks. */
static void test_prepare_from_before_the_attach(void **state)
{
	(void)state;
	struct flusher flusher = {0};
	assert_int_equal(uv_loop_init(&flusher.f.loop), 0);
	uv_prepare_init(&flusher.f.loop, &flusher.prepare);
	uv_check_init(&flusher.f.loop, &flusher.check);
	uv_prepare_start(&flusher.prepare, flush);
	uv_check_start(&flusher.check, note_check);
	flusher.f.binding = attach(&flusher.f.loop);
	assert_int_equal(
		ringwake_uv_async_init(flusher.f.binding, &flusher.counter.async, note_work), 0);
	flusher.counter.async.data = flusher.prepare.data = flusher.check.data = &flusher;
	send_counter(&flusher.counter);
	assert_int_equal(run(&flusher.f, UV_RUN_DEFAULT), 0);
	assert_int_equal(flusher.flushed, 50);
	close_loop(&flusher.f);
}

/* The loop's time is the time at which it woke, not the time at which it blocked. */
struct clock {
	struct fixture f;
	struct counter counter;
	uv_timer_t timer;
	uint64_t sent_at, woken_at; /* milliseconds */
};

static void close_timer(uv_timer_t *timer)
{
	uv_close((uv_handle_t *)timer, NULL);
}

/* The loop must also note the time at which it wakes for the timer, or it waits for ever. */
static void note_time(ringwake_uv_async_t *async)
{
	struct clock *clock = async->data;
	count_call(async);
	clock->woken_at = uv_now(&clock->f.loop);
	uv_timer_start(&clock->timer, close_timer, 40, 0);
}

/* The loop's time of before the wait is at least 60 ms old at the send. */
static void *send_after_a_while(void *argument)
{
	struct clock *clock = argument;
	await_blocked_loop();
	uint64_t end = uv_hrtime() + 60 * 1000000;
	while (uv_hrtime() < end)
		sched_yield();
	clock->sent_at = uv_hrtime() / 1000000;
	return send_from_here(&clock->counter);
}

static void test_time_is_fresh(void **state)
{
	(void)state;
	struct clock clock = {.counter.close_at = 1};
	open_loop(&clock.f);
	uv_timer_init(&clock.f.loop, &clock.timer);
	assert_int_equal(
		ringwake_uv_async_init(clock.f.binding, &clock.counter.async, note_time), 0);
	clock.counter.async.data = &clock;
	pthread_t thread = start(send_after_a_while, &clock);
	assert_int_equal(run(&clock.f, UV_RUN_DEFAULT), 0);
	join(thread);
	/* libuv may use a coarse clock, which lags behind. */
	assert_true(clock.woken_at + 30 >= clock.sent_at);
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
	uint64_t began = uv_now(&f.loop); /* libuv counts from there, however long ago it was */
	assert_int_not_equal(run(&f, UV_RUN_ONCE), 0);
	assert_true(repeats >= 1);
	while (ticks == 0)
		assert_int_not_equal(run(&f, UV_RUN_ONCE), 0);
	assert_true(uv_now(&f.loop) - began >= 25);
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
	assert_int_equal(ringwake_uv_async_init(f.binding, &counter.async, stop_loop), 0);
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

static void send_again(ringwake_uv_async_t *async)
{
	count_call(async);
	send_counter((struct counter *)async);
}

/* If a callback sends to any handle, even its own, the callback runs in the next iteration. */
static void test_callback_that_sends_to_itself(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter = {0};
	skip_if_public("callbacks also run in the prepare and check phases");
	open_loop(&f);
	assert_int_equal(ringwake_uv_async_init(f.binding, &counter.async, send_again), 0);
	send_counter(&counter);
	for (unsigned i = 1; i <= 10; i++) {
		assert_int_not_equal(
			i % 2 ? uv_run(&f.loop, UV_RUN_NOWAIT) : run(&f, UV_RUN_ONCE), 0);
		assert_int_equal(counter.calls, i);
	}
	close_counter(&counter);
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

/*
 * A callback starts a write, whose callback starts the next write, and so on. The peer's answer is
 * readable before the last write is reported. uv_run() reports all writes that a uv_async_t's
 * callback causes, up to a limit, before it polls again.
 */
enum { MOST_WRITES = 4 };

struct writer {
	struct fixture f;
	struct counter counter;
	uv_pipe_t stream;
	uv_write_t writes[MOST_WRITES];
	uv_timer_t timer;
	uv_poll_t poll;
	unsigned wanted, started, reported, reported_at_read;
	int peer;
};

static void start_write(struct writer *writer);

static void write_next(uv_write_t *request, int status)
{
	struct writer *writer = request->data;
	assert_int_equal(status, 0);
	if (++writer->reported < writer->wanted)
		start_write(writer);
}

static void start_write(struct writer *writer)
{
	uv_buf_t text = uv_buf_init((char *)"text", 4);
	uv_write_t *request = &writer->writes[writer->started++];
	request->data = writer;
	assert_int_equal(
		uv_write(request, (uv_stream_t *)&writer->stream, &text, 1, write_next), 0);
	if (writer->started == writer->wanted)
		assert_int_equal(write(writer->peer, "answer", 6), 6);
}

static void start_writing(ringwake_uv_async_t *async)
{
	start_write(async->data);
	close_counter((struct counter *)async);
}

static void give_room(uv_handle_t *handle, size_t size, uv_buf_t *room)
{
	static char space[64];
	(void)handle;
	(void)size;
	*room = uv_buf_init(space, sizeof space);
}

static void read_answer(uv_stream_t *stream, ssize_t size, const uv_buf_t *text)
{
	struct writer *writer = stream->data;
	(void)text;
	if (size <= 0)
		return;
	writer->reported_at_read = writer->reported;
	uv_close((uv_handle_t *)stream, NULL);
}

static void send_from_timer(uv_timer_t *timer)
{
	send_counter(&((struct writer *)timer->data)->counter);
	uv_close((uv_handle_t *)timer, NULL);
}

static void send_from_poll(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	send_counter(&((struct writer *)poll->data)->counter);
	uv_close((uv_handle_t *)poll, NULL);
}

static void open_writer(struct writer *writer, int pair[2])
{
	open_loop(&writer->f);
	assert_int_equal(
		ringwake_uv_async_init(writer->f.binding, &writer->counter.async, start_writing),
		0);
	writer->counter.async.data = writer;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	writer->peer = pair[1];
	uv_pipe_init(&writer->f.loop, &writer->stream, 0);
	assert_int_equal(uv_pipe_open(&writer->stream, pair[0]), 0);
	writer->stream.data = writer;
	uv_read_start((uv_stream_t *)&writer->stream, give_room, read_answer);
}

enum sender { TIMER, POLL, THREAD, SENDERS };

/* The prepare handle finds the timer's send; the check handle finds the poll handle's send. */
static void report_writes(unsigned wanted, enum sender sender)
{
	struct writer writer = {.wanted = wanted};
	int pair[2], other[2];
	pthread_t thread;
	open_writer(&writer, pair);
	assert_int_equal(pipe(other), 0);
	if (sender == TIMER) {
		uv_timer_init(&writer.f.loop, &writer.timer);
		writer.timer.data = &writer;
		uv_timer_start(&writer.timer, send_from_timer, 1, 0);
	} else if (sender == POLL) {
		assert_int_equal(write(other[1], "", 1), 1);
		uv_poll_init(&writer.f.loop, &writer.poll, other[0]);
		writer.poll.data = &writer;
		uv_poll_start(&writer.poll, UV_READABLE, send_from_poll);
	} else {
		thread = start(send_from_here, &writer.counter);
	}
	assert_int_equal(uv_run(&writer.f.loop, UV_RUN_DEFAULT), 0);
	if (sender == THREAD)
		join(thread);
	assert_int_equal(writer.reported_at_read, wanted);
	close(other[0]);
	close(other[1]);
	close(pair[1]);
	close_loop(&writer.f);
}

static void test_writes_are_reported_before_the_next_poll(void **state)
{
	(void)state;
	skip_if_public("callbacks also run in other phases");
	for (unsigned wanted = 1; wanted <= MOST_WRITES; wanted++)
		for (enum sender sender = TIMER; sender < SENDERS; sender++)
			report_writes(wanted, sender);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_writes_are_reported_before_the_next_poll),
		ON_BOTH_PATHS(test_prepare_runs_before_the_wait),
		ON_BOTH_PATHS(test_prepare_from_before_the_attach),
		ON_BOTH_PATHS(test_time_is_fresh),
		ON_BOTH_PATHS(test_timers),
		ON_BOTH_PATHS(test_uv_stop),
		ON_BOTH_PATHS(test_callback_that_sends_to_itself),
		ON_BOTH_PATHS(test_uv_signal),
	};
	return RUN_BOUNDED(tests, 90);
}
