/* SPDX-License-Identifier: MIT */
#ifndef WEBSERVER_SERVER_H
#define WEBSERVER_SERVER_H

#include <sys/socket.h>

struct server_options {
	struct sockaddr_storage address;
	unsigned workers; /* 0: one for each processor */
	const char *path;
	unsigned timeout; /* seconds that a client may take for a request, or between two */
};

/*
 * Serves until SIGINT or SIGTERM, then finishes what is in flight; a second signal ends the
 * process. ready is called once connections are accepted. 0, or what went wrong has been said on
 * stderr.
 */
int server_run(const struct server_options *options,
	void (*ready)(const struct sockaddr_storage *address, const char *path));

#endif
