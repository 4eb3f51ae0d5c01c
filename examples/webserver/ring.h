/* SPDX-License-Identifier: MIT */
/* The server on an io_uring and its connections: server_ring.c has the loop, ring_connection.c
 * them. */
#ifndef WEBSERVER_RING_H
#define WEBSERVER_RING_H

#include "deadline.h"
#include "handlers.h"
#include "listener.h"

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

/* What was asked for: the low bits of a request's user data. Above them is the connection, if any.
 */
enum purpose { ACCEPT = 1, SIGNAL, TICK, RECEIVE, SEND, PURPOSE_BITS = 7 };

struct connection;

struct server {
	struct site site;
	struct io_uring ring;
	struct ringwake *target;
	struct listener listener;
	int signals; /* descriptor */
	bool accepting, ticking;
	struct deadlines limits;
	int error; /* why it stopped by itself */
};

/* To be prepared, and then marked. */
struct io_uring_sqe *new_request(struct server *server);
void mark(struct io_uring_sqe *request, enum purpose purpose, struct connection *connection);

/* False if there is no memory for one; the socket is closed then. */
bool connection_open(struct server *server, int fd);

/* What its requests came to. The connection may be gone after either. */
void connection_received(struct connection *connection, int result);
void connection_sent(struct connection *connection, int result);

/* Those whose time is over. */
void connections_expire(struct server *server);

/* Those between two requests. */
void connections_close_idle(struct server *server);

#endif
