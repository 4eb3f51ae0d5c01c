/* SPDX-License-Identifier: MIT */
/*
 * The clients of one loop that read /events. Another thread, in ticker.c, sends each event through
 * a channel to the loop, which sends it to these clients.
 *
 * Memory is bounded. A client has at most one event that is not sent; while it has one, it loses
 * the events that follow. A loop has at most EVENTS_QUEUED events; while it has them, it loses
 * those that follow, for all its clients.
 */
#ifndef WEBSERVER_EVENTS_H
#define WEBSERVER_EVENTS_H

#include "counter.h"

#include <stdbool.h>
#include <stddef.h>

struct ringwake;
struct ringwake_channel;
struct ticker;

#define EVENT_SIZE    2048
#define EVENTS_QUEUED 4

/* An item of the channel: text as the client gets it. */
struct event {
	size_t length;
	char text[EVENT_SIZE];
};

/* All zeros is a client that does not read events. */
struct subscriber {
	struct events *events;
	struct subscriber *next, *previous;
};

struct events {
	struct ticker *ticker;            /* that sends to the channel */
	struct ringwake_channel *channel; /* NULL: nothing can be sent to this loop */
	struct subscriber *first;
	struct counter clients;
	struct counter sent;
	struct counter lost;   /* for slow clients */
	struct counter missed; /* by a slow loop; the ticker writes it */
};

/* On the loop's thread, which opens the channel. Returns 0 or a negative errno value. */
int events_open(struct events *events, struct ringwake *target);
/* When the loop and the ticker have ended. */
void events_close(struct events *events);

/* Also for a client that is subscribed, or is not. */
void events_subscribe(struct events *events, struct subscriber *subscriber);
void events_unsubscribe(struct subscriber *subscriber);

/* On the ticker's thread. */
void events_send(struct events *events, const struct event *event);

/* When the server stops: calls connection_stop() for each client. */
void events_stop(struct events *events);

#endif
