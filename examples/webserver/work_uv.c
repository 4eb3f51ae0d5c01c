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
	unsigned workers;
};

struct link {
	struct work_link base;
	struct pool *pool;
	uv_loop_t *loop;
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

static int pool_open(struct work_pool **out, unsigned workers)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	if (!pool)
		return -ENOMEM;
	pool->base.type = &work_uv;
	pool->workers = workers ? workers : uv_available_parallelism();
	/* libuv starts its threads at the first request and reads their number from here. */
	char text[16];
	snprintf(text, sizeof(text), "%u", pool->workers);
	setenv("UV_THREADPOOL_SIZE", text, 1);
	*out = &pool->base;
	return 0;
}

static void pool_close(struct work_pool *pool)
{
	free(pool);
}

static int link_open(struct work_link **out, struct work_pool *pool, const struct loop_type *type,
	struct loop *loop, const char *path)
{
	(void)type;
	(void)path; /* there is one path only */
	struct link *link = calloc(1, sizeof(*link));
	if (!link)
		return -ENOMEM;
	link->base.type = &work_uv;
	link->pool = (struct pool *)pool;
	link->loop = (uv_loop_t *)loop; /* its first member */
	*out = &link->base;
	return 0;
}

static void link_close(struct work_link *link)
{
	free(link);
}

static void link_begin(struct work_link *link)
{
	(void)link; /* uv_queue_work() wakes the workers itself */
}

static struct ringwake *link_target(const struct work_link *link)
{
	(void)link;
	return NULL;
}

static const char *link_path(const struct work_link *link)
{
	(void)link;
	return "uv_async";
}

/* libuv does not count its wake-ups. */
static unsigned pool_figures(struct work_link *link, struct figure figures[WORK_FIGURES_MAX])
{
	figures[0] = (struct figure){
		"webserver_workers", "Worker threads.", ((struct link *)link)->pool->workers};
	return 1;
}

/* Nor does it take times. */
static unsigned pool_times(struct work_link *link, struct work_times times[WORK_TIMES_MAX])
{
	(void)link;
	(void)times;
	return 0;
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

static int link_submit(struct work_link *link, struct work *work)
{
	return uv_queue_work(((struct link *)link)->loop, inner_of(work), on_worker, on_loop);
}

const struct work_type work_uv = {path_is_good, pool_open, pool_close, link_open, link_close,
	link_submit, link_begin, link_target, link_path, pool_figures, pool_times};
