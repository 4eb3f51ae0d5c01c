/* SPDX-License-Identifier: MIT */
/*
 * SIGINT and SIGTERM stop the server: the first one in order, the second one at once. One loop
 * reads the first signal from a signalfd. It tells the other loops by an eventfd, which stays
 * readable.
 */
#ifndef WEBSERVER_SIGNALS_H
#define WEBSERVER_SIGNALS_H

#include <stdbool.h>

struct signals {
	int signalfd; /* for the loop of the main thread */
	int eventfd;  /* for all other loops, or -1 */
};

/*
 * Call it before there are other threads, because they inherit the blocked signals. Returns 0 or a
 * negative errno value; signals_close() is required in both cases.
 */
int signals_open(struct signals *signals, bool several_loops);
void signals_close(struct signals *signals);

/* When fd, which is one of the two, is readable: returns true if the loop must stop. */
bool signals_arrived(struct signals *signals, int fd);

#endif
