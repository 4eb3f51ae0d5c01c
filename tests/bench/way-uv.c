/* SPDX-License-Identifier: MIT */
/* libuv's own wake; ringwake's under the same uv_run(); ringwake's with the loop on the ring. */
#include <ringwake/uv.h>
#include <stdlib.h>

#include "question.h"
#include "way.h"

struct loop {
	uv_loop_t uv;
	struct ringwake_uv *attached;
	union {
		uv_async_t async;
		ringwake_uv_async_t ringwake_async;
	};
	woken_function woken;
	void *owner;
};

static struct loop *open_loop(woken_function woken, void *owner)
{
	struct loop *loop = calloc(1, sizeof *loop);
	check(loop != NULL, "memory");
	loop->woken = woken;
	loop->owner = owner;
	must(uv_loop_init(&loop->uv), "uv_loop_init");
	loop->uv.data = loop;
	return loop;
}

static void arrived(uv_async_t *async)
{
	struct loop *loop = async->loop->data;
	loop->woken(loop->owner);
}

static void *open_async(woken_function woken, void *owner)
{
	struct loop *loop = open_loop(woken, owner);
	must(uv_async_init(&loop->uv, &loop->async, arrived), "uv_async_init");
	return loop;
}

static void run(void *argument)
{
	struct loop *loop = argument;
	uv_run(&loop->uv, UV_RUN_DEFAULT);
}

static void stop(void *argument)
{
	struct loop *loop = argument;
	uv_stop(&loop->uv);
}

static void close_async(void *argument)
{
	struct loop *loop = argument;
	uv_close((uv_handle_t *)&loop->async, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	must(uv_loop_close(&loop->uv), "uv_loop_close");
	free(loop);
}

static void wake_async(void *argument)
{
	struct loop *loop = argument;
	must(uv_async_send(&loop->async), "uv_async_send");
}

const struct way way_uv = {open_async, run, stop, close_async, wake_async};

static void ringwake_arrived(ringwake_uv_async_t *async)
{
	struct loop *loop = async->handle.loop->data;
	loop->woken(loop->owner);
}

static void *attach(woken_function woken, void *owner, uint64_t spin_ns)
{
	struct loop *loop = open_loop(woken, owner);
	struct ringwake_params params = {.spin_ns = spin_ns};
	must(ringwake_uv_attach(&loop->attached, &loop->uv, &params), "ringwake_uv_attach");
	must(ringwake_uv_async_init(loop->attached, &loop->ringwake_async, ringwake_arrived),
		"ringwake_uv_async_init");
	return loop;
}

static void *open_attached(woken_function woken, void *owner)
{
	return attach(woken, owner, 0);
}

static void *open_spinning(woken_function woken, void *owner)
{
	return attach(woken, owner, SPIN_NS);
}

static void close_attached(void *argument)
{
	struct loop *loop = argument;
	ringwake_uv_close((uv_handle_t *)&loop->ringwake_async, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	must(ringwake_uv_detach(loop->attached), "ringwake_uv_detach");
	must(uv_loop_close(&loop->uv), "uv_loop_close");
	free(loop);
}

static void wake_attached(void *argument)
{
	struct loop *loop = argument;
	must(ringwake_uv_async_send(&loop->ringwake_async), "ringwake_uv_async_send");
}

const struct way way_uv_attached = {open_attached, run, stop, close_attached, wake_attached};

static void run_on_ring(void *argument)
{
	struct loop *loop = argument;
	ringwake_uv_run(loop->attached, UV_RUN_DEFAULT);
}

const struct way way_uv_ring = {open_attached, run_on_ring, stop, close_attached, wake_attached};
const struct way way_uv_ring_spin = {
	open_spinning, run_on_ring, stop, close_attached, wake_attached};
