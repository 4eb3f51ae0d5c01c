/* SPDX-License-Identifier: MIT */
/*
 * uv_queue_work() on ringwake's pool. All loops of the process share its workers, as they share
 * libuv's; they start with the first work and end when the last loop that used them is detached.
 */
#include "attach.h"

#include <pthread.h>
#include <ringwake/pool.h>
#include <stdlib.h>

#define DEFAULT_WORKERS 4

struct job {
	struct ringwake_work work;
	struct ringwake_uv *attached;
	uv_work_t *request;
};

static pthread_mutex_t workers_lock = PTHREAD_MUTEX_INITIALIZER;
static struct ringwake_pool *workers;
static unsigned workers_users;

static unsigned workers_wanted(void)
{
	const char *text = getenv("UV_THREADPOOL_SIZE");
	if (text == NULL)
		return DEFAULT_WORKERS;
	long count = strtol(text, NULL, 10);
	if (count < 1)
		return 1;
	return count > RINGWAKE_POOL_MAX_THREADS ? RINGWAKE_POOL_MAX_THREADS : (unsigned)count;
}

static int join_workers(struct ringwake_uv *attached)
{
	if (attached->uses_workers)
		return 0;
	int error = 0;
	pthread_mutex_lock(&workers_lock);
	if (workers == NULL)
		error = ringwake_pool_open(&workers, workers_wanted());
	if (error == 0) {
		workers_users++;
		attached->uses_workers = true;
	}
	pthread_mutex_unlock(&workers_lock);
	return error;
}

void ringwake_uv_leave_workers(struct ringwake_uv *attached)
{
	if (!attached->uses_workers)
		return;
	pthread_mutex_lock(&workers_lock);
	attached->uses_workers = false;
	if (--workers_users == 0) {
		ringwake_pool_close(workers, RINGWAKE_POOL_FINISH);
		workers = NULL;
	}
	pthread_mutex_unlock(&workers_lock);
}

/* Never called: it marks the requests that are ringwake's own. */
static void mark(struct uv__work *work)
{
	(void)work;
}

static void run(struct ringwake_work *work)
{
	struct job *job = (struct job *)work;
	job->request->work_cb(job->request);
}

static void done(struct ringwake_work *work, int status)
{
	struct job *job = (struct job *)work;
	uv_work_t *request = job->request;
	ringwake_uv_release(job->attached);
	free(job);
	request->work_req.work = NULL;
	if (request->after_work_cb)
		request->after_work_cb(request, status);
}

int ringwake_uv_queue_work(struct ringwake_uv *attached, uv_work_t *request, uv_work_cb work_cb,
	uv_after_work_cb after_work_cb)
{
	if (work_cb == NULL)
		return UV_EINVAL;
	int error = join_workers(attached);
	if (error < 0)
		return error;
	struct job *job = malloc(sizeof *job);
	if (job == NULL)
		return UV_ENOMEM;
	job->attached = attached;
	job->request = request;
	request->type = UV_WORK;
	request->loop = attached->loop;
	request->work_cb = work_cb;
	request->after_work_cb = after_work_cb;
	request->work_req.work = mark;
	request->work_req.loop = attached->loop;
	request->reserved[0] = job;
	ringwake_uv_hold(attached);
	error = ringwake_pool_submit(workers, attached->target, &job->work, run, done);
	if (error < 0) {
		ringwake_uv_release(attached);
		free(job);
	}
	return error;
}

int ringwake_uv_cancel(uv_req_t *request)
{
	uv_work_t *work = (uv_work_t *)request;
	if (request->type != UV_WORK || work->work_req.work != mark)
		return uv_cancel(request);
	struct job *job = request->reserved[0];
	return ringwake_pool_cancel(workers, &job->work);
}
