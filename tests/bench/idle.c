/* SPDX-License-Identifier: MIT */
/* K1: what a loop costs that has nothing to do. */
#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "peer.h"
#include "question.h"

struct sleeper {
	struct host host;
	long woken;
};

static void on_woken(struct ringwake_msg *msg)
{
	struct sleeper *sleeper = ((struct item *)msg)->context;
	sleeper->woken++;
	stop_host(&sleeper->host);
}

/* How often the thread has blocked or was preempted. */
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

/* The sum of what function returns for each thread but this one. */
static long sum_of_others(long (*function)(pid_t thread))
{
	long sum = 0;
	struct dirent *entry;
	DIR *threads = opendir("/proc/self/task");
	check(threads != NULL, "/proc/self/task");
	while ((entry = readdir(threads))) {
		pid_t thread = atoi(entry->d_name); /* 0: not a thread */
		if (thread != 0 && thread != gettid())
			sum += function(thread);
	}
	closedir(threads);
	return sum;
}

/* The system call that blocks the thread, or -1 if it runs. */
static long blocking_call(pid_t thread)
{
	char path[64];
	long call;
	snprintf(path, sizeof path, "/proc/self/task/%d/syscall", thread);
	FILE *file = fopen(path, "re");
	check(file != NULL, path);
	if (fscanf(file, "%ld", &call) != 1)
		call = -1; /* "running" */
	fclose(file);
	return call;
}

static long is_running(pid_t thread)
{
	return blocking_call(thread) < 0;
}

/* The barrier blocks on a futex, the loop in another system call. A pool's workers may spin. */
static bool is_idle(pid_t loop)
{
	long call = blocking_call(loop);
	return call >= 0 && call != SYS_futex && sum_of_others(is_running) == 0;
}

static void idle_for(long tenths)
{
	struct timespec time = {.tv_sec = tenths / 10, .tv_nsec = tenths % 10 * 100000000};
	while (nanosleep(&time, &time) != 0)
		;
}

/* The processor time of a thread, by the clock that pthread_getcpuclockid(3) would name. */
static long used_ns(pid_t thread)
{
	struct timespec used;
	must(clock_gettime(~(clockid_t)thread << 3 | 6, &used), "clock_gettime");
	return used.tv_sec * 1000000000 + used.tv_nsec;
}

static void run(const void *peer, long point, double *values)
{
	struct sleeper sleeper = {.host.peer = peer};
	struct item item = {.context = &sleeper};
	(void)point;
	sleeper.host.receiver = (struct receiver){.deliver = on_woken, .wake = item, .handles = 1};
	start_host(&sleeper.host, 0);
	while (!is_idle(sleeper.host.id))
		sched_yield();
	long before = sum_of_others(switches);
	long used_before = sum_of_others(used_ns);
	idle_for(amount(100));
	values[0] = (double)(sum_of_others(switches) - before);
	values[1] = (double)(sum_of_others(used_ns) - used_before) / 1000;
	send_to(&sleeper.host, &item);
	end_hosts(&sleeper.host, 1);
	check(sleeper.woken == 1, "the wake is missing");
}

#define TARGET "ringwake"
#define EDGES  "ringwake, libuv attached"
#define RING   "ringwake, libuv on the ring"
#define EPOLL  "ringwake, libev on epoll"
#define EVRING "ringwake, libev on io_uring"
#define POOL   "ringwake_pool"
#define NOTHING(subject_)                                                                          \
	{.subject = (subject_), .metric = 0, .comparison = BELOW},                                 \
	{                                                                                          \
		.subject = (subject_), .metric = 1, .comparison = BELOW                            \
	}

static const struct variant variants[] = {{.name = TARGET, .what = &peer_ringwake, BOTH_PATHS},
	{.name = EDGES, .what = &peer_uv_attached, BOTH_PATHS},
	{.name = RING, .what = &peer_uv_ring, BOTH_PATHS},
	{.name = EPOLL, EV_PEER(peer_ringwake_ev_epoll), BOTH_PATHS},
	{.name = EVRING, EV_PEER(peer_ringwake_ev_ring), BOTH_PATHS},
	{.name = POOL, .what = &peer_ringwake_pool, BOTH_PATHS}};
static const struct metric metrics[] = {{"wakeups", "", false}, {"processor time", "us", false}};
static const struct reach reaches[] = {NOTHING(TARGET), NOTHING(EDGES), NOTHING(RING),
	NOTHING(EPOLL), NOTHING(EVRING), NOTHING(POOL)};

const struct question question_idle = {.name = "K1",
	.title = "An idle loop",
	.how = "nothing is sent for 10 s, or 1 s with --quick",
	ONE_POINT,
	.metrics = ALL(metrics),
	.variants = ALL(variants),
	.run = run,
	.reaches = ALL(reaches),
	.exact = true};
