/* SPDX-License-Identifier: MIT */
/* libuv's own wake and work; ringwake's under the same uv_run(), and with the loop on the ring. */
#include <ringwake/uv.h>
#include <stdlib.h>

#include "locked-queue.h"
#include "peer.h"
#include "question.h"

struct loop {
	uv_loop_t uv;
	struct receiver receiver;
	struct ringwake_uv *attached; /* NULL: libuv's own wake */
	struct ringwake_pool *pool;   /* NULL: libuv's or ringwake's default */
	uv_async_t *plain_handles;    /* if not attached */
	ringwake_uv_async_t *handles; /* if attached */
	struct locked_queue queue;
	uv_poll_t poll;
	void (*on_readable)(void);
};

static struct loop *open_loop(const struct receiver *receiver)
{
	struct loop *loop = allocate(1, sizeof *loop);
	loop->receiver = *receiver;
	must(uv_loop_init(&loop->uv), "uv_loop_init");
	loop->uv.data = loop;
	locked_queue_init(&loop->queue);
	return loop;
}

static struct loop *open_plain(const struct receiver *receiver, uv_async_cb callback)
{
	struct loop *loop = open_loop(receiver);
	loop->plain_handles = allocate((size_t)receiver->handles, sizeof loop->plain_handles[0]);
	for (long i = 0; i < receiver->handles; i++)
		must(uv_async_init(&loop->uv, &loop->plain_handles[i], callback), "uv_async_init");
	return loop;
}

static void on_plain(uv_async_t *async)
{
	struct loop *loop = async->loop->data;
	loop->receiver.wake.value = (uint64_t)(async - loop->plain_handles);
	deliver_wake(&loop->receiver);
}

static struct loop *open_uv(const struct peer *peer, const struct receiver *receiver)
{
	(void)peer;
	return open_plain(receiver, on_plain);
}

static void on_queue(uv_async_t *async)
{
	struct loop *loop = async->loop->data;
	locked_queue_drain(&loop->queue, loop->receiver.deliver);
}

static struct loop *open_queue(const struct peer *peer, const struct receiver *receiver)
{
	(void)peer;
	return open_plain(receiver, on_queue);
}

static void on_attached(ringwake_uv_async_t *async)
{
	struct loop *loop = async->handle.loop->data;
	loop->receiver.wake.value = (uint64_t)(async - loop->handles);
	deliver_wake(&loop->receiver);
}

static struct loop *open_attached(const struct peer *peer, const struct receiver *receiver)
{
	struct loop *loop = open_loop(receiver);
	struct ringwake_params params = {.spin_ns = peer->spin_ns};
	must(ringwake_uv_attach(&loop->attached, &loop->uv, &params), "ringwake_uv_attach");
	loop->handles = allocate((size_t)receiver->handles, sizeof loop->handles[0]);
	for (long i = 0; i < receiver->handles; i++)
		must(ringwake_uv_async_init(loop->attached, &loop->handles[i], on_attached),
			"ringwake_uv_async_init");
	return loop;
}

static struct loop *open_pool(const struct peer *peer, const struct receiver *receiver)
{
	struct loop *loop = open_attached(peer, receiver);
	struct ringwake_pool_params params = {.threads = WORKERS, .spin_ns = peer->spin_ns};
	must(ringwake_pool_open_with(&loop->pool, &params), "ringwake_pool_open");
	must(ringwake_uv_use_pool(loop->attached, loop->pool), "ringwake_uv_use_pool");
	return loop;
}

static void run(struct loop *loop)
{
	uv_run(&loop->uv, UV_RUN_DEFAULT);
}

static void run_once(struct loop *loop)
{
	uv_run(&loop->uv, UV_RUN_ONCE);
}

static void run_on_ring(struct loop *loop)
{
	ringwake_uv_run(loop->attached, UV_RUN_DEFAULT);
}

static void run_on_ring_once(struct loop *loop)
{
	ringwake_uv_run(loop->attached, UV_RUN_ONCE);
}

static void stop(struct loop *loop)
{
	uv_stop(&loop->uv);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	(void)events;
	must(status, "uv_poll");
	((struct loop *)poll->loop->data)->on_readable();
}

static void watch(struct loop *loop, int fd, void (*callback)(void))
{
	loop->on_readable = callback;
	must(uv_poll_init(&loop->uv, &loop->poll, fd), "uv_poll_init");
	must(uv_poll_start(&loop->poll, UV_READABLE, on_poll), "uv_poll_start");
}

static void close_loop(struct loop *loop)
{
	if (loop->on_readable)
		uv_close((uv_handle_t *)&loop->poll, NULL);
	for (long i = 0; i < loop->receiver.handles; i++) {
		if (loop->attached)
			ringwake_uv_close((uv_handle_t *)&loop->handles[i], NULL);
		else
			uv_close((uv_handle_t *)&loop->plain_handles[i], NULL);
	}
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	if (loop->pool)
		ringwake_pool_close(loop->pool, RINGWAKE_POOL_FINISH);
	if (loop->attached)
		must(ringwake_uv_detach(loop->attached), "ringwake_uv_detach");
	must(uv_loop_close(&loop->uv), "uv_loop_close");
	free(loop->plain_handles);
	free(loop->handles);
	free(loop);
}

static void send_plain(struct loop *loop, struct item *item)
{
	must(uv_async_send(&loop->plain_handles[item->value]), "uv_async_send");
}

static void send_queue(struct loop *loop, struct item *item)
{
	locked_queue_push(&loop->queue, item);
	must(uv_async_send(&loop->plain_handles[0]), "uv_async_send");
}

static void send_handle(struct loop *loop, struct item *item)
{
	must(ringwake_uv_async_send(&loop->handles[item->value]), "ringwake_uv_async_send");
}

static void send_message(struct loop *loop, struct item *item)
{
	item->msg.fn = loop->receiver.deliver;
	must(ringwake_send(ringwake_uv_target(loop->attached), &item->msg), "ringwake_send");
}

static void on_worker(uv_work_t *request)
{
	(void)request;
	run_job();
}

static void on_done(uv_work_t *request, int status)
{
	check(status == 0, "work was cancelled");
	struct job *job = (struct job *)request;
	job->ended(job);
}

static void submit_plain(struct loop *loop, struct job *job)
{
	must(uv_queue_work(&loop->uv, &job->request, on_worker, on_done), "uv_queue_work");
}

static void submit_attached(struct loop *loop, struct job *job)
{
	must(ringwake_uv_queue_work(loop->attached, &job->request, on_worker, on_done),
		"ringwake_uv_queue_work");
}

#define PLAIN(open_, send_)                                                                        \
	{                                                                                          \
		.open = (open_), .run = run, .run_once = run_once, .stop = stop,                   \
		.close = close_loop, .send = (send_), .submit = submit_plain                       \
	}
#define ATTACHED(open_, run_, send_, spin)                                                         \
	{                                                                                          \
		.open = (open_), .run = run_, .run_once = run_##_once, .stop = stop,               \
		.close = close_loop, .send = (send_), .submit = submit_attached, .watch = watch,   \
		.spin_ns = (spin)                                                                  \
	}

const struct peer peer_uv = PLAIN(open_uv, send_plain);
const struct peer peer_uv_queue = PLAIN(open_queue, send_queue);
const struct peer peer_uv_attached = ATTACHED(open_attached, run, send_handle, 0);
const struct peer peer_uv_ring = ATTACHED(open_attached, run_on_ring, send_handle, 0);
const struct peer peer_uv_ring_pool = ATTACHED(open_pool, run_on_ring, send_handle, 0);
const struct peer peer_uv_attached_messages = ATTACHED(open_attached, run, send_message, 0);
const struct peer peer_uv_ring_messages = ATTACHED(open_attached, run_on_ring, send_message, 0);
