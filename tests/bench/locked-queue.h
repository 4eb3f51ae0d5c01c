/* SPDX-License-Identifier: MIT */
/* A queue under a mutex, as programs use it with a wake that carries no payload. */
#ifndef LOCKED_QUEUE_H
#define LOCKED_QUEUE_H

#include <pthread.h>
#include <stddef.h>

#include "peer.h"

struct locked_queue {
	pthread_mutex_t lock;
	struct item *first, **end;
};

static inline void locked_queue_init(struct locked_queue *queue)
{
	pthread_mutex_init(&queue->lock, NULL);
	queue->first = NULL;
	queue->end = &queue->first;
}

static inline void locked_queue_push(struct locked_queue *queue, struct item *item)
{
	item->next = NULL;
	pthread_mutex_lock(&queue->lock);
	*queue->end = item;
	queue->end = &item->next;
	pthread_mutex_unlock(&queue->lock);
}

/* Takes all items in one step, then delivers them. */
static inline void locked_queue_drain(struct locked_queue *queue, deliver_function deliver)
{
	pthread_mutex_lock(&queue->lock);
	struct item *item = queue->first;
	queue->first = NULL;
	queue->end = &queue->first;
	pthread_mutex_unlock(&queue->lock);
	while (item) {
		struct item *next = item->next;
		deliver(&item->msg);
		item = next;
	}
}

#endif
