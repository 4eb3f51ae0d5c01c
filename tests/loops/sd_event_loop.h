/* SPDX-License-Identifier: MIT */
/* The example sources on a loop, on the path of the running test. */
#ifndef TESTS_LOOPS_SD_EVENT_LOOP_H
#define TESTS_LOOPS_SD_EVENT_LOOP_H

#include <sys/epoll.h>

#include "common.h"
#include "sd-event/wake_event.h"

static sd_event *event;
static struct wake_event wake;
static struct ringwake *target;
static bool is_edge_triggered;

static inline int open_loop(void)
{
	int error = sd_event_new(&event);
	if (error >= 0)
		error = wake_event_open(&wake, event);
	if (error < 0)
		return error;
	target = wake.target;
	if (is_edge_triggered)
		error = sd_event_source_set_io_events(wake.doorbell, EPOLLIN | EPOLLET);
	return error;
}

static inline void open_all(void)
{
	use_path();
	int error = open_loop();
	if (error < 0 && test_path == RINGWAKE_PATH_MSG_RING)
		skip();
	assert_true(error >= 0);
}

static inline void close_all(void)
{
	wake_event_close(&wake);
	sd_event_unref(event);
}

static inline void iterate(void)
{
	assert_true(sd_event_run(event, UINT64_MAX) >= 0);
}

static inline void run_until(const unsigned *count, unsigned wanted)
{
	while (*count < wanted)
		iterate();
	assert_int_equal(*count, wanted);
}

/* The loop is quiet: no source is pending, and the descriptor is not readable. */
static inline void assert_blocks(void)
{
	for (int i = 0; i < 3; i++)
		sd_event_run(event, 0);
	assert_int_equal(sd_event_run(event, 0), 0);
	assert_false(is_readable(ringwake_fd(target), 0));
}

static inline void receive_all(unsigned limit)
{
	start_senders(target, limit);
	while (running_senders > 0)
		iterate();
	join_senders();
}

/* Both set-up functions of common.h, level-triggered and edge-triggered. */
static inline int level_msg_ring(void **state)
{
	is_edge_triggered = false;
	return use_msg_ring(state);
}

static inline int level_eventfd(void **state)
{
	is_edge_triggered = false;
	return use_eventfd(state);
}

static inline int edge_msg_ring(void **state)
{
	is_edge_triggered = true;
	return use_msg_ring(state);
}

static inline int edge_eventfd(void **state)
{
	is_edge_triggered = true;
	return use_eventfd(state);
}

#define IN_ALL_WAYS(test)                                                                          \
	{#test " on msg_ring", test, level_msg_ring, NULL, NULL},                                  \
		{#test " on eventfd", test, level_eventfd, NULL, NULL},                            \
		{#test " on msg_ring, edge", test, edge_msg_ring, NULL, NULL},                     \
	{                                                                                          \
#test " on eventfd, edge", test, edge_eventfd, NULL, NULL                          \
	}

#endif
