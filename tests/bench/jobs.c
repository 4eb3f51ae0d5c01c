/* SPDX-License-Identifier: MIT */
/* H: empty jobs for a pool of four workers, a fixed number of them under way at any time. */
#include <stdatomic.h>
#include <stdlib.h>

#include "peer.h"
#include "question.h"

#define MAX_JOBS 1000

static struct {
	const struct peer *peer;
	struct loop *loop;
	long left_to_submit, left_to_end;
	int32_t *latencies;
	long latency_count;
	_Atomic long run_count;
	struct job jobs[MAX_JOBS];
} state;

static void end_job(struct job *job);

static void submit(struct job *job, int64_t now)
{
	state.left_to_submit--;
	job->submitted_ns = now;
	job->ended = end_job;
	state.peer->submit(state.loop, job);
}

void run_job(void)
{
	atomic_fetch_add_explicit(&state.run_count, 1, memory_order_relaxed);
}

static void end_job(struct job *job)
{
	int64_t now = now_ns();
	state.latencies[state.latency_count++] = (int32_t)(now - job->submitted_ns);
	if (--state.left_to_end == 0)
		state.peer->stop(state.loop);
	else if (state.left_to_submit > 0)
		submit(job, now);
}

static int compare(const void *left, const void *right)
{
	int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
	return (a > b) - (a < b);
}

static void run(const void *what, long under_way, double *values)
{
	long jobs = amount(under_way > 1 ? 1000000 : 20000);
	struct receiver receiver = {.handles = 1}; /* it keeps the loop alive without jobs */
	state.peer = what;
	state.loop = state.peer->open(state.peer, &receiver);
	state.left_to_submit = state.left_to_end = jobs;
	state.latencies = allocate((size_t)jobs, sizeof state.latencies[0]);
	state.latency_count = 0;
	atomic_store(&state.run_count, 0);
	int64_t start = now_ns();
	for (long i = 0; i < under_way; i++)
		submit(&state.jobs[i], now_ns());
	state.peer->run(state.loop);
	int64_t end = now_ns();
	state.peer->close(state.loop);
	check(state.latency_count == jobs && atomic_load(&state.run_count) == jobs,
		"jobs are missing");
	qsort(state.latencies, (size_t)jobs, sizeof state.latencies[0], compare);
	values[0] = (double)jobs * 1e9 / (double)(end - start);
	values[1] = state.latencies[jobs / 2] / 1000.0;
	values[2] = state.latencies[jobs * 99 / 100] / 1000.0;
	free(state.latencies);
}

#define RINGWAKE "ringwake_pool"
#define ATTACHED "ringwake_uv_queue_work"
#define ON_RING  "ringwake_uv_queue_work, on the ring, a pool of its own"
#define BLOCKING "ringwake_pool, RINGWAKE_SPIN_OFF"
#define CLASSES  "ringwake_pool, work of three classes"
#define TIMES    "ringwake_pool, times recorded"
#define UV       "uv_queue_work"

static const struct variant variants[] = {
	{.name = RINGWAKE, .what = &peer_ringwake_pool, BOTH_PATHS},
	{.name = ATTACHED, .what = &peer_uv_attached, BOTH_PATHS},
	{.name = ON_RING, .what = &peer_uv_ring_pool, BOTH_PATHS},
	{.name = BLOCKING, .what = &peer_ringwake_pool_blocking, BOTH_PATHS},
	{.name = CLASSES, .what = &peer_ringwake_pool_classes},
	{.name = TIMES, .what = &peer_ringwake_pool_times}, {.name = UV, .what = &peer_uv}};
static const struct metric metrics[] = {
	{"rate", "jobs/s", true}, {"p50", "us", false}, {"p99", "us", false}};
#define GOALS(variant)                                                                             \
	{.subject = (variant), .peer = UV, .metric = 0, .comparison = AT_LEAST, .limit = 3},       \
	{                                                                                          \
		.subject = (variant), .peer = UV, .metric = 2, .comparison = AT_MOST, .limit = 1   \
	}
static const struct reach reaches[] = {GOALS(RINGWAKE), GOALS(ATTACHED), GOALS(ON_RING),
	{.subject = CLASSES, .peer = RINGWAKE, .comparison = AT_LEAST, .limit = 0.95}};
static const long points[] = {1, 1000};

#define JOBS(id, letter, where, pinning)                                                           \
	const struct question question_##id = {.name = letter,                                     \
		.title = "Worker pool, empty jobs",                                                \
		.how = "four workers; " where "; submit to callback is the latency",               \
		.placement = pinning,                                                              \
		.point = "jobs under way",                                                         \
		.points = ALL(points),                                                             \
		.metrics = ALL(metrics),                                                           \
		.variants = ALL(variants),                                                         \
		.run = run,                                                                        \
		.reaches = ALL(reaches)}

JOBS(jobs, "H", "all threads on two cores, SCHED_IDLE spinners on both", TWO_CORES);
JOBS(jobs_one_core, "H1", "all threads pinned to one core", ONE_CORE);
