/* SPDX-License-Identifier: MIT */
/* What the tests of batches share. */
#ifndef POOL_BATCH_H
#define POOL_BATCH_H

#include <sched.h>

#include "pool.h"

enum { MOST = 200 };
static struct job jobs[MOST];
static struct ringwake_work *works[MOST];

static inline void clear_jobs(void)
{
	memset(jobs, 0, sizeof jobs);
	for (unsigned i = 0; i < MOST; i++)
		works[i] = &jobs[i].work;
	jobs_done = 0;
}

/* A batch that counts its completions. */
struct counted_batch {
	struct ringwake_batch batch; /* first */
	unsigned dones;
	pthread_t done_on;
};
static unsigned batches_done;

static inline void finish_batch(struct ringwake_batch *batch)
{
	struct counted_batch *counted = (struct counted_batch *)batch;
	counted->dones++;
	counted->done_on = pthread_self();
	batches_done++;
}

static inline int submit_batch(struct ringwake_pool *pool, struct ringwake *target,
	struct counted_batch *counted, unsigned count)
{
	return ringwake_pool_submit_batch(
		pool, target, &counted->batch, works, count, run_job, finish_batch, NULL);
}

static inline void wait_for_batches(struct ringwake *target, unsigned count)
{
	while (batches_done < count)
		assert_true(ringwake_wait(target, PATIENCE_NS) >= 0);
}

static _Atomic unsigned futex_wakes, futex_waits;

static inline int counting_futex_wake(const _Atomic uint32_t *word, int count)
{
	atomic_fetch_add(&futex_wakes, 1);
	return real_system.futex_wake(word, count);
}

static inline int counting_futex_wait(
	const _Atomic uint32_t *word, uint32_t expected, const struct timespec *timeout)
{
	atomic_fetch_add(&futex_waits, 1);
	return real_system.futex_wait(word, expected, timeout);
}

static inline void count_futexes(void)
{
	hook_doorbell();
	futex_waits = 0;
	ringwake_system.futex_wake = counting_futex_wake;
	ringwake_system.futex_wait = counting_futex_wait;
}

#endif
