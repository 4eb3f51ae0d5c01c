/* SPDX-License-Identifier: MIT */
/* The listening socket of a server whose loop library does not create one. */
#ifndef WEBSERVER_LISTENER_H
#define WEBSERVER_LISTENER_H

#include <stdbool.h>
#include <sys/socket.h>

struct listener {
	int fd;
	int spare; /* a reserved descriptor, used when no other is left */
};

/* flags are added to the type for socket(2). Returns 0 or a negative errno value. */
int listener_open(struct listener *listener, const struct sockaddr_storage *at, int flags);
void listener_close(struct listener *listener);

/* If no descriptor is left: accepts one waiting client and closes it. Returns false if none waits.
 */
bool listener_shed(struct listener *listener);

#endif
