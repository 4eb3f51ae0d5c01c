/* SPDX-License-Identifier: MIT */
/*
 * A bounded queue for many senders and one loop.
 *
 * It is a ring of slots. Each slot has a sequence number, which says for which position in the
 * stream of items the slot is, and a state. Senders claim positions from one counter, tail.
 *
 *   FREE     may be claimed: tail says whether it was
 *   AWAITED  the same, and the loop has found nothing here and does not look again by itself
 *   FULL     holds an item
 *
 * head is the position that the loop receives next. msg is the channel's one message to the target.
 * The word room has WAITING, if a sender blocks for room, and ABORTED.
 *
 *   thread   change                                        function
 *   sender   tail + 1: this sender fills the slot          claim
 *   sender   FREE or AWAITED -> FULL                       ringwake_channel_try_send
 *   loop     at head: FREE -> AWAITED, or finds it FULL    head_is_full
 *   loop     FULL -> FREE, for the position capacity later free_head
 *
 * Notifying the loop. Items are received in the order of their positions, so only the slot at the
 * head matters. There the sender's question "does the loop wait?" and the loop's question "is there
 * an item?" are answered by one word, which both change by read-modify-write. The sender that
 * replaces AWAITED sends msg. No other sender does until the loop has set AWAITED again. A sender
 * that is stopped between claiming and filling delays the items behind its own, but it neither
 * makes the loop spin nor loses items: the loop sets AWAITED, and this sender notifies it later.
 *
 * Waiting for room. A sender that finds no room sets WAITING in the word room, checks again, and
 * blocks on room. The loop frees slots, then clears WAITING, and wakes one sender if WAITING was
 * set. So either the sender's second check comes after the loop's change and sees the free slot, or
 * the loop sees WAITING. The sender that was woken sets WAITING again before it checks, so senders
 * that still block are not forgotten. It sends an item or finds that other senders did, so the loop
 * will receive items again and wake the next sender. The loop does this when half the slots are
 * free or none is full, so that a sender that wakes finds much room, not one slot.
 *
 * A refused doorbell. Its sender gets the error. But other senders of the target can also leave the
 * loop blocked, and a sender that blocks already would then wait for ever. So no sender blocks for
 * long. Each sender wakes the target before it blocks if the target needs a doorbell, and does so
 * again after 1 ms, 2 ms, and so on, up to 64 ms.
 *
 * Ending. references counts the handles, and one for msg while it is sent or runs. The thread that
 * drops the last reference knows that no other thread can touch the channel, and that the channel
 * is empty, because the loop has left the head AWAITED. If this thread is the loop, it calls
 * finalize. If it is a sender, it sends msg, and the loop calls finalize.
 *
 * If the target is closed, msg cannot be sent. The sender that finds this out aborts the channel,
 * takes its item back and does not set AWAITED. So no other sender acts as the loop. The thread
 * that drops the last reference receives the items that are left, and calls finalize.
 *
 * Memory. An item is copied into its slot and received there. head passes with AWAITED from the
 * loop to the sender that replaces it, and back with msg. The channel holds a reference to the
 * target until it is freed.
 *
 * Memory order. FULL is a release and the loop's look at it an acquire: they pass the item. FREE is
 * a release and a sender's look at it an acquire: the loop is done with the slot. Setting AWAITED
 * is a release and replacing it an acquire: they pass head. Clearing WAITING is a release and
 * setting it an acquire: they pass the free slots. tail passes nothing.
 *
 * docs/design.md compares the channel with a locked queue.
 */
#include <errno.h>
#include <limits.h>
#include <ringwake/channel.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "process.h"
#include "reserved.h"
#include "retry.h"
#include "spin.h"
#include "system.h"
#include "target.h"
#include "thread.h"

/* The sequence number is the position times STATES, plus the state. */
#define FREE    ((size_t)0)
#define AWAITED ((size_t)1)
#define FULL    ((size_t)2)
#define STATES  ((size_t)4)

#define ABORTED 1u
#define WAITING 2u

#define DEFAULT_BATCH 16

struct slot {
	_Atomic size_t sequence;
	alignas(max_align_t) unsigned char item[];
};

struct ringwake_channel {
	/* Written at open, read by all. */
	alignas(CACHE_LINE) struct ringwake *target;
	uint32_t process;
	size_t item_size;
	size_t stride;   /* from slot to slot */
	size_t capacity; /* a power of two */

	/* Written by senders. */
	alignas(CACHE_LINE) _Atomic size_t tail; /* the next position to be claimed */
	alignas(CACHE_LINE) _Atomic uint32_t room;
	_Atomic uint32_t references;

	/* The loop's. */
	alignas(CACHE_LINE) struct ringwake_msg msg;
	size_t head;  /* the next position to be received */
	size_t freed; /* slots, since a waiting sender was last woken */
	size_t batch;
	void (*receive)(void *context, void *item, int status);
	void (*finalize)(void *context);
	void *context;
	_Atomic uint64_t loop; /* number of its thread; senders that would block read it */

	alignas(CACHE_LINE) unsigned char slots[];
};

static struct slot *slot_at(struct ringwake_channel *channel, size_t position)
{
	size_t index = position & (channel->capacity - 1);
	return (struct slot *)(channel->slots + index * channel->stride);
}

static struct ringwake_channel *channel_of(struct ringwake_msg *msg)
{
	return (struct ringwake_channel *)((char *)msg - offsetof(struct ringwake_channel, msg));
}

static bool is_aborted(const struct ringwake_channel *channel)
{
	/* Acquire: pairs with the release in abort_channel. */
	return atomic_load_explicit(&channel->room, memory_order_acquire) & ABORTED;
}

static void abort_channel(struct ringwake_channel *channel)
{
	/* Release: pairs with the acquire in is_aborted. */
	atomic_fetch_or_explicit(&channel->room, ABORTED, memory_order_release);
	ringwake_system.futex_wake(&channel->room, INT_MAX);
}

/* False if there is no item; then the sender of the next one notifies the loop. */
static bool head_is_full(struct ringwake_channel *channel)
{
	_Atomic size_t *sequence = &slot_at(channel, channel->head)->sequence;
	size_t now = atomic_load_explicit(sequence, memory_order_acquire);
	if (now % STATES == FREE &&
		atomic_compare_exchange_strong_explicit(
			sequence, &now, now + AWAITED, memory_order_release, memory_order_acquire))
		return false;
	return now % STATES == FULL;
}

static void free_head(struct ringwake_channel *channel)
{
	size_t sequence = (channel->head + channel->capacity) * STATES + FREE;
	atomic_store_explicit(
		&slot_at(channel, channel->head)->sequence, sequence, memory_order_release);
	channel->head++;
}

static void wake_a_sender(struct ringwake_channel *channel)
{
	channel->freed = 0;
	/* Release: pairs with the acquire in ringwake_channel_send. */
	uint32_t before = atomic_fetch_and_explicit(&channel->room, ~WAITING, memory_order_release);
	if (before & WAITING)
		ringwake_system.futex_wake(&channel->room, 1);
}

/* Receives limit items at the most. False if there are no more. */
static bool receive(struct ringwake_channel *channel, size_t limit)
{
	bool more = true;
	for (size_t count = 0; count < limit && (more = head_is_full(channel)); count++) {
		struct slot *slot = slot_at(channel, channel->head);
		channel->receive(
			channel->context, slot->item, is_aborted(channel) ? -ECANCELED : 0);
		free_head(channel);
		channel->freed++;
	}
	if (channel->freed > 0 && (!more || channel->freed >= channel->capacity / 2))
		wake_a_sender(channel);
	return more;
}

/* True if it was the last reference. */
static bool drop_reference(struct ringwake_channel *channel)
{
	RINGWAKE_ASSERT(atomic_load_explicit(&channel->references, memory_order_relaxed) > 0,
		"a channel's handle is released more often than it was acquired");
	/* Release and acquire pair with each other: all use of the channel comes before its end. */
	return atomic_fetch_sub_explicit(&channel->references, 1, memory_order_acq_rel) == 1;
}

/* For the thread that has dropped the last reference. */
static void finish(struct ringwake_msg *msg)
{
	struct ringwake_channel *channel = channel_of(msg);
	receive(channel, SIZE_MAX); /* items only if the target was closed */
	if (channel->finalize)
		channel->finalize(channel->context);
	ringwake_unref(channel->target);
	DEBUG_FREE(channel);
}

static void receive_batch(struct ringwake_msg *msg)
{
	struct ringwake_channel *channel = channel_of(msg);
	size_t limit = channel->batch;
	/* Relaxed: nothing else is published through this number. */
	atomic_store_explicit(&channel->loop, ringwake_thread_number(), memory_order_relaxed);
	while (receive(channel, limit)) {
		if (ringwake_send(channel->target, msg) != -ECANCELED)
			return;
		/* The target is being closed, so this is the last call. */
		abort_channel(channel);
		limit = SIZE_MAX;
	}
	if (drop_reference(channel))
		finish(msg);
}

static size_t round_up(size_t size, size_t multiple)
{
	return (size + multiple - 1) / multiple * multiple;
}

static struct ringwake_channel *allocate(const struct ringwake_channel_params *params)
{
	size_t capacity = 1;
	while (capacity < params->capacity)
		capacity *= 2;
	if (params->item_size > SIZE_MAX / 4 / capacity)
		return NULL;
	size_t stride = round_up(sizeof(struct slot) + params->item_size, alignof(max_align_t));
	struct ringwake_channel *channel = aligned_alloc(
		CACHE_LINE, round_up(sizeof *channel + capacity * stride, CACHE_LINE));
	if (channel == NULL)
		return NULL;
	memset(channel, 0, sizeof *channel);
	channel->item_size = params->item_size;
	channel->stride = stride;
	channel->capacity = capacity;
	for (size_t i = 0; i < capacity; i++)
		atomic_init(&slot_at(channel, i)->sequence, i * STATES + (i == 0 ? AWAITED : FREE));
	return channel;
}

int ringwake_channel_open(struct ringwake_channel **out, struct ringwake *target,
	const struct ringwake_channel_params *params)
{
	if (params->item_size == 0 || params->capacity == 0 || params->receive == NULL ||
		params->capacity > RINGWAKE_CHANNEL_MAX_CAPACITY || !RESERVED_IS_ZERO(params))
		return -EINVAL;
	if (!ringwake_is_this_process(target->process))
		return -EOWNERDEAD;
	int saved = errno;
	struct ringwake_channel *channel = allocate(params);
	errno = saved;
	if (channel == NULL)
		return -ENOMEM;
	channel->target = ringwake_ref(target);
	channel->process = target->process;
	channel->msg.fn = receive_batch;
	channel->batch = params->batch ? params->batch : DEFAULT_BATCH;
	channel->receive = params->receive;
	channel->finalize = params->finalize;
	channel->context = params->context;
	atomic_init(&channel->references, params->handles ? params->handles : 1);
	atomic_init(&channel->loop, ringwake_thread_number());
	*out = channel;
	return 0;
}

int ringwake_channel_acquire(struct ringwake_channel *channel)
{
	if (!ringwake_is_this_process(channel->process))
		return -EOWNERDEAD;
	if (is_aborted(channel))
		return -ECANCELED;
	/* Relaxed: the caller already holds a reference. */
	atomic_fetch_add_explicit(&channel->references, 1, memory_order_relaxed);
	return 0;
}

/* Maps the result of ringwake_send() or ringwake_wake() to the channel's. An item is accepted even
 * if the target is closing. */
static int accepted(int error)
{
	return error < 0 && error != -ECANCELED ? -EIO : 0;
}

int ringwake_channel_release(struct ringwake_channel *channel)
{
	if (!ringwake_is_this_process(channel->process))
		return -EOWNERDEAD;
	if (!drop_reference(channel))
		return 0;
	channel->msg.fn = finish;
	int error = ringwake_send(channel->target, &channel->msg);
	if (error == -EOWNERDEAD)
		return error;
	if (error != -ECANCELED)
		return accepted(error);
	finish(&channel->msg);
	return 0;
}

int ringwake_channel_abort(struct ringwake_channel *channel)
{
	if (!ringwake_is_this_process(channel->process))
		return -EOWNERDEAD;
	abort_channel(channel);
	return 0;
}

/* The slot for the next item, and its position; NULL if the channel is full. */
static struct slot *claim(struct ringwake_channel *channel, size_t *position)
{
	/* Relaxed: that the slot is free orders what matters, and that is in its sequence number.
	 */
	size_t tail = atomic_load_explicit(&channel->tail, memory_order_relaxed);
	for (;;) {
		struct slot *slot = slot_at(channel, tail);
		size_t sequence =
			atomic_load_explicit(&slot->sequence, memory_order_acquire) & ~AWAITED;
		if (sequence == tail * STATES + FREE) {
			if (atomic_compare_exchange_weak_explicit(&channel->tail, &tail, tail + 1,
				    memory_order_relaxed, memory_order_relaxed)) {
				*position = tail;
				return slot;
			}
		} else if ((ptrdiff_t)(sequence - tail * STATES) < 0) {
			return NULL; /* an item of the round before */
		} else {
			tail = atomic_load_explicit(&channel->tail, memory_order_relaxed);
		}
	}
}

/* For the one sender that has replaced AWAITED: until msg is sent, it acts as the loop. */
static int notify_loop(struct ringwake_channel *channel)
{
	/* Relaxed: the caller already holds a reference. */
	atomic_fetch_add_explicit(&channel->references, 1, memory_order_relaxed);
	int error = ringwake_send(channel->target, &channel->msg);
	if (error != -ECANCELED && error != -EOWNERDEAD)
		return accepted(error);
	abort_channel(channel);
	free_head(channel); /* its item is the first */
	drop_reference(channel);
	return error;
}

/* msg may be in the target's word after a refused doorbell, and no other sender is about to notify.
 */
static int wake_if_needed(struct ringwake_channel *channel)
{
	return ringwake_target_needs_doorbell(channel->target) ? ringwake_wake(channel->target) : 0;
}

/* The channel is full, so the loop must run. A refused doorbell is retried at the next attempt. */
static int refuse(struct ringwake_channel *channel)
{
	int error = wake_if_needed(channel);
	return error == -ECANCELED || error == -EOWNERDEAD ? error : -EAGAIN;
}

int ringwake_channel_try_send(struct ringwake_channel *channel, const void *item)
{
	if (!ringwake_is_this_process(channel->process))
		return -EOWNERDEAD;
	if (is_aborted(channel))
		return -ECANCELED;
	size_t position;
	struct slot *slot = claim(channel, &position);
	if (slot == NULL)
		return refuse(channel);
	memcpy(slot->item, item, channel->item_size);
	/* Release: the item, for head_is_full. Acquire: head, if it was AWAITED. */
	size_t before = atomic_exchange_explicit(
		&slot->sequence, position * STATES + FULL, memory_order_acq_rel);
	if (before & AWAITED)
		return notify_loop(channel);
	return accepted(wake_if_needed(channel));
}

int ringwake_channel_send(struct ringwake_channel *channel, const void *item, int64_t timeout_ns)
{
	int result = ringwake_channel_try_send(channel, item);
	if (result != -EAGAIN || timeout_ns == 0)
		return result;
	uint64_t loop = atomic_load_explicit(&channel->loop, memory_order_relaxed);
	if (loop == ringwake_thread_number())
		return -EDEADLK;

	int64_t end_ns = timeout_ns < 0 ? INT64_MAX : ringwake_deadline((uint64_t)timeout_ns);
	int64_t pause_ns = RETRY_FIRST_NS;
	for (;;) {
		/* Acquire: pairs with the release in wake_a_sender. */
		uint32_t room =
			atomic_fetch_or_explicit(&channel->room, WAITING, memory_order_acquire);
		result = ringwake_channel_try_send(channel, item);
		if (result != -EAGAIN)
			return result;
		if (!ringwake_block_for_a_while(&channel->room, room | WAITING, end_ns, pause_ns))
			return -ETIME;
		pause_ns = ringwake_next_pause(pause_ns);
	}
}
