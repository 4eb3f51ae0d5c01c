/* SPDX-License-Identifier: MIT */
/* The server of one loop: accepting, time limits, signals and shutting down. */
#ifndef WEBSERVER_SERVER_H
#define WEBSERVER_SERVER_H

#include "deadline.h"
#include "handlers.h"
#include "listener.h"

#include <sys/socket.h>

struct loop;
struct loop_type;

struct server_options {
	struct sockaddr_storage address;
	const struct loop_type *loop;
	const struct work_type *work;
	unsigned workers; /* 0: one per processor */
	const char *path;
	unsigned timeout; /* seconds allowed for a request, its response, and between requests */
};

/* After the first signal, a client has this time to complete a request. README.md gives it, too. */
#define STOP_MS 1000

enum watched { WATCH_LISTENER, WATCH_SIGNALS, WATCHES };

struct server {
	struct site site;
	const struct loop_type *type;
	struct loop *loop;
	struct listener listener;
	int signals;    /* a signalfd */
	bool accepting; /* the listener is watched */
	bool ticking;
	struct deadlines limits;
	uint64_t stop_at; /* the tick of stop_limits after which clients must not go on asking */
	struct deadlines stop_limits; /* once site.stopping is set, of clients that must act */
};

/*
 * Serves until SIGINT or SIGTERM, then answers all requests that have arrived; a second signal ends
 * the process. Calls ready once it accepts connections. Returns 0, or prints the error to stderr
 * and returns a negative errno value.
 */
int server_run(const struct server_options *options,
	void (*ready)(const struct sockaddr_storage *address, const char *path));

/* For the loops. */
bool server_readable(struct server *server, enum watched which);
bool server_tick(struct server *server);
void server_end_iteration(struct server *server); /* immediately before the loop blocks */
bool server_is_over(const struct server *server);

/* For the connections: starts the tick if it has ended. */
void server_needs_tick(struct server *server);

#endif
