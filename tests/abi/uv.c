/* SPDX-License-Identifier: MIT */
/* Uses every structure of the libuv adapter that a caller allocates. See guard.h. */
#include <liburing.h>
#include <pthread.h>
#include <ringwake/uv.h>

#include "guard.h"

static bool is_grown;
static unsigned called, closed;
static struct ringwake_uv *binding;
static GUARDED(ringwake_uv_async_t) async;
static GUARDED(ringwake_uv_request_t) request;
static uv_work_t work;

static void on_closed(uv_handle_t *handle)
{
	CHECK(handle == (uv_handle_t *)&async.it);
	closed++;
}

static void on_async(ringwake_uv_async_t *sent)
{
	CHECK(sent->data == &called);
	CHECK((sent->state.ROOM[1] != NULL) == is_grown);
	called++;
	ringwake_uv_close((uv_handle_t *)sent, on_closed);
}

static void *send_twice(void *unused)
{
	CHECK(ringwake_uv_async_send(&async.it) == 0 && ringwake_uv_async_send(&async.it) == 0);
	return unused;
}

static void try_async(int (*run)(struct ringwake_uv *binding, uv_run_mode mode))
{
	pthread_t thread;
	called = closed = 0;
	GUARD(async);
	CHECK(ringwake_uv_async_init(binding, &async.it, on_async) == 0);
	async.it.data = &called;
	CHECK(pthread_create(&thread, NULL, send_twice, NULL) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(run(binding, UV_RUN_DEFAULT) == 0);
	CHECK(called == 1 && closed == 1);
	CHECK_GUARDS(async);
}

static int run_in_epoll(struct ringwake_uv *unused, uv_run_mode mode)
{
	(void)unused;
	return uv_run(uv_default_loop(), mode);
}

static void on_request(ringwake_uv_request_t *ended, int result, unsigned flags)
{
	CHECK(ended->data == &called && result == 0 && !(flags & IORING_CQE_F_MORE));
	CHECK((ended->ROOM[1] != NULL) == is_grown);
	called++;
}

static void try_request(void)
{
	struct io_uring *ring = ringwake_uv_ring(binding);
	if (ring == NULL) /* this machine allows none */
		return;
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	called = 0;
	GUARD(request);
	request.it.data = &called;
	io_uring_prep_nop(sqe);
	ringwake_uv_request_start(binding, sqe, &request.it, on_request);
	CHECK(ringwake_uv_run(binding, UV_RUN_DEFAULT) == 0 && called == 1);
	CHECK_GUARDS(request);
}

static void on_worker(uv_work_t *done)
{
	CHECK(done == &work);
}

static void after_work(uv_work_t *done, int status)
{
	CHECK(done == &work && status == 0);
	called++;
}

static void try_work(void)
{
	called = 0;
	CHECK(ringwake_uv_queue_work(binding, &work, on_worker, after_work) == 0);
	CHECK(uv_run(uv_default_loop(), UV_RUN_DEFAULT) == 0 && called == 1);
}

int main(int argc, char **argv)
{
	is_grown = library_has_grown(argc, argv);
	CHECK(ringwake_uv_attach(&binding, uv_default_loop(), NULL) == 0);
	try_async(run_in_epoll);
	try_async(ringwake_uv_run);
	try_request();
	try_work();
	CHECK(ringwake_uv_detach(binding) == 0);
	CHECK(uv_loop_close(uv_default_loop()) == 0);
	return 0;
}
