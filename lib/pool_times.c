/* SPDX-License-Identifier: MIT */
/*
 * How long work waits and how long it runs. Each worker adds to histograms of its own, without a
 * lock, and before it sends the completion: a loop that has called done finds the work in the
 * figures.
 *
 * Recording doubles the processor time of an empty job, so it is done only on request;
 * docs/design.md has the measurement. The clock is read when run is called and not when the work
 * before it has ended, because sending a completion can take long: a loop that it wakes may take
 * the processor.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pool_private.h"
#include "reserved.h"
#include "spin.h"

/* 1: RINGWAKE_POOL_TIMES asks for times; 0: it does not; or -EINVAL. */
static int from_environment(void)
{
	const char *value = secure_getenv("RINGWAKE_POOL_TIMES");
	if (value == NULL || strcmp(value, "") == 0 || strcmp(value, "off") == 0)
		return 0;
	return strcmp(value, "on") == 0 ? 1 : -EINVAL;
}

int ringwake_pool_open_times(struct ringwake_pool *pool, bool wanted)
{
	int result = from_environment();
	pool->records_times = wanted || result > 0;
	return result < 0 ? result : 0;
}

static uint64_t between(int64_t from_ns, int64_t to_ns)
{
	return to_ns > from_ns ? (uint64_t)(to_ns - from_ns) : 0;
}

void ringwake_pool_run_timed(struct worker_times *times, struct ringwake_work *work)
{
	int64_t start_ns = ringwake_now_ns();
	ringwake_histogram_add(&times->waiting, between(work->submitted_ns, start_ns));
	work->run(work);
	ringwake_histogram_add(&times->running, between(start_ns, ringwake_now_ns()));
}

/* A worker that has ended keeps its times. */
void ringwake_pool_get_times(
	struct ringwake_pool *pool, struct ringwake_pool_times *times, size_t size)
{
	struct ringwake_pool_times now = {.waiting = {.count = 0}};
	/* Acquire: pairs with the release in new_worker. */
	const struct worker *worker = atomic_load_explicit(&pool->workers, memory_order_acquire);
	for (; worker; worker = worker->next) {
		if (worker->times == NULL)
			continue;
		ringwake_histogram_merge(&now.waiting, &worker->times->waiting);
		ringwake_histogram_merge(&now.running, &worker->times->running);
	}
	ringwake_copy_out(times, size, &now, sizeof now);
}
