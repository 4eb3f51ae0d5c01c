/* SPDX-License-Identifier: MIT */
/*
 * Time limits of equal length, counted in ticks of the server. Between two ticks the loop handles
 * what has arrived, so a server that was stopped or starved does not blame its clients. The queue
 * is in the order of expiry, so a tick checks only its head.
 */
#ifndef WEBSERVER_DEADLINE_H
#define WEBSERVER_DEADLINE_H

#include <stdint.h>

#define TICK_MS 100

/* All zeros except the length is an empty queue. */
struct deadlines {
	struct deadline *first, *last; /* the next one due first */
	uint64_t now;                  /* increment it at each tick */
	uint64_t length;               /* in ticks */
};

/* All zeros is a deadline that is not set. */
struct deadline {
	struct deadlines *queue; /* NULL: not set */
	struct deadline *next, *previous;
	uint64_t at;
};

/* Also for a deadline that is set, in this queue or another. */
void deadline_set(struct deadline *deadline, struct deadlines *queue);
void deadline_clear(struct deadline *deadline);

#endif
