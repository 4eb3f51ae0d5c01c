/* SPDX-License-Identifier: MIT */
/* I: the example web server under wrk, on each loop, woken by ringwake and by uv_async. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "question.h"

struct child {
	pid_t process;
	FILE *output;
};

/* Runs a program on one of the two cores. */
static struct child start_program(int index, const char *const *arguments)
{
	int ends[2];
	must(pipe2(ends, O_CLOEXEC), "pipe2");
	pid_t process = (pid_t)must(fork(), "fork");
	if (process == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pin(index);
		dup2(ends[1], STDOUT_FILENO);
		execvp(arguments[0], (char *const *)(uintptr_t)arguments);
		fprintf(stderr, "%s: %s\n", arguments[0], strerror(errno));
		_exit(127);
	}
	close(ends[1]);
	FILE *output = fdopen(ends[0], "r");
	check(output != NULL, "fdopen");
	return (struct child){process, output};
}

/* The processor time that it used, in ns. */
static double end_program(struct child *child)
{
	struct rusage usage;
	int status;
	must(wait4(child->process, &status, 0, &usage), "wait4");
	check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a program did not end well");
	fclose(child->output);
	return ((double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec) * 1e9 +
		((double)usage.ru_utime.tv_usec + (double)usage.ru_stime.tv_usec) * 1e3;
}

/* Fewer responses leave less than ten above their quantile of 99.9 %. */
#define ENOUGH 10000

enum { RATE, P50, P99, P999, PROCESSOR_TIME };

/* Returns the number of requests that were answered. */
static double load(const char *url, long connections, double *values)
{
	char clients[16], line[256];
	snprintf(clients, sizeof clients, "%ld", connections);
	const char *seconds = amount(10) == 10 ? "2" : "1";
	const char *const arguments[] = {
		"wrk", "-t", "1", "-c", clients, "-d", seconds, "-s", WRK_SCRIPT, url, NULL};
	struct child wrk = start_program(1, arguments);
	double requests = 0, duration, failed;
	while (fgets(line, sizeof line, wrk.output)) {
		if (sscanf(line, "requests=%lf us=%lf failed=%lf p50=%lf p99=%lf p99.9=%lf",
			    &requests, &duration, &failed, &values[P50], &values[P99],
			    &values[P999]) == 6)
			check(failed == 0, line);
	}
	end_program(&wrk);
	check(requests > 0, "wrk counted no request");
	values[RATE] = requests / duration * 1e6;
	if (requests < ENOUGH)
		values[P999] = NAN;
	return requests;
}

struct setup {
	const char *loop, *wake;
};

static void measure(const struct setup *setup, const char *path, long connections, double *values)
{
	const char *const arguments[] = {
		SERVER, "--port", "0", "--loop", setup->loop, "--wake", setup->wake, NULL};
	struct child server = start_program(0, arguments);
	char line[256], url[128];
	check(fgets(line, sizeof line, server.output) &&
			sscanf(line, "listening on %63s", url) == 1,
		"the server did not start");
	strncat(url, path, sizeof url - strlen(url) - 1);
	double requests = load(url, connections, values);
	kill(server.process, SIGTERM);
	values[PROCESSOR_TIME] = end_program(&server) / requests / 1000;
}

static void run_digest(const void *what, long connections, double *values)
{
	measure(what, "/digest?bytes=64", connections, values);
}

/* It hands out no work, so that the ways to wake must not differ. */
static void run_healthz(const void *what, long connections, double *values)
{
	measure(what, "/healthz", connections, values);
}

static bool can_run(void)
{
	return access(SERVER, X_OK) == 0 && system("command -v wrk >/dev/null") == 0;
}

static const struct setup uv = {"uv", "ringwake"}, uv_native = {"uv", "native"},
			  uv_ring = {"uv-ring", "ringwake"}, ring = {"ring", "ringwake"};
#ifdef HAVE_EV
static const struct setup ev = {"ev", "ringwake"};
#define EV_SETUP &ev
#else
#define EV_SETUP NULL
#endif

#define UV      "--loop uv"
#define UV_RING "--loop uv-ring"
#define NATIVE  "--loop uv --wake native"
#define NEEDS   .needs = "wrk, and the server built with this loop", .possible = can_run

static const struct variant variants[] = {{.name = UV, .what = &uv, NEEDS, BOTH_PATHS},
	{.name = NATIVE, .what = &uv_native, NEEDS},
	{.name = UV_RING, .what = &uv_ring, NEEDS, BOTH_PATHS},
	{.name = "--loop ev", .what = EV_SETUP, NEEDS, BOTH_PATHS},
	{.name = "--loop ring", .what = &ring, NEEDS, BOTH_PATHS}};
static const struct metric metrics[] = {[RATE] = {"rate", "requests/s", true},
	[P50] = {"p50", "us", false},
	[P99] = {"p99", "us", false},
	[P999] = {"p99.9", "us", false},
	[PROCESSOR_TIME] = {"processor time", "us/request", false}};

#define SHOW(loop, which)                                                                          \
	{                                                                                          \
		.subject = loop, .peer = NATIVE, .metric = which, .comparison = SHOWN              \
	}
#define SHOW_ALL(loop)                                                                             \
	SHOW(loop, RATE), SHOW(loop, P50), SHOW(loop, P99), SHOW(loop, P999),                      \
		SHOW(loop, PROCESSOR_TIME)
#define GOAL(which, relation, most)                                                                \
	{                                                                                          \
		.subject = UV, .peer = NATIVE, .metric = which, .point = 64,                       \
		.comparison = relation, .limit = most                                              \
	}
static const struct reach reaches[] = {GOAL(RATE, AT_LEAST, 1.2), GOAL(P99, AT_MOST, 0.9),
	GOAL(PROCESSOR_TIME, AT_MOST, 1), SHOW_ALL(UV), SHOW_ALL(UV_RING)};
static const struct reach control[] = {SHOW_ALL(UV), SHOW_ALL(UV_RING)};

#define COMMON                                                                                     \
	.how = "wrk on one core, the server on the other", .point = "connections",                 \
	.metrics = ALL(metrics), .variants = ALL(variants)

const struct question question_web_digest = {.name = "I1",
	.title = "The example web server, /digest?bytes=64",
	.points = (const long[]){1, 64, 1000},
	.point_count = 3,
	COMMON,
	.run = run_digest,
	.reaches = ALL(reaches)};
const struct question question_web_healthz = {.name = "I2",
	.title = "The example web server, /healthz",
	.points = (const long[]){64},
	.point_count = 1,
	COMMON,
	.run = run_healthz,
	.reaches = ALL(control)};
