/* SPDX-License-Identifier: MIT */
/* Counts primes on other threads. Each completion is an event of a libev loop. */
#include <ringwake/ev.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { PARTS = 20, PART = 10000 };

struct part {
	ringwake_ev_work work; /* first, so a pointer to it is a pointer to the whole */
	unsigned from, primes;
};

static unsigned total;

static bool is_prime(unsigned number)
{
	for (unsigned i = 2; i * i <= number; i++)
		if (number % i == 0)
			return false;
	return number > 1;
}

/* Runs on a worker. */
static void count(ringwake_ev_work *work)
{
	struct part *part = (struct part *)work;
	for (unsigned i = part->from; i < part->from + PART; i++)
		part->primes += is_prime(i);
}

/* Runs on the loop's thread, so it needs no lock. */
static void on_counted(struct ev_loop *loop, ringwake_ev_work *work, int revents)
{
	(void)loop;
	(void)revents;
	if (work->status == 0)
		total += ((struct part *)work)->primes;
}

int main(void)
{
	static struct part parts[PARTS];
	struct ev_loop *loop = EV_DEFAULT;
	struct ringwake_ev *attached;
	struct ringwake_pool *pool;
	int error = ringwake_ev_attach(&attached, loop, NULL);
	if (error == 0)
		error = ringwake_pool_open(&pool, 2);
	if (error < 0) {
		fprintf(stderr, "no target or no pool: %s\n", strerror(-error));
		return 1;
	}
	for (unsigned i = 0; i < PARTS; i++) {
		parts[i].from = i * PART;
		ringwake_ev_work_init(&parts[i].work, count, on_counted);
		ringwake_ev_queue_work(attached, pool, &parts[i].work);
	}
	ev_run(loop, 0); /* returns when all work is done */
	printf("%u primes below %d\n", total, PARTS * PART);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_ev_detach(attached);
	ev_loop_destroy(loop);
	return 0;
}
