/* SPDX-License-Identifier: MIT */
/* Work that has not started: the inbox, which is one word, and the queue, which has the lock. */
#include <errno.h>

#include "pool_private.h"

/* States of the inbox besides 0 and work; pool.c explains them. */
#define INBOX_ARMED ((uintptr_t)1)
#define INBOX_CLOSED                                                                               \
	(UINTPTR_MAX & ~INBOX_ARMED) /* no work lies at the end of the address space               \
				      */

int ringwake_pool_push(struct ringwake_pool *pool, struct ringwake_work *work)
{
	uintptr_t word = atomic_load_explicit(&pool->inbox, memory_order_relaxed);
	do {
		if (word == INBOX_CLOSED)
			return -ECANCELED;
		work->previous = (struct ringwake_work *)(word & ~INBOX_ARMED);
		/* Release: pairs with the acquire in ringwake_pool_empty_inbox. */
	} while (!atomic_compare_exchange_weak_explicit(
		&pool->inbox, &word, (uintptr_t)work, memory_order_release, memory_order_relaxed));
	return word == INBOX_ARMED;
}

bool ringwake_pool_try_arm(struct ringwake_pool *pool)
{
	uintptr_t word = 0;
	/* Relaxed: nothing is published with ARMED. The submit that replaces it takes the lock. */
	return atomic_compare_exchange_strong_explicit(
		&pool->inbox, &word, INBOX_ARMED, memory_order_relaxed, memory_order_relaxed);
}

/* The work is linked from the newest to the oldest, by previous. */
static void enqueue(struct ringwake_pool *pool, struct ringwake_work *newest)
{
	struct ringwake_work *oldest = NULL;
	unsigned count = 0;
	for (struct ringwake_work *work = newest; work; work = work->previous) {
		work->next = oldest;
		work->queued = true;
		oldest = work;
		count++;
	}
	if (count == 0)
		return;
	oldest->previous = pool->last;
	if (pool->last)
		pool->last->next = oldest;
	else
		pool->first = oldest;
	pool->last = newest;
	pool->stats.queued += count;
	pool->stats.submitted += count;
}

void ringwake_pool_empty_inbox(struct ringwake_pool *pool)
{
	uintptr_t word = atomic_load_explicit(&pool->inbox, memory_order_relaxed);
	if (word == 0 || word == INBOX_ARMED || word == INBOX_CLOSED)
		return;
	/* Acquire: pairs with the release of every push. */
	word = atomic_exchange_explicit(&pool->inbox, 0, memory_order_acquire);
	enqueue(pool, (struct ringwake_work *)word);
}

void ringwake_pool_close_inbox(struct ringwake_pool *pool)
{
	/* Acquire: as in ringwake_pool_empty_inbox. */
	uintptr_t word = atomic_exchange_explicit(&pool->inbox, INBOX_CLOSED, memory_order_acquire);
	if (word == INBOX_ARMED)
		pool->kick_pending = false; /* no submit will replace ARMED */
	else
		enqueue(pool, (struct ringwake_work *)word);
}

void ringwake_pool_dequeue(struct ringwake_pool *pool, struct ringwake_work *work)
{
	if (work->previous)
		work->previous->next = work->next;
	else
		pool->first = work->next;
	if (work->next)
		work->next->previous = work->previous;
	else
		pool->last = work->previous;
	work->queued = false;
	pool->stats.queued--;
}

struct ringwake_work *ringwake_pool_dequeue_all(struct ringwake_pool *pool)
{
	struct ringwake_work *first = pool->first;
	for (struct ringwake_work *work = first; work; work = work->next)
		work->queued = false;
	pool->first = pool->last = NULL;
	pool->stats.queued = 0;
	return first;
}
