/* SPDX-License-Identifier: MIT */
/* Channels: items and their order, handles, and the errors that need no second thread. */
#include "channel.h"

static void test_items_arrive_in_order(void **state)
{
	(void)state;
	struct consumer consumer = {0};
	open_channel(&consumer, 128);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(try_number(&consumer, i), 0);
	assert_int_equal(consumer.received, 0);
	while (consumer.received < 100)
		assert_true(ringwake_wait(consumer.target, -1) >= 1);
	assert_int_equal(consumer.next[0], 100);
	assert_int_equal(ringwake_wait(consumer.target, 0), -ETIME);
	assert_int_equal(consumer.finalized, 0);
	release_and_close(&consumer);
	assert_true(pthread_equal(consumer.thread, pthread_self()));
}

struct wide {
	max_align_t first;
	unsigned char bytes[77];
};
static struct wide last_wide;
static bool is_aligned;

static void receive_wide(void *context, void *item, int status)
{
	(void)context;
	assert_int_equal(status, 0);
	is_aligned = (uintptr_t)item % _Alignof(max_align_t) == 0;
	memcpy(&last_wide, item, sizeof last_wide);
	memset(item, 0xee, sizeof last_wide); /* the consumer may change the item */
}

static void test_items_are_copied(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_channel *channel;
	struct ringwake_channel_params params = {
		.item_size = sizeof(struct wide), .capacity = 2, .receive = receive_wide};
	assert_int_equal(ringwake_channel_open(&channel, target, &params), 0);
	for (int round = 0; round < 10; round++) {
		struct wide item;
		memset(&item, round, sizeof item);
		assert_int_equal(ringwake_channel_try_send(channel, &item), 0);
		memset(&item, 0xdd, sizeof item);
		assert_int_equal(ringwake_wait(target, -1), 1);
		assert_true(is_aligned);
		memset(&item, round, sizeof item);
		assert_memory_equal(&item, &last_wide, sizeof item);
	}
	assert_int_equal(ringwake_channel_release(channel), 0); /* no finalize callback */
	assert_int_equal(ringwake_wait(target, -1), 1);
	ringwake_close(target);
}

static void test_capacity(void **state)
{
	(void)state;
	static const unsigned asked[] = {1, 2, 3, 4, 5, 64, 100};
	static const unsigned given[] = {1, 2, 4, 4, 8, 64, 128};
	for (unsigned i = 0; i < sizeof asked / sizeof *asked; i++) {
		struct consumer consumer = {0};
		open_channel(&consumer, asked[i]);
		for (unsigned round = 1; round <= 3; round++) {
			consumer.next[0] = 0;
			assert_int_equal(fill(&consumer), given[i]);
			struct item item = {0};
			assert_int_equal(
				ringwake_channel_send(consumer.channel, &item, 0), -EAGAIN);
			while (consumer.received < round * given[i])
				assert_true(ringwake_wait(consumer.target, -1) >= 1);
		}
		release_and_close(&consumer);
	}
}

static void test_what_open_refuses(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_channel *channel;
	const struct ringwake_channel_params good = {
		.item_size = 1, .capacity = 1, .receive = receive_item};
	struct ringwake_channel_params bad = good;
	bad.item_size = 0;
	assert_int_equal(ringwake_channel_open(&channel, target, &bad), -EINVAL);
	bad = good;
	bad.capacity = 0;
	assert_int_equal(ringwake_channel_open(&channel, target, &bad), -EINVAL);
	bad.capacity = RINGWAKE_CHANNEL_MAX_CAPACITY + 1;
	assert_int_equal(ringwake_channel_open(&channel, target, &bad), -EINVAL);
	bad = good;
	bad.receive = NULL;
	assert_int_equal(ringwake_channel_open(&channel, target, &bad), -EINVAL);
	bad = good;
	bad.item_size = SIZE_MAX;
	assert_int_equal(ringwake_channel_open(&channel, target, &bad), -ENOMEM);
	bad.capacity = RINGWAKE_CHANNEL_MAX_CAPACITY;
	bad.item_size = SIZE_MAX / RINGWAKE_CHANNEL_MAX_CAPACITY;
	assert_int_equal(ringwake_channel_open(&channel, target, &bad), -ENOMEM);
	ringwake_close(target);
}

static void test_handles_are_counted(void **state)
{
	(void)state;
	struct consumer consumer = {0};
	open_channel_with(&consumer, (struct ringwake_channel_params){.capacity = 4, .handles = 3});
	assert_int_equal(ringwake_channel_acquire(consumer.channel), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ringwake_channel_release(consumer.channel), 0);
		assert_int_equal(ringwake_wait(consumer.target, 0), -ETIME);
	}
	assert_int_equal(try_number(&consumer, 0), 0);
	assert_int_equal(ringwake_channel_release(consumer.channel), 0);
	assert_int_equal(consumer.finalized, 0); /* not before the loop runs */
	wait_until_finalized(&consumer);
	assert_int_equal(consumer.received, 1);
	ringwake_close(consumer.target);
}

static void test_drain_then_close(void **state)
{
	(void)state;
	struct consumer consumer = {0};
	open_channel_with(&consumer, (struct ringwake_channel_params){.capacity = 64, .batch = 5});
	assert_int_equal(fill(&consumer), 64);
	assert_int_equal(ringwake_channel_release(consumer.channel), 0);
	for (unsigned i = 1; i <= 12; i++) {
		assert_int_equal(ringwake_dispatch(consumer.target, 1), 1);
		assert_int_equal(consumer.received, 5 * i);
		assert_int_equal(consumer.finalized, 0);
	}
	assert_int_equal(ringwake_dispatch(consumer.target, 1), 1);
	assert_int_equal(consumer.received, 64);
	wait_until_finalized(&consumer);
	assert_int_equal(consumer.aborted, 0);
	ringwake_close(consumer.target);
}

static void test_batches_leave_room_for_messages(void **state)
{
	(void)state;
	struct consumer consumer = {0};
	struct counted message = {.msg.fn = count_message};
	open_channel(&consumer, 1024);
	fill(&consumer);
	assert_int_equal(ringwake_send(consumer.target, &message.msg), 0);
	assert_int_equal(ringwake_dispatch(consumer.target, 2), 2);
	assert_int_equal(consumer.received, 16);
	assert_int_equal(message.count, 1);
	release_and_close(&consumer);
	assert_int_equal(consumer.received, 1024);
}

static void test_a_busy_loop_needs_no_doorbell(void **state)
{
	(void)state;
	struct consumer consumer = {0};
	open_channel(&consumer, 64);
	hook_doorbell();
	fill(&consumer);
	assert_int_equal(doorbell_calls, 0);
	while (consumer.received < 64)
		ringwake_dispatch(consumer.target, 0);
	assert_true(ringwake_arm(consumer.target));
	fill(&consumer);
	assert_int_equal(doorbell_calls, 1);
	consumer.next[0] = 0;
	ringwake_disarm(consumer.target);
	unhook();
	release_and_close(&consumer);
}

static void resend(struct consumer *consumer)
{
	if (consumer->received < 1000)
		assert_int_equal(try_number(consumer, consumer->received), 0);
}

static void test_receive_may_send(void **state)
{
	(void)state;
	struct consumer consumer = {.hook = resend};
	open_channel(&consumer, 2); /* the item that is being received occupies a slot */
	assert_int_equal(try_number(&consumer, 0), 0);
	assert_int_equal(
		ringwake_channel_release(consumer.channel), 0); /* the loop holds no handle */
	wait_until_finalized(&consumer);
	assert_int_equal(consumer.received, 1000);
	ringwake_close(consumer.target);
}

static void acquire_and_release(struct consumer *consumer)
{
	assert_int_equal(ringwake_channel_acquire(consumer->channel), 0);
	assert_int_equal(ringwake_channel_release(consumer->channel), 0);
	assert_int_equal(ringwake_dispatch(consumer->target, 0), 0); /* nested */
}

static void test_receive_may_acquire(void **state)
{
	(void)state;
	struct consumer consumer = {.hook = acquire_and_release};
	open_channel(&consumer, 4);
	fill(&consumer);
	release_and_close(&consumer);
	assert_int_equal(consumer.received, 4);
}

static void test_failed_doorbell(void **state)
{
	(void)state;
	static const int errors[] = {-ENOMEM, -EPERM, -ENOSYS, -EBADF, -EAGAIN, -EINTR, -ETIME};
	struct consumer consumer = {0};
	open_channel(&consumer, 64);
	hook_doorbell();
	unsigned sent = 0;
	for (unsigned i = 0; i < sizeof errors / sizeof *errors; i++) {
		assert_true(ringwake_arm(consumer.target));
		doorbell_error = errors[i];
		assert_int_equal(try_number(&consumer, sent++),
			-EIO); /* -EIO: accepted; -EAGAIN: not accepted */
		assert_int_equal(try_number(&consumer, sent++), -EIO);
		struct item item = {.number = sent++};
		assert_int_equal(ringwake_channel_send(consumer.channel, &item, -1), -EIO);
		doorbell_error = 0;
		doorbell_calls = 0;
		assert_int_equal(try_number(&consumer, sent++), 0);
		assert_int_equal(doorbell_calls, 1);
		assert_int_equal(try_number(&consumer, sent++), 0);
		assert_int_equal(doorbell_calls, 1);
		ringwake_disarm(consumer.target);
		assert_int_equal(ringwake_dispatch(consumer.target, 0), 1);
		assert_int_equal(consumer.received, sent);
	}
	assert_true(ringwake_arm(consumer.target));
	doorbell_error = -ENOMEM;
	assert_int_equal(ringwake_channel_release(consumer.channel), -EIO);
	doorbell_error = 0;
	assert_int_equal(ringwake_wake(consumer.target), 0);
	ringwake_disarm(consumer.target);
	assert_int_equal(ringwake_dispatch(consumer.target, 0), 1);
	wait_until_finalized(&consumer);
	unhook();
	ringwake_close(consumer.target);
}

static void test_errno_is_left_alone(void **state)
{
	(void)state;
	struct consumer consumer = {0};
	struct item item = {0};
	errno = 12345;
	open_channel(&consumer, 1);
	struct ringwake_channel *none;
	struct ringwake_channel_params large = {.item_size = SIZE_MAX,
		.capacity = RINGWAKE_CHANNEL_MAX_CAPACITY,
		.receive = receive_item};
	assert_int_equal(ringwake_channel_open(&none, consumer.target, &large), -ENOMEM);
	assert_int_equal(ringwake_channel_try_send(consumer.channel, &item), 0);
	assert_int_equal(ringwake_channel_send(consumer.channel, &item, -1), -EDEADLK);
	ringwake_channel_acquire(consumer.channel);
	ringwake_channel_abort(consumer.channel);
	ringwake_channel_release(consumer.channel);
	release_and_close(&consumer);
	assert_int_equal(errno, 12345);
}

static void test_opened_and_closed_many_times(void **state)
{
	(void)state;
	struct consumer consumer = {0};
	consumer.target = open_target(NULL);
	struct ringwake_channel_params params = {.item_size = sizeof(struct item),
		.capacity = 4,
		.receive = receive_item,
		.finalize = finalize_consumer,
		.context = &consumer};
	for (unsigned i = 1; i <= 10000; i++) {
		assert_int_equal(
			ringwake_channel_open(&consumer.channel, consumer.target, &params), 0);
		consumer.finalized = 0;
		assert_int_equal(try_number(&consumer, i), 0);
		assert_int_equal(ringwake_channel_release(consumer.channel), 0);
		wait_until_finalized(&consumer);
		assert_int_equal(consumer.received, i);
	}
	ringwake_close(consumer.target);
}

int main(void)
{
	const struct CMUnitTest channel_tests[] = {
		ON_BOTH_PATHS(test_items_arrive_in_order),
		ON_BOTH_PATHS(test_items_are_copied),
		ON_BOTH_PATHS(test_capacity),
		ON_BOTH_PATHS(test_what_open_refuses),
		ON_BOTH_PATHS(test_handles_are_counted),
		ON_BOTH_PATHS(test_drain_then_close),
		ON_BOTH_PATHS(test_batches_leave_room_for_messages),
		ON_BOTH_PATHS(test_a_busy_loop_needs_no_doorbell),
		ON_BOTH_PATHS(test_receive_may_send),
		ON_BOTH_PATHS(test_receive_may_acquire),
		ON_BOTH_PATHS(test_failed_doorbell),
		ON_BOTH_PATHS(test_errno_is_left_alone),
		ON_BOTH_PATHS(test_opened_and_closed_many_times),
	};
	return RUN_BOUNDED(channel_tests, 60);
}
