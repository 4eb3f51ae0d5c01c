/* SPDX-License-Identifier: MIT */
/*
 * uv_queue_work() on ringwake's pool. All loops of the process share the workers, as they share
 * libuv's. The first work starts them; they end when the last loop that used them is detached. A
 * forked child does not have its parent's workers: its first work starts workers of its own.
 */
#include "binding.h"
#include "libuv_private.h"
#include "loops.h"

#include <errno.h>
#include <limits.h>
#include <ringwake/pool.h>
#include <stdlib.h>

#define DEFAULT_WORKERS 4

struct job {
	struct ringwake_work work;
	struct ringwake_uv *binding;
	uv_work_t *request;
	uv_work_cb work_cb;
	uv_after_work_cb after_work_cb;
	int64_t process;          /* that submitted it */
	struct job *next, **link; /* in the loop's list, if not knows_libuv */
};

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

static int join_workers(struct ringwake_uv *binding)
{
	if (ringwake_is_inherited(binding->target))
		return -EOWNERDEAD; /* a completion cannot reach the parent's target */
	int error = 0;
	struct ringwake_uv_shared *shared = ringwake_uv_lock();
	if (shared == NULL)
		return UV_ENOMEM;
	if (shared->workers == NULL)
		error = ringwake_pool_open(&shared->workers, workers_wanted());
	if (error == 0) {
		shared->workers_users++;
		binding->workers_process = shared->registry.process;
		binding->pool = shared->workers;
	}
	ringwake_uv_unlock(shared);
	return error;
}

/* The last user closes the workers. */
static void leave_workers(unsigned users)
{
	struct ringwake_pool *unused = NULL;
	struct ringwake_uv_shared *shared = ringwake_uv_lock();
	if (shared == NULL)
		return;
	shared->workers_users -= users < shared->workers_users ? users : shared->workers_users;
	if (shared->workers_users == 0) {
		unused = shared->workers;
		shared->workers = NULL;
	}
	ringwake_uv_unlock(shared);
	if (unused)
		ringwake_pool_close(unused, RINGWAKE_POOL_FINISH);
}

void ringwake_uv_leave_workers(struct ringwake_uv *binding)
{
	/* A forked child must not close its parent's workers. */
	if (binding->workers_process == ringwake_process_number())
		leave_workers(1);
	binding->workers_process = 0;
	binding->pool = NULL;
}

int ringwake_uv_use_pool(struct ringwake_uv *binding, struct ringwake_pool *pool)
{
	if (binding->outstanding > 0)
		return UV_EBUSY;
	ringwake_uv_leave_workers(binding);
	binding->pool = pool;
	return 0;
}

/* The type of a request that has ended, if not knows_libuv. uv_cancel() refuses it. */
#define ENDED UV_REQ_TYPE_MAX

/* Never called. It marks the requests that ringwake runs. */
static void mark(struct uv__work *work)
{
	(void)work;
}

static _Thread_local bool is_working;

static void run(struct ringwake_work *work)
{
	struct job *job = (struct job *)work;
	is_working = true;
	job->work_cb(job->request);
	is_working = false;
}

/* Runs the work that is queued when the process ends, as libuv does; not if work calls exit(). */
__attribute__((destructor)) static void finish_work(void)
{
	if (!is_working)
		leave_workers(UINT_MAX);
}

static void note_job(struct job *job)
{
	struct ringwake_uv *binding = job->binding;
	if (binding->knows_libuv) {
		ringwake_uv_mark_request(job->request, mark, job);
		return;
	}
	job->next = binding->jobs;
	job->link = &binding->jobs;
	if (job->next)
		job->next->link = &job->next;
	binding->jobs = job;
}

static void forget_job(struct job *job)
{
	if (job->binding->knows_libuv) {
		ringwake_uv_mark_request(job->request, mark, NULL);
	} else {
		job->request->type = ENDED;
		*job->link = job->next;
		if (job->next)
			job->next->link = job->link;
	}
	ringwake_uv_release(job->binding);
	free(job);
}

static void done(struct ringwake_work *work, int status)
{
	struct job *job = (struct job *)work;
	uv_work_t *request = job->request;
	uv_after_work_cb after_work_cb = job->after_work_cb;
	forget_job(job);
	if (after_work_cb)
		after_work_cb(request, status);
}

int ringwake_uv_queue_work(struct ringwake_uv *binding, uv_work_t *request, uv_work_cb work_cb,
	uv_after_work_cb after_work_cb)
{
	if (work_cb == NULL)
		return UV_EINVAL;
	if (binding->detaching)
		return UV_ECANCELED; /* a completion would not arrive */
	int error = binding->pool ? 0 : join_workers(binding);
	if (error < 0)
		return error;
	struct job *job = malloc(sizeof *job);
	if (job == NULL)
		return UV_ENOMEM;
	job->binding = binding;
	job->request = request;
	job->work_cb = work_cb;
	job->after_work_cb = after_work_cb;
	job->process = ringwake_process_number();
	request->type = UV_WORK;
	request->loop = binding->loop;
	ringwake_uv_hold(binding);
	note_job(job);
	error = ringwake_pool_submit(binding->pool, binding->target, &job->work, run, done);
	if (error < 0)
		forget_job(job);
	return error;
}

/* True if ringwake runs the request. *job is NULL if the request has ended. */
static bool find_job(const uv_work_t *request, struct job **job)
{
	struct ringwake_uv *binding = ringwake_uv_find(request->loop);
	*job = NULL;
	if (binding == NULL)
		return false;
	if (binding->knows_libuv) {
		if (!ringwake_uv_request_has_mark(request, mark))
			return false;
		*job = ringwake_uv_request_job(request);
		return true;
	}
	*job = binding->jobs;
	while (*job && (*job)->request != request)
		*job = (*job)->next;
	return *job != NULL;
}

int ringwake_uv_cancel(uv_req_t *request)
{
	struct job *job;
	if (request->type == ENDED)
		return UV_EBUSY;
	if (request->type != UV_WORK || !find_job((uv_work_t *)request, &job))
		return uv_cancel(request);
	if (job == NULL || job->process != ringwake_process_number())
		return UV_EBUSY; /* it has ended, or is the parent's */
	return ringwake_pool_cancel(job->binding->pool, &job->work);
}
