/* SPDX-License-Identifier: MIT */
/* Classes of work: what is taken first, and how long a class waits. */
#include <stdlib.h>

#include "pool.h"

static void test_params(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(1);
	struct keeper keeper;
	struct job jobs[5] = {{.runs = 0}};
	jobs_done = 0;
	assert_int_equal(
		submit_as(pool, target, &jobs[0], run_job, (enum ringwake_work_class)CLASSES),
		-EINVAL);
	assert_int_equal(submit_as(pool, target, &jobs[0], run_job, (enum ringwake_work_class) - 1),
		-EINVAL);
	for (int i = 0; i < 7; i++) {
		struct ringwake_submit_params params = {.work_class = NORMAL};
		params.reserved[i] = 1;
		assert_int_equal(ringwake_pool_submit_with(
					 pool, target, &jobs[0].work, run_job, finish_job, &params),
			-EINVAL);
	}
	assert_int_equal(
		ringwake_pool_submit_with(pool, target, &jobs[0].work, NULL, finish_job, NULL),
		-EINVAL);
	assert_int_equal(
		ringwake_pool_submit_with(pool, target, &jobs[0].work, run_job, finish_job, NULL),
		0);
	wait_for_jobs(target, 1);
	keep_busy(&keeper, pool, target, 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(submit_as(pool, target, &jobs[1 + i], run_job, classes[i]), 0);
	let_go(&keeper);
	wait_for_jobs(target, 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(jobs[i].runs, 1);
	end_pool(pool, target);
	destroy_keeper(&keeper);
}

enum { MANY = 300 };
static struct job jobs[MANY];
static unsigned order[MANY], order_length;

static void note_order(struct ringwake_work *work)
{
	order[order_length++] = (unsigned)((struct job *)work - jobs);
}

/* Submits count jobs while the only worker is busy, and notes in which order it runs them. Looks at
 * the figures after each look_after jobs, which moves them from the inbox to the queues. */
static void run_in_order(const enum ringwake_work_class *of, unsigned count, unsigned look_after)
{
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(1);
	struct ringwake_pool_stats stats;
	struct keeper keeper;
	memset(jobs, 0, sizeof jobs);
	order_length = 0;
	keep_busy(&keeper, pool, target, 1);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(submit_as(pool, target, &jobs[i], note_order, of[i]), 0);
		if ((i + 1) % look_after == 0) {
			ringwake_pool_get_stats(pool, &stats, sizeof stats);
			assert_int_equal(stats.queued, i + 1);
		}
	}
	let_go(&keeper);
	wait_for_jobs(target, count + 1);
	assert_int_equal(order_length, count);
	ringwake_pool_get_stats(pool, &stats, sizeof stats);
	assert_int_equal(stats.queued, 0);
	end_pool(pool, target);
	destroy_keeper(&keeper);
}

static void test_order(void **state)
{
	(void)state;
	static const enum ringwake_work_class of[] = {
		SLOW, NORMAL, FAST, SLOW, NORMAL, NORMAL, FAST, FAST, SLOW, NORMAL, FAST};
	static const unsigned expected[] = {2, 6, 7, 10, 1, 4, 5, 9, 0, 3, 8};
	run_in_order(of, sizeof of / sizeof *of, 4);
	assert_memory_equal(order, expected, sizeof expected);
}

/* Fast work comes first although a worker that has normal work does not look into the inbox for
 * more; and normal work comes before slow work that is in its queue already. */
static void order_of_inbox_and_queue(
	enum ringwake_work_class lower, enum ringwake_work_class higher)
{
	const enum ringwake_work_class of[] = {lower, lower, higher};
	static const unsigned expected[] = {2, 0, 1};
	run_in_order(of, 3, 2);
	assert_memory_equal(order, expected, sizeof expected);
}

static void test_higher_work_in_the_inbox(void **state)
{
	(void)state;
	order_of_inbox_and_queue(NORMAL, FAST);
	order_of_inbox_and_queue(SLOW, FAST);
	order_of_inbox_and_queue(SLOW, NORMAL);
}

/* After 16 pieces of a higher class, one of the class that was passed over. */
static void test_a_class_is_passed_over_16_times(void **state)
{
	(void)state;
	enum ringwake_work_class of[MANY];
	unsigned since[CLASSES] = {0}, left[CLASSES] = {0}, longest[CLASSES] = {0};
	for (unsigned i = 0; i < MANY; i++) {
		of[i] = i < 5 ? SLOW : i < 10 ? NORMAL : FAST;
		left[of[i]]++;
	}
	run_in_order(of, MANY, 4);
	for (unsigned i = 0; i < MANY; i++) {
		enum ringwake_work_class ran = of[order[i]];
		left[ran]--;
		for (unsigned other = 0; other < CLASSES; other++) {
			since[other] = other == ran || left[other] == 0 ? 0 : since[other] + 1;
			if (since[other] > longest[other])
				longest[other] = since[other];
		}
	}
	assert_int_equal(longest[NORMAL], 16);
	assert_int_equal(
		longest[SLOW], 17); /* the normal work, which was due as well, came first */
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(of[order[i]], FAST);
	assert_int_equal(order[16], 5);
	assert_int_equal(order[17], 0);
}

/* Lower work is still in the inbox, and the worker has enough higher work in the queues. */
static void test_no_work_starves_in_the_inbox(void **state)
{
	(void)state;
	enum { HIGHER = 100 };
	static const struct {
		enum ringwake_work_class higher, lower;
	} cases[] = {{FAST, NORMAL}, {FAST, SLOW}, {NORMAL, SLOW}};
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ringwake *target = open_target(NULL);
		struct ringwake_pool *pool = open_pool(1);
		struct ringwake_pool_stats stats;
		struct keeper keeper;
		unsigned place = 0;
		memset(jobs, 0, sizeof jobs);
		order_length = 0;
		keep_busy(&keeper, pool, target, 1);
		for (unsigned j = 0; j < HIGHER; j++)
			submit_as(pool, target, &jobs[j], note_order, cases[i].higher);
		ringwake_pool_get_stats(pool, &stats, sizeof stats);
		submit_as(pool, target, &jobs[HIGHER], note_order, cases[i].lower);
		let_go(&keeper);
		wait_for_jobs(target, HIGHER + 2);
		while (order[place] != HIGHER)
			place++;
		assert_true(place >= 16 && place <= 32);
		end_pool(pool, target);
		destroy_keeper(&keeper);
	}
}

static bool is_higher(enum ringwake_work_class left, enum ringwake_work_class right)
{
	return left != right && (left == FAST || right == SLOW);
}

/* For work that was in the queues when the first of it was taken. */
static void check_order(const enum ringwake_work_class *of)
{
	unsigned passed_over[CLASSES] = {0}, left[CLASSES] = {0}, last[CLASSES] = {0};
	for (unsigned i = 0; i < MANY; i++)
		left[of[i]]++;
	for (unsigned i = 0; i < MANY; i++) {
		enum ringwake_work_class ran = of[order[i]];
		for (unsigned other = 0; other < CLASSES; other++) {
			if (other == ran || left[other] == 0)
				continue;
			/* A lower class is next only if it was passed over 16 times. */
			if (is_higher(classes[other], ran))
				assert_true(passed_over[ran] >= 16);
			passed_over[other]++;
			assert_true(passed_over[other] <= 17);
		}
		passed_over[ran] = 0;
		left[ran]--;
		assert_true(last[ran] <= order[i]); /* the oldest of its class */
		last[ran] = order[i] + 1;
	}
}

static void test_random_order(void **state)
{
	(void)state;
	unsigned seed = random_seed();
	for (unsigned round = 0; round < rounds_here(50); round++) {
		enum ringwake_work_class of[MANY];
		unsigned share = 1 + (unsigned)rand_r(&seed) % 9;
		for (unsigned i = 0; i < MANY; i++)
			of[i] = (unsigned)rand_r(&seed) % 10 < share
				? FAST
				: classes[rand_r(&seed) % CLASSES];
		run_in_order(of, MANY, 4);
		check_order(of);
	}
}

static void test_cancel_in_each_class(void **state)
{
	(void)state;
	enum { EACH = 3 };
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(1);
	struct keeper keeper;
	memset(jobs, 0, sizeof jobs);
	order_length = 0;
	keep_busy(&keeper, pool, target, 1);
	for (unsigned i = 0; i < CLASSES * EACH; i++)
		submit_as(pool, target, &jobs[i], note_order, classes[i / EACH]);
	for (unsigned i = 0; i < CLASSES; i++)
		assert_int_equal(ringwake_pool_cancel(pool, &jobs[EACH * i + i].work), 0);
	wait_for_jobs(target, 3);
	let_go(&keeper);
	wait_for_jobs(target, CLASSES * EACH + 1);
	static const unsigned expected[] = {3, 5, 1, 2, 6, 7};
	assert_int_equal(order_length, 6);
	assert_memory_equal(order, expected, sizeof expected);
	for (unsigned i = 0; i < CLASSES; i++)
		assert_int_equal(jobs[EACH * i + i].status, -ECANCELED);
	end_pool(pool, target);
	destroy_keeper(&keeper);
}

int main(void)
{
	const struct CMUnitTest class_tests[] = {
		ON_BOTH_PATHS(test_params),
		ON_BOTH_PATHS(test_order),
		ON_BOTH_PATHS(test_higher_work_in_the_inbox),
		ON_BOTH_PATHS(test_a_class_is_passed_over_16_times),
		ON_BOTH_PATHS(test_no_work_starves_in_the_inbox),
		ON_BOTH_PATHS(test_random_order),
		ON_BOTH_PATHS(test_cancel_in_each_class),
	};
	return RUN_BOUNDED(class_tests, 120);
}
