/* SPDX-License-Identifier: MIT */
/* Uses every structure of the libev adapter that a caller allocates. See guard.h. */
#include <pthread.h>
#include <ringwake/ev.h>

#include "guard.h"

static bool is_grown;
static unsigned called;
static struct ringwake_ev *binding;
static GUARDED(ringwake_ev_async) async;
static GUARDED(ringwake_ev_work) work;

static void on_async(struct ev_loop *loop, ringwake_ev_async *sent, int revents)
{
	CHECK(loop != NULL && sent == &async.it && revents == EV_ASYNC);
	CHECK((sent->ROOM[1] != NULL) == is_grown);
	called++;
	ringwake_ev_async_stop(sent);
}

static void *send_twice(void *unused)
{
	CHECK(ringwake_ev_async_send(&async.it) == 0 && ringwake_ev_async_send(&async.it) == 0);
	return unused;
}

static void try_async(struct ev_loop *loop)
{
	pthread_t thread;
	GUARD(async);
	ringwake_ev_async_init(&async.it, on_async);
	ringwake_ev_async_start(binding, &async.it);
	CHECK(pthread_create(&thread, NULL, send_twice, NULL) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	ev_run(loop, 0);
	CHECK(called == 1);
	CHECK_GUARDS(async);
}

static void on_worker(ringwake_ev_work *job)
{
	CHECK(job == &work.it);
	CHECK((job->ROOM[0] != NULL) == is_grown);
}

static void on_done(struct ev_loop *loop, ringwake_ev_work *job, int revents)
{
	CHECK(loop != NULL && job->status == 0 && revents == EV_CUSTOM);
	called++;
}

static void try_work(struct ev_loop *loop)
{
	struct ringwake_pool *pool;
	called = 0;
	GUARD(work);
	CHECK(ringwake_pool_open(&pool, 0) == 0);
	ringwake_ev_work_init(&work.it, on_worker, on_done);
	CHECK(ringwake_ev_queue_work(binding, pool, &work.it) == 0);
	ev_run(loop, 0);
	CHECK(called == 1);
	CHECK_GUARDS(work);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
}

int main(int argc, char **argv)
{
	is_grown = library_has_grown(argc, argv);
	struct ev_loop *loop = ev_default_loop(0);
	CHECK(ringwake_ev_attach(&binding, loop, NULL) == 0);
	try_async(loop);
	try_work(loop);
	CHECK(ringwake_ev_detach(binding) == 0);
	return 0;
}
