/* SPDX-License-Identifier: MIT */
/*
 * The server on a libev loop: sockets, time limits and signals. LIBEV_FLAGS selects the backend, as
 * in any libev program.
 *
 * A connection has one io watcher, for reading or for writing. Because libev's io_uring backend
 * requires it, the server changes or stops an active watcher only in the watcher's own callback. To
 * close a connection whose watcher is active, the server shuts down the socket, which makes the
 * watcher fire.
 *
 * A connection ends in three steps. First the server sends its last response. Then it shuts down
 * the sending side and discards what the client still sends, so that a reset does not lose the
 * response. Last it closes the socket. If the client disconnects while a digest is pending, the
 * server waits for the digest.
 */
#include "listener.h"
#include "server.h"
#include "session.h"

#include <ev.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ACCEPTS     64  /* in one iteration */
#define PARDON_TIME 0.5 /* seconds to wait when no descriptor is left */

struct server {
	struct site site;
	struct ev_loop *loop;
	struct listener listener;
	ev_io arrivals;
	ev_timer pardon;
	ev_signal interrupt, terminate;
	ev_prepare end_of_iteration;
	ev_timer tick; /* active while there are connections */
	struct deadlines limits;
	int error; /* why the loop stopped without a signal */
};

struct connection {
	ev_io io;
	struct server *server;
	struct buffer unsent;
	size_t sent;
	bool lingering; /* the last response is sent; wait for the client to close */
	bool closing;   /* close when the watcher fires */
	bool closed;
	struct session session;
};

static struct connection *connection_of(struct session *session)
{
	return (struct connection *)((char *)session - offsetof(struct connection, session));
}

static bool is_sending(const struct connection *connection)
{
	return connection->unsent.length > 0;
}

static void connection_free(struct connection *connection)
{
	struct server *server = connection->server;
	if (--server->site.connections_open == 0)
		ev_timer_stop(server->loop, &server->tick);
	buffer_free(&connection->unsent);
	free(connection);
}

static void connection_close(struct connection *connection)
{
	deadline_clear(&connection->session.deadline);
	connection->closing = true;
	if (ev_is_active(&connection->io)) {
		shutdown(connection->io.fd, SHUT_RDWR);
	} else if (!connection->closed) {
		connection->closed = true;
		close(connection->io.fd);
	}
}

/* Call it last: it may free the connection. */
static void connection_free_if_closed(struct connection *connection)
{
	if (connection->closed && !connection->session.exchange.pending)
		connection_free(connection);
}

static void io_start(struct connection *connection, int events)
{
	if (ev_is_active(&connection->io))
		return;
	ev_io_set(&connection->io, connection->io.fd, events);
	ev_io_start(connection->server->loop, &connection->io);
}

static void unsent_append(struct connection *connection, const char *bytes, size_t length)
{
	buffer_append(&connection->unsent, bytes, length);
	if (connection->unsent.failed)
		connection_close(connection);
}

/* Sends what the socket accepts, and the rest when the socket is writable again. */
static void connection_send(struct connection *connection, const char *bytes, size_t length)
{
	if (is_sending(connection)) { /* a digest's response; earlier output comes first */
		unsent_append(connection, bytes, length);
		return;
	}
	ssize_t sent = send(connection->io.fd, bytes, length, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		connection_close(connection);
		return;
	}
	size_t done = sent < 0 ? 0 : (size_t)sent;
	if (done == length)
		return;
	if (ev_is_active(
		    &connection->io)) { /* waiting to read: this is the response to a timeout */
		connection_close(connection);
		return;
	}
	unsent_append(connection, bytes + done, length - done);
	if (connection->closing)
		return;
	deadline_set(&connection->session.deadline);
	io_start(connection, EV_WRITE);
}

/* Sends the site's output, which holds only this connection's responses at this point. */
static void connection_flush(struct connection *connection)
{
	struct buffer *output = &connection->server->site.output;
	if (!connection->closing && output->failed)
		connection_close(connection);
	else if (!connection->closing && output->length > 0)
		connection_send(connection, output->bytes, output->length);
	buffer_clear(output);
}

static void connection_finish(struct connection *connection)
{
	if (connection->lingering)
		return;
	connection->lingering = true;
	if (connection->session.ended || shutdown(connection->io.fd, SHUT_WR) != 0) {
		connection_close(connection);
		return;
	}
	deadline_set(&connection->session.deadline);
	io_start(connection, EV_READ);
}

/* Sends the output, which may hold a digest's response, then serves the received requests. */
static void connection_serve(struct connection *connection)
{
	struct session *session = &connection->session;
	enum session_next next = SESSION_FLUSH;
	connection_flush(connection);
	while (next == SESSION_FLUSH && !connection->closing && !is_sending(connection)) {
		next = session_serve(session);
		connection_flush(connection);
	}
	if (connection->closing || is_sending(connection))
		return;
	switch (next) {
	case SESSION_FLUSH:
	case SESSION_WAIT:
		deadline_clear(&connection->session.deadline);
		break;
	case SESSION_READ:
		session_expect(session);
		io_start(connection, EV_READ);
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
	connection_free_if_closed(connection);
}

static void connection_receive(struct connection *connection)
{
	char waste[4096];
	size_t size = sizeof(waste);
	char *room = connection->lingering ? waste : session_room(&connection->session, &size);
	ssize_t length = recv(connection->io.fd, room, size, 0);
	if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
		io_start(connection, EV_READ);
	} else if (length < 0 || (length == 0 && connection->lingering)) {
		connection_close(connection);
	} else if (connection->lingering) {
		io_start(connection, EV_READ);
	} else {
		connection->session.ended = length == 0;
		session_received(&connection->session, (size_t)length);
		connection_serve(connection);
	}
}

static void connection_send_rest(struct connection *connection)
{
	struct buffer *unsent = &connection->unsent;
	ssize_t sent = send(connection->io.fd, unsent->bytes + connection->sent,
		unsent->length - connection->sent, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		connection_close(connection);
		return;
	}
	connection->sent += sent < 0 ? 0 : (size_t)sent;
	if (connection->sent < unsent->length) {
		io_start(connection, EV_WRITE);
		return;
	}
	connection->sent = 0;
	buffer_clear(unsent);
	connection_serve(connection);
}

/* Stops the watcher first, so that the code below may start it for reading or writing. */
static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
	struct connection *connection = io->data;
	(void)events;
	ev_io_stop(loop, io);
	if (connection->closing)
		connection_close(connection);
	else if (is_sending(connection))
		connection_send_rest(connection);
	else
		connection_receive(connection);
	connection_free_if_closed(connection);
}

/* A client that has begun a request gets a response before its connection is closed. */
static void connection_expire(struct connection *connection)
{
	struct session *session = &connection->session;
	connection->server->site.connections_timed_out += !connection->lingering;
	if (session_idle(session) || is_sending(connection) || connection->lingering) {
		connection_close(connection);
	} else {
		session_refuse(session, 408);
		connection_serve(connection);
	}
	connection_free_if_closed(connection);
}

/* Runs on a tick, not on the signal, because a request may have arrived together with the signal.
 */
static void close_idle(struct server *server)
{
	struct deadline *deadline = server->limits.first;
	while (deadline) {
		struct connection *connection = connection_of((struct session *)deadline);
		deadline = deadline->next;
		bool busy = is_sending(connection) || connection->lingering;
		if (!busy && session_idle(&connection->session)) {
			connection_close(connection);
			connection_free_if_closed(connection);
		}
	}
}

static void on_tick(struct ev_loop *loop, ev_timer *tick, int events)
{
	struct server *server = tick->data;
	struct deadline *due;
	(void)loop;
	(void)events;
	while ((due = deadline_due(&server->limits)))
		connection_expire(connection_of((struct session *)due));
	if (server->site.stopping)
		close_idle(server);
}

/* Ends the loop when the last connection has gone. */
static void server_stop(struct server *server)
{
	server->site.stopping = true;
	ev_signal_stop(server->loop, &server->interrupt);
	ev_signal_stop(server->loop, &server->terminate);
	ev_timer_stop(server->loop, &server->pardon);
	shutdown(server->listener.fd, SHUT_RDWR); /* makes its watcher fire if it is active */
}

static void on_signal(struct ev_loop *loop, ev_signal *signal, int events)
{
	(void)loop;
	(void)events;
	server_stop(signal->data);
}

static void connection_open(struct server *server, int fd)
{
	struct connection *connection = malloc(sizeof(*connection));
	if (!connection) {
		close(fd);
		server->error = -ENOMEM;
		server_stop(server);
		return;
	}
	memset(connection, 0, offsetof(struct connection, session));
	connection->server = server;
	session_init(&connection->session, &server->site, &server->limits, on_answered);
	ev_io_init(&connection->io, on_io, fd, EV_READ);
	connection->io.data = connection;
	server->site.connections_accepted++;
	if (server->site.connections_open++ == 0)
		ev_timer_again(server->loop, &server->tick);
	connection_serve(connection);
	connection_free_if_closed(connection);
}

static void on_connection(struct ev_loop *loop, ev_io *arrivals, int events)
{
	struct server *server = arrivals->data;
	(void)events;
	for (int i = 0; i < ACCEPTS && !server->site.stopping; i++) {
		int fd = accept4(arrivals->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			connection_open(server, fd);
		} else if (errno == EAGAIN) {
			return;
		} else if ((errno == EMFILE || errno == ENFILE) &&
			!listener_shed(&server->listener)) {
			ev_io_stop(loop, arrivals); /* it would fire in every iteration */
			ev_timer_again(loop, &server->pardon);
			return;
		}
	}
	if (server->site.stopping)
		ev_io_stop(loop, arrivals);
}

static void on_pardon(struct ev_loop *loop, ev_timer *pardon, int events)
{
	struct server *server = pardon->data;
	(void)events;
	ev_timer_stop(loop, pardon);
	ev_io_start(loop, &server->arrivals);
}

/* Wakes the workers after the last submission: a worker woken earlier may preempt the loop. */
static void on_end_of_iteration(struct ev_loop *loop, ev_prepare *prepare, int events)
{
	struct server *server = prepare->data;
	(void)loop;
	(void)events;
	work_begin(server->site.pool);
}

static int server_listen(struct server *server, const struct server_options *options)
{
	int error = listener_open(&server->listener, &options->address, SOCK_NONBLOCK);
	if (error)
		return error;
	ev_io_init(&server->arrivals, on_connection, server->listener.fd, EV_READ);
	ev_timer_init(&server->pardon, on_pardon, 0., PARDON_TIME);
	ev_timer_init(&server->tick, on_tick, 0., TICK_MS / 1000.);
	ev_signal_init(&server->interrupt, on_signal, SIGINT);
	ev_signal_init(&server->terminate, on_signal, SIGTERM);
	server->arrivals.data = server->pardon.data = server->tick.data = server;
	server->interrupt.data = server->terminate.data = server;
	ev_prepare_init(&server->end_of_iteration, on_end_of_iteration);
	server->end_of_iteration.data = server;
	ev_prepare_start(server->loop, &server->end_of_iteration);
	ev_unref(server->loop);
	ev_io_start(server->loop, &server->arrivals);
	ev_signal_start(server->loop, &server->interrupt);
	ev_signal_start(server->loop, &server->terminate);
	return 0;
}

static int server_serve(struct server *server, const struct server_options *options,
	void (*ready)(const struct sockaddr_storage *address, const char *path))
{
	int error = server_listen(server, options);
	if (error) {
		fprintf(stderr, "cannot listen: %s\n", strerror(-error));
		return error;
	}
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);
	getsockname(server->listener.fd, (struct sockaddr *)&address, &size);
	ready(&address, work_pool_path(server->site.pool));
	ev_run(server->loop, 0);
	listener_close(&server->listener);
	return server->error;
}

int server_run(const struct server_options *options,
	void (*ready)(const struct sockaddr_storage *address, const char *path))
{
	struct server server = {.limits.length_ms = UINT64_C(1000) * options->timeout};
	char name[32];
	snprintf(name, sizeof(name), "libev %d.%d", ev_version_major(), ev_version_minor());
	server.site.loop = name;
	server.loop = ev_default_loop(EVFLAG_AUTO);
	if (!server.loop) {
		fprintf(stderr, "libev cannot create a loop\n");
		return -ENOSYS;
	}
	int error = work_pool_open(&server.site.pool, server.loop, options->workers, options->path);
	if (error) {
		fprintf(stderr, "cannot start the workers or open the target: %s\n",
			strerror(-error));
	} else {
		error = server_serve(&server, options, ready);
		work_pool_close(server.site.pool);
	}
	site_free(&server.site);
	ev_loop_destroy(server.loop);
	return error;
}
