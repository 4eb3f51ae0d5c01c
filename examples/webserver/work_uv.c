/* SPDX-License-Identifier: MIT */
/* libuv's own pool, whose completions wake the loop by a uv_async. ringwake is compared to it. */
#include "work.h"

#include <uv.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pool {
	struct work_pool base;
	uv_loop_t *loop;
	unsigned workers;
};

_Static_assert(sizeof(uv_work_t) <= WORK_ROOM, "room for the library's own");

static uv_work_t *inner_of(struct work *work)
{
	return (uv_work_t *)work->room;
}

static struct work *work_of(uv_work_t *inner)
{
	return (struct work *)((char *)inner - offsetof(struct work, room));
}

static bool path_is_good(const char *path)
{
	if (strcmp(path, "auto") == 0)
		return true;
	fprintf(stderr, "--path=%s: not a path; use auto with --wake native\n", path);
	return false;
}

static int pool_open(struct work_pool **out, const struct loop_type *type, struct loop *loop,
	unsigned workers, const char *path)
{
	(void)type;
	(void)path; /* there is one path only */
	struct pool *pool = calloc(1, sizeof(*pool));
	if (!pool)
		return -ENOMEM;
	pool->base.type = &work_uv;
	pool->loop = (uv_loop_t *)loop; /* its first member */
	pool->workers = workers ? workers : uv_available_parallelism();
	/* libuv starts its threads at the first request and reads their number from here. */
	char text[16];
	snprintf(text, sizeof(text), "%u", pool->workers);
	setenv("UV_THREADPOOL_SIZE", text, 1);
	*out = &pool->base;
	return 0;
}

static void pool_begin(struct work_pool *pool)
{
	(void)pool; /* uv_queue_work() wakes the workers itself */
}

static void pool_close(struct work_pool *pool)
{
	free(pool);
}

static const char *pool_path(const struct work_pool *pool)
{
	(void)pool;
	return "uv_async";
}

/* libuv does not count its wake-ups. */
static unsigned pool_figures(struct work_pool *pool, struct figure figures[WORK_FIGURES_MAX])
{
	figures[0] = (struct figure){
		"webserver_workers", "Worker threads.", ((struct pool *)pool)->workers};
	return 1;
}

static void on_worker(uv_work_t *inner)
{
	struct work *work = work_of(inner);
	work->run(work);
}

static void on_loop(uv_work_t *inner, int status)
{
	(void)status; /* this program cancels no work */
	struct work *work = work_of(inner);
	work->done(work);
}

static int pool_submit(struct work_pool *pool, struct work *work)
{
	return uv_queue_work(((struct pool *)pool)->loop, inner_of(work), on_worker, on_loop);
}

const struct work_type work_uv = {
	path_is_good, pool_open, pool_close, pool_submit, pool_begin, pool_path, pool_figures};
