/* SPDX-License-Identifier: MIT */
/* The socket that clients come to, for a server whose loop's library has none of its own. */
#ifndef WEBSERVER_LISTENER_H
#define WEBSERVER_LISTENER_H

#include <stdbool.h>
#include <sys/socket.h>

struct listener {
	int fd;
	int spare; /* a descriptor, for when there is none left */
};

/* flags are further ones for socket(2). 0 or a negative errno value. */
int listener_open(struct listener *listener, const struct sockaddr_storage *at, int flags);
void listener_close(struct listener *listener);

/* Without a descriptor left: tells one client that waits so. */
bool listener_shed(struct listener *listener);

#endif
