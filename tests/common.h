/* SPDX-License-Identifier: MIT */
/* Shared by all cmocka tests of the project. */
#ifndef TESTS_COMMON_H
#define TESTS_COMMON_H

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <ringwake/ringwake.h>

/* The path that the running test uses. */
static enum ringwake_path test_path;

static inline int use_msg_ring(void **state)
{
	(void)state;
	test_path = RINGWAKE_PATH_MSG_RING;
	return 0;
}

static inline int use_eventfd(void **state)
{
	(void)state;
	test_path = RINGWAKE_PATH_EVENTFD;
	return 0;
}

#define ON_BOTH_PATHS(test)                                                                        \
	{#test " on msg_ring", test, use_msg_ring, NULL, NULL},                                    \
	{                                                                                          \
#test " on eventfd", test, use_eventfd, NULL, NULL                                 \
	}

/* Skips the test if the kernel has no sync MSG_RING. Any other error fails the test. The loop
 * blocks without spinning, unless the parameters say otherwise. */
static inline struct ringwake *open_target_with(
	struct io_uring *ring, struct ringwake_params params)
{
	struct ringwake *target = NULL;
	params.path = test_path;
	if (params.spin_ns == RINGWAKE_SPIN_DEFAULT)
		params.spin_ns = RINGWAKE_SPIN_OFF;
	int error = ringwake_open(&target, ring, &params);
	if (error < 0 && test_path == RINGWAKE_PATH_MSG_RING) {
		print_message("this kernel has no sync MSG_RING: %s\n", strerror(-error));
		skip();
	}
	assert_int_equal(error, 0);
	return target;
}

static inline struct ringwake *open_target(struct io_uring *ring)
{
	return open_target_with(ring, (struct ringwake_params){0});
}

/* A wake that takes longer is lost. An emulated machine may need seconds. */
#define PATIENCE_SECONDS 30
#define PATIENCE_NS      (PATIENCE_SECONDS * INT64_C(1000000000))

/* How many times slower than usual this machine is: TEST_SLOWNESS, for example in an emulator. */
static inline unsigned slowness(void)
{
	const char *value = getenv("TEST_SLOWNESS");
	return value ? (unsigned)atoi(value) : 1;
}

/* The number of rounds of a stress test on this machine. */
static inline unsigned rounds_here(unsigned usual)
{
	return usual / slowness();
}

/* A message that counts its callbacks. */
struct counted {
	struct ringwake_msg msg;
	unsigned count;
};

static inline void count_message(struct ringwake_msg *msg)
{
	((struct counted *)msg)->count++;
}

static inline struct ringwake_stats stats_of(const struct ringwake *target)
{
	struct ringwake_stats stats;
	ringwake_get_stats(target, &stats, sizeof stats);
	return stats;
}

static inline pthread_t start(void *(*function)(void *), void *argument)
{
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, function, argument), 0);
	return thread;
}

static inline void join(pthread_t thread)
{
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static inline void assert_child_succeeds(pid_t child)
{
	int status;
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* A child does not inherit its parent's alarm. */
static inline void bound_child(void)
{
	alarm(30 * slowness());
}

/*
 * Runs the tests. Ends the process and its forked children if they hang. TEST_FILTER selects tests
 * by a shell pattern.
 */
static inline int run_bounded(
	const char *name, const struct CMUnitTest *tests, size_t count, unsigned seconds)
{
	alarm(seconds * slowness());
	pthread_atfork(NULL, NULL, bound_child);
	if (getenv("TEST_FILTER"))
		cmocka_set_test_filter(getenv("TEST_FILTER"));
	return _cmocka_run_group_tests(name, tests, count, NULL, NULL);
}
#define RUN_BOUNDED(tests, seconds)                                                                \
	run_bounded(#tests, tests, sizeof tests / sizeof *(tests), seconds)

#endif
