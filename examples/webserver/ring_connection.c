/* SPDX-License-Identifier: MIT */
/*
 * A connection of the server on an io_uring. It has at most one receive and one send on the ring.
 * The kernel may use their buffers until they complete, so the connection is freed only then. To
 * make them complete soon, its socket is shut down.
 *
 * A connection ends in three steps. First the server sends its last response. Then it shuts down
 * the sending side and discards what the client still sends, so that a reset does not lose the
 * response. Last it closes the socket. If the client disconnects while a digest is pending, the
 * server waits for the digest.
 */
#include "ring.h"
#include "session.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEPT 4096 /* largest buffer that an idle connection keeps */

struct connection {
	struct server *server;
	int fd;
	bool receiving, sending;
	bool lingering;       /* the last response is sent; wait for the client to close */
	bool closing;         /* close when no request is in progress */
	struct buffer unsent; /* the kernel may read it while a send is in progress */
	struct buffer behind; /* to be sent after unsent */
	size_t sent;
	struct session session;
};

static struct connection *connection_of(struct session *session)
{
	return (struct connection *)((char *)session - offsetof(struct connection, session));
}

static void connection_close(struct connection *connection)
{
	deadline_clear(&connection->session.deadline);
	connection->closing = true;
	if (connection->receiving || connection->sending)
		shutdown(connection->fd, SHUT_RDWR);
}

/* Call it last: it may free the connection. */
static void connection_free_if_over(struct connection *connection)
{
	if (!connection->closing || connection->receiving || connection->sending ||
		connection->session.exchange.pending)
		return;
	connection->server->site.connections_open--;
	close(connection->fd);
	buffer_free(&connection->unsent);
	buffer_free(&connection->behind);
	free(connection);
}

static void connection_receive(struct connection *connection)
{
	struct session *session = &connection->session;
	size_t size = sizeof(session->input);
	if (connection->receiving)
		return;
	char *room = connection->lingering ? session->input : session_room(session, &size);
	struct io_uring_sqe *request = new_request(connection->server);
	io_uring_prep_recv(request, connection->fd, room, size, 0);
	request->ioprio = IORING_RECVSEND_POLL_FIRST; /* nothing can arrive before the client gets
							 its response */
	mark(request, RECEIVE, connection);
	connection->receiving = true;
}

static void connection_send(struct connection *connection)
{
	const struct buffer *unsent = &connection->unsent;
	struct io_uring_sqe *request = new_request(connection->server);
	io_uring_prep_send(request, connection->fd, unsent->bytes + connection->sent,
		unsent->length - connection->sent, MSG_NOSIGNAL | MSG_WAITALL);
	mark(request, SEND, connection);
	connection->sending = true;
}

static void buffer_swap(struct buffer *one, struct buffer *other)
{
	struct buffer was = *one;
	*one = *other;
	*other = was;
}

/* Sends the site's output, which holds only this connection's responses at this point. */
static void connection_flush(struct connection *connection)
{
	struct buffer *output = &connection->server->site.output;
	if (!connection->closing && connection->sending)
		buffer_append(&connection->behind, output->bytes, output->length);
	if (!connection->closing && (output->failed || connection->behind.failed)) {
		connection_close(connection);
	} else if (!connection->closing && !connection->sending && output->length > 0) {
		buffer_swap(&connection->unsent, output);
		deadline_set(&connection->session.deadline);
		connection_send(connection);
	}
	buffer_clear(output);
}

static void connection_finish(struct connection *connection)
{
	if (connection->lingering)
		return;
	connection->lingering = true;
	if (connection->session.ended || shutdown(connection->fd, SHUT_WR) != 0) {
		connection_close(connection);
		return;
	}
	deadline_set(&connection->session.deadline);
	connection_receive(connection);
}

/* Sends the output, which may hold a digest's response, then serves the received requests. */
static void connection_serve(struct connection *connection)
{
	struct session *session = &connection->session;
	connection_flush(connection);
	if (connection->closing || connection->sending)
		return;
	enum session_next next = session_serve(session);
	connection_flush(connection);
	if (connection->closing)
		return;
	switch (next) {
	case SESSION_FLUSH:
		break;
	case SESSION_WAIT:
		if (!connection->sending)
			deadline_clear(&connection->session.deadline);
		break;
	case SESSION_READ:
		if (!connection->sending)
			session_expect(session);
		connection_receive(connection);
		break;
	case SESSION_CLOSE:
		if (!connection->sending)
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
	connection_free_if_over(connection);
}

static void on_received(struct connection *connection, int result)
{
	if (result < 0 || (result == 0 && connection->lingering)) {
		connection_close(connection);
	} else if (connection->lingering) {
		connection_receive(connection);
	} else {
		connection->session.ended = result == 0;
		session_received(&connection->session, (size_t)result);
		connection_serve(connection);
	}
}

static void on_sent(struct connection *connection, int result)
{
	struct buffer *unsent = &connection->unsent;
	if (result < 0) {
		connection_close(connection);
		return;
	}
	connection->sent += (size_t)result;
	if (connection->sent == unsent->length) {
		connection->sent = 0;
		buffer_clear(unsent);
		if (unsent->capacity > KEPT)
			buffer_free(unsent);
		buffer_swap(unsent, &connection->behind);
	}
	if (unsent->length > 0)
		connection_send(connection);
	else
		connection_serve(connection);
}

void connection_received(struct connection *connection, int result)
{
	connection->receiving = false;
	if (!connection->closing)
		on_received(connection, result);
	connection_free_if_over(connection);
}

void connection_sent(struct connection *connection, int result)
{
	connection->sending = false;
	if (!connection->closing)
		on_sent(connection, result);
	connection_free_if_over(connection);
}

/* A client that has begun a request gets a response before its connection is closed. */
static void connection_expire(struct connection *connection)
{
	struct session *session = &connection->session;
	connection->server->site.connections_timed_out += !connection->lingering;
	if (session_idle(session) || connection->sending || connection->lingering) {
		connection_close(connection);
	} else {
		session_refuse(session, 408);
		connection_serve(connection);
	}
	connection_free_if_over(connection);
}

void connections_expire(struct server *server)
{
	struct deadline *due;
	while ((due = deadline_due(&server->limits)))
		connection_expire(connection_of((struct session *)due));
}

void connections_close_idle(struct server *server)
{
	struct deadline *deadline = server->limits.first;
	while (deadline) {
		struct connection *connection = connection_of((struct session *)deadline);
		deadline = deadline->next;
		bool busy = connection->sending || connection->lingering;
		if (!busy && session_idle(&connection->session)) {
			connection_close(connection);
			connection_free_if_over(connection);
		}
	}
}

bool connection_open(struct server *server, int fd)
{
	struct connection *connection = malloc(sizeof(*connection));
	if (!connection) {
		close(fd);
		return false;
	}
	memset(connection, 0, offsetof(struct connection, session));
	connection->server = server;
	connection->fd = fd;
	session_init(&connection->session, &server->site, &server->limits, on_answered);
	server->site.connections_accepted++;
	server->site.connections_open++;
	connection_serve(connection);
	return true;
}
