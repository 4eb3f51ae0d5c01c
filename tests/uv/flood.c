/* SPDX-License-Identifier: MIT */
/* A flood of messages does not starve the loop's other handles. */
#include "fixture.h"

struct flood {
	struct fixture f;
	struct echo {
		struct ringwake_msg msg;
		struct flood *flood;
	} echoes[64];
	unsigned long echoed;
	bool stopped;
	uv_timer_t timer;
	uv_pipe_t reader;
	uv_file writer;
	unsigned ticks, bytes;
	char buffer[16];
};

static void echo_again(struct ringwake_msg *msg)
{
	struct echo *echo = (struct echo *)msg;
	struct flood *flood = echo->flood;
	flood->echoed++;
	if (!flood->stopped && ringwake_send(ringwake_uv_target(flood->f.binding), &echo->msg) != 0)
		abort();
}

static void start_flood(struct flood *flood)
{
	memset(flood, 0, sizeof *flood);
	open_loop(&flood->f);
	for (int i = 0; i < 64; i++) {
		flood->echoes[i] = (struct echo){{.fn = echo_again}, flood};
		assert_int_equal(
			ringwake_send(ringwake_uv_target(flood->f.binding), &flood->echoes[i].msg),
			0);
	}
}

static void tick(uv_timer_t *timer)
{
	struct flood *flood = timer->data;
	if (++flood->ticks < 20)
		return;
	flood->stopped = true;
	uv_close((uv_handle_t *)timer, NULL);
}

static void test_timer_during_a_flood(void **state)
{
	(void)state;
	struct flood flood;
	start_flood(&flood);
	uv_timer_init(&flood.f.loop, &flood.timer);
	flood.timer.data = &flood;
	uv_timer_start(&flood.timer, tick, 1, 1);
	assert_int_equal(uv_run(&flood.f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(flood.ticks, 20);
	assert_true(flood.echoed > 64);
	close_loop(&flood.f);
}

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct flood *flood = handle->data;
	(void)suggested;
	*buffer = uv_buf_init(flood->buffer, sizeof flood->buffer);
}

/* Writes the next byte when a byte is read. */
static void take_bytes(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
	struct flood *flood = stream->data;
	(void)buffer;
	assert_true(count >= 0);
	flood->bytes += (unsigned)count;
	if (flood->bytes < 200) {
		assert_int_equal(write(flood->writer, "x", 1), 1);
		return;
	}
	flood->stopped = true;
	uv_close((uv_handle_t *)stream, NULL);
}

static void test_pipe_during_a_flood(void **state)
{
	(void)state;
	struct flood flood;
	uv_file ends[2];
	start_flood(&flood);
	assert_int_equal(uv_pipe(ends, UV_NONBLOCK_PIPE, UV_NONBLOCK_PIPE), 0);
	flood.writer = ends[1];
	uv_pipe_init(&flood.f.loop, &flood.reader, 0);
	flood.reader.data = &flood;
	assert_int_equal(uv_pipe_open(&flood.reader, ends[0]), 0);
	assert_int_equal(uv_read_start((uv_stream_t *)&flood.reader, give_buffer, take_bytes), 0);
	assert_int_equal(write(flood.writer, "x", 1), 1);
	assert_int_equal(uv_run(&flood.f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(flood.bytes, 200);
	close(flood.writer);
	close_loop(&flood.f);
}

/* An iteration runs at most three batches of 256 messages: before, in and after the poll. */
static void test_iteration_is_bounded(void **state)
{
	(void)state;
	struct flood flood;
	start_flood(&flood);
	assert_int_equal(uv_run(&flood.f.loop, UV_RUN_NOWAIT), 0);
	uv_timer_init(&flood.f.loop, &flood.timer);
	uv_timer_start(&flood.timer, tick, 1000000, 0);
	for (int i = 0; i < 10; i++) {
		unsigned long before = flood.echoed;
		assert_int_not_equal(uv_run(&flood.f.loop, UV_RUN_NOWAIT), 0);
		assert_true(flood.echoed > before);
		assert_true(flood.echoed - before <= 3 * 256);
	}
	flood.stopped = true;
	uv_close((uv_handle_t *)&flood.timer, NULL);
	close_loop(&flood.f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_timer_during_a_flood),
		ON_BOTH_PATHS(test_pipe_during_a_flood),
		ON_BOTH_PATHS(test_iteration_is_bounded),
	};
	return RUN_BOUNDED(tests, 60);
}
