/* SPDX-License-Identifier: MIT */
/* For probes.test: gives a pool work for half a second, and cancels some of it. */
#include <ringwake/pool.h>
#include <time.h>

static int outstanding;

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void run(struct ringwake_work *work)
{
	(void)work;
	double begin = seconds();
	while (seconds() < begin + 20e-6)
		;
}

static void done(struct ringwake_work *work, int status)
{
	(void)work;
	(void)status;
	outstanding--;
}

int main(void)
{
	struct ringwake *target;
	struct ringwake_pool *pool;
	struct ringwake_work works[3];
	if (ringwake_open(&target, NULL, NULL) < 0)
		return 1;
	if (ringwake_pool_open(&pool, 1) < 0)
		return 1;
	for (double begin = seconds(); seconds() < begin + 0.5;) {
		for (int i = 0; i < 3; i++)
			if (ringwake_pool_submit(pool, target, &works[i], run, done) == 0)
				outstanding++;
		ringwake_pool_cancel(pool, &works[2]);
		while (outstanding > 0)
			ringwake_wait(target, -1);
	}
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
	return 0;
}
