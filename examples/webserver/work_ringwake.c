/* SPDX-License-Identifier: MIT */
/* A ringwake pool, whose completions are sent to the target that the loop serves. */
#include "loop.h"
#include "work.h"

#include <ringwake/pool.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pool {
	struct work_pool base;
	const struct loop_type *type;
	struct loop *loop;
	struct ringwake *target;
	struct ringwake_pool *workers;
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

static int pool_open(struct work_pool **out, const struct loop_type *type, struct loop *loop,
	unsigned workers, const char *path)
{
	struct ringwake_params params = {0};
	find_path(path, &params.path);
	struct pool *pool = calloc(1, sizeof(*pool));
	if (!pool)
		return -ENOMEM;
	*pool = (struct pool){.base.type = &work_ringwake, .type = type, .loop = loop};
	int error = type->attach(loop, &params, &pool->target);
	if (error) {
		free(pool);
		return error;
	}
	error = ringwake_pool_open(&pool->workers, workers);
	if (error) {
		type->detach(loop);
		free(pool);
		return error;
	}
	*out = &pool->base;
	return 0;
}

static void pool_begin(struct work_pool *base)
{
	struct pool *pool = (struct pool *)base;
	if (pool->must_call)
		ringwake_pool_kick(pool->workers);
	pool->must_call = false;
}

static void pool_close(struct work_pool *base)
{
	struct pool *pool = (struct pool *)base;
	pool_begin(base);
	ringwake_pool_close(pool->workers, RINGWAKE_POOL_FINISH);
	pool->type->detach(pool->loop);
	free(pool);
}

static const char *pool_path(const struct work_pool *pool)
{
	return paths[ringwake_get_path(((const struct pool *)pool)->target)];
}

static unsigned pool_figures(struct work_pool *base, struct figure figures[WORK_FIGURES_MAX])
{
	struct pool *pool = (struct pool *)base;
	struct ringwake_stats target;
	struct ringwake_pool_stats workers;
	ringwake_get_stats(pool->target, &target, sizeof target);
	ringwake_pool_get_stats(pool->workers, &workers, sizeof workers);
	const struct figure list[] = {
		{"webserver_workers", "Worker threads.", workers.threads},
		{"webserver_queued", "Digests that no worker has started.", workers.queued},
		{"ringwake_messages_total", "Completions sent to the loop.", target.messages},
		{"ringwake_doorbells_total", "Doorbells: system calls made to wake the loop.",
			target.doorbells},
		{"ringwake_doorbells_saved_total", "Completions that needed no system call.",
			target.doorbells_saved},
		{"ringwake_doorbell_failures_total", "Doorbells that the kernel refused.",
			target.doorbell_failures},
		{"ringwake_dispatches_total", "Loop iterations that handled completions.",
			target.dispatches},
		{"ringwake_longest_batch", "The most completions in one iteration.",
			target.longest_batch},
	};
	_Static_assert(sizeof(list) / sizeof(list[0]) <= WORK_FIGURES_MAX, "room for all");
	memcpy(figures, list, sizeof(list));
	return sizeof(list) / sizeof(list[0]);
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

static int pool_submit(struct work_pool *base, struct work *work)
{
	struct pool *pool = (struct pool *)base;
	int result = ringwake_pool_enqueue(
		pool->workers, pool->target, inner_of(work), on_worker, on_loop);
	if (result < 0)
		return result;
	pool->must_call |= result;
	return 0;
}

const struct work_type work_ringwake = {
	path_is_good, pool_open, pool_close, pool_submit, pool_begin, pool_path, pool_figures};
