/* SPDX-License-Identifier: MIT */
/* A pool of ringwake's, whose completions are events of a libev loop. */
#include "work.h"

#include <ringwake/ev.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct work_pool {
	struct ringwake_ev *attached;
	struct ringwake_pool *workers;
};

_Static_assert(sizeof(ringwake_ev_work) <= WORK_ROOM, "room for the library's own");

static ringwake_ev_work *inner_of(struct work *work)
{
	return (ringwake_ev_work *)work->room;
}

static struct work *work_of(ringwake_ev_work *inner)
{
	return (struct work *)((char *)inner - offsetof(struct work, room));
}

int work_pool_open(struct work_pool **out, void *loop, unsigned workers, const char *path)
{
	struct ringwake_params params = {0};
	if (strcmp(path, "msg_ring") == 0)
		params.path = RINGWAKE_PATH_MSG_RING;
	else if (strcmp(path, "eventfd") == 0)
		params.path = RINGWAKE_PATH_EVENTFD;
	else if (strcmp(path, "auto") != 0)
		return -EINVAL;
	struct work_pool *pool = calloc(1, sizeof(*pool));
	if (!pool)
		return -ENOMEM;
	int error = ringwake_ev_attach(&pool->attached, loop, &params);
	if (error) {
		free(pool);
		return error;
	}
	error = ringwake_pool_open(&pool->workers, workers);
	if (error) {
		ringwake_ev_detach(pool->attached);
		free(pool);
		return error;
	}
	*out = pool;
	return 0;
}

void work_begin(struct work_pool *pool)
{
	(void)pool; /* each submit has seen to it */
}

void work_pool_close(struct work_pool *pool)
{
	ringwake_pool_close(pool->workers, RINGWAKE_POOL_FINISH);
	ringwake_ev_detach(pool->attached);
	free(pool);
}

const char *work_pool_path(const struct work_pool *pool)
{
	bool eventfd = ringwake_path(ringwake_ev_target(pool->attached)) == RINGWAKE_PATH_EVENTFD;
	return eventfd ? "eventfd" : "msg_ring";
}

unsigned work_pool_figures(struct work_pool *pool, struct figure figures[WORK_FIGURES_MAX])
{
	struct ringwake_stats target;
	struct ringwake_pool_stats workers;
	unsigned count = 0;
	ringwake_stats(ringwake_ev_target(pool->attached), &target);
	ringwake_pool_stats(pool->workers, &workers);
	figures[count++] = (struct figure){"webserver_workers", "Worker threads.", workers.threads};
	figures[count++] = (struct figure){
		"ringwake_messages_total", "Completions brought to the loop.", target.messages};
	figures[count++] = (struct figure){"ringwake_wakes_rung_total",
		"Doorbells: system calls made to wake the loop.", target.wakes_rung};
	figures[count++] = (struct figure){"ringwake_wakes_saved_total",
		"Completions that needed no system call.", target.wakes_saved};
	figures[count++] = (struct figure){"ringwake_doorbell_failures_total",
		"Doorbells that the kernel refused.", target.doorbell_failures};
	return count;
}

static void on_worker(ringwake_ev_work *inner)
{
	struct work *work = work_of(inner);
	work->run(work);
}

static void on_loop(struct ev_loop *loop, ringwake_ev_work *inner, int revents)
{
	(void)loop;
	(void)revents; /* nothing is cancelled here */
	struct work *work = work_of(inner);
	work->done(work);
}

int work_submit(struct work_pool *pool, struct work *work)
{
	ringwake_ev_work_init(inner_of(work), on_worker, on_loop);
	return ringwake_ev_queue_work(pool->attached, pool->workers, inner_of(work));
}
