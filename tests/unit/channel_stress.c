/* SPDX-License-Identifier: MIT */
/* Channels under load: many senders, sums and order, and a close at any moment. */
#include <signal.h>

#include "channel.h"

struct worker {
	struct consumer *consumer;
	unsigned sender, count, accepted;
	bool blocking;
	pthread_t thread;
};

static void *send_many(void *argument)
{
	struct worker *worker = argument;
	struct ringwake_channel *channel = worker->consumer->channel;
	struct item item = {.sender = worker->sender};
	while (item.number < worker->count) {
		int result = worker->blocking ? ringwake_channel_send(channel, &item, -1)
					      : ringwake_channel_try_send(channel, &item);
		if (result == -EAGAIN) {
			sched_yield();
			continue;
		}
		if (result == -ECANCELED)
			break;
		if (result != 0)
			abort();
		item.number++;
	}
	worker->accepted = item.number;
	if (ringwake_channel_release(channel) != 0)
		abort();
	return NULL;
}

static void start_workers(struct worker *workers, unsigned senders, struct worker example)
{
	for (unsigned i = 0; i < senders; i++) {
		workers[i] = example;
		workers[i].sender = i;
		workers[i].blocking = i % 2 == 0;
		workers[i].thread = start(send_many, &workers[i]);
	}
}

static void test_all_arrive_in_order(void **state)
{
	(void)state;
	static const struct {
		unsigned senders, capacity, batch;
	} shapes[] = {{1, 1, 1}, {2, 1, 16}, {8, 2, 1}, {8, 16, 3}, {16, 64, 16}, {64, 1024, 256}};
	struct worker workers[64];
	for (unsigned i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		struct consumer consumer = {0};
		unsigned senders = shapes[i].senders, count = rounds_here(40000) / senders;
		open_channel_with(&consumer,
			(struct ringwake_channel_params){.capacity = shapes[i].capacity,
				.batch = shapes[i].batch,
				.handles = senders});
		start_workers(
			workers, senders, (struct worker){.consumer = &consumer, .count = count});
		wait_until_finalized(&consumer);
		for (unsigned s = 0; s < senders; s++) {
			join(workers[s].thread);
			assert_int_equal(workers[s].accepted, count);
			assert_int_equal(consumer.next[s], count);
		}
		assert_int_equal(consumer.received, senders * count);
		assert_int_equal(consumer.aborted, 0);
		ringwake_close(consumer.target);
	}
}

static unsigned abort_after;

static void abort_at_some_point(struct consumer *consumer)
{
	if (consumer->received == abort_after)
		ringwake_channel_abort(consumer->channel);
}

static void assert_accepted_is_received(
	struct consumer *consumer, struct worker *workers, unsigned senders)
{
	unsigned accepted = 0;
	for (unsigned s = 0; s < senders; s++)
		join(workers[s].thread); /* the last of them may be the receiving thread */
	for (unsigned s = 0; s < senders; s++) {
		accepted += workers[s].accepted;
		assert_int_equal(consumer->next[s], workers[s].accepted);
	}
	assert_int_equal(consumer->received + consumer->aborted, accepted);
	assert_false(consumer->wrong);
}

static void test_abort_at_any_moment(void **state)
{
	(void)state;
	struct worker workers[6];
	for (abort_after = 1; abort_after < rounds_here(200); abort_after++) {
		struct consumer consumer = {.hook = abort_at_some_point};
		open_channel_with(&consumer,
			(struct ringwake_channel_params){
				.capacity = 1 + abort_after % 9, .handles = 6});
		start_workers(workers, 6, (struct worker){.consumer = &consumer, .count = 1000});
		wait_until_finalized(&consumer);
		assert_accepted_is_received(&consumer, workers, 6);
		assert_int_equal(consumer.received, abort_after);
		ringwake_close(consumer.target);
	}
}

static void test_target_closed_at_any_moment(void **state)
{
	(void)state;
	struct worker workers[6];
	for (unsigned rounds = 0; rounds < rounds_here(200); rounds++) {
		struct consumer consumer = {0};
		open_channel_with(&consumer,
			(struct ringwake_channel_params){.capacity = 1 + rounds % 9, .handles = 6});
		start_workers(
			workers, 6, (struct worker){.consumer = &consumer, .count = UINT_MAX});
		for (unsigned i = 0; i < rounds; i++)
			ringwake_wait(consumer.target, 100000);
		ringwake_close(consumer.target);
		assert_accepted_is_received(&consumer, workers, 6);
		assert_int_equal(consumer.finalized, 1);
	}
}

static struct consumer *signalled;
static _Atomic unsigned from_handler;

static void send_from_handler(int number)
{
	(void)number;
	struct item item = {.sender = 1, .number = from_handler};
	if (ringwake_channel_try_send(signalled->channel, &item) == 0)
		atomic_fetch_add(&from_handler, 1);
}

static void test_signal_handlers_send(void **state)
{
	(void)state;
	struct consumer consumer = {0};
	struct worker worker = {
		.consumer = &consumer, .count = rounds_here(20000), .blocking = true};
	struct sigaction action = {.sa_handler = send_from_handler}, before;
	open_channel_with(
		&consumer, (struct ringwake_channel_params){.capacity = 16, .handles = 2});
	signalled = &consumer;
	from_handler = 0;
	sigaction(SIGUSR1, &action, &before);
	worker.thread = start(send_many, &worker);
	pthread_t sender = worker.thread;
	while (consumer.received < worker.count / 2) {
		pthread_kill(sender, SIGUSR1); /* in the middle of a send or of a wait for room */
		assert_true(ringwake_wait(consumer.target, 1000000) >= -ETIME);
	}
	while (consumer.next[0] < worker.count)
		ringwake_wait(consumer.target, 1000000);
	join(sender);
	sigaction(SIGUSR1, &before, NULL);
	release_and_close(&consumer);
	assert_int_equal(consumer.next[0], worker.count);
	assert_int_equal(consumer.next[1], from_handler);
	assert_int_equal(consumer.received, worker.count + from_handler);
	assert_true(from_handler > 0);
}

int main(void)
{
	const struct CMUnitTest channel_stress_tests[] = {
		ON_BOTH_PATHS(test_all_arrive_in_order),
		ON_BOTH_PATHS(test_abort_at_any_moment),
		ON_BOTH_PATHS(test_target_closed_at_any_moment),
		ON_BOTH_PATHS(test_signal_handlers_send),
	};
	return RUN_BOUNDED(channel_stress_tests, 240);
}
