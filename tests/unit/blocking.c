/* SPDX-License-Identifier: MIT */
/* Whether a loop blocks in its waits, measured with a scripted clock. */
#include "../common.h"

static int64_t now_ns = 1;
static unsigned readings;

static int scripted_clock(clockid_t clock, struct timespec *time)
{
	(void)clock;
	readings++;
	*time = (struct timespec){now_ns / 1000000000, now_ns % 1000000000};
	return 0;
}
#define clock_gettime scripted_clock
#include "blocking.h"

/* Returns how many of the waits could have spun. */
static unsigned run_waits(struct blocking *blocking, unsigned waits, int64_t length_ns)
{
	unsigned spins = 0;
	for (unsigned i = 0; i < waits; i++) {
		if (blocking_before_wait(blocking))
			spins++;
		if (blocking_is_due(blocking))
			blocking_measure(blocking);
		now_ns += length_ns;
		blocking_after_wait(blocking);
	}
	return spins;
}

static void test_loop_that_blocks(void **state)
{
	(void)state;
	struct blocking blocking = {0};
	readings = 0;
	assert_int_equal(run_waits(&blocking, 10001, BLOCKING_NS), 10000);
	assert_int_equal(readings, 22);
}

static void test_loop_that_polls(void **state)
{
	(void)state;
	struct blocking blocking = {0};
	readings = 0;
	assert_int_equal(run_waits(&blocking, 1601, BLOCKING_NS - 1), 0);
	assert_int_equal(readings, 202);
}

/* A loop that changes is noticed at the next measurement. */
static void test_change(void **state)
{
	(void)state;
	struct blocking blocking = {0};
	run_waits(&blocking, 1, BLOCKING_NS);
	assert_int_equal(run_waits(&blocking, 2000, 0), BLOCKING_WAITS);
	assert_true(run_waits(&blocking, 100, BLOCKING_NS) >= 80);
}

/* While all spins succeed, no wait is measured, until one is forced to block. */
static void test_spins_that_succeed(void **state)
{
	(void)state;
	struct blocking blocking = {0};
	run_waits(&blocking, 1, BLOCKING_NS);
	int spins = 0;
	while (blocking_before_wait(&blocking))
		spins++;
	assert_int_equal(spins, BLOCKING_WAITS_MOST - 1);
	assert_true(blocking_is_due(&blocking));
	blocking_set(&blocking, true);
	assert_true(blocking_before_wait(&blocking));
}

/* A wait that could not block is not measured. */
static void test_no_measurement(void **state)
{
	(void)state;
	struct blocking blocking = {0};
	assert_false(blocking_before_wait(&blocking));
	now_ns += BLOCKING_NS;
	blocking_after_wait(&blocking);
	assert_false(blocking_before_wait(&blocking));
}

/* The adapter has found out without a measurement. */
static void test_set(void **state)
{
	(void)state;
	struct blocking blocking = {0};
	readings = 0;
	blocking_set(&blocking, true);
	assert_int_equal(run_waits(&blocking, 99, 0), 99);
	blocking_set(&blocking, false);
	assert_int_equal(run_waits(&blocking, 15, BLOCKING_NS), 0);
	assert_int_equal(readings, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loop_that_blocks),
		cmocka_unit_test(test_loop_that_polls),
		cmocka_unit_test(test_change),
		cmocka_unit_test(test_spins_that_succeed),
		cmocka_unit_test(test_no_measurement),
		cmocka_unit_test(test_set),
	};
	return RUN_BOUNDED(tests, 60);
}
