/* SPDX-License-Identifier: MIT */
/* uv_queue_work() and ringwake_uv_queue_work(): the same requests and callbacks. */
#include <ringwake/pool.h>
#include <ringwake/uv.h>
#include <stdlib.h>

#include "question.h"
#include "workers.h"

struct loop {
	uv_loop_t uv;
	struct ringwake_uv *attached;
	struct ringwake_pool *pool; /* its own, or NULL */
	job_function done;
	uv_async_t alive; /* keeps the loop alive while no work is queued */
	uv_work_t requests[];
};

static struct loop *open_loop(job_function done, long jobs)
{
	struct loop *loop = calloc(1, sizeof *loop + (size_t)jobs * sizeof loop->requests[0]);
	check(loop != NULL, "memory");
	loop->done = done;
	must(uv_loop_init(&loop->uv), "uv_loop_init");
	must(uv_async_init(&loop->uv, &loop->alive, NULL), "uv_async_init");
	loop->uv.data = loop;
	return loop;
}

static void *open_uv(job_function done, long jobs)
{
	return open_loop(done, jobs);
}

static void on_worker(uv_work_t *request)
{
	run_job(request->data);
}

static void on_done(uv_work_t *request, int status)
{
	struct loop *loop = request->loop->data;
	check(status == 0, "work was cancelled");
	loop->done(request->data);
}

static void submit_uv(void *argument, long index, void *job)
{
	struct loop *loop = argument;
	loop->requests[index].data = job;
	must(uv_queue_work(&loop->uv, &loop->requests[index], on_worker, on_done), "uv_queue_work");
}

static void run(void *argument)
{
	struct loop *loop = argument;
	uv_run(&loop->uv, UV_RUN_DEFAULT);
}

static void stop(void *argument)
{
	struct loop *loop = argument;
	uv_stop(&loop->uv);
}

static void close_uv(void *argument)
{
	struct loop *loop = argument;
	uv_close((uv_handle_t *)&loop->alive, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	if (loop->pool)
		ringwake_pool_close(loop->pool, RINGWAKE_POOL_FINISH);
	if (loop->attached)
		must(ringwake_uv_detach(loop->attached), "ringwake_uv_detach");
	must(uv_loop_close(&loop->uv), "uv_loop_close");
	free(loop);
}

const struct workers workers_uv = {open_uv, submit_uv, run, stop, close_uv};

static void *open_attached(job_function done, long jobs)
{
	struct loop *loop = open_loop(done, jobs);
	must(ringwake_uv_attach(&loop->attached, &loop->uv, NULL), "ringwake_uv_attach");
	return loop;
}

static void submit_attached(void *argument, long index, void *job)
{
	struct loop *loop = argument;
	loop->requests[index].data = job;
	must(ringwake_uv_queue_work(loop->attached, &loop->requests[index], on_worker, on_done),
		"ringwake_uv_queue_work");
}

const struct workers workers_uv_attached = {open_attached, submit_attached, run, stop, close_uv};

static void *open_spinning(job_function done, long jobs)
{
	struct loop *loop = open_loop(done, jobs);
	struct ringwake_params params = {.spin_ns = SPIN_NS};
	must(ringwake_uv_attach(&loop->attached, &loop->uv, &params), "ringwake_uv_attach");
	struct ringwake_pool_params pool_params = {.threads = WORKERS, .spin_ns = SPIN_NS};
	must(ringwake_pool_open(&loop->pool, &pool_params), "ringwake_pool_open");
	must(ringwake_uv_use_pool(loop->attached, loop->pool), "ringwake_uv_use_pool");
	return loop;
}

static void run_on_ring(void *argument)
{
	struct loop *loop = argument;
	ringwake_uv_run(loop->attached, UV_RUN_DEFAULT);
}

const struct workers workers_uv_spin = {
	open_spinning, submit_attached, run_on_ring, stop, close_uv};
