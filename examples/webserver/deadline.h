/* SPDX-License-Identifier: MIT */
/*
 * Time limits of equal length. The queue is in the order of expiry, so a tick checks only its head.
 */
#ifndef WEBSERVER_DEADLINE_H
#define WEBSERVER_DEADLINE_H

#include <stdint.h>

#define TICK_MS 100 /* how often the server checks */

/* All zeros except length_ms is an empty queue. */
struct deadlines {
	struct deadline *first, *last; /* the next one due first */
	uint64_t length_ms;
};

/* All zeros except its queue is a deadline that is not set. */
struct deadline {
	struct deadlines *queue;
	struct deadline *next, *previous;
	uint64_t at_ms; /* 0: not in the queue */
};

void deadline_set(struct deadline *deadline);
void deadline_clear(struct deadline *deadline);

/* Returns an expired deadline, or NULL. The deadline stays in the queue. */
struct deadline *deadline_due(const struct deadlines *queue);

#endif
