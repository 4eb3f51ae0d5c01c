/* SPDX-License-Identifier: MIT */
/*
 * A pool grows by a call and by itself while threads cannot be created: four jobs end when all of
 * them run, and the pool begins with one worker. Usage: pool_growth. Prints how many calls of
 * ringwake_pool_resize() failed, the last error, and how many workers and jobs there were.
 */
#include <pthread.h>
#include <ringwake/pool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { JOBS = 4, ATTEMPTS = 100, SECONDS = 30 };

static pthread_barrier_t all_run;
static unsigned jobs_done;

static void run(struct ringwake_work *work)
{
	(void)work;
	pthread_barrier_wait(&all_run);
}

static void done(struct ringwake_work *work, int status)
{
	(void)work;
	jobs_done += status == 0;
}

int main(void)
{
	alarm(SECONDS); /* a job that no worker takes never ends */
	struct ringwake *target;
	struct ringwake_pool *pool;
	static struct ringwake_work jobs[JOBS];
	struct ringwake_pool_stats stats;
	pthread_barrier_init(&all_run, NULL, JOBS);
	int error = ringwake_open(&target, NULL, NULL);
	if (error == 0)
		error = ringwake_pool_open(&pool, 1);
	if (error < 0) {
		printf("open %s\n", strerror(-error));
		return 1;
	}
	int last_error = 0;
	unsigned failed = 0;
	while (failed < ATTEMPTS && (error = ringwake_pool_resize(pool, 1, JOBS)) < 0) {
		last_error = error;
		failed++;
	}
	for (unsigned i = 0; error == 0 && i < JOBS; i++)
		error = ringwake_pool_submit(pool, target, &jobs[i], run, done);
	while (error == 0 && jobs_done < JOBS)
		ringwake_wait(target, -1);
	ringwake_pool_get_stats(pool, &stats, sizeof stats);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
	printf("resize failed %u (%s), workers %u, jobs %u\n", failed,
		last_error ? strerror(-last_error) : "never", stats.threads, jobs_done);
	return error < 0;
}
