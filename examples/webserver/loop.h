/* SPDX-License-Identifier: MIT */
/*
 * What an event loop does for the server: it moves bytes, waits for descriptors and calls the
 * server's functions. loop_uv.c, loop_ev.c and loop_ring.c implement it. All decisions, such as
 * whom to accept, when to give up and when to close, are in server.c and connection.c.
 */
#ifndef WEBSERVER_LOOP_H
#define WEBSERVER_LOOP_H

#include "connection.h"
#include "server.h"

#include <ringwake/ringwake.h>

#include <sys/types.h>

struct loop; /* each implementation has its own */

/* Functions that return int return 0 or a negative errno value. */
struct loop_type {
	const char *name;               /* for --loop */
	const struct work_type *native; /* how the loop's library runs work, or NULL */
	size_t connection_size;         /* of its connections, which begin with struct connection */

	/* Writes the library's name and version to server->site.loop. */
	int (*open)(struct loop **out, struct server *server);
	/* Returns when nothing is watched, no tick is due and no connection is open. */
	void (*run)(struct loop *loop);
	void (*close)(struct loop *loop);

	/* Opens and closes a target for the loop, which then runs the callbacks of its messages. */
	int (*attach)(
		struct loop *loop, const struct ringwake_params *params, struct ringwake **target);
	void (*detach)(struct loop *loop);

	/* Calls server_readable() whenever fd is readable, until that returns false. */
	int (*watch)(struct loop *loop, enum watched which, int fd);
	/* Calls server_tick() every TICK_MS until that returns false. */
	void (*tick)(struct loop *loop);

	/* From then on connection->fd belongs to the loop. */
	int (*adopt)(struct connection *connection);
	/* Calls connection_received() once, or for everything that arrives, while there is room. */
	int (*receive)(struct connection *connection);
	/* Sends what the socket accepts at once and returns its size. NULL: there is only send. */
	ssize_t (*try_send)(struct connection *connection, const char *bytes, size_t length);
	/* Sends from these bytes, which stay as they are until it calls connection_sent(). */
	int (*send)(struct connection *connection, const char *bytes, size_t length);
	/* Closes the socket. True: at once. False: it will call connection_closed(). */
	bool (*let_go)(struct connection *connection);
};

/* The functions have these names in each implementation. */
#define LOOP_REST                                                                                  \
	.connection_size = sizeof(struct loop_connection), .open = loop_open, .close = loop_close, \
	.attach = attach, .detach = detach, .watch = watch, .tick = start_tick, .adopt = adopt,    \
	.receive = receive, .send = send_all, .let_go = let_go

extern const struct loop_type loop_uv, loop_uv_ring, loop_ev, loop_ring;

#endif
