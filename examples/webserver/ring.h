/* SPDX-License-Identifier: MIT */
/* The server on an io_uring: server_ring.c has the loop, ring_connection.c the connections. */
#ifndef WEBSERVER_RING_H
#define WEBSERVER_RING_H

#include "deadline.h"
#include "handlers.h"
#include "listener.h"

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

/* The low bits of a request's user data. The other bits are the connection's address, if any. */
enum purpose { ACCEPT = 1, SIGNAL, TICK, RECEIVE, SEND, PURPOSE_BITS = 7 };

struct connection;

struct server {
	struct site site;
	struct io_uring ring;
	struct ringwake *target;
	struct listener listener;
	int signals; /* a signalfd */
	bool accepting, ticking;
	struct deadlines limits;
	int error; /* why the loop stopped without a signal */
};

/* Returns a request for the caller to prepare and then mark. */
struct io_uring_sqe *new_request(struct server *server);
void mark(struct io_uring_sqe *request, enum purpose purpose, struct connection *connection);

/* If memory runs out, closes fd and returns false. */
bool connection_open(struct server *server, int fd);

/* Handle the result of a connection's request. Both may free the connection. */
void connection_received(struct connection *connection, int result);
void connection_sent(struct connection *connection, int result);

/* Ends the connections whose deadline has passed. */
void connections_expire(struct server *server);

/* Closes the connections that have no request in progress. */
void connections_close_idle(struct server *server);

#endif
