/* SPDX-License-Identifier: MIT */
/* Messages to a libuv loop: uv_async_t beside a queue, and ringwake attached. */
#include <ringwake/uv.h>
#include <stdlib.h>

#include "carrier.h"
#include "locked-queue.h"
#include "question.h"

struct loop {
	uv_loop_t uv;
	struct locked_queue queue;
	uv_async_t async;
	uv_async_t alive; /* keeps the loop alive while ringwake has no handle on it */
	struct ringwake_uv *attached;
	deliver_function deliver;
};

static struct loop *open_loop(deliver_function deliver)
{
	struct loop *loop = calloc(1, sizeof *loop);
	check(loop != NULL, "memory");
	loop->deliver = deliver;
	must(uv_loop_init(&loop->uv), "uv_loop_init");
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

static void close_loop(struct loop *loop, uv_async_t *handle)
{
	uv_close((uv_handle_t *)handle, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	if (loop->attached)
		must(ringwake_uv_detach(loop->attached), "ringwake_uv_detach");
	must(uv_loop_close(&loop->uv), "uv_loop_close");
	free(loop);
}

static void on_async(uv_async_t *async)
{
	struct loop *loop = async->data;
	locked_queue_drain(&loop->queue, loop->deliver);
}

static void *open_queue(deliver_function deliver)
{
	struct loop *loop = open_loop(deliver);
	locked_queue_init(&loop->queue);
	must(uv_async_init(&loop->uv, &loop->async, on_async), "uv_async_init");
	loop->async.data = loop;
	return loop;
}

static void close_queue(void *argument)
{
	struct loop *loop = argument;
	close_loop(loop, &loop->async);
}

static void send_queue(void *argument, struct item *item)
{
	struct loop *loop = argument;
	locked_queue_push(&loop->queue, item);
	must(uv_async_send(&loop->async), "uv_async_send");
}

const struct carrier carrier_uv_queue = {open_queue, run, stop, close_queue, send_queue, false};

static void *open_attached(deliver_function deliver)
{
	struct loop *loop = open_loop(deliver);
	must(ringwake_uv_attach(&loop->attached, &loop->uv, NULL), "ringwake_uv_attach");
	must(uv_async_init(&loop->uv, &loop->alive, NULL), "uv_async_init");
	return loop;
}

static void close_attached(void *argument)
{
	struct loop *loop = argument;
	close_loop(loop, &loop->alive);
}

static void send_attached(void *argument, struct item *item)
{
	struct loop *loop = argument;
	item->msg.fn = loop->deliver;
	must(ringwake_send(ringwake_uv_target(loop->attached), &item->msg), "ringwake_send");
}

const struct carrier carrier_uv_attached = {
	open_attached, run, stop, close_attached, send_attached, false};

static void run_on_ring(void *argument)
{
	struct loop *loop = argument;
	ringwake_uv_run(loop->attached, UV_RUN_DEFAULT);
}

const struct carrier carrier_uv_ring = {
	open_attached, run_on_ring, stop, close_attached, send_attached, false};
