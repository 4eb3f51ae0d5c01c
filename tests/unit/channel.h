/* SPDX-License-Identifier: MIT */
/* Shared by the channel's tests: a consumer that records what it gets, and senders to observe. */
#ifndef TESTS_UNIT_CHANNEL_H
#define TESTS_UNIT_CHANNEL_H

#include <limits.h>
#include <ringwake/channel.h>
#include <sched.h>
#include <signal.h>

#include "hooks.h"

/* An item names its sender and how many items that sender had sent before. */
struct item {
	unsigned sender, number;
};

#define MAX_SENDERS 64

struct consumer {
	unsigned received;  /* with status 0 */
	unsigned aborted;   /* with status -ECANCELED */
	unsigned finalized; /* must be 1 at the end */
	bool wrong; /* a duplicate, out of order, after finalize, or with an unknown status */
	unsigned next[MAX_SENDERS];
	pthread_t thread; /* the last one that received or finalized */
	void (*hook)(struct consumer *consumer);
	struct ringwake *target;
	struct ringwake_channel *channel;
};

static inline void receive_item(void *context, void *item, int status)
{
	struct consumer *consumer = context;
	const struct item *received = item;
	if (received->sender >= MAX_SENDERS || consumer->finalized ||
		(status != 0 && status != -ECANCELED) || (status == 0 && consumer->aborted > 0))
		consumer->wrong = true;
	else if (received->number < consumer->next[received->sender])
		consumer->wrong = true;
	else
		consumer->next[received->sender] = received->number + 1;
	if (status == 0)
		consumer->received++;
	else
		consumer->aborted++;
	consumer->thread = pthread_self();
	if (consumer->hook)
		consumer->hook(consumer);
}

static inline void finalize_consumer(void *context)
{
	struct consumer *consumer = context;
	consumer->finalized++;
	consumer->thread = pthread_self();
}

static inline void open_channel_with(
	struct consumer *consumer, struct ringwake_channel_params params)
{
	consumer->target = open_target(NULL);
	params.item_size = sizeof(struct item);
	params.receive = receive_item;
	params.finalize = finalize_consumer;
	params.context = consumer;
	assert_int_equal(ringwake_channel_open(&consumer->channel, consumer->target, &params), 0);
}

static inline void open_channel(struct consumer *consumer, unsigned capacity)
{
	open_channel_with(consumer, (struct ringwake_channel_params){.capacity = capacity});
}

static inline int try_number(struct consumer *consumer, unsigned number)
{
	struct item item = {.number = number};
	return ringwake_channel_try_send(consumer->channel, &item);
}

/* Sends items until the channel is full. Returns their number. */
static inline unsigned fill(struct consumer *consumer)
{
	unsigned count = 0;
	int result;
	while ((result = try_number(consumer, count)) == 0)
		count++;
	assert_int_equal(result, -EAGAIN);
	return count;
}

static inline void wait_until_finalized(struct consumer *consumer)
{
	while (consumer->finalized == 0) {
		int result = ringwake_wait(consumer->target, -1);
		assert_true(result >= 0 || result == -EINTR);
	}
	assert_int_equal(consumer->finalized, 1);
	assert_false(consumer->wrong);
}

static inline void release_and_close(struct consumer *consumer)
{
	assert_int_equal(ringwake_channel_release(consumer->channel), 0);
	wait_until_finalized(consumer);
	ringwake_close(consumer->target);
}

/* How many times a sender has blocked. */
static _Atomic unsigned parked;

static int hooked_futex_wait(
	const _Atomic uint32_t *word, uint32_t expected, const struct timespec *timeout)
{
	atomic_fetch_add(&parked, 1);
	return real_system.futex_wait(word, expected, timeout);
}

static inline void hook_parking(void)
{
	parked = 0;
	hook_doorbell();
	ringwake_system.futex_wait = hooked_futex_wait;
}

static inline void await_parked(unsigned count)
{
	while (atomic_load(&parked) < count)
		sched_yield();
}

/* A thread that sends one item and waits for room. */
struct blocked {
	struct consumer *consumer;
	struct item item;
	int64_t timeout_ns;
	int result;
	pthread_t thread;
};

static inline void *send_blocked(void *argument)
{
	struct blocked *blocked = argument;
	blocked->result = ringwake_channel_send(
		blocked->consumer->channel, &blocked->item, blocked->timeout_ns);
	return NULL;
}

static inline void start_blocked(
	struct blocked *blocked, struct consumer *consumer, unsigned sender)
{
	*blocked = (struct blocked){.consumer = consumer,
		.item = {.sender = sender},
		.timeout_ns = -1,
		.result = INT_MAX};
	blocked->thread = start(send_blocked, blocked);
}

#endif
