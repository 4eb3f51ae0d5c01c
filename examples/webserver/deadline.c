/* SPDX-License-Identifier: MIT */
#include "deadline.h"

#include <stddef.h>

void deadline_clear(struct deadline *deadline)
{
	struct deadlines *queue = deadline->queue;
	if (!queue)
		return;
	deadline->queue = NULL;
	*(deadline->previous ? &deadline->previous->next : &queue->first) = deadline->next;
	*(deadline->next ? &deadline->next->previous : &queue->last) = deadline->previous;
}

void deadline_set(struct deadline *deadline, struct deadlines *queue)
{
	deadline_clear(deadline);
	/* the first tick may follow at once */
	*deadline = (struct deadline){queue, NULL, queue->last, queue->now + queue->length + 1};
	*(queue->last ? &queue->last->next : &queue->first) = deadline;
	queue->last = deadline;
}
