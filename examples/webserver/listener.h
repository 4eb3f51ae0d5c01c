/* SPDX-License-Identifier: MIT */
/* The listening socket. It does not block. */
#ifndef WEBSERVER_LISTENER_H
#define WEBSERVER_LISTENER_H

#include <stdbool.h>
#include <sys/socket.h>

struct listener {
	int fd;
	int spare; /* a reserved descriptor, used when no other is left */
	bool sealed, shut;
};

/* Several loops have a socket each, among which the kernel distributes the clients. */
enum sharing {
	SHARING_NONE,
	SHARING_FIRST, /* fails if another program has the port */
	SHARING_NEXT,
};

/* Returns 0 or a negative errno value. */
int listener_open(
	struct listener *listener, const struct sockaddr_storage *at, enum sharing sharing);
void listener_close(struct listener *listener);

/* Returns a client's socket, which does not block, or a negative errno value. */
int listener_accept(struct listener *listener);

/* If no descriptor is left: accepts one client and closes it. Returns false if none waits. */
bool listener_shed(struct listener *listener);

/*
 * From now on no client can begin to connect, so that none is in the queue when the socket is shut.
 * Clients whose connection the kernel has begun still get into the queue.
 */
void listener_seal(struct listener *listener);

/* True if there are such clients. Those of another loop count, too. */
bool listener_has_handshakes(const struct listener *listener);

/* Clients get "connection refused". The socket becomes readable, which ends its watch. */
void listener_shut(struct listener *listener);

#endif
