/* SPDX-License-Identifier: MIT */
/* K: what a loop costs that has nothing to do. */
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "machine.h"
#include "questions.h"
#include "way.h"

struct sleeper {
	const struct way *way;
	void *loop;
	long woken;
	pid_t thread;
	pthread_barrier_t begin;
};

static void on_woken(void *owner)
{
	struct sleeper *sleeper = owner;
	sleeper->woken++;
	sleeper->way->stop(sleeper->loop);
}

static void *sleep_in_loop(void *argument)
{
	struct sleeper *sleeper = argument;
	sleeper->thread = gettid();
	sleeper->loop = sleeper->way->open(on_woken, sleeper);
	pthread_barrier_wait(&sleeper->begin);
	sleeper->way->run(sleeper->loop);
	sleeper->way->close(sleeper->loop);
	return NULL;
}

/* How often the thread has gone to sleep or was made to wait. */
static long switches(pid_t thread)
{
	char path[64], line[128];
	long total = 0, count;
	snprintf(path, sizeof path, "/proc/self/task/%d/status", thread);
	FILE *file = fopen(path, "re");
	check(file != NULL, path);
	while (fgets(line, sizeof line, file)) {
		if (sscanf(line, "voluntary_ctxt_switches: %ld", &count) == 1 ||
			sscanf(line, "nonvoluntary_ctxt_switches: %ld", &count) == 1)
			total += count;
	}
	fclose(file);
	return total;
}

/* The barrier is a futex; what the loop sleeps in is another system call. */
static bool is_asleep(pid_t thread)
{
	char path[64];
	long call;
	snprintf(path, sizeof path, "/proc/self/task/%d/syscall", thread);
	FILE *file = fopen(path, "re");
	check(file != NULL, path);
	bool is_blocked = fscanf(file, "%ld", &call) == 1; /* "running", if it is not */
	fclose(file);
	return is_blocked && call != SYS_futex;
}

static void idle_for(long tenths)
{
	struct timespec time = {.tv_sec = tenths / 10, .tv_nsec = tenths % 10 * 100000000};
	while (nanosleep(&time, &time) != 0)
		;
}

static void run(const void *what, long point, double *values)
{
	struct sleeper sleeper = {.way = what};
	(void)point;
	pthread_barrier_init(&sleeper.begin, NULL, 2);
	pthread_t thread = start_thread(sleep_in_loop, &sleeper, 0);
	pthread_barrier_wait(&sleeper.begin);
	while (!is_asleep(sleeper.thread))
		sched_yield();
	long before = switches(sleeper.thread);
	idle_for(amount(100));
	values[0] = (double)(switches(sleeper.thread) - before);
	sleeper.way->wake(sleeper.loop);
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&sleeper.begin);
	check(sleeper.woken == 1, "the wake is missing");
}

#define TARGET "ringwake"
#define EDGES  "ringwake, libuv attached"
#define RING   "ringwake, libuv on the ring"
#define EPOLL  "ringwake, libev on epoll"
#define EVRING "ringwake, libev on io_uring"

static const struct variant variants[] = {{.name = TARGET, .what = &way_ringwake},
	{.name = EDGES, .what = &way_uv_attached}, {.name = RING, .what = &way_uv_ring},
	{.name = EPOLL, EV_WAY(way_ringwake_ev_epoll)},
	{.name = EVRING, EV_WAY(way_ringwake_ev_ring)}};
static const struct metric metrics[] = {{"wakeups", "", false}};
static const struct reach reaches[] = {{.subject = TARGET, .comparison = BELOW},
	{.subject = EDGES, .comparison = BELOW}, {.subject = RING, .comparison = BELOW},
	{.subject = EPOLL, .comparison = BELOW}, {.subject = EVRING, .comparison = BELOW}};
static const long points[] = {1};

const struct question question_idle = {.name = "K1",
	.title = "An idle loop",
	.how = "nothing is sent for 10 s, or 1 s with --quick",
	.points = points,
	.point_count = 1,
	.metrics = metrics,
	.metric_count = COUNT(metrics),
	.variants = variants,
	.variant_count = COUNT(variants),
	.run = run,
	.reaches = reaches,
	.reach_count = COUNT(reaches),
	.exact = true};
