/* SPDX-License-Identifier: MIT */
/*
 * The server on a libuv loop: sockets, time limits and signals.
 *
 * All time limits have the same length, so the queue of connections is in the order of expiry. One
 * timer, active while there are connections, checks the head of the queue.
 *
 * A connection ends in three steps. First the server sends its last response. Then it shuts down
 * the sending side and discards what the client still sends, so that a reset does not lose the
 * response. Last it closes the handle. If the client disconnects while a digest is pending, the
 * server waits for the digest.
 */
#include "server.h"
#include "session.h"

#include <uv.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKLOG 511

struct server {
	struct site site;
	uv_loop_t loop;
	uv_tcp_t listener;
	uv_signal_t interrupt, terminate;
	uv_timer_t tick;
	uv_prepare_t end_of_iteration;
	struct deadlines limits;
	int error; /* why the loop stopped without a signal */
};

struct connection {
	uv_tcp_t tcp; /* must be first: the handle is cast to the connection */
	uv_shutdown_t shutdown;
	struct server *server;
	unsigned writes; /* in progress */
	bool reading;
	bool lingering; /* the last response is sent; wait for the client to close */
	bool closed;    /* the handle is closed */
	struct session session;
};

/* Output that the socket did not accept at once. */
struct unsent {
	uv_write_t write;
	char bytes[];
};

static struct connection *connection_of(struct session *session)
{
	return (struct connection *)((char *)session - offsetof(struct connection, session));
}

static void connection_free(struct connection *connection)
{
	struct server *server = connection->server;
	if (--server->site.connections_open == 0)
		uv_timer_stop(&server->tick);
	free(connection);
}

static void on_closed(uv_handle_t *handle)
{
	struct connection *connection = (struct connection *)handle;
	connection->closed = true;
	if (!connection->session.exchange.pending)
		connection_free(connection);
}

static void connection_close(struct connection *connection)
{
	uv_handle_t *handle = (uv_handle_t *)&connection->tcp;
	if (uv_is_closing(handle))
		return;
	deadline_clear(&connection->session.deadline);
	uv_close(handle, on_closed);
}

static bool connection_is_closing(const struct connection *connection)
{
	return uv_is_closing((const uv_handle_t *)&connection->tcp);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *room)
{
	(void)suggested;
	struct connection *connection = (struct connection *)handle;
	size_t size;
	room->base = session_room(&connection->session, &size);
	room->len = size;
}

static void connection_serve(struct connection *connection);

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *room)
{
	(void)room;
	struct connection *connection = (struct connection *)stream;
	if (length == UV_ENOBUFS) {
		uv_read_stop(stream);
		connection->reading = false;
	} else if (length == UV_EOF && !connection->lingering) {
		connection->reading = false;
		connection->session.ended = true;
		connection_serve(connection);
	} else if (length < 0) {
		connection_close(connection);
	} else if (!connection->lingering) {
		session_received(&connection->session, (size_t)length);
		connection_serve(connection);
	}
}

static void connection_read(struct connection *connection)
{
	if (connection->reading || connection->session.ended)
		return;
	connection->reading = true;
	if (uv_read_start((uv_stream_t *)&connection->tcp, on_room, on_read) != 0)
		connection_close(connection);
}

static void on_written(uv_write_t *write, int status)
{
	struct connection *connection = write->data;
	free(write);
	connection->writes--;
	if (status != 0)
		connection_close(connection);
	else
		connection_serve(connection);
}

static bool write_later(struct connection *connection, const char *bytes, size_t length)
{
	struct unsent *unsent = malloc(sizeof(*unsent) + length);
	if (!unsent)
		return false;
	memcpy(unsent->bytes, bytes, length);
	unsent->write.data = connection;
	uv_buf_t rest = uv_buf_init(unsent->bytes, (unsigned)length);
	uv_stream_t *stream = (uv_stream_t *)&connection->tcp;
	if (uv_write(&unsent->write, stream, &rest, 1, on_written) != 0) {
		free(unsent);
		return false;
	}
	connection->writes++;
	deadline_set(&connection->session.deadline);
	return true;
}

/* Sends the site's output, which holds only this connection's responses at this point. */
static void connection_flush(struct connection *connection)
{
	struct buffer *output = &connection->server->site.output;
	if (!connection_is_closing(connection) && (output->length > 0 || output->failed)) {
		uv_buf_t all = uv_buf_init(output->bytes, (unsigned)output->length);
		int sent = uv_try_write((uv_stream_t *)&connection->tcp, &all, 1);
		if (sent == UV_EAGAIN)
			sent = 0;
		if (output->failed || sent < 0)
			connection_close(connection);
		else if ((size_t)sent < output->length &&
			!write_later(
				connection, output->bytes + sent, output->length - (size_t)sent))
			connection_close(connection);
	}
	buffer_clear(output);
}

static void on_shutdown(uv_shutdown_t *shutdown, int status)
{
	struct connection *connection = (struct connection *)shutdown->handle;
	if (status != 0)
		connection_close(connection);
}

static void connection_finish(struct connection *connection)
{
	uv_stream_t *stream = (uv_stream_t *)&connection->tcp;
	if (connection->lingering)
		return;
	connection->lingering = true;
	if (connection->session.ended ||
		uv_shutdown(&connection->shutdown, stream, on_shutdown) != 0) {
		connection_close(connection);
		return;
	}
	deadline_set(&connection->session.deadline);
	connection_read(connection);
}

/* Sends the output, which may hold a digest's response, then serves the received requests. */
static void connection_serve(struct connection *connection)
{
	struct session *session = &connection->session;
	enum session_next next = SESSION_FLUSH;
	connection_flush(connection);
	while (next == SESSION_FLUSH && connection->writes == 0) {
		if (connection_is_closing(connection))
			return;
		next = session_serve(session);
		connection_flush(connection);
	}
	if (connection->writes > 0 || connection_is_closing(connection))
		return;
	switch (next) {
	case SESSION_FLUSH:
	case SESSION_WAIT:
		deadline_clear(&connection->session.deadline);
		break;
	case SESSION_READ:
		session_expect(session);
		connection_read(connection);
		break;
	case SESSION_CLOSE:
		connection_finish(connection);
		break;
	}
}

static void on_answered(struct exchange *exchange)
{
	struct session *session =
		(struct session *)((char *)exchange - offsetof(struct session, exchange));
	struct connection *connection = connection_of(session);
	connection_serve(connection);
	if (connection->closed)
		connection_free(connection);
}

/* A client that has begun a request gets a response before its connection is closed. */
static void connection_expire(struct connection *connection)
{
	struct session *session = &connection->session;
	connection->server->site.connections_timed_out += !connection->lingering;
	if (session_idle(session) || connection->writes > 0 || connection->lingering) {
		connection_close(connection);
	} else {
		session_refuse(session, 408);
		connection_serve(connection);
	}
}

/* Runs on a tick, not on the signal, because a request may have arrived together with the signal.
 */
static void close_idle(struct server *server)
{
	struct deadline *deadline = server->limits.first;
	while (deadline) {
		struct connection *connection = connection_of((struct session *)deadline);
		deadline = deadline->next;
		bool busy = connection->writes > 0 || connection->lingering;
		if (!busy && session_idle(&connection->session))
			connection_close(connection);
	}
}

static void on_tick(uv_timer_t *tick)
{
	struct server *server = tick->data;
	struct deadline *due;
	while ((due = deadline_due(&server->limits)))
		connection_expire(connection_of((struct session *)due));
	if (server->site.stopping)
		close_idle(server);
}

/* Ends the loop when the last connection has gone. */
static void server_stop(struct server *server)
{
	server->site.stopping = true;
	uv_close((uv_handle_t *)&server->listener, NULL);
	uv_close((uv_handle_t *)&server->interrupt, NULL);
	uv_close((uv_handle_t *)&server->terminate, NULL);
}

static void on_signal(uv_signal_t *signal, int number)
{
	(void)number;
	server_stop(signal->data);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct server *server = listener->data;
	if (status != 0)
		return; /* if no file descriptor is left, libuv itself accepts and closes */
	struct connection *connection = malloc(sizeof(*connection));
	if (!connection) {
		server->error = UV_ENOMEM;
		server_stop(server);
		return;
	}
	memset(connection, 0, offsetof(struct connection, session));
	connection->server = server;
	session_init(&connection->session, &server->site, &server->limits, on_answered);
	uv_tcp_init(&server->loop, &connection->tcp);
	server->site.connections_accepted++;
	if (server->site.connections_open++ == 0)
		uv_timer_start(&server->tick, on_tick, TICK_MS, TICK_MS);
	if (uv_accept(listener, (uv_stream_t *)&connection->tcp) != 0) {
		connection_close(connection);
		return;
	}
	uv_tcp_nodelay(&connection->tcp, 1);
	connection_serve(connection);
}

/* Wakes the workers after the last submission: a worker woken earlier may preempt the loop. */
static void on_end_of_iteration(uv_prepare_t *prepare)
{
	struct server *server = prepare->data;
	work_begin(server->site.pool);
}

static void turn_start(struct server *server)
{
	uv_prepare_init(&server->loop, &server->end_of_iteration); /* cannot fail */
	server->end_of_iteration.data = server;
	uv_prepare_start(&server->end_of_iteration, on_end_of_iteration);
	uv_unref((uv_handle_t *)&server->end_of_iteration);
}

/* Stops at the first step that fails and names it in *failed. */
static int server_open(
	struct server *server, const struct server_options *options, const char **failed)
{
	uv_loop_t *loop = &server->loop;
	int error;
	*failed = "libuv";
	if ((error = uv_timer_init(loop, &server->tick)) != 0 ||
		(error = uv_signal_init(loop, &server->interrupt)) != 0 ||
		(error = uv_signal_init(loop, &server->terminate)) != 0 ||
		(error = uv_tcp_init(loop, &server->listener)) != 0)
		return error;
	server->tick.data = server->interrupt.data = server->terminate.data = server;
	server->listener.data = server;
	*failed = "cannot start the workers or open the target";
	error = work_pool_open(&server->site.pool, loop, options->workers, options->path);
	if (error)
		return error;
	turn_start(server);
	*failed = "cannot listen";
	uv_stream_t *listener = (uv_stream_t *)&server->listener;
	const struct sockaddr *address = (const struct sockaddr *)&options->address;
	if ((error = uv_tcp_bind(&server->listener, address, 0)) != 0 ||
		(error = uv_listen(listener, BACKLOG, on_connection)) != 0)
		return error;
	*failed = "signals";
	if ((error = uv_signal_start(&server->interrupt, on_signal, SIGINT)) != 0)
		return error;
	return uv_signal_start(&server->terminate, on_signal, SIGTERM);
}

static void close_handle(uv_handle_t *handle, void *context)
{
	(void)context;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static int server_close(struct server *server)
{
	uv_walk(&server->loop, close_handle, NULL);
	uv_run(&server->loop, UV_RUN_DEFAULT);
	if (server->site.pool)
		work_pool_close(server->site.pool);
	site_free(&server->site);
	return uv_loop_close(&server->loop);
}

int server_run(const struct server_options *options,
	void (*ready)(const struct sockaddr_storage *address, const char *path))
{
	struct server server = {.limits.length_ms = UINT64_C(1000) * options->timeout};
	char name[32];
	snprintf(name, sizeof(name), "libuv %s", uv_version_string());
	server.site.loop = name;
	int error = uv_loop_init(&server.loop);
	if (error) {
		fprintf(stderr, "libuv: %s\n", uv_strerror(error));
		return error;
	}
	const char *failed;
	error = server_open(&server, options, &failed);
	if (error) {
		fprintf(stderr, "%s: %s\n", failed, uv_strerror(error));
		server_close(&server);
		return error;
	}
	struct sockaddr_storage address;
	int size = sizeof(address);
	uv_tcp_getsockname(&server.listener, (struct sockaddr *)&address, &size);
	ready(&address, work_pool_path(server.site.pool));
	uv_run(&server.loop, UV_RUN_DEFAULT);
	error = server_close(&server);
	return server.error ? server.error : error;
}
