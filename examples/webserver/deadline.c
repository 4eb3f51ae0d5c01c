/* SPDX-License-Identifier: MIT */
#include "deadline.h"

#include <stddef.h>
#include <time.h>

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void deadline_clear(struct deadline *deadline)
{
	struct deadlines *queue = deadline->queue;
	if (deadline->at_ms == 0)
		return;
	deadline->at_ms = 0;
	*(deadline->previous ? &deadline->previous->next : &queue->first) = deadline->next;
	*(deadline->next ? &deadline->next->previous : &queue->last) = deadline->previous;
}

void deadline_set(struct deadline *deadline)
{
	struct deadlines *queue = deadline->queue;
	deadline_clear(deadline);
	deadline->at_ms = now_ms() + queue->length_ms;
	deadline->next = NULL;
	deadline->previous = queue->last;
	*(queue->last ? &queue->last->next : &queue->first) = deadline;
	queue->last = deadline;
}

struct deadline *deadline_due(const struct deadlines *queue)
{
	return queue->first && queue->first->at_ms <= now_ms() ? queue->first : NULL;
}
