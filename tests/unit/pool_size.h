/* SPDX-License-Identifier: MIT */
/* What the tests of a pool's size share: waits and threads that are counted, and jobs that block
 * each other. */
#ifndef POOL_SIZE_H
#define POOL_SIZE_H

#include <sched.h>

#include "pool.h"

/* Waits with a timeout that are in progress, and others. */
static _Atomic int timed_waits, untimed_waits;

static inline int hooked_futex_wait(
	const _Atomic uint32_t *word, uint32_t expected, const struct timespec *timeout)
{
	_Atomic int *waits = timeout ? &timed_waits : &untimed_waits;
	atomic_fetch_add(waits, 1);
	int result = real_system.futex_wait(word, expected, timeout);
	atomic_fetch_sub(waits, 1);
	return result;
}

/* The next threads that cannot be created, and how many were tried. */
static _Atomic int failures;
static _Atomic unsigned creations;

static inline int hooked_create_thread(
	pthread_t *out, const pthread_attr_t *attributes, void *(*function)(void *), void *argument)
{
	atomic_fetch_add(&creations, 1);
	if (atomic_load(&failures) > 0 && atomic_fetch_sub(&failures, 1) > 0)
		return -EAGAIN;
	return real_system.create_thread(out, attributes, function, argument);
}

static inline int hook(void **state)
{
	hook_doorbell();
	timed_waits = untimed_waits = failures = 0;
	creations = 0;
	jobs_done = 0;
	ringwake_system.futex_wait = hooked_futex_wait;
	ringwake_system.create_thread = hooked_create_thread;
	return use_eventfd(state); /* these tests are about workers, not about the doorbell */
}

static inline int unhook_all(void **state)
{
	(void)state;
	unhook();
	return 0;
}

#define HOOKED(test) cmocka_unit_test_setup_teardown(test, hook, unhook_all)

static inline void await_threads(struct ringwake_pool *pool, unsigned threads)
{
	while (threads_of(pool) != threads)
		sched_yield();
}

static inline void submit(struct ringwake_pool *pool, struct ringwake *target, struct job *job)
{
	assert_int_equal(ringwake_pool_submit(pool, target, &job->work, run_job, finish_job), 0);
}

/* Jobs that end when all of them run. */
struct meeting {
	pthread_barrier_t barrier;
	struct job *jobs;
	unsigned count;
};

static inline void submit_meeting(struct meeting *meeting, struct ringwake_pool *pool,
	struct ringwake *target, struct job *jobs, unsigned count)
{
	meeting->jobs = jobs;
	meeting->count = count;
	pthread_barrier_init(&meeting->barrier, NULL, count);
	jobs_done = 0;
	for (unsigned i = 0; i < count; i++) {
		jobs[i] = (struct job){.started = &meeting->barrier, .go_on = &meeting->barrier};
		submit(pool, target, &jobs[i]);
	}
}

static inline void end_meeting(struct meeting *meeting, struct ringwake *target)
{
	wait_for_jobs(target, meeting->count);
	for (unsigned i = 0; i < meeting->count; i++) {
		assert_int_equal(meeting->jobs[i].runs, 1);
		assert_int_equal(meeting->jobs[i].dones, 1);
	}
}

/* After the workers have ended. */
static inline void destroy_meeting(struct meeting *meeting)
{
	pthread_barrier_destroy(&meeting->barrier);
}

/* Per-worker calls. No two workers have one number at a time. */
enum { MANY = 1000 };
static _Atomic int has_number[RINGWAKE_POOL_MAX_THREADS];
static _Atomic unsigned wrong_numbers, starts, ends, largest_number;
static _Atomic int refusals; /* of the next calls of begin */

static inline int begin(unsigned number, void *context)
{
	(void)context;
	atomic_fetch_add(&starts, 1);
	if (atomic_load(&refusals) > 0 && atomic_fetch_sub(&refusals, 1) > 0)
		return -EUCLEAN;
	wrong_numbers += atomic_fetch_add(&has_number[number], 1) != 0;
	unsigned largest = largest_number;
	while (number > largest && !atomic_compare_exchange_weak(&largest_number, &largest, number))
		;
	return 0;
}

static inline void end(unsigned number, void *context)
{
	(void)context;
	atomic_fetch_add(&ends, 1);
	atomic_fetch_sub(&has_number[number], 1);
}

static inline void reset_calls(void)
{
	wrong_numbers = starts = ends = largest_number = 0;
	refusals = 0;
}

#endif
