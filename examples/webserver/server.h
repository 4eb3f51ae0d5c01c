/* SPDX-License-Identifier: MIT */
/* The server of one loop: accepting, time limits, signals and shutting down. */
#ifndef WEBSERVER_SERVER_H
#define WEBSERVER_SERVER_H

#include "deadline.h"
#include "handlers.h"
#include "listener.h"
#include "signals.h"

#include <sys/socket.h>

struct loop;
struct loop_type;

struct server_options {
	struct sockaddr_storage address;
	const struct loop_type *loop;
	const struct work_type *work;
	unsigned loops;   /* each is served by a thread of its own */
	unsigned workers; /* 0: one per processor */
	const char *path;
	unsigned event_interval; /* ms */
	const char *log;         /* a file, or NULL */
	const char *peer;        /* see struct site */
	int root;                /* see file_open_root(); or -1 */
	unsigned timeout; /* seconds allowed for a request, its response, and between requests */
};

/* After the first signal, a client has this time to complete a request. README.md gives it, too. */
#define STOP_MS 1000

enum watched { WATCH_LISTENER, WATCH_STOP, WATCHES };

/* The group sets the first members, and zeros the others, before server_open(). */
struct server {
	struct work_pool *pool;
	struct signals *signals;
	int stop_fd; /* of signals; readable when this server must stop */
	struct sockaddr_storage address;
	enum sharing sharing;
	struct site site;
	const struct loop_type *type;
	struct loop *loop;
	struct listener listener;
	bool accepting; /* the listener is watched */
	bool ticking;
	struct deadlines limits;
	uint64_t handshakes_end; /* the tick of stop_limits at which the last client may connect */
	uint64_t stop_at; /* the tick of stop_limits after which clients must not go on asking */
	struct deadlines stop_limits; /* once site.stopping is set, of clients that must act */
};

/*
 * These three functions are called by one thread. server_open() returns 0, or prints the error to
 * stderr and returns a negative errno value; server_close() is required in both cases.
 * server_run() serves until stop_fd is readable, then answers all requests that have arrived.
 */
int server_open(struct server *server, const struct server_options *options);
void server_run(struct server *server);
void server_close(struct server *server);

/* For the loops. */
bool server_readable(struct server *server, enum watched which);
bool server_tick(struct server *server);
void server_end_iteration(struct server *server); /* immediately before the loop blocks */
bool server_is_over(const struct server *server);

/* For the connections: starts the tick if it has ended. */
void server_needs_tick(struct server *server);

#endif
