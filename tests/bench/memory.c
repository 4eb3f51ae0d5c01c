/* SPDX-License-Identifier: MIT */
/* K2: the memory of a target, a handle, a message. N3: of many. */
#include <dirent.h>
#include <liburing.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peer.h"
#include "question.h"

#define TARGETS     64
#define MAX_TARGETS 1000 /* the descriptors of a process are limited */
#define HANDLES     10000
#define QUEUED      100000

static long targets_asked = TARGETS, handles_asked = HANDLES;

struct usage {
	double heap, mapped, descriptors;
};

static double descriptors(void)
{
	double count = 0;
	DIR *directory = opendir("/proc/self/fd");
	check(directory != NULL, "/proc/self/fd");
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

/* Mapped memory without the heap's: rings, and pages that a library maps itself. */
static double mapped(const struct mallinfo2 *heap)
{
	long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	check(file != NULL && fscanf(file, "%ld", &pages) == 1, "/proc/self/statm");
	fclose(file);
	return (double)(pages * sysconf(_SC_PAGESIZE)) - (double)heap->arena - (double)heap->hblkhd;
}

static struct usage usage_now(void)
{
	double open = descriptors();
	struct mallinfo2 heap = mallinfo2();
	return (struct usage){(double)heap.uordblks + (double)heap.hblkhd, mapped(&heap), open};
}

static void difference(struct usage before, struct usage after, double count, double *values)
{
	values[0] = (after.heap - before.heap) / count;
	values[1] = (after.mapped - before.mapped) / count;
	values[2] = (after.descriptors - before.descriptors) / count;
}

static void ignore(struct ringwake_msg *msg)
{
	(void)msg;
}

struct subject {
	void (*measure)(const struct subject *subject, double *values);
	bool uses_given_ring;
	const struct peer *peer;
};

static void measure_targets(const struct subject *subject, double *values)
{
	struct ringwake **targets = allocate((size_t)targets_asked, sizeof(targets[0]));
	struct io_uring ring;
	must(io_uring_queue_init(8, &ring, 0), "io_uring_queue_init");
	struct usage before = usage_now();
	for (long i = 0; i < targets_asked; i++)
		must(ringwake_open(&targets[i], subject->uses_given_ring ? &ring : NULL, NULL),
			"ringwake_open");
	difference(before, usage_now(), (double)targets_asked, values);
	for (long i = 0; i < targets_asked; i++)
		ringwake_close(targets[i]);
	free(targets);
	io_uring_queue_exit(&ring);
}

static void measure_messages(const struct subject *subject, double *values)
{
	static struct ringwake_msg messages[QUEUED];
	struct ringwake *target;
	(void)subject;
	must(ringwake_open(&target, NULL, NULL), "ringwake_open");
	struct usage before = usage_now();
	for (int i = 0; i < QUEUED; i++) {
		messages[i].fn = ignore;
		must(ringwake_send(target, &messages[i]), "ringwake_send");
	}
	difference(before, usage_now(), QUEUED, values);
	ringwake_close(target);
	values[0] += sizeof messages[0];
}

static void ignore_event(struct ringwake_event *event)
{
	(void)event;
}

static void measure_events(const struct subject *subject, double *values)
{
	static struct ringwake_event list[HANDLES];
	struct ringwake *target;
	(void)subject;
	must(ringwake_open(&target, NULL, NULL), "ringwake_open");
	struct usage before = usage_now();
	for (int i = 0; i < HANDLES; i++)
		ringwake_event_init(&list[i], target, ignore_event);
	difference(before, usage_now(), HANDLES, values);
	for (int i = 0; i < HANDLES; i++)
		ringwake_event_close(&list[i]);
	ringwake_close(target);
	values[0] += sizeof list[0];
}

/* What a loop with many handles takes more than a loop with one. */
static void measure_handles(const struct subject *subject, double *values)
{
	const struct peer *peer = subject->peer;
	double one[3], many[3];
	struct usage before = usage_now();
	struct loop *first = peer->open(peer, &(struct receiver){.handles = 1});
	struct usage between = usage_now();
	struct loop *second = peer->open(peer, &(struct receiver){.handles = 1 + handles_asked});
	difference(before, between, (double)handles_asked, one);
	difference(between, usage_now(), (double)handles_asked, many);
	for (int i = 0; i < 3; i++)
		values[i] = many[i] - one[i];
	peer->close(first);
	peer->close(second);
}

static void run(const void *what, long point, double *values)
{
	const struct subject *subject = what;
	(void)point;
	subject->measure(subject, values); /* so that what is set up only once is not counted */
	subject->measure(subject, values);
}

static void run_growth(const void *what, long count, double *values)
{
	const struct subject *subject = what;
	values[0] = NAN;
	if (subject->measure == measure_targets && count > MAX_TARGETS)
		return;
	double all[3];
	targets_asked = handles_asked = count;
	run(what, 1, all);
	targets_asked = TARGETS;
	handles_asked = HANDLES;
	values[0] = all[0] + all[1];
}

#define SUBJECT(...)                                                                               \
	&(const struct subject)                                                                    \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
#define MESSAGE "message, queued"
#define HANDLE  "ringwake_uv_async_t"
#define UV      "uv_async_t"
#define HANDLE_VARIANTS                                                                            \
	{.name = HANDLE,                                                                           \
		.what = SUBJECT(.measure = measure_handles, .peer = &peer_uv_attached),            \
		BOTH_PATHS},                                                                       \
	{                                                                                          \
		.name = UV, .what = SUBJECT(.measure = measure_handles, .peer = &peer_uv)          \
	}
static const struct variant variants[] = {
	{.name = "target", .what = SUBJECT(.measure = measure_targets), BOTH_PATHS},
	{.name = "target on the application's ring",
		.what = SUBJECT(.measure = measure_targets, .uses_given_ring = true),
		BOTH_PATHS},
	{.name = MESSAGE, .what = SUBJECT(.measure = measure_messages), BOTH_PATHS},
	{.name = "ringwake_event", .what = SUBJECT(.measure = measure_events), BOTH_PATHS},
	HANDLE_VARIANTS};
static const struct metric metrics[] = {{"its own memory", "bytes", false},
	{"mapped beside it", "bytes", false}, {"descriptors", "", false}};
static const struct reach reaches[] = {
	{.subject = MESSAGE, .metric = 0, .comparison = BELOW, .limit = 24},
	{.subject = MESSAGE, .metric = 1, .comparison = BELOW, .limit = 0}};

const struct question question_memory = {.name = "K2",
	.title = "Memory",
	.how = "bytes for one, of 64 targets, 10,000 handles, 100,000 messages",
	ONE_POINT,
	.metrics = ALL(metrics),
	.variants = ALL(variants),
	.run = run,
	.reaches = ALL(reaches),
	.exact = true};

static const struct variant growth_variants[] = {
	{.name = "target", .what = SUBJECT(.measure = measure_targets), BOTH_PATHS},
	HANDLE_VARIANTS};
static const struct metric growth_metrics[] = {{"memory for one", "bytes", false}};
static const long counts[] = {1, 10, 100, 1000, 10000, 100000, 1000000};

const struct question question_memory_growth = {.name = "N3",
	.title = "Scale: memory for one of many",
	.how = "allocated and mapped, divided by the count",
	.point = "count",
	.points = ALL(counts),
	.metrics = ALL(growth_metrics),
	.variants = ALL(growth_variants),
	.run = run_growth,
	.exact = true};
