/* SPDX-License-Identifier: MIT */
/* libuv's own pool, whose completions wake the loop by a uv_async. ringwake is compared to it. */
#include "work.h"

#include <uv.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct work_pool {
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

bool work_path_is_good(const char *path)
{
	if (strcmp(path, "auto") == 0)
		return true;
	fprintf(stderr, "--path=%s: not a path; use auto\n", path);
	return false;
}

void work_print_version(void)
{
	printf("webserver with libuv %s\n", uv_version_string());
}

int work_pool_open(struct work_pool **out, void *loop, unsigned workers, const char *path)
{
	(void)path; /* there is one path only */
	struct work_pool *pool = calloc(1, sizeof(*pool));
	if (!pool)
		return -ENOMEM;
	pool->loop = loop;
	pool->workers = workers ? workers : uv_available_parallelism();
	/* libuv starts its threads at the first request and reads their number from here. */
	char text[16];
	snprintf(text, sizeof(text), "%u", pool->workers);
	setenv("UV_THREADPOOL_SIZE", text, 1);
	*out = pool;
	return 0;
}

void work_begin(struct work_pool *pool)
{
	(void)pool; /* uv_queue_work() wakes the workers itself */
}

void work_pool_close(struct work_pool *pool)
{
	free(pool);
}

const char *work_pool_path(const struct work_pool *pool)
{
	(void)pool;
	return "uv_async";
}

/* libuv does not count its wake-ups. */
unsigned work_pool_figures(struct work_pool *pool, struct figure figures[WORK_FIGURES_MAX])
{
	figures[0] = (struct figure){"webserver_workers", "Worker threads.", pool->workers};
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

int work_submit(struct work_pool *pool, struct work *work)
{
	return uv_queue_work(pool->loop, inner_of(work), on_worker, on_loop);
}
