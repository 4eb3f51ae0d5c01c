/* SPDX-License-Identifier: MIT */
/* K: the memory of a target, a handle, a message. */
#include <dirent.h>
#include <liburing.h>
#include <malloc.h>
#include <ringwake/uv.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel.h"
#include "questions.h"

#define TARGETS 64
#define HANDLES 10000
#define QUEUED  100000

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

/* Memory that is mapped and is not the heap's: rings, and pages of their own. */
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

static void measure_targets(struct io_uring *ring, enum ringwake_path path, double *values)
{
	struct ringwake *targets[TARGETS];
	struct ringwake_params params = {.path = path};
	struct usage before = usage_now();
	for (int i = 0; i < TARGETS; i++)
		must(ringwake_open(&targets[i], ring, &params), "ringwake_open");
	struct usage after = usage_now();
	for (int i = 0; i < TARGETS; i++)
		ringwake_close(targets[i]);
	difference(before, after, TARGETS, values);
}

static void own_ring(double *values)
{
	measure_targets(NULL, RINGWAKE_PATH_MSG_RING, values);
}

static void own_eventfd(double *values)
{
	measure_targets(NULL, RINGWAKE_PATH_EVENTFD, values);
}

static void given_ring(double *values)
{
	struct io_uring ring;
	must(io_uring_queue_init(8, &ring, 0), "io_uring_queue_init");
	measure_targets(&ring, RINGWAKE_PATH_MSG_RING, values);
	io_uring_queue_exit(&ring);
}

/* On top of the message itself. */
static void queued(double *values)
{
	static struct ringwake_msg messages[QUEUED];
	struct ringwake *target;
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

static void events(double *values)
{
	static struct ringwake_event list[HANDLES];
	struct ringwake *target;
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

static void uv_handles(double *values)
{
	static uv_async_t handles[HANDLES];
	uv_loop_t loop;
	must(uv_loop_init(&loop), "uv_loop_init");
	struct usage before = usage_now();
	for (int i = 0; i < HANDLES; i++)
		must(uv_async_init(&loop, &handles[i], NULL), "uv_async_init");
	difference(before, usage_now(), HANDLES, values);
	for (int i = 0; i < HANDLES; i++)
		uv_close((uv_handle_t *)&handles[i], NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	must(uv_loop_close(&loop), "uv_loop_close");
	values[0] += sizeof handles[0];
}

static void ringwake_handles(double *values)
{
	static ringwake_uv_async_t handles[HANDLES];
	struct ringwake_uv *attached;
	uv_loop_t loop;
	must(uv_loop_init(&loop), "uv_loop_init");
	must(ringwake_uv_attach(&attached, &loop, NULL), "ringwake_uv_attach");
	struct usage before = usage_now();
	for (int i = 0; i < HANDLES; i++)
		must(ringwake_uv_async_init(attached, &handles[i], NULL), "ringwake_uv_async_init");
	difference(before, usage_now(), HANDLES, values);
	for (int i = 0; i < HANDLES; i++)
		ringwake_uv_close((uv_handle_t *)&handles[i], NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	must(ringwake_uv_detach(attached), "ringwake_uv_detach");
	must(uv_loop_close(&loop), "uv_loop_close");
	values[0] += sizeof handles[0];
}

struct subject {
	void (*measure)(double *values);
};

static void run(const void *what, long point, double *values)
{
	const struct subject *subject = what;
	(void)point;
	subject->measure(values); /* once before: what is set up once for all is not counted */
	memset(values, 0, 3 * sizeof values[0]);
	subject->measure(values);
}

#define SUBJECT(function)                                                                          \
	&(const struct subject)                                                                    \
	{                                                                                          \
		function                                                                           \
	}
#define MESSAGE "message, queued"
#define OWN     "target with a ring of its own"
static const struct variant variants[] = {
	{.name = OWN, .what = SUBJECT(own_ring), NEEDS_SYNC_MSG_RING},
	{.name = "target on the application's ring",
		.what = SUBJECT(given_ring),
		NEEDS_SYNC_MSG_RING},
	{.name = "target on an eventfd", .what = SUBJECT(own_eventfd)},
	{.name = MESSAGE, .what = SUBJECT(queued)},
	{.name = "ringwake_event", .what = SUBJECT(events)},
	{.name = "ringwake_uv_async_t", .what = SUBJECT(ringwake_handles)},
	{.name = "uv_async_t", .what = SUBJECT(uv_handles)}};
static const struct metric metrics[] = {{"its own memory", "bytes", false},
	{"mapped beside it", "bytes", false}, {"descriptors", "", false}};
static const struct reach reaches[] = {
	{.subject = MESSAGE, .metric = 0, .comparison = BELOW, .limit = 16},
	{.subject = MESSAGE, .metric = 1, .comparison = BELOW, .limit = 0}};
static const long points[] = {1};

const struct question question_memory = {.name = "K2",
	.title = "Memory",
	.how = "bytes for one, of 64 targets, 10,000 handles, 100,000 messages",
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
