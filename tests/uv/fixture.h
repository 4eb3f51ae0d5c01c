/* SPDX-License-Identifier: MIT */
/* A libuv loop with an attached target that uses the running test's doorbell. */
#ifndef TESTS_UV_FIXTURE_H
#define TESTS_UV_FIXTURE_H

#include "../common.h"

#include <ringwake/uv.h>

struct fixture {
	uv_loop_t loop;
	struct ringwake_uv *binding;
};

/* How long the loops of the running test spin before they block in their ring. */
static uint64_t test_spin_ns;

/* Skips the test if the kernel has no sync MSG_RING. Any other error fails the test. */
static inline struct ringwake_uv *attach(uv_loop_t *loop)
{
	struct ringwake_uv *binding = NULL;
	struct ringwake_params params = {.path = test_path, .spin_ns = test_spin_ns};
	int error = ringwake_uv_attach(&binding, loop, &params);
	if (error < 0 && error != UV_EBUSY && test_path == RINGWAKE_PATH_MSG_RING) {
		print_message("this kernel has no sync MSG_RING: %s\n", strerror(-error));
		skip();
	}
	assert_int_equal(error, 0);
	assert_int_equal(ringwake_get_path(ringwake_uv_target(binding)), test_path);
	assert_int_equal(ringwake_uv_knows_libuv(binding), getenv("RINGWAKE_UV_PUBLIC") == NULL);
	return binding;
}

static inline void open_loop(struct fixture *f)
{
	assert_int_equal(uv_loop_init(&f->loop), 0);
	f->binding = attach(&f->loop);
}

/* Skips the test if the environment allows only libuv's public functions. */
static inline void skip_if_public(const char *reason)
{
	const char *value = getenv("RINGWAKE_UV_PUBLIC");
	if (value == NULL || strcmp(value, "1") != 0)
		return;
	print_message("with public functions only, %s\n", reason);
	skip();
}

/* The test must have closed all handles, so that the loop can be closed without an error. */
static inline void close_loop(struct fixture *f)
{
	assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(ringwake_uv_detach(f->binding), 0);
	assert_int_equal(uv_loop_close(&f->loop), 0);
}

/* A handle that counts its callbacks and can close itself. */
struct counter {
	ringwake_uv_async_t async;
	unsigned calls;
	unsigned close_at; /* the call in which it closes itself */
	bool closed;
	uv_thread_t thread; /* the thread of the last call */
};

static inline void on_counter_closed(uv_handle_t *handle)
{
	((struct counter *)handle)->closed = true;
}

static inline void close_counter(struct counter *counter)
{
	ringwake_uv_close((uv_handle_t *)&counter->async, on_counter_closed);
}

static inline void count_call(ringwake_uv_async_t *async)
{
	struct counter *counter = (struct counter *)async;
	counter->thread = uv_thread_self();
	if (++counter->calls == counter->close_at)
		close_counter(counter);
}

static inline void open_counter(struct fixture *f, struct counter *counter, unsigned close_at)
{
	memset(counter, 0, sizeof *counter);
	counter->close_at = close_at;
	assert_int_equal(ringwake_uv_async_init(f->binding, &counter->async, count_call), 0);
}

static inline void send_counter(struct counter *counter)
{
	assert_int_equal(ringwake_uv_async_send(&counter->async), 0);
}

static inline uv_handle_t *handle_of(struct counter *counter)
{
	return (uv_handle_t *)&counter->async;
}

static inline bool is_this_thread(uv_thread_t thread)
{
	uv_thread_t self = uv_thread_self();
	return uv_thread_equal(&thread, &self);
}

#endif
