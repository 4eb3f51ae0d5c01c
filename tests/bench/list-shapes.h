/* SPDX-License-Identifier: MIT */
/*
 * Shapes that the target's list could have, each with the sleep state inside it, reduced to what a
 * message costs: no close, no fork check, no doorbell.
 */
#ifndef LIST_SHAPES_H
#define LIST_SHAPES_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct node {
	_Atomic uintptr_t next;
	struct producer *producer;
	uint64_t value;
};

struct list {
	alignas(64) _Atomic uintptr_t word; /* what every sender writes */
	alignas(64) struct node stub;
	/* The consumer's. */
	alignas(64) struct node *first; /* the next to deliver */
	struct node *last;              /* of a batch that was taken in order */
	struct node *taken, *turned;    /* of a batch that has to be turned round */
};

struct shape {
	const char *name;
	void (*init)(struct list *list);
	/* Any thread. True if this sender has to wake the consumer. */
	bool (*push)(struct list *list, struct node *node);
	/* The consumer's. NULL if nothing can be delivered now. */
	struct node *(*pop)(struct list *list);
	bool (*fall_asleep)(struct list *list); /* false: something has come */
	void (*wake_up)(struct list *list);
};

extern const struct shape shape_stack;
extern const struct shape shape_stack_guess;
extern const struct shape shape_stack_prefetch;
extern const struct shape shape_stack_exchange;
extern const struct shape shape_queue;

#endif
