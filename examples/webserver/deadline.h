/* SPDX-License-Identifier: MIT */
/*
 * Time limits that are all of the same length: they stand in a queue in the order in which they run
 * out, so a tick has to look at its head only.
 */
#ifndef WEBSERVER_DEADLINE_H
#define WEBSERVER_DEADLINE_H

#include <stdint.h>

#define TICK_MS 100 /* how often to look */

/* Zero but for its length is an empty queue. */
struct deadlines {
	struct deadline *first, *last; /* the next one due first */
	uint64_t length_ms;
};

/* Zero but for its queue is none. */
struct deadline {
	struct deadlines *queue;
	struct deadline *next, *previous;
	uint64_t at_ms; /* 0: not in the queue */
};

void deadline_set(struct deadline *deadline);
void deadline_clear(struct deadline *deadline);

/* One that is over, or NULL. It stays in the queue. */
struct deadline *deadline_due(const struct deadlines *queue);

#endif
