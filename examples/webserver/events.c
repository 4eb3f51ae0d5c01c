/* SPDX-License-Identifier: MIT */
#include "events.h"
#include "connection.h"
#include "ticker.h"

#include <ringwake/channel.h>

#include <string.h>

static struct connection *connection_of(struct subscriber *subscriber)
{
	return (struct connection *)((char *)subscriber - offsetof(struct connection, subscriber));
}

/* On the loop. A client that has disconnected unsubscribes meanwhile. */
static void on_event(void *context, void *item, int status)
{
	struct events *events = context;
	const struct event *event = item;
	(void)status; /* this program does not abort the channel */
	for (struct subscriber *next, *client = events->first; client; client = next) {
		next = client->next;
		bool taken = connection_push(connection_of(client), event->text, event->length);
		counter_up(taken ? &events->sent : &events->lost);
	}
}

int events_open(struct events *events, struct ringwake *target)
{
	return ringwake_channel_open(&events->channel, target,
		&(struct ringwake_channel_params){
			.item_size = sizeof(struct event),
			.capacity = EVENTS_QUEUED,
			.context = events,
			.receive = on_event,
		});
}

void events_close(struct events *events)
{
	if (events->channel)
		ringwake_channel_release(events->channel);
}

void events_subscribe(struct events *events, struct subscriber *subscriber)
{
	if (subscriber->events)
		return;
	*subscriber = (struct subscriber){events, events->first, NULL};
	if (events->first)
		events->first->previous = subscriber;
	events->first = subscriber;
	counter_up(&events->clients);
	ticker_use(events->ticker);
}

void events_unsubscribe(struct subscriber *subscriber)
{
	struct events *events = subscriber->events;
	if (!events)
		return;
	*(subscriber->previous ? &subscriber->previous->next : &events->first) = subscriber->next;
	if (subscriber->next)
		subscriber->next->previous = subscriber->previous;
	subscriber->events = NULL;
	counter_down(&events->clients);
	ticker_unuse(events->ticker);
}

void events_send(struct events *events, const struct event *event)
{
	if (events->channel && ringwake_channel_try_send(events->channel, event) != 0)
		counter_up(&events->missed);
}

void events_stop(struct events *events)
{
	for (struct subscriber *next, *client = events->first; client; client = next) {
		next = client->next;
		connection_stop(connection_of(client));
	}
}
