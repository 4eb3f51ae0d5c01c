/* SPDX-License-Identifier: MIT */
/* The log-linear histogram: its bounds, sums of histograms, quantiles, and a reader meanwhile. */
#include "../../lib/histogram.h"
#include "../common.h"

#include <limits.h>

enum { LAST = RINGWAKE_HISTOGRAM_BUCKETS - 1 };

/* The bucket of one time. */
static unsigned bucket_of(uint64_t time_ns)
{
	struct histogram histogram = {.max = 0};
	struct ringwake_histogram out = {.count = 0};
	ringwake_histogram_add(&histogram, time_ns);
	ringwake_histogram_merge(&out, &histogram);
	assert_int_equal(out.count, 1);
	assert_int_equal(out.sum, time_ns);
	assert_int_equal(out.max, time_ns);
	unsigned bucket = 0;
	while (out.buckets[bucket] == 0)
		bucket++;
	assert_int_equal(out.buckets[bucket], 1);
	return bucket;
}

static void test_bounds(void **state)
{
	(void)state;
	uint64_t before = 0;
	assert_int_equal(bucket_of(0), 0);
	for (unsigned i = 0; i < LAST; i++) {
		uint64_t bound = ringwake_histogram_bound(i);
		assert_true(bound > before);
		assert_int_equal(bucket_of(before + 1), i);
		assert_int_equal(bucket_of(bound), i);
		/* No time in it is more than an eighth below its bound. */
		assert_true(bound - (before + 1) <= (before + 1) / 8);
		before = bound;
	}
	assert_int_equal(bucket_of(before + 1), LAST);
}

/* Other histograms use powers of two as bounds. */
static void test_powers_of_two_are_bounds(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 45; i++) {
		uint64_t power = UINT64_C(1) << i;
		assert_int_equal(ringwake_histogram_bound(bucket_of(power)), power);
	}
}

static void test_no_time_is_too_long(void **state)
{
	(void)state;
	const uint64_t hour = UINT64_C(3600) * 1000000000;
	assert_true(bucket_of(9 * hour) < LAST);
	assert_int_equal(bucket_of(UINT64_C(1) << 45), LAST);
	assert_int_equal(bucket_of((UINT64_C(1) << 45) + 1), LAST);
	assert_int_equal(bucket_of(UINT64_MAX), LAST);
	assert_int_equal(ringwake_histogram_bound(LAST), UINT64_MAX);
	assert_int_equal(ringwake_histogram_bound(LAST + 1), UINT64_MAX);
	assert_int_equal(ringwake_histogram_bound(UINT_MAX), UINT64_MAX);
}

static void test_merge(void **state)
{
	(void)state;
	struct histogram one = {.max = 0}, other = {.max = 0};
	struct ringwake_histogram out = {.count = 0};
	for (uint64_t i = 1; i <= 100; i++)
		ringwake_histogram_add(i % 2 ? &one : &other, i);
	ringwake_histogram_merge(&out, &other);
	assert_int_equal(out.count, 50);
	assert_int_equal(out.max, 100);
	ringwake_histogram_merge(&out, &one);
	assert_int_equal(out.count, 100);
	assert_int_equal(out.sum, 5050);
	assert_int_equal(out.max, 100);
	uint64_t below = 0;
	for (unsigned i = 0; i <= LAST; i++) {
		uint64_t bound = ringwake_histogram_bound(i);
		uint64_t here = bound < 100 ? bound : 100;
		assert_int_equal(out.buckets[i], here - below);
		below = here;
	}
}

static int compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
	return (a > b) - (a < b);
}

static void test_quantiles(void **state)
{
	(void)state;
	enum { COUNT = 1000 };
	static uint64_t times[COUNT];
	unsigned seed = (unsigned)time(NULL);
	print_message("seed %u\n", seed);
	srand(seed);
	struct histogram histogram = {.max = 0};
	struct ringwake_histogram out = {.count = 0};
	for (unsigned i = 0; i < COUNT; i++) {
		times[i] = (uint64_t)rand() >> (unsigned)rand() % 31;
		ringwake_histogram_add(&histogram, times[i]);
	}
	ringwake_histogram_merge(&out, &histogram);
	qsort(times, COUNT, sizeof times[0], compare);
	for (unsigned part = 1; part <= COUNT; part++) {
		uint64_t exact = times[part - 1];
		uint64_t quantile = ringwake_histogram_quantile(&out, part, COUNT);
		assert_true(quantile >= exact);
		assert_true(quantile <= (exact > 0 ? exact + exact / 8 : 1));
		assert_true(quantile <= times[COUNT - 1]);
	}
	assert_int_equal(ringwake_histogram_quantile(&out, 1, 1), times[COUNT - 1]);
	/* Half of one time is that time. */
	assert_int_equal(ringwake_histogram_quantile(&out, 1, 2 * COUNT),
		ringwake_histogram_quantile(&out, 1, COUNT));
	assert_int_equal(ringwake_histogram_quantile(&out, 0, COUNT),
		ringwake_histogram_quantile(&out, 1, COUNT));
}

static void test_quantiles_of_few_and_many(void **state)
{
	(void)state;
	struct ringwake_histogram none = {.count = 0};
	assert_int_equal(ringwake_histogram_quantile(&none, 0, 100), 0);
	assert_int_equal(ringwake_histogram_quantile(&none, 99, 100), 0);
	assert_int_equal(ringwake_histogram_quantile(&none, 1, 0), 0);

	/* Half of three is two, not one. */
	struct histogram few = {.max = 0};
	struct ringwake_histogram three = {.count = 0};
	ringwake_histogram_add(&few, 1);
	ringwake_histogram_add(&few, 5);
	ringwake_histogram_add(&few, 8);
	ringwake_histogram_merge(&three, &few);
	assert_int_equal(ringwake_histogram_quantile(&three, 1, 3), 1);
	assert_int_equal(ringwake_histogram_quantile(&three, 1, 2), 5);
	assert_int_equal(ringwake_histogram_quantile(&three, 2, 3), 5);
	assert_int_equal(ringwake_histogram_quantile(&three, 3, 4), 8);

	struct ringwake_histogram most = {.count = UINT64_MAX, .max = 20};
	most.buckets[0] = UINT64_MAX - 2;
	most.buckets[1] = 1;
	most.buckets[16] = 1;
	assert_int_equal(ringwake_histogram_quantile(&most, UINT_MAX - 1, UINT_MAX), 1);
	assert_int_equal(ringwake_histogram_quantile(&most, 99, 100), 1);
	assert_int_equal(ringwake_histogram_quantile(&most, 2, 1), 20);
	most.buckets[0] = UINT64_C(1) << 63;
	most.buckets[16] = (UINT64_C(1) << 63) - 2;
	assert_int_equal(ringwake_histogram_quantile(&most, 50, 100), 1);
	assert_int_equal(ringwake_histogram_quantile(&most, 51, 100), 18);
}

enum { ADDED = 200000 };
static struct histogram shared;
static void *add_many(void *argument)
{
	(void)argument;
	for (uint64_t i = 1; i <= ADDED; i++)
		ringwake_histogram_add(&shared, i);
	return NULL;
}

static void test_reader_while_a_thread_adds(void **state)
{
	(void)state;
	struct ringwake_histogram last = {.count = 0};
	pthread_t thread = start(add_many, NULL);
	while (last.count < ADDED) {
		struct ringwake_histogram now = {.count = 0};
		ringwake_histogram_merge(&now, &shared);
		assert_true(now.count >= last.count && now.count <= ADDED);
		assert_true(now.sum >= last.sum && now.max >= last.max);
		last = now;
	}
	join(thread);
	memset(&last, 0, sizeof last);
	ringwake_histogram_merge(&last, &shared);
	assert_int_equal(last.count, ADDED);
	assert_int_equal(last.sum, (uint64_t)ADDED * (ADDED + 1) / 2);
	assert_int_equal(last.max, ADDED);
}

int main(void)
{
	const struct CMUnitTest histogram_tests[] = {
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_powers_of_two_are_bounds),
		cmocka_unit_test(test_no_time_is_too_long),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_quantiles),
		cmocka_unit_test(test_quantiles_of_few_and_many),
		cmocka_unit_test(test_reader_while_a_thread_adds),
	};
	return RUN_BOUNDED(histogram_tests, 60);
}
