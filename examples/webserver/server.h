/* SPDX-License-Identifier: MIT */
#ifndef WEBSERVER_SERVER_H
#define WEBSERVER_SERVER_H

#include <sys/socket.h>

struct server_options {
	struct sockaddr_storage address;
	unsigned workers; /* 0: one per processor */
	const char *path;
	unsigned
		timeout; /* seconds allowed for a request, for its response, and between requests */
};

/*
 * Serves until SIGINT or SIGTERM, then finishes the requests in progress; a second signal ends the
 * process. Calls ready once it accepts connections. Returns 0, or prints the error to stderr and
 * returns a negative errno value.
 */
int server_run(const struct server_options *options,
	void (*ready)(const struct sockaddr_storage *address, const char *path));

#endif
