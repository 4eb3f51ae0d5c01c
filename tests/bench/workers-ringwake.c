/* SPDX-License-Identifier: MIT */
#include <ringwake/pool.h>
#include <stdlib.h>

#include "question.h"
#include "workers.h"

struct slot {
	struct ringwake_work work;
	struct loop *loop;
	void *job;
};

struct loop {
	struct ringwake *target;
	struct ringwake_pool *pool;
	job_function done;
	bool stopped;
	struct slot slots[];
};

static void *open_pool(job_function done, long jobs, uint64_t spin_ns)
{
	struct loop *loop = calloc(1, sizeof *loop + (size_t)jobs * sizeof loop->slots[0]);
	check(loop != NULL, "memory");
	loop->done = done;
	struct ringwake_params params = {.spin_ns = spin_ns};
	must(ringwake_open(&loop->target, NULL, &params), "ringwake_open");
	struct ringwake_pool_params pool_params = {.threads = WORKERS, .spin_ns = spin_ns};
	must(ringwake_pool_open(&loop->pool, &pool_params), "ringwake_pool_open");
	return loop;
}

static void *open_sleeping(job_function done, long jobs)
{
	return open_pool(done, jobs, 0);
}

static void *open_spinning(job_function done, long jobs)
{
	return open_pool(done, jobs, SPIN_NS);
}

static void on_worker(struct ringwake_work *work)
{
	run_job(((struct slot *)work)->job);
}

static void on_done(struct ringwake_work *work, int status)
{
	struct slot *slot = (struct slot *)work;
	check(status == 0, "work was cancelled");
	slot->loop->done(slot->job);
}

static void submit(void *argument, long index, void *job)
{
	struct loop *loop = argument;
	struct slot *slot = &loop->slots[index];
	slot->loop = loop;
	slot->job = job;
	must(ringwake_pool_submit(loop->pool, loop->target, &slot->work, on_worker, on_done),
		"ringwake_pool_submit");
}

static void run(void *argument)
{
	struct loop *loop = argument;
	while (!loop->stopped)
		must(ringwake_wait(loop->target, -1), "ringwake_wait");
}

static void stop(void *argument)
{
	struct loop *loop = argument;
	loop->stopped = true;
}

static void close_pool(void *argument)
{
	struct loop *loop = argument;
	ringwake_pool_close(loop->pool, RINGWAKE_POOL_FINISH);
	ringwake_close(loop->target);
	free(loop);
}

const struct workers workers_ringwake = {open_sleeping, submit, run, stop, close_pool};
const struct workers workers_ringwake_spin = {open_spinning, submit, run, stop, close_pool};
