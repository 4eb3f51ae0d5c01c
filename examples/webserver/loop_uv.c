/* SPDX-License-Identifier: MIT */
/*
 * A libuv loop. A target attached to it receives the workers' completions. With uv-ring the loop
 * blocks in the target's io_uring, otherwise in epoll as in any other program.
 */
#include "loop.h"
#include "reserve.h"
#include "work.h"

#include <ringwake/uv.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct loop {
	uv_loop_t uv; /* must be first, for work_uv.c */
	struct server *server;
	struct ringwake_uv *binding;
	uv_poll_t watches[WATCHES];
	uv_timer_t tick;
	uv_prepare_t end_of_iteration;
};

struct loop_connection {
	struct connection base;
	uv_tcp_t tcp;
	uv_write_t write;
	size_t length; /* of what it sends */
	bool reading;
};

static struct loop_connection *derived(struct connection *base)
{
	return (struct loop_connection *)base;
}

static uv_stream_t *stream_of(struct connection *base)
{
	return (uv_stream_t *)&derived(base)->tcp;
}

/* If it fails, the handle is open without a socket. */
static int adopt(struct connection *base)
{
	struct loop_connection *connection = derived(base);
	connection->reading = false;
	connection->tcp.data = connection->write.data = base;
	uv_tcp_init((uv_loop_t *)base->server->loop, &connection->tcp);
	int error = uv_tcp_open(&connection->tcp, base->fd);
	if (error)
		close(base->fd);
	return error;
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *room)
{
	(void)suggested;
	size_t size;
	room->base = connection_room(handle->data, &size);
	room->len = size;
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *room)
{
	(void)room;
	struct connection *base = stream->data;
	if (length < 0) {
		uv_read_stop(stream);
		derived(base)->reading = false;
	}
	if (length != 0 && length != UV_ENOBUFS) /* no bytes, or no room */
		connection_received(base, length == UV_EOF ? 0 : length);
}

/* It goes on reading, because each uv_read_stop() would cost a system call. */
static int receive(struct connection *base)
{
	if (derived(base)->reading)
		return 0;
	derived(base)->reading = true;
	return uv_read_start(stream_of(base), on_room, on_read);
}

static ssize_t try_send(struct connection *base, const char *bytes, size_t length)
{
	uv_buf_t all = uv_buf_init((char *)bytes, (unsigned)length);
	int sent = uv_try_write(stream_of(base), &all, 1);
	return sent == UV_EAGAIN ? 0 : sent;
}

static void on_written(uv_write_t *write, int status)
{
	struct connection *base = write->data;
	connection_sent(base, status != 0 ? status : (ssize_t)derived(base)->length);
}

static int send_all(struct connection *base, const char *bytes, size_t length)
{
	uv_buf_t all = uv_buf_init((char *)bytes, (unsigned)length);
	derived(base)->length = length;
	return uv_write(&derived(base)->write, stream_of(base), &all, 1, on_written);
}

static void on_closed(uv_handle_t *handle)
{
	connection_closed(handle->data);
}

static bool let_go(struct connection *base)
{
	uv_close((uv_handle_t *)&derived(base)->tcp, on_closed);
	return false;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct loop *loop = poll->data;
	(void)status; /* the server meets the same error */
	(void)events;
	if (!server_readable(loop->server, (enum watched)(poll - loop->watches)))
		uv_poll_stop(poll);
}

static int watch(struct loop *loop, enum watched which, int fd)
{
	uv_poll_t *poll = &loop->watches[which];
	int error = poll->data ? 0 : uv_poll_init(&loop->uv, poll, fd);
	poll->data = loop;
	return error ? error : uv_poll_start(poll, UV_READABLE, on_readable);
}

static void on_tick(uv_timer_t *tick)
{
	struct loop *loop = tick->data;
	if (!server_tick(loop->server))
		uv_timer_stop(tick);
}

static void start_tick(struct loop *loop)
{
	uv_timer_start(&loop->tick, on_tick, TICK_MS, TICK_MS);
}

static void on_end_of_iteration(uv_prepare_t *prepare)
{
	server_end_iteration(((struct loop *)prepare->data)->server);
}

static int loop_open(struct loop **out, struct server *server)
{
	uv_replace_allocator(malloc, reserve_realloc, calloc, free);
	struct loop *loop = calloc(1, sizeof(*loop));
	int error = loop ? uv_loop_init(&loop->uv) : UV_ENOMEM;
	if (error) {
		free(loop);
		return error;
	}
	loop->server = server;
	loop->tick.data = loop->end_of_iteration.data = loop;
	uv_timer_init(&loop->uv, &loop->tick);
	uv_prepare_init(&loop->uv, &loop->end_of_iteration);
	uv_prepare_start(&loop->end_of_iteration, on_end_of_iteration);
	uv_unref((uv_handle_t *)&loop->end_of_iteration);
	snprintf(server->site.loop, sizeof(server->site.loop), "libuv %s", uv_version_string());
	*out = loop;
	return 0;
}

static void run(struct loop *loop)
{
	uv_run(&loop->uv, UV_RUN_DEFAULT);
}

static void run_on_ring(struct loop *loop)
{
	ringwake_uv_run(loop->binding, UV_RUN_DEFAULT);
}

static void close_handle(uv_handle_t *handle, void *context)
{
	(void)context;
	uv_close(handle, NULL);
}

static void loop_close(struct loop *loop)
{
	uv_walk(&loop->uv, close_handle, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	uv_loop_close(&loop->uv);
	free(loop);
}

static int attach(struct loop *loop, const struct ringwake_params *params, struct ringwake **target)
{
	int error = ringwake_uv_attach(&loop->binding, &loop->uv, params);
	if (!error)
		*target = ringwake_uv_target(loop->binding);
	return error;
}

static void detach(struct loop *loop)
{
	ringwake_uv_detach(loop->binding);
}

const struct loop_type loop_uv = {
	.name = "uv", .native = &work_uv, .run = run, .try_send = try_send, LOOP_REST};
const struct loop_type loop_uv_ring = {
	.name = "uv-ring", .run = run_on_ring, .try_send = try_send, LOOP_REST};
