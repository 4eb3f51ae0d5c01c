/* SPDX-License-Identifier: MIT */
/*
 * Worker threads for a loop: they search for a divisor, in parts. The worker that finds it calls
 * the loop, which cancels the parts that have not started. The search is slow work, so a short job
 * that is submitted last waits for no part of it.
 */
#include <errno.h>
#include <ringwake/pool.h>
#include <stdio.h>
#include <string.h>

enum { PARTS = 64, PART = 1000000 };

static const uint64_t number = UINT64_C(85899359104901933); /* 20000003 times a prime */

struct part {
	struct ringwake_work work; /* first, so a pointer to it is a pointer to the whole */
	uint64_t from;
};

struct digits {
	struct ringwake_work work;
	unsigned sum;
};

/* Slow work holds at most half of the workers. Other work starts on the rest. */
static const struct ringwake_submit_params slow = {.work_class = RINGWAKE_WORK_SLOW};

/* The loop's thread alone uses what follows, so it needs no lock. A worker uses only the target and
 * the work that it runs. */
static struct ringwake *target;
static struct ringwake_pool *pool;
static struct part parts[PARTS];
static struct digits digits;
static uint64_t divisor;
static int searched, cancelled, added;

/* Runs on the loop's thread, for a worker that waits for it. */
static void take_divisor(void *found)
{
	divisor = *(uint64_t *)found;
	for (int i = 0; i < PARTS; i++)
		ringwake_pool_cancel(pool, &parts[i].work); /* -EBUSY: it has started */
}

/* Runs on a worker. */
static void search(struct ringwake_work *work)
{
	const struct part *part = (struct part *)work;
	for (uint64_t i = part->from; i < part->from + PART; i++)
		if (i > 1 && number % i == 0)
			ringwake_call(target, take_divisor, &i, -1);
}

/* Runs on a worker. It is the short job. */
static void add_digits(struct ringwake_work *work)
{
	struct digits *own = (struct digits *)work;
	for (uint64_t rest = number; rest > 0; rest /= 10)
		own->sum += rest % 10;
}

/* Runs on the loop's thread, once for each part. */
static void on_searched(struct ringwake_work *work, int status)
{
	(void)work;
	if (status == -ECANCELED)
		cancelled++;
	else
		searched++;
}

/* Runs on the loop's thread. */
static void on_added(struct ringwake_work *work, int status)
{
	(void)work;
	(void)status; /* nothing cancels it */
	printf("the short job was submitted last and done after %d of %d slow parts: "
	       "the digits add up to %u\n",
		searched, PARTS, digits.sum);
	added = 1;
}

int main(void)
{
	int error = ringwake_open(&target, NULL, NULL);
	if (error == 0)
		error = ringwake_pool_open(&pool, 2);
	for (int i = 0; i < PARTS && error == 0; i++) {
		parts[i].from = (uint64_t)i * PART;
		error = ringwake_pool_submit_with(
			pool, target, &parts[i].work, search, on_searched, &slow);
	}
	if (error == 0)
		error = ringwake_pool_submit(pool, target, &digits.work, add_digits, on_added);
	while ((searched + cancelled < PARTS || !added) && error >= 0) {
		error = ringwake_wait(target, -1);
		if (error == -EINTR)
			error = 0;
	}
	if (error < 0) {
		fprintf(stderr, "%s\n", strerror(-error));
		return 1;
	}
	printf("%llu divides %llu: %d parts searched, %d cancelled\n", (unsigned long long)divisor,
		(unsigned long long)number, searched, cancelled);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
	return 0;
}
