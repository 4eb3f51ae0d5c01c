/* SPDX-License-Identifier: MIT */
/* The whole program: one server for each loop, and what the servers share. */
#ifndef WEBSERVER_GROUP_H
#define WEBSERVER_GROUP_H

#include "server.h"

/*
 * Serves until SIGINT or SIGTERM, then answers all requests that have arrived; a second signal ends
 * the process. Calls ready once it accepts connections. Returns 0, or prints the error to stderr
 * and returns a negative errno value.
 */
int group_run(const struct server_options *options,
	void (*ready)(const struct sockaddr_storage *address, const char *path));

#endif
