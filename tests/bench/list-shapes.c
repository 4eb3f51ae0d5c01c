/* SPDX-License-Identifier: MIT */
#include "list-shapes.h"

#include <stddef.h>

#define ASLEEP   ((uintptr_t)1)
#define UNLINKED ((uintptr_t)2) /* the sender has not come to its second step yet */
#define WAITING  ((uintptr_t)3) /* the same, and the consumer sleeps until it does */

static struct node *node_of(uintptr_t word)
{
	return (struct node *)(word & ~(uintptr_t)3);
}

static void init(struct list *list)
{
	atomic_init(&list->word, 0);
	atomic_init(&list->stub.next, 0);
	list->first = list->last = list->taken = list->turned = NULL;
}

/*
 * A stack, pushed to by compare and exchange: the word that a push replaces says in one step what
 * lies below and whether the consumer sleeps. No second step, so a stopped sender stops nobody.
 */
static bool stack_push(struct list *list, struct node *node)
{
	uintptr_t word = atomic_load_explicit(&list->word, memory_order_relaxed);
	do {
		atomic_store_explicit(&node->next, word & ~ASLEEP, memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(
		&list->word, &word, (uintptr_t)node, memory_order_release, memory_order_relaxed));
	return word & ASLEEP;
}

/* The same, but the first try does not look: it supposes an empty list. A try that fails has
 * fetched the word's line for writing, where looking would fetch it for reading and then again. */
static bool stack_push_guess(struct list *list, struct node *node)
{
	uintptr_t word = 0;
	do {
		atomic_store_explicit(&node->next, word & ~ASLEEP, memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(
		&list->word, &word, (uintptr_t)node, memory_order_release, memory_order_relaxed));
	return word & ASLEEP;
}

/* Looks, but asks for the line as one that will be written. */
static bool stack_push_prefetch(struct list *list, struct node *node)
{
#if defined(__x86_64__)
	__asm__ volatile("prefetchw %0" : "+m"(list->word)); /* no processor of this kind traps */
#else
	__builtin_prefetch(&list->word, 1);
#endif
	return stack_push(list, node);
}

static struct node *stack_pop(struct list *list)
{
	struct node *node = list->first;
	if (node == NULL) {
		if ((atomic_load_explicit(&list->word, memory_order_relaxed) & ~ASLEEP) == 0)
			return NULL;
		struct node *taken =
			node_of(atomic_exchange_explicit(&list->word, 0, memory_order_acquire));
		while (taken) {
			struct node *below =
				node_of(atomic_load_explicit(&taken->next, memory_order_relaxed));
			atomic_store_explicit(&taken->next, (uintptr_t)node, memory_order_relaxed);
			node = taken;
			taken = below;
		}
	}
	list->first = node_of(atomic_load_explicit(&node->next, memory_order_relaxed));
	return node;
}

static bool stack_fall_asleep(struct list *list)
{
	uintptr_t word = 0;
	return atomic_compare_exchange_strong_explicit(
		&list->word, &word, ASLEEP, memory_order_relaxed, memory_order_relaxed);
}

static void stack_wake_up(struct list *list)
{
	if (atomic_load_explicit(&list->word, memory_order_relaxed) & ASLEEP)
		atomic_fetch_and_explicit(&list->word, ~ASLEEP, memory_order_relaxed);
}

const struct shape shape_stack = {
	"stack, load + CAS", init, stack_push, stack_pop, stack_fall_asleep, stack_wake_up};
const struct shape shape_stack_guess = {"stack, CAS without the load", init, stack_push_guess,
	stack_pop, stack_fall_asleep, stack_wake_up};
const struct shape shape_stack_prefetch = {"stack, prefetch + CAS", init, stack_push_prefetch,
	stack_pop, stack_fall_asleep, stack_wake_up};

/*
 * A stack, pushed to by an exchange, linked to what lay below in a second step. A consumer that
 * meets a node not linked yet leaves a mark in the link, so that step has to be an exchange too.
 */
static bool exchange_push(struct list *list, struct node *node)
{
	atomic_store_explicit(&node->next, UNLINKED, memory_order_relaxed);
	uintptr_t word =
		atomic_exchange_explicit(&list->word, (uintptr_t)node, memory_order_acq_rel);
	uintptr_t link =
		atomic_exchange_explicit(&node->next, word & ~ASLEEP, memory_order_release);
	return (word & ASLEEP) || link == WAITING;
}

static struct node *exchange_pop(struct list *list)
{
	struct node *node = list->first;
	if (node == NULL) {
		if (list->taken == NULL) {
			if ((atomic_load_explicit(&list->word, memory_order_relaxed) & ~ASLEEP) ==
				0)
				return NULL;
			list->taken = node_of(
				atomic_exchange_explicit(&list->word, 0, memory_order_acquire));
		}
		while (list->taken) {
			uintptr_t below =
				atomic_load_explicit(&list->taken->next, memory_order_acquire);
			if (below == UNLINKED || below == WAITING)
				return NULL;
			atomic_store_explicit(
				&list->taken->next, (uintptr_t)list->turned, memory_order_relaxed);
			list->turned = list->taken;
			list->taken = node_of(below);
		}
		node = list->turned;
		list->turned = NULL;
	}
	list->first = node_of(atomic_load_explicit(&node->next, memory_order_relaxed));
	return node;
}

static bool exchange_fall_asleep(struct list *list)
{
	uintptr_t word = UNLINKED;
	if (list->taken)
		return atomic_compare_exchange_strong_explicit(&list->taken->next, &word, WAITING,
			memory_order_relaxed, memory_order_relaxed);
	return stack_fall_asleep(list);
}

static void exchange_wake_up(struct list *list)
{
	uintptr_t link = WAITING;
	if (list->taken)
		atomic_compare_exchange_strong_explicit(&list->taken->next, &link, UNLINKED,
			memory_order_relaxed, memory_order_relaxed);
	else
		stack_wake_up(list);
}

const struct shape shape_stack_exchange = {"stack, exchange + link", init, exchange_push,
	exchange_pop, exchange_fall_asleep, exchange_wake_up};

/*
 * A queue: the word is its end, each node links to the next, the stub is the first. The sleep state
 * is in the link at which the consumer waits: the stub's, or that of a node whose successor is not
 * linked yet. So the second step is an exchange on the predecessor's link.
 */
static void queue_init(struct list *list)
{
	init(list);
	atomic_init(&list->word, (uintptr_t)&list->stub);
}

static bool queue_push(struct list *list, struct node *node)
{
	atomic_store_explicit(&node->next, 0, memory_order_relaxed);
	struct node *before = node_of(
		atomic_exchange_explicit(&list->word, (uintptr_t)node, memory_order_acq_rel));
	return atomic_exchange_explicit(&before->next, (uintptr_t)node, memory_order_release) ==
		ASLEEP;
}

static struct node *queue_pop(struct list *list)
{
	if (list->first == NULL) {
		uintptr_t next = atomic_load_explicit(&list->stub.next, memory_order_acquire);
		if (next == 0 || next == ASLEEP)
			return NULL;
		atomic_store_explicit(&list->stub.next, 0, memory_order_relaxed);
		list->first = node_of(next);
		list->last = node_of(atomic_exchange_explicit(
			&list->word, (uintptr_t)&list->stub, memory_order_acq_rel));
	}
	struct node *node = list->first;
	if (node == list->last) {
		list->first = NULL;
		return node;
	}
	uintptr_t next = atomic_load_explicit(&node->next, memory_order_acquire);
	if (next == 0 || next == ASLEEP)
		return NULL;
	list->first = node_of(next);
	return node;
}

static _Atomic uintptr_t *queue_end(struct list *list)
{
	return list->first ? &list->first->next : &list->stub.next;
}

static bool queue_fall_asleep(struct list *list)
{
	uintptr_t link = 0;
	return atomic_compare_exchange_strong_explicit(
		queue_end(list), &link, ASLEEP, memory_order_relaxed, memory_order_relaxed);
}

static void queue_wake_up(struct list *list)
{
	uintptr_t link = ASLEEP;
	if (atomic_load_explicit(queue_end(list), memory_order_relaxed) == ASLEEP)
		atomic_compare_exchange_strong_explicit(
			queue_end(list), &link, 0, memory_order_relaxed, memory_order_relaxed);
}

const struct shape shape_queue = {"queue, exchange + link", queue_init, queue_push, queue_pop,
	queue_fall_asleep, queue_wake_up};
