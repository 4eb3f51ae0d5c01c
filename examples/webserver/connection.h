/* SPDX-License-Identifier: MIT */
/*
 * One client: its bytes become requests, the requests become responses, in the same order, and the
 * responses become bytes. The loop moves the bytes; see loop.h.
 */
#ifndef WEBSERVER_CONNECTION_H
#define WEBSERVER_CONNECTION_H

#include "deadline.h"
#include "handlers.h"
#include "work.h"

#include <sys/types.h>

struct server;

struct connection {
	struct server *server;
	int fd;
	bool working;   /* the exchange is at the workers */
	bool sending;   /* the loop sends unsent */
	bool ended;     /* the client sends no more */
	bool lingering; /* the last response is sent; wait for the client to close */
	bool closing;   /* the loop was told to let go */
	bool closed;    /* it has */
	struct buffer unsent;
	size_t sent;
	struct deadline deadline;
	struct exchange exchange;
	struct subscriber subscriber; /* to events */
	struct work work;
	uint64_t answered;
	uint64_t step;             /* the step of the client that the deadline limits */
	size_t begin, end;         /* received bytes that are not read yet */
	struct http_reader reader; /* not cleared, because it is large; like all that follows */
	char input[8192];
};

/* Owns fd. If memory runs out, it refuses this client. */
void connection_open(struct server *server, int fd);

/* A client that has begun a request gets a response before its connection is closed. */
void connection_expired(struct deadline *deadline);

/* Call it once for each deadline when the server begins to stop. */
void connection_hurry(struct deadline *deadline);

/*
 * For the clients that read events. connection_push() returns false if the client has not read the
 * previous event. Both functions may free the connection.
 */
bool connection_push(struct connection *connection, const char *bytes, size_t length);
void connection_stop(struct connection *connection);

/*
 * For the loops. result is the number of bytes, 0 if the client sends no more, or a negative errno
 * value. These functions may free the connection, if the loop has let go of it.
 */
char *connection_room(struct connection *connection, size_t *size);
void connection_received(struct connection *connection, ssize_t result);
void connection_sent(struct connection *connection, ssize_t result);
void connection_closed(struct connection *connection);

#endif
