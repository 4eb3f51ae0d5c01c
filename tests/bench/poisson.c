/* SPDX-License-Identifier: MIT */
/* M2: messages that arrive as a Poisson process. */
#include <math.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#include "machine.h"
#include "policy.h"

#define SEED       7
#define SEED_TEXT  "7"
#define SLEEP_NS   60000 /* the sender blocks in longer gaps, and is busy in the rest */
#define MAX_EVENTS 30000

struct arrival {
	struct errand errand; /* its value is the arrival's number */
	int64_t sent_ns;
	int64_t latency_ns;
};

static struct {
	struct host host;
	long count, arrived;
	struct arrival *arrivals;
} state;

static void on_arrival(struct ringwake_msg *msg)
{
	struct arrival *arrival = (struct arrival *)(void *)msg;
	arrival->latency_ns = now_ns() - arrival->sent_ns;
	if (++state.arrived == state.count)
		stop_host(&state.host);
}

static double next_gap_ns(long rate, unsigned *seed)
{
	double part = (rand_r(seed) + 1.0) / ((double)RAND_MAX + 2.0);
	return -log(part) * 1e9 / (double)rate;
}

static void wait_until(int64_t time_ns)
{
	int64_t end = time_ns - SLEEP_NS;
	struct timespec end_time = {end / 1000000000, end % 1000000000};
	if (now_ns() < end)
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end_time, NULL);
	while (now_ns() < time_ns)
		relax();
}

/* Returns the processor time of the sends. */
static int64_t send_all(long rate)
{
	unsigned seed = SEED;
	double time_ns = (double)now_ns();
	int64_t used_ns = 0;
	for (long i = 0; i < state.count; i++) {
		struct arrival *arrival = &state.arrivals[i];
		time_ns += next_gap_ns(rate, &seed);
		wait_until((int64_t)time_ns);
		used_ns -= thread_used_ns();
		arrival->sent_ns = now_ns();
		send_to(&state.host, &arrival->errand.item);
		used_ns += thread_used_ns();
	}
	return used_ns;
}

static int compare(const void *left, const void *right)
{
	int64_t a = ((const struct arrival *)left)->latency_ns;
	int64_t b = ((const struct arrival *)right)->latency_ns;
	return (a > b) - (a < b);
}

/* The loop's thread and the workers are all threads but this one, which sends. */
static int64_t others_used_ns(void)
{
	return process_used_ns() - thread_used_ns();
}

static void run(const void *what, long rate, double *values)
{
	struct peer peer = peer_of(what);
	state.count = amount(rate < MAX_EVENTS ? rate : MAX_EVENTS);
	state.arrived = 0;
	state.arrivals = allocate((size_t)state.count, sizeof state.arrivals[0]);
	state.host =
		(struct host){.peer = &peer, .receiver = {.deliver = on_arrival, .handles = 1}};
	pin(1);
	prctl(PR_SET_TIMERSLACK, 1);
	int64_t used_ns = -others_used_ns();
	start_host(&state.host, 0);
	int64_t sending_ns = send_all(rate);
	end_hosts(&state.host, 1);
	used_ns += others_used_ns();
	prctl(PR_SET_TIMERSLACK, 0);
	check(state.arrived == state.count, "messages are missing");
	qsort(state.arrivals, (size_t)state.count, sizeof state.arrivals[0], compare);
	values[0] = (double)state.arrivals[state.count / 2].latency_ns / 1000;
	values[1] = (double)state.arrivals[state.count * 99 / 100].latency_ns / 1000;
	values[2] = (double)(used_ns + sending_ns) / (double)state.count / 1000;
	values[3] = (double)sending_ns / (double)state.count / 1000;
	free(state.arrivals);
}

static const struct variant variants[] = POLICY_VARIANTS(peer_uv_queue);
static const struct metric metrics[] = {{"p50", "us", false}, {"p99", "us", false},
	{"processor time a message", "us", false}, {"of which the send", "us", false}};
static const struct reach reaches[] = {
	ALL_AT_MOST_BLOCKING(0, 1.05), ALL_AT_MOST_BLOCKING(1, 1.05), ALL_AT_MOST_BLOCKING(2, 1.1)};
static const long rates[] = {1000, 10000, 100000};

const struct question question_poisson = {.name = "M2",
	.title = "Adaptive spinning: messages as a Poisson process",
	.how = "loop and sender on two cores, seed " SEED_TEXT "; from send to callback",
	.placement = FREE,
	.point = "a second",
	.points = ALL(rates),
	.metrics = ALL(metrics),
	.variants = ALL(variants),
	.run = run,
	.reaches = ALL(reaches)};
