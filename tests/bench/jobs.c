/* SPDX-License-Identifier: MIT */
/* H: empty jobs for a pool of four workers, a number of them under way at any time. */
#include <stdatomic.h>
#include <stdlib.h>

#include "machine.h"
#include "questions.h"
#include "workers.h"

#define MAX_JOBS 1000

struct job {
	long index;
	int64_t submitted;
};

static struct {
	const struct workers *workers;
	void *loop;
	long left_to_submit, left_to_end;
	int32_t *latencies;
	long latency_count;
	_Atomic long run;
	struct job jobs[MAX_JOBS];
} state;

static void submit(struct job *job, int64_t now)
{
	state.left_to_submit--;
	job->submitted = now;
	state.workers->submit(state.loop, job->index, job);
}

void run_job(void *job)
{
	(void)job;
	atomic_fetch_add_explicit(&state.run, 1, memory_order_relaxed);
}

static void on_done(void *argument)
{
	struct job *job = argument;
	int64_t now = now_ns();
	state.latencies[state.latency_count++] = (int32_t)(now - job->submitted);
	if (--state.left_to_end == 0)
		state.workers->stop(state.loop);
	else if (state.left_to_submit > 0)
		submit(job, now);
}

static int compare(const void *left, const void *right)
{
	int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
	return (a > b) - (a < b);
}

static void measure(const struct workers *workers, long under_way, long jobs, double *values)
{
	state.workers = workers;
	state.loop = workers->open(on_done, MAX_JOBS);
	state.left_to_submit = state.left_to_end = jobs;
	state.latencies = calloc((size_t)jobs, sizeof state.latencies[0]);
	check(state.latencies != NULL, "memory");
	state.latency_count = 0;
	atomic_store(&state.run, 0);
	int64_t start = now_ns();
	for (long i = 0; i < under_way; i++) {
		state.jobs[i].index = i;
		submit(&state.jobs[i], now_ns());
	}
	workers->run(state.loop);
	int64_t end = now_ns();
	workers->close(state.loop);
	check(state.latency_count == jobs && atomic_load(&state.run) == jobs, "jobs are missing");
	qsort(state.latencies, (size_t)jobs, sizeof state.latencies[0], compare);
	values[0] = (double)jobs * 1e9 / (double)(end - start);
	values[1] = state.latencies[jobs / 2] / 1000.0;
	values[2] = state.latencies[jobs * 99 / 100] / 1000.0;
	free(state.latencies);
}

static void run_on_two_cores(const void *what, long under_way, double *values)
{
	start_spinners();
	pin(-1);
	measure(what, under_way, under_way > 1 ? amount(1000000) : amount(20000), values);
	stop_spinners();
}

static void run_on_one_core(const void *what, long under_way, double *values)
{
	pin(0);
	measure(what, under_way, under_way > 1 ? amount(1000000) : amount(40000), values);
	pin(-1);
}

#define RINGWAKE "ringwake_pool"
#define SPIN     "ringwake_pool, spin_ns 50,000"
#define ATTACHED "ringwake_uv_queue_work"
#define UV_SPIN  "ringwake_uv_queue_work, on the ring, spin_ns 50,000"
#define UV       "uv_queue_work"

/* With one core there is nothing to spin beside: the last two, and the last four of what is to be
 * reached, are for two. */
static const struct variant variants[] = {{.name = RINGWAKE, .what = &workers_ringwake},
	{.name = ATTACHED, .what = &workers_uv_attached}, {.name = UV, .what = &workers_uv},
	{.name = SPIN, .what = &workers_ringwake_spin},
	{.name = UV_SPIN, .what = &workers_uv_spin}};
static const struct metric metrics[] = {
	{"rate", "jobs/s", true}, {"p50", "us", false}, {"p99", "us", false}};
static const struct reach reaches[] = {
	{.subject = RINGWAKE, .peer = UV, .metric = 0, .comparison = AT_LEAST, .limit = 3},
	{.subject = RINGWAKE, .peer = UV, .metric = 2, .comparison = AT_MOST, .limit = 1},
	{.subject = SPIN, .peer = UV, .metric = 0, .comparison = AT_LEAST, .limit = 3},
	{.subject = SPIN, .peer = UV, .metric = 2, .comparison = AT_MOST, .limit = 1},
	{.subject = UV_SPIN, .peer = UV, .metric = 0, .comparison = AT_LEAST, .limit = 3},
	{.subject = UV_SPIN, .peer = UV, .metric = 2, .comparison = AT_MOST, .limit = 1}};
static const long points[] = {1, 1000};

#define JOBS(id, letter, where, function, without)                                                 \
	const struct question question_##id = {.name = letter,                                     \
		.title = "Worker pool, empty jobs",                                                \
		.how = "four workers; " where "; submit to callback is the latency",               \
		.point = "jobs under way",                                                         \
		.points = points,                                                                  \
		.point_count = COUNT(points),                                                      \
		.metrics = metrics,                                                                \
		.metric_count = COUNT(metrics),                                                    \
		.variants = variants,                                                              \
		.variant_count = COUNT(variants) - 2 * (without),                                  \
		.run = function,                                                                   \
		.reaches = reaches,                                                                \
		.reach_count = COUNT(reaches) - 4 * (without)}

JOBS(jobs, "H", "all threads on two cores, SCHED_IDLE spinners on both", run_on_two_cores, 0);
JOBS(jobs_one_core, "H1", "all threads pinned to one core", run_on_one_core, 1);
