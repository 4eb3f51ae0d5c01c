/* SPDX-License-Identifier: MIT */
/*
 * A list of entries by loop, under a lock. Each process has a list and a lock of its own: in a
 * forked child the parent's lock may be held by a thread that the child does not have, so the child
 * makes another. No lock is held across fork(), and handlers of pthread_atfork() may call any
 * function of the loop's library or of the adapter, in any order.
 */
#ifndef RINGWAKE_REGISTRY_H
#define RINGWAKE_REGISTRY_H

#include "keep_errno.h"

#include <pthread.h>
#include <ringwake/ringwake.h>
#include <stdatomic.h>
#include <stdbool.h>

/* The first member of each structure in the list. */
struct registry_entry {
	struct registry_entry *next;
	const void *loop;
};

/* The first member of the structure that the loops of an adapter share. */
struct registry {
	int64_t process; /* ringwake_process_number() */
	pthread_mutex_t lock;
	struct registry *inherited; /* the parent's; never freed */
	struct registry_entry *list;
};

static inline struct registry *registry_make(
	struct registry *inherited, int64_t process, size_t size)
{
	struct registry *registry = (struct registry *)calloc_keeping_errno(1, size);
	if (registry == NULL)
		return NULL;
	pthread_mutex_init(&registry->lock, NULL);
	registry->process = process;
	registry->inherited = inherited;
	if (inherited)
		registry->list = inherited->list;
	return registry;
}

/* size is the size of the structure that begins with the registry. NULL if there is no memory. */
static inline struct registry *registry_lock(_Atomic(struct registry *) *current, size_t size)
{
	int64_t process = ringwake_process_number();
	if (process < 0)
		return NULL;
	/* Acquire, here and below: pairs with the release of the thread that made the registry. */
	struct registry *registry = atomic_load_explicit(current, memory_order_acquire);
	while (registry == NULL || registry->process != process) {
		struct registry *fresh = registry_make(registry, process, size);
		if (fresh == NULL)
			return NULL;
		if (atomic_compare_exchange_strong_explicit(
			    current, &registry, fresh, memory_order_release, memory_order_acquire))
			registry = fresh;
		else
			free(fresh);
	}
	pthread_mutex_lock(&registry->lock);
	return registry;
}

static inline void registry_unlock(struct registry *registry)
{
	pthread_mutex_unlock(&registry->lock);
}

static inline struct registry_entry *registry_find(
	const struct registry *registry, const void *loop)
{
	struct registry_entry *found = registry->list;
	while (found && found->loop != loop)
		found = found->next;
	return found;
}

static inline void registry_add(struct registry *registry, struct registry_entry *entry)
{
	entry->next = registry->list;
	registry->list = entry;
}

static inline void registry_remove(struct registry *registry, const struct registry_entry *entry)
{
	struct registry_entry **link = &registry->list;
	while (*link && *link != entry)
		link = &(*link)->next;
	if (*link)
		*link = entry->next;
}

#endif
