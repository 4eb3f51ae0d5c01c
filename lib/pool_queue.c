/* SPDX-License-Identifier: MIT */
/* Work that has not started: the inbox, which is one word, and the queues, which have the lock. */
#include <errno.h>

#include "pool_private.h"
#include "probes.h"

/* States of the inbox besides 0 and work; pool.c explains them. No work lies at the end of the
 * address space. */
#define INBOX_ARMED  ((uintptr_t)1)
#define INBOX_CLOSED (UINTPTR_MAX & ~INBOX_ARMED)

/* Not in pool_submit.c: a compiler takes the text of a probe for many instructions, and would no
 * longer inline the functions there. */
static void trace_submits(const struct ringwake_pool *pool, const struct ringwake_work *newest,
	const struct ringwake_work *oldest)
{
	for (const struct ringwake_work *work = newest;; work = work->previous) {
		PROBE2(pool_submit, work, pool);
		if (work == oldest)
			break;
	}
}

int ringwake_pool_push(struct ringwake_pool *pool, struct ringwake_work *newest,
	struct ringwake_work *oldest, size_t count)
{
	trace_submits(pool, newest, oldest);
	/* Before the push, because the pool may be closed after it. Relaxed: a worker that sees the
	 * number before the work looks into the inbox in vain. */
	if (newest->work_class != RINGWAKE_WORK_NORMAL)
		atomic_fetch_add_explicit(
			&pool->others_submitted, (uint32_t)count, memory_order_relaxed);
	uintptr_t word = atomic_load_explicit(&pool->inbox, memory_order_relaxed);
	do {
		if (word == INBOX_CLOSED)
			return -ECANCELED;
		oldest->previous = (struct ringwake_work *)(word & ~INBOX_ARMED);
		/* Release: pairs with the acquire in ringwake_pool_empty_inbox. */
	} while (!atomic_compare_exchange_weak_explicit(&pool->inbox, &word, (uintptr_t)newest,
		memory_order_release, memory_order_relaxed));
	return word == INBOX_ARMED;
}

bool ringwake_pool_try_arm(struct ringwake_pool *pool)
{
	uintptr_t word = 0;
	/* Relaxed: nothing is published with ARMED. The submit that replaces it takes the lock. */
	return atomic_compare_exchange_strong_explicit(
		&pool->inbox, &word, INBOX_ARMED, memory_order_relaxed, memory_order_relaxed);
}

static void prepend(struct queue *queue, struct ringwake_work *work)
{
	work->next = queue->first;
	work->previous = NULL;
	if (queue->first)
		queue->first->previous = work;
	else
		queue->last = work;
	queue->first = work;
}

static void append(struct queue *queue, const struct queue *newer)
{
	if (newer->first == NULL)
		return;
	newer->first->previous = queue->last;
	if (queue->last)
		queue->last->next = newer->first;
	else
		queue->first = newer->first;
	queue->last = newer->last;
}

/* The work is linked from the newest to the oldest, by previous. */
static void enqueue(struct ringwake_pool *pool, struct ringwake_work *newest)
{
	struct queue arrived[CLASSES] = {{NULL, NULL}};
	unsigned count = 0, other_count = 0;
	for (struct ringwake_work *work = newest, *older; work; work = older) {
		older = work->previous;
		prepend(&arrived[work->work_class], work);
		work->queued = true;
		work->worker = NULL;
		count++;
		other_count += work->work_class != RINGWAKE_WORK_NORMAL;
	}
	for (unsigned i = 0; i < CLASSES; i++)
		append(&pool->queues[i], &arrived[i]);
	pool->others_arrived += other_count;
	pool->stats.queued += count;
	pool->stats.submitted += count;
}

void ringwake_pool_empty_inbox(struct ringwake_pool *pool)
{
	pool->fast_since_look = 0;
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
	struct queue *queue = &pool->queues[work->work_class];
	if (work->previous)
		work->previous->next = work->next;
	else
		queue->first = work->next;
	if (work->next)
		work->next->previous = work->previous;
	else
		queue->last = work->previous;
	work->queued = false;
	pool->stats.queued--;
}

static const enum ringwake_work_class highest_first[CLASSES] = {
	RINGWAKE_WORK_FAST, RINGWAKE_WORK_NORMAL, RINGWAKE_WORK_SLOW};

struct ringwake_work *ringwake_pool_dequeue_all(struct ringwake_pool *pool)
{
	struct queue all = {NULL, NULL};
	for (unsigned i = 0; i < CLASSES; i++) {
		struct queue *queue = &pool->queues[highest_first[i]];
		append(&all, queue);
		*queue = (struct queue){NULL, NULL};
	}
	for (struct ringwake_work *work = all.first; work; work = work->next)
		work->queued = false;
	pool->stats.queued = 0;
	return all.first;
}

static bool can_take(const struct ringwake_pool *pool, enum ringwake_work_class work_class)
{
	return pool->queues[work_class].first != NULL &&
		(work_class != RINGWAKE_WORK_SLOW || pool->slow_running < pool->slow_limit);
}

bool ringwake_pool_has_work(const struct ringwake_pool *pool)
{
	return can_take(pool, RINGWAKE_WORK_NORMAL) || can_take(pool, RINGWAKE_WORK_FAST) ||
		can_take(pool, RINGWAKE_WORK_SLOW);
}

int64_t ringwake_pool_oldest(const struct ringwake_pool *pool)
{
	int64_t oldest_ns = INT64_MAX;
	for (unsigned i = 0; i < CLASSES; i++)
		if (can_take(pool, i) && pool->queues[i].first->submitted_ns < oldest_ns)
			oldest_ns = pool->queues[i].first->submitted_ns;
	return oldest_ns;
}

/* No class starves: its work waits for at most MOST_UNSEEN pieces of higher classes in the inbox
 * and for MOST_PASSED_OVER in its queue, and for one more if two classes are due. This is at
 * most 32. */
#define MOST_UNSEEN      15
#define MOST_PASSED_OVER 16

/* True if work of another class has been submitted that is not in the queues. Relaxed: pairs with
 * ringwake_pool_push, which explains it. */
static bool has_others_in_inbox(const struct ringwake_pool *pool)
{
	return atomic_load_explicit(&pool->others_submitted, memory_order_relaxed) !=
		pool->others_arrived;
}

/* True if the next work may be in the inbox. */
static bool must_empty_inbox(const struct ringwake_pool *pool)
{
	if (can_take(pool, RINGWAKE_WORK_FAST))
		return pool->fast_since_look >= MOST_UNSEEN;
	return !can_take(pool, RINGWAKE_WORK_NORMAL) || has_others_in_inbox(pool);
}

/* Returns the queue whose first work is next; NULL: none can be taken. Fast work is the highest
 * class, so its times are not counted. */
static struct queue *next_queue(struct ringwake_pool *pool)
{
	uint8_t *passed_over = pool->passed_over;
	bool has_fast = can_take(pool, RINGWAKE_WORK_FAST);
	bool has_normal = can_take(pool, RINGWAKE_WORK_NORMAL);
	bool has_slow = can_take(pool, RINGWAKE_WORK_SLOW);
	uint8_t normal = has_normal ? passed_over[RINGWAKE_WORK_NORMAL] : 0;
	uint8_t slow = has_slow ? passed_over[RINGWAKE_WORK_SLOW] : 0;
	enum ringwake_work_class next = has_fast ? RINGWAKE_WORK_FAST
		: has_normal                     ? RINGWAKE_WORK_NORMAL
						 : RINGWAKE_WORK_SLOW;
	if (normal >= MOST_PASSED_OVER)
		next = RINGWAKE_WORK_NORMAL;
	else if (slow >= MOST_PASSED_OVER)
		next = RINGWAKE_WORK_SLOW;
	passed_over[RINGWAKE_WORK_NORMAL] = next == RINGWAKE_WORK_NORMAL ? 0 : normal + has_normal;
	passed_over[RINGWAKE_WORK_SLOW] = next == RINGWAKE_WORK_SLOW ? 0 : slow + has_slow;
	return has_fast || has_normal || has_slow ? &pool->queues[next] : NULL;
}

/* The usual case, for speed: work of no other class. NULL: not so. */
static struct ringwake_work *take_normal(struct ringwake_pool *pool)
{
	struct ringwake_work *work = pool->queues[RINGWAKE_WORK_NORMAL].first;
	if (work == NULL || pool->queues[RINGWAKE_WORK_FAST].first ||
		pool->queues[RINGWAKE_WORK_SLOW].first || has_others_in_inbox(pool))
		return NULL;
	pool->passed_over[RINGWAKE_WORK_NORMAL] = pool->passed_over[RINGWAKE_WORK_SLOW] = 0;
	ringwake_pool_dequeue(pool, work);
	return work;
}

struct ringwake_work *ringwake_pool_take(struct ringwake_pool *pool)
{
	struct ringwake_work *normal = take_normal(pool);
	if (normal)
		return normal;
	if (must_empty_inbox(pool))
		ringwake_pool_empty_inbox(pool);
	struct queue *queue = next_queue(pool);
	if (queue == NULL)
		return NULL;
	struct ringwake_work *work = queue->first;
	ringwake_pool_dequeue(pool, work);
	if (work->work_class == RINGWAKE_WORK_FAST)
		pool->fast_since_look++;
	else if (work->work_class == RINGWAKE_WORK_SLOW)
		pool->slow_running++;
	return work;
}

void ringwake_pool_end_work(struct ringwake_pool *pool, enum ringwake_work_class work_class)
{
	if (work_class == RINGWAKE_WORK_SLOW)
		pool->slow_running--;
}

void ringwake_pool_limit_slow_work(struct ringwake_pool *pool, unsigned wanted, unsigned threads)
{
	unsigned most = threads > 1 ? threads - 1 : 1;
	unsigned limit = wanted > 0 ? wanted : (threads + 1) / 2;
	pool->slow_limit = limit < most ? limit : most;
}
