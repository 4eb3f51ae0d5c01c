/* SPDX-License-Identifier: MIT */
/* K1: what a loop costs that has nothing to do. */
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>

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

/* The barrier blocks on a futex, the loop in another system call. */
static bool is_in_its_loop(pid_t thread)
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

static void run(const void *peer, long point, double *values)
{
	struct sleeper sleeper = {.host.peer = peer};
	struct item item = {.context = &sleeper};
	(void)point;
	sleeper.host.receiver = (struct receiver){.deliver = on_woken, .wake = item, .handles = 1};
	start_host(&sleeper.host, 0);
	while (!is_in_its_loop(sleeper.host.id))
		sched_yield();
	long before = switches(sleeper.host.id);
	idle_for(amount(100));
	values[0] = (double)(switches(sleeper.host.id) - before);
	send_to(&sleeper.host, &item);
	end_hosts(&sleeper.host, 1);
	check(sleeper.woken == 1, "the wake is missing");
}

#define TARGET "ringwake"
#define EDGES  "ringwake, libuv attached"
#define RING   "ringwake, libuv on the ring"
#define EPOLL  "ringwake, libev on epoll"
#define EVRING "ringwake, libev on io_uring"

static const struct variant variants[] = {{.name = TARGET, .what = &peer_ringwake, BOTH_PATHS},
	{.name = EDGES, .what = &peer_uv_attached, BOTH_PATHS},
	{.name = RING, .what = &peer_uv_ring, BOTH_PATHS},
	{.name = EPOLL, EV_PEER(peer_ringwake_ev_epoll), BOTH_PATHS},
	{.name = EVRING, EV_PEER(peer_ringwake_ev_ring), BOTH_PATHS}};
static const struct metric metrics[] = {{"wakeups", "", false}};
static const struct reach reaches[] = {{.subject = TARGET, .comparison = BELOW},
	{.subject = EDGES, .comparison = BELOW}, {.subject = RING, .comparison = BELOW},
	{.subject = EPOLL, .comparison = BELOW}, {.subject = EVRING, .comparison = BELOW}};

const struct question question_idle = {.name = "K1",
	.title = "An idle loop",
	.how = "nothing is sent for 10 s, or 1 s with --quick",
	ONE_POINT,
	.metrics = ALL(metrics),
	.variants = ALL(variants),
	.run = run,
	.reaches = ALL(reaches),
	.exact = true};
