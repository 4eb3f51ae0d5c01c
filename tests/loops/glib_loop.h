/* SPDX-License-Identifier: MIT */
/* The example source on a context, on the path of the running test. */
#ifndef TESTS_LOOPS_GLIB_LOOP_H
#define TESTS_LOOPS_GLIB_LOOP_H

#include "common.h"
#include "glib/wake_source.h"

static GMainContext *context;
static GSource *source;
static struct ringwake *target;

static inline int open_source(void)
{
	int error = wake_source_open(&source);
	if (error < 0)
		return error;
	g_source_attach(source, context);
	target = wake_source_target(source);
	return 0;
}

static inline void open_all(void)
{
	use_path();
	context = g_main_context_new();
	int error = open_source();
	if (error < 0 && test_path == RINGWAKE_PATH_MSG_RING)
		skip();
	assert_int_equal(error, 0);
}

static inline void close_all(void)
{
	wake_source_close(source);
	g_main_context_unref(context);
}

static inline void run_until(const unsigned *count, unsigned wanted)
{
	while (*count < wanted)
		g_main_context_iteration(context, TRUE);
	assert_int_equal(*count, wanted);
}

/* The context is quiet: no source is ready, and the descriptor is not readable. */
static inline void assert_blocks(void)
{
	for (int i = 0; i < 3; i++)
		g_main_context_iteration(context, FALSE);
	assert_false(g_main_context_iteration(context, FALSE));
	assert_false(is_readable(ringwake_fd(target), 0));
}

static inline void receive_all(unsigned limit)
{
	start_senders(target, limit);
	while (running_senders > 0)
		g_main_context_iteration(context, TRUE);
	join_senders();
}

#endif
