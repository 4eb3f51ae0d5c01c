/* SPDX-License-Identifier: MIT */
/* I: the example web server under wrk, on ringwake, on plain libuv, and on a ring. */
#include <errno.h>
#include <fcntl.h>
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

static double microseconds(double value, const char *unit)
{
	return strcmp(unit, "s") == 0 ? value * 1e6 : strcmp(unit, "ms") == 0 ? value * 1e3 : value;
}

/* Returns the number of requests that were answered. */
static double load(const char *url, double *values)
{
	const char *seconds = amount(10) == 10 ? "2" : "1";
	const char *const arguments[] = {
		"wrk", "-t", "1", "-c", "64", "-d", seconds, "--latency", url, NULL};
	struct child wrk = start_program(1, arguments);
	char line[256], unit[8];
	double value, requests = 0;
	while (fgets(line, sizeof line, wrk.output)) {
		check(!strstr(line, "Socket errors") && !strstr(line, "Non-2xx"), line);
		if (strstr(line, "requests in"))
			requests = strtod(line, NULL);
		else if (sscanf(line, "Requests/sec: %lf", &value) == 1)
			values[0] = value;
		else if (sscanf(line, " 99%% %lf%7s", &value, unit) == 2)
			values[1] = microseconds(value, unit);
	}
	end_program(&wrk);
	check(requests > 0, "wrk counted no request");
	return requests;
}

static void measure(const char *program, const char *path, double *values)
{
	const char *const arguments[] = {program, "--port", "0", NULL};
	struct child server = start_program(0, arguments);
	char line[256], url[128];
	check(fgets(line, sizeof line, server.output) &&
			sscanf(line, "listening on %63s", url) == 1,
		"the server did not start");
	strncat(url, path, sizeof url - strlen(url) - 1);
	double requests = load(url, values);
	kill(server.process, SIGTERM);
	values[2] = end_program(&server) / requests / 1000;
}

static void run_digest(const void *what, long point, double *values)
{
	(void)point;
	measure(what, "/digest?bytes=64", values);
}

static void run_healthz(const void *what, long point, double *values)
{
	(void)point;
	measure(what, "/healthz", values);
}

/* Built in the same tree. */
#define SERVER      WEBSERVERS "/webserver"
#define SERVER_UV   WEBSERVERS "/webserver-uv"
#define SERVER_RING WEBSERVERS "/webserver-ring"

static bool can_run(void)
{
	return access(SERVER, X_OK) == 0 && access(SERVER_UV, X_OK) == 0 &&
		access(SERVER_RING, X_OK) == 0 && system("command -v wrk >/dev/null") == 0;
}

#define RINGWAKE "webserver, on ringwake"
#define RING     "webserver-ring, on an io_uring of its own"
#define UV       "webserver-uv, on uv_async and uv_queue_work"
#define NEEDS    .needs = "wrk, and the servers built in " WEBSERVERS, .possible = can_run

static const struct variant variants[] = {{.name = RINGWAKE, .what = SERVER, NEEDS, BOTH_PATHS},
	{.name = RING, .what = SERVER_RING, NEEDS, BOTH_PATHS},
	{.name = UV, .what = SERVER_UV, NEEDS}};
static const struct metric metrics[] = {{"rate", "requests/s", true}, {"p99", "us", false},
	{"processor time", "us/request", false}};
static const struct reach reaches[] = {
	{.subject = RINGWAKE, .peer = UV, .metric = 0, .comparison = AT_LEAST, .limit = 1.2},
	{.subject = RINGWAKE, .peer = UV, .metric = 1, .comparison = AT_MOST, .limit = 0.9},
	{.subject = RINGWAKE, .peer = UV, .metric = 2, .comparison = AT_MOST, .limit = 1}};

#define WEB(id, letter, path, function)                                                            \
	const struct question question_##id = {.name = letter,                                     \
		.title = "The example web server, " path,                                          \
		.how = "wrk with 64 connections on one core, the server on the other",             \
		ONE_POINT,                                                                         \
		.metrics = ALL(metrics),                                                           \
		.variants = ALL(variants),                                                         \
		.run = function,                                                                   \
		.reaches = ALL(reaches)}

WEB(web_digest, "I1", "/digest?bytes=64", run_digest);
WEB(web_healthz, "I2", "/healthz", run_healthz);
