/* SPDX-License-Identifier: MIT */
/* Runs work on other threads and takes the results on the loop: sums of squares, in parts. */
#include <ringwake/pool.h>
#include <stdio.h>
#include <string.h>

enum { PARTS = 16, PART = 100000 };

struct part {
	struct ringwake_work work; /* first, so a pointer to it is a pointer to the whole */
	unsigned long from, sum;
};

static unsigned long total;
static int finished;

/* Runs on a worker. */
static void add_up(struct ringwake_work *work)
{
	struct part *part = (struct part *)work;
	for (unsigned long i = part->from; i < part->from + PART; i++)
		part->sum += i * i;
}

/* Runs on the loop's thread, so it needs no lock. */
static void on_sum(struct ringwake_work *work, int status)
{
	if (status == 0)
		total += ((struct part *)work)->sum;
	finished++;
}

int main(void)
{
	static struct part parts[PARTS];
	struct ringwake *target;
	struct ringwake_pool *pool;
	int error = ringwake_open(&target, NULL, NULL);
	if (error == 0)
		error = ringwake_pool_open(&pool, 2);
	if (error < 0) {
		fprintf(stderr, "no target or no pool: %s\n", strerror(-error));
		return 1;
	}
	for (unsigned long i = 0; i < PARTS; i++) {
		parts[i].from = i * PART;
		ringwake_pool_submit(pool, target, &parts[i].work, add_up, on_sum);
	}
	while (finished < PARTS)
		ringwake_wait(target, -1);
	printf("the squares below %d add up to %lu\n", PARTS * PART, total);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
	return 0;
}
