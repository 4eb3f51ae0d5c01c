/* SPDX-License-Identifier: MIT */
/* The queue under a mutex that people write beside a wake without payload. */
#ifndef LOCKED_QUEUE_H
#define LOCKED_QUEUE_H

#include <pthread.h>
#include <stddef.h>

#include "carrier.h"

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

/* Delivers all that is there, having taken it in one step. */
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
