/* SPDX-License-Identifier: MIT */
/* A ringwake pool, whose completions are sent to the target of the loop that submitted the work. */
#include "loop.h"
#include "work.h"

#include <ringwake/pool.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pool {
	struct work_pool base;
	struct ringwake_pool *workers;
	struct ringwake *targets[WORK_LOOPS_MAX]; /* references, for the figures of all loops */
	unsigned count;
};

struct link {
	struct work_link base;
	struct pool *pool;
	const struct loop_type *type;
	struct loop *loop;
	struct ringwake *target;
	bool must_call; /* work is queued, and the workers may be blocked */
};

_Static_assert(sizeof(struct ringwake_work) <= WORK_ROOM, "room for the library's own");

static struct ringwake_work *inner_of(struct work *work)
{
	return (struct ringwake_work *)work->room;
}

static struct work *work_of(struct ringwake_work *inner)
{
	return (struct work *)((char *)inner - offsetof(struct work, room));
}

static const char *const paths[] = {
	[RINGWAKE_PATH_AUTO] = "auto",
	[RINGWAKE_PATH_MSG_RING] = "msg_ring",
	[RINGWAKE_PATH_EVENTFD] = "eventfd",
};

static bool find_path(const char *name, enum ringwake_path *path)
{
	for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (strcmp(name, paths[i]) == 0) {
			*path = (enum ringwake_path)i;
			return true;
		}
	}
	return false;
}

static bool path_is_good(const char *path)
{
	enum ringwake_path found;
	const char *source = "--path";
	bool good = find_path(path, &found);
	if (good && found == RINGWAKE_PATH_AUTO) {
		source = "RINGWAKE_PATH";
		path = getenv(source);
		good = path == NULL || *path == '\0' || find_path(path, &found);
	}
	if (!good)
		fprintf(stderr, "%s=%s: not a path; use auto, msg_ring or eventfd\n", source, path);
	return good;
}

static int pool_open(struct work_pool **out, unsigned workers)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	struct ringwake_pool_params params = {.threads = workers, .record_times = true};
	int error = pool ? ringwake_pool_open_with(&pool->workers, &params) : -ENOMEM;
	if (error == -EINVAL)
		fprintf(stderr, "RINGWAKE_SPIN or RINGWAKE_POOL_TIMES has an invalid value\n");
	if (error) {
		free(pool);
		return error;
	}
	pool->base.type = &work_ringwake;
	*out = &pool->base;
	return 0;
}

static void pool_close(struct work_pool *base)
{
	struct pool *pool = (struct pool *)base;
	ringwake_pool_close(pool->workers, RINGWAKE_POOL_FINISH);
	while (pool->count > 0)
		ringwake_unref(pool->targets[--pool->count]);
	free(pool);
}

static int link_open(struct work_link **out, struct work_pool *base, const struct loop_type *type,
	struct loop *loop, const char *path)
{
	struct pool *pool = (struct pool *)base;
	struct ringwake_params params = {0};
	find_path(path, &params.path);
	struct link *link = calloc(1, sizeof(*link));
	if (!link)
		return -ENOMEM;
	*link = (struct link){
		.base.type = &work_ringwake, .pool = pool, .type = type, .loop = loop};
	int error = type->attach(loop, &params, &link->target);
	if (error) {
		free(link);
		return error;
	}
	pool->targets[pool->count++] = ringwake_ref(link->target);
	*out = &link->base;
	return 0;
}

static void link_begin(struct work_link *base)
{
	struct link *link = (struct link *)base;
	if (link->must_call)
		ringwake_pool_kick(link->pool->workers);
	link->must_call = false;
}

static void link_close(struct work_link *base)
{
	struct link *link = (struct link *)base;
	link_begin(base);
	link->type->detach(link->loop);
	free(link);
}

static struct ringwake *link_target(const struct work_link *link)
{
	return ((const struct link *)link)->target;
}

static const char *link_path(const struct work_link *link)
{
	return paths[ringwake_get_path(((const struct link *)link)->target)];
}

/* A target whose loop has ended keeps its figures. */
static struct ringwake_stats sum_of_targets(const struct pool *pool)
{
	struct ringwake_stats sum = {0};
	for (unsigned i = 0; i < pool->count; i++) {
		struct ringwake_stats one;
		ringwake_get_stats(pool->targets[i], &one, sizeof one);
		sum.messages += one.messages;
		sum.doorbells += one.doorbells;
		sum.doorbells_saved += one.doorbells_saved;
		sum.doorbell_failures += one.doorbell_failures;
		sum.dispatches += one.dispatches;
		if (sum.longest_batch < one.longest_batch)
			sum.longest_batch = one.longest_batch;
	}
	return sum;
}

static unsigned pool_figures(struct work_link *link, struct figure figures[WORK_FIGURES_MAX])
{
	struct pool *pool = ((struct link *)link)->pool;
	struct ringwake_stats target = sum_of_targets(pool);
	struct ringwake_pool_stats workers;
	ringwake_pool_get_stats(pool->workers, &workers, sizeof workers);
	const struct figure list[] = {
		{"webserver_workers", "Worker threads.", workers.threads},
		{"webserver_idle_workers", "Worker threads that have no work.", workers.idle},
		{"webserver_queued", "Pieces of work that no worker has started.", workers.queued},
		{"ringwake_messages_total", "Messages sent to the loops, most of them completions.",
			target.messages},
		{"ringwake_doorbells_total", "Doorbells: system calls made to wake a loop.",
			target.doorbells},
		{"ringwake_doorbells_saved_total", "Messages that needed no system call.",
			target.doorbells_saved},
		{"ringwake_doorbell_failures_total", "Doorbells that the kernel refused.",
			target.doorbell_failures},
		{"ringwake_dispatches_total", "Loop iterations that handled messages.",
			target.dispatches},
		{"ringwake_longest_batch", "The most messages in one iteration.",
			target.longest_batch},
	};
	_Static_assert(sizeof(list) / sizeof(list[0]) <= WORK_FIGURES_MAX, "room for all");
	memcpy(figures, list, sizeof(list));
	return sizeof(list) / sizeof(list[0]);
}

static struct work_times times_of(
	const char *name, const char *help, const struct ringwake_histogram *histogram)
{
	struct work_times times = {
		.name = name, .help = help, .count = histogram->count, .sum = histogram->sum};
	unsigned bucket = 0;
	uint64_t seen = 0;
	for (unsigned i = 0; i < WORK_BOUNDS; i++) {
		while (ringwake_histogram_bound(bucket) <= UINT64_C(1) << (WORK_FIRST_BOUND + i))
			seen += histogram->buckets[bucket++];
		times.at_most[i] = seen;
	}
	return times;
}

static unsigned pool_times(struct work_link *link, struct work_times times[WORK_TIMES_MAX])
{
	struct ringwake_pool_times all;
	ringwake_pool_get_times(((struct link *)link)->pool->workers, &all, sizeof all);
	times[0] = times_of("webserver_work_waiting_seconds", "How long work waited for a worker.",
		&all.waiting);
	times[1] = times_of("webserver_work_running_seconds", "How long workers took to do work.",
		&all.running);
	return 2;
}

static void on_worker(struct ringwake_work *inner)
{
	struct work *work = work_of(inner);
	work->run(work);
}

static void on_loop(struct ringwake_work *inner, int status)
{
	(void)status; /* this program cancels no work */
	struct work *work = work_of(inner);
	work->done(work);
}

static int link_submit(struct work_link *base, struct work *work)
{
	struct link *link = (struct link *)base;
	int result = ringwake_pool_enqueue(
		link->pool->workers, link->target, inner_of(work), on_worker, on_loop);
	if (result < 0)
		return result;
	link->must_call |= result;
	return 0;
}

const struct work_type work_ringwake = {path_is_good, pool_open, pool_close, link_open, link_close,
	link_submit, link_begin, link_target, link_path, pool_figures, pool_times};
