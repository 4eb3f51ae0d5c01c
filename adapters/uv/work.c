/* SPDX-License-Identifier: MIT */
/*
 * uv_queue_work() on ringwake's pool. All loops of the process share its workers, as they share
 * libuv's; they start with the first work and end when the last loop that used them is detached.
 * A forked child has none of its parent's: its first work starts some of its own.
 */
#include "attach.h"

#include <errno.h>
#include <ringwake/pool.h>
#include <stdlib.h>
#include <unistd.h>

#define DEFAULT_WORKERS 4

struct job {
	struct ringwake_work work;
	struct ringwake_uv *attached;
	uv_work_t *request;
};

/* Under the lock. */
static struct ringwake_pool *workers;
static unsigned workers_users;
static pid_t workers_process;

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

static void forget_workers_of_parent(void)
{
	if (workers == NULL || workers_process == getpid())
		return;
	ringwake_pool_close(workers, RINGWAKE_POOL_CANCEL);
	workers = NULL;
	workers_users = 0;
}

static int join_workers(struct ringwake_uv *attached)
{
	int error = 0;
	if (attached->process != getpid())
		return -EOWNERDEAD; /* no completion would arrive */
	ringwake_uv_lock();
	forget_workers_of_parent();
	if (workers == NULL) {
		error = ringwake_pool_open(&workers, workers_wanted());
		workers_process = getpid();
	}
	if (error == 0) {
		workers_users++;
		attached->workers_process = workers_process;
		attached->pool = workers;
	}
	ringwake_uv_unlock();
	return error;
}

void ringwake_uv_leave_workers(struct ringwake_uv *attached)
{
	struct ringwake_pool *unused = NULL;
	if (attached->workers_process) {
		ringwake_uv_lock();
		forget_workers_of_parent();
		if (attached->workers_process == getpid() && --workers_users == 0) {
			unused = workers;
			workers = NULL;
		}
		ringwake_uv_unlock();
	}
	attached->workers_process = 0;
	attached->pool = NULL;
	if (unused)
		ringwake_pool_close(unused, RINGWAKE_POOL_FINISH);
}

int ringwake_uv_use_pool(struct ringwake_uv *attached, struct ringwake_pool *pool)
{
	if (attached->outstanding > 0)
		return UV_EBUSY;
	ringwake_uv_leave_workers(attached);
	attached->pool = pool;
	return 0;
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
	request->reserved[0] = NULL;
	if (request->after_work_cb)
		request->after_work_cb(request, status);
}

int ringwake_uv_queue_work(struct ringwake_uv *attached, uv_work_t *request, uv_work_cb work_cb,
	uv_after_work_cb after_work_cb)
{
	if (work_cb == NULL)
		return UV_EINVAL;
	int error = attached->pool ? 0 : join_workers(attached);
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
	error = ringwake_pool_submit(attached->pool, attached->target, &job->work, run, done);
	if (error < 0) {
		ringwake_uv_release(attached);
		free(job);
		request->reserved[0] = NULL;
	}
	return error;
}

int ringwake_uv_cancel(uv_req_t *request)
{
	uv_work_t *work = (uv_work_t *)request;
	if (request->type != UV_WORK || work->work_req.work != mark)
		return uv_cancel(request);
	struct job *job = request->reserved[0];
	if (job == NULL || job->work.target != job->attached->target)
		return UV_EBUSY; /* it has ended, or is the parent's of a forked child */
	return ringwake_pool_cancel(job->attached->pool, &job->work);
}
