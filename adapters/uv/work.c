/* SPDX-License-Identifier: MIT */
/*
 * uv_queue_work() on ringwake's pool. All loops of the process share the workers, as they share
 * libuv's. The first work starts them; they end when the last loop that used them is detached. A
 * forked child does not have its parent's workers: its first work starts workers of its own. Work
 * may also name a pool of its own.
 *
 * Work that another thread sends is a message to the loop. The loop queues it when it takes the
 * message, so only the loop's thread ever changes what keeps the loop alive. The sender knows the
 * loop by its target, to which it may hold a reference. It does not look at the binding, which the
 * loop may be freeing.
 */
#include "binding.h"
#include "keep_errno.h"
#include "libuv_private.h"
#include "loops.h"

#include <errno.h>
#include <limits.h>
#include <ringwake/pool.h>
#include <stdlib.h>

#define DEFAULT_WORKERS 4

struct job {
	union {
		struct ringwake_msg msg; /* until the loop has taken it */
		struct ringwake_work work;
	};
	struct ringwake_uv *binding;
	struct ringwake_pool *pool; /* NULL: the loop's */
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

struct ringwake_pool *ringwake_uv_pool(const struct ringwake_uv *binding)
{
	return ringwake_is_inherited(binding->target) ? NULL : binding->pool;
}

/* Types of requests. uv_cancel() refuses them. */
#define ENDED     UV_REQ_TYPE_MAX                      /* has ended, if not knows_libuv */
#define SENT      ((uv_req_type)(UV_REQ_TYPE_MAX + 1)) /* the loop has not taken it yet */
#define WITHDRAWN ((uv_req_type)(UV_REQ_TYPE_MAX + 2)) /* the same, and it was cancelled */

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
}

static void end_job(struct job *job, int status)
{
	uv_work_t *request = job->request;
	uv_after_work_cb after_work_cb = job->after_work_cb;
	free(job);
	if (after_work_cb)
		after_work_cb(request, status);
}

static void done(struct ringwake_work *work, int status)
{
	struct job *job = (struct job *)work;
	forget_job(job);
	end_job(job, status);
}

/* Any thread. NULL: no memory. Not calloc(), for which glibc 2.36 has no fast path. */
static struct job *new_job(struct ringwake_uv *binding, struct ringwake_pool *pool,
	uv_work_t *request, uv_work_cb work_cb, uv_after_work_cb after_work_cb)
{
	struct job *job = malloc_keeping_errno(sizeof *job);
	if (job == NULL)
		return NULL;
	job->binding = binding;
	job->pool = pool;
	job->request = request;
	job->work_cb = work_cb;
	job->after_work_cb = after_work_cb;
	return job;
}

static int choose_pool(struct job *job)
{
	struct ringwake_uv *binding = job->binding;
	if (binding->detaching)
		return UV_ECANCELED; /* a completion would not arrive */
	if (job->pool)
		return 0;
	int error = binding->pool ? 0 : join_workers(binding);
	job->pool = binding->pool;
	return error;
}

static int start_job(struct job *job)
{
	struct ringwake_uv *binding = job->binding;
	int error = choose_pool(job);
	if (error < 0)
		return error;
	job->process = ringwake_process_number();
	job->request->type = UV_WORK;
	job->request->loop = binding->loop;
	ringwake_uv_hold(binding);
	note_job(job);
	error = ringwake_pool_submit(job->pool, binding->target, &job->work, run, done);
	if (error < 0)
		forget_job(job);
	return error;
}

int ringwake_uv_queue_work_on(struct ringwake_uv *binding, struct ringwake_pool *pool,
	uv_work_t *request, uv_work_cb work_cb, uv_after_work_cb after_work_cb)
{
	if (work_cb == NULL)
		return UV_EINVAL;
	struct job *job = new_job(binding, pool, request, work_cb, after_work_cb);
	if (job == NULL)
		return UV_ENOMEM;
	int error = start_job(job);
	if (error < 0)
		free(job);
	return error;
}

int ringwake_uv_queue_work(struct ringwake_uv *binding, uv_work_t *request, uv_work_cb work_cb,
	uv_after_work_cb after_work_cb)
{
	return ringwake_uv_queue_work_on(binding, NULL, request, work_cb, after_work_cb);
}

/* The loop takes work that another thread has sent. */
static void take(struct ringwake_msg *msg)
{
	struct job *job = (struct job *)msg;
	bool is_cancelled = job->request->type == WITHDRAWN;
	job->request->type = ENDED;
	int error = is_cancelled ? UV_ECANCELED : start_job(job);
	if (error < 0)
		end_job(job, error);
}

int ringwake_uv_send_work(struct ringwake *target, struct ringwake_pool *pool, uv_work_t *request,
	uv_work_cb work_cb, uv_after_work_cb after_work_cb)
{
	struct ringwake_uv *binding = ringwake_get_context(target);
	if (work_cb == NULL || binding == NULL)
		return UV_EINVAL;
	struct job *job = new_job(binding, pool, request, work_cb, after_work_cb);
	if (job == NULL)
		return UV_ENOMEM;
	job->msg.fn = take;
	request->type = SENT;
	int error = ringwake_send(target, &job->msg);
	if (ringwake_was_refused(error)) {
		request->type = ENDED;
		free(job);
		return error;
	}
	return error < 0 ? UV_EIO : 0;
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
	if (request->type == SENT) {
		request->type = WITHDRAWN;
		return 0;
	}
	if (request->type == ENDED || request->type == WITHDRAWN)
		return UV_EBUSY;
	if (request->type != UV_WORK || !find_job((uv_work_t *)request, &job))
		return uv_cancel(request);
	if (job == NULL || job->process != ringwake_process_number())
		return UV_EBUSY; /* it has ended, or is the parent's */
	return ringwake_pool_cancel(job->pool, &job->work);
}
