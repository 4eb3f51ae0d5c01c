/* SPDX-License-Identifier: MIT */
/* Channels: back-pressure. Senders wait for room until something ends their wait. */
#include <poll.h>

#include "channel.h"

static int64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void test_room_releases_all_senders(void **state)
{
	(void)state;
	enum { COUNT = 8 };
	struct consumer consumer = {0};
	struct blocked blocked[COUNT];
	open_channel(&consumer, 2);
	hook_parking();
	assert_int_equal(fill(&consumer), 2);
	for (unsigned i = 0; i < COUNT; i++)
		start_blocked(&blocked[i], &consumer, i + 1);
	await_parked(COUNT);
	while (consumer.received < 2 + COUNT)
		assert_true(ringwake_wait(consumer.target, -1) >= 0);
	for (unsigned i = 0; i < COUNT; i++) {
		join(blocked[i].thread);
		assert_int_equal(blocked[i].result, 0);
		assert_int_equal(consumer.next[i + 1], 1);
	}
	unhook();
	release_and_close(&consumer);
}

static void test_waiting_does_not_spin(void **state)
{
	(void)state;
	struct consumer consumer = {0};
	struct blocked blocked;
	open_channel(&consumer, 1);
	hook_parking();
	fill(&consumer);
	int64_t begin = now_ns();
	start_blocked(&blocked, &consumer, 1);
	await_parked(1);
	clockid_t clock;
	struct timespec before, after;
	assert_int_equal(pthread_getcpuclockid(blocked.thread, &clock), 0);
	/* The clock of a blocked thread does not advance. */
	do {
		clock_gettime(clock, &before);
		for (int i = 0; i < 100; i++)
			sched_yield();
		clock_gettime(clock, &after);
	} while (before.tv_nsec != after.tv_nsec || before.tv_sec != after.tv_sec);
	/* A blocked sender rechecks the doorbell after 1, 2, 4 and so on, and then each 64 ms. */
	unsigned count = parked;
	assert_true(count <= 8 + (now_ns() - begin) / 64000000);
	assert_int_equal(ringwake_dispatch(consumer.target, 1), 1);
	join(blocked.thread);
	assert_int_equal(blocked.result, 0);
	unhook();
	release_and_close(&consumer);
	assert_int_equal(consumer.received, 2);
}

static void test_timeout_expires(void **state)
{
	(void)state;
	struct consumer consumer = {0};
	struct blocked blocked;
	open_channel(&consumer, 1);
	fill(&consumer);
	static const int64_t timeouts[] = {1, 1000, 20000000};
	for (unsigned i = 0; i < sizeof timeouts / sizeof *timeouts; i++) {
		blocked = (struct blocked){.consumer = &consumer, .timeout_ns = timeouts[i]};
		int64_t begin = now_ns();
		blocked.thread = start(send_blocked, &blocked);
		join(blocked.thread);
		assert_int_equal(blocked.result, -ETIME);
		assert_true(now_ns() - begin >= timeouts[i]);
	}
	release_and_close(&consumer);
	assert_int_equal(consumer.received, 1);
}

static void test_largest_timeout(void **state)
{
	(void)state;
	struct consumer consumer = {0};
	struct blocked blocked;
	open_channel(&consumer, 1);
	hook_parking();
	fill(&consumer);
	blocked = (struct blocked){
		.consumer = &consumer, .item = {.sender = 1}, .timeout_ns = INT64_MAX};
	blocked.thread = start(send_blocked, &blocked);
	await_parked(1);
	while (consumer.received < 2)
		ringwake_wait(consumer.target, -1);
	join(blocked.thread);
	assert_int_equal(blocked.result, 0);
	unhook();
	release_and_close(&consumer);
}

static void test_abort_releases_all_senders(void **state)
{
	(void)state;
	enum { COUNT = 5 };
	struct consumer consumer = {0};
	struct blocked blocked[COUNT];
	open_channel(&consumer, 4);
	hook_parking();
	assert_int_equal(fill(&consumer), 4);
	for (unsigned i = 0; i < COUNT; i++)
		start_blocked(&blocked[i], &consumer, i + 1);
	await_parked(COUNT);
	assert_int_equal(ringwake_channel_abort(consumer.channel), 0);
	for (unsigned i = 0; i < COUNT; i++) {
		join(blocked[i].thread);
		assert_int_equal(blocked[i].result, -ECANCELED);
	}
	/* The handle remains valid: further sends return an error. */
	assert_int_equal(try_number(&consumer, 9), -ECANCELED);
	assert_int_equal(ringwake_channel_send(consumer.channel, &blocked[0].item, -1), -ECANCELED);
	assert_int_equal(ringwake_channel_acquire(consumer.channel), -ECANCELED);
	assert_int_equal(ringwake_channel_abort(consumer.channel), 0);
	assert_int_equal(ringwake_wait(consumer.target, -1), 1);
	assert_int_equal(consumer.received, 0);
	assert_int_equal(consumer.aborted, 4);
	assert_int_equal(consumer.finalized, 0);
	unhook();
	release_and_close(&consumer);
}

static void abort_at_third(struct consumer *consumer)
{
	if (consumer->received == 3)
		ringwake_channel_abort(consumer->channel);
}

static void test_abort_while_receiving(void **state)
{
	(void)state;
	struct consumer consumer = {.hook = abort_at_third};
	open_channel(&consumer, 8);
	fill(&consumer);
	release_and_close(&consumer);
	assert_int_equal(consumer.received, 3);
	assert_int_equal(consumer.aborted, 5);
}

static int would_block(struct consumer *consumer)
{
	struct item item = {.sender = 2};
	return ringwake_channel_send(consumer->channel, &item, -1);
}

static void expect_deadlock(struct consumer *consumer)
{
	if (consumer->received == 1)
		assert_int_equal(would_block(consumer), -EDEADLK);
}

static void test_the_loop_must_not_wait_for_itself(void **state)
{
	(void)state;
	struct consumer consumer = {.hook = expect_deadlock};
	struct item item = {.sender = 2};
	open_channel(&consumer, 4);
	fill(&consumer);
	assert_int_equal(would_block(&consumer), -EDEADLK);
	assert_int_equal(ringwake_channel_send(consumer.channel, &item, 1000000000), -EDEADLK);
	assert_int_equal(ringwake_channel_send(consumer.channel, &item, 0), -EAGAIN);
	ringwake_wait(consumer.target, -1);
	assert_int_equal(consumer.received, 4);
	assert_int_equal(would_block(&consumer), 0); /* the channel has room */
	release_and_close(&consumer);
}

static void *run_loop(void *argument)
{
	struct consumer *consumer = argument;
	while (consumer->received < 5)
		ringwake_wait(consumer->target, -1);
	return would_block(consumer) == 0 && fill(consumer) == 3 &&
			would_block(consumer) == -EDEADLK
		? NULL
		: argument;
}

static void test_the_loop_may_move_to_another_thread(void **state)
{
	(void)state;
	struct consumer consumer = {0};
	open_channel(&consumer, 4);
	fill(&consumer);
	ringwake_dispatch(consumer.target, 0);
	assert_int_equal(try_number(&consumer, 4), 0);
	pthread_t loop = start(run_loop, &consumer);
	void *failed;
	assert_int_equal(pthread_join(loop, &failed), 0);
	assert_null(failed);
	/* The loop ran in the other thread, so this thread may wait. No room is made; the wait
	 * times out. */
	struct item item = {.sender = 3};
	assert_int_equal(ringwake_channel_send(consumer.channel, &item, 1000), -ETIME);
	consumer.next[0] = 0;
	release_and_close(&consumer);
}

static void test_cancelled_while_the_sender_waits(void **state)
{
	(void)state;
	struct consumer consumer = {0};
	struct blocked blocked[2];
	open_channel(&consumer, 1);
	hook_parking();
	fill(&consumer);
	start_blocked(&blocked[0], &consumer, 1);
	await_parked(1);
	start_blocked(&blocked[1], &consumer, 2);
	await_parked(2);
	assert_int_equal(pthread_cancel(blocked[0].thread), 0);
	/* The wait is not a cancellation point, so the cancellation loses no wake. */
	while (consumer.received < 3)
		assert_true(ringwake_wait(consumer.target, -1) >= 0);
	join(blocked[0].thread);
	join(blocked[1].thread);
	assert_int_equal(blocked[1].result, 0);
	unhook();
	release_and_close(&consumer);
}

static void ignore(int number)
{
	(void)number;
}

static void test_signals_do_not_end_the_wait(void **state)
{
	(void)state;
	struct consumer consumer = {0};
	struct blocked blocked;
	struct sigaction action = {.sa_handler = ignore}, before;
	sigaction(SIGUSR1, &action, &before);
	open_channel(&consumer, 1);
	hook_parking();
	fill(&consumer);
	start_blocked(&blocked, &consumer, 1);
	for (unsigned i = 1; i <= 20; i++) {
		await_parked(i);
		while (parked == i) {
			pthread_kill(blocked.thread, SIGUSR1);
			sched_yield();
		}
	}
	assert_int_equal(blocked.result, INT_MAX);
	while (consumer.received < 2)
		ringwake_wait(consumer.target, -1);
	join(blocked.thread);
	assert_int_equal(blocked.result, 0);
	sigaction(SIGUSR1, &before, NULL);
	unhook();
	release_and_close(&consumer);
}

/* The doorbell is refused until the channel is full and works from then on. */
static void fill_without_doorbell(struct consumer *consumer, unsigned capacity, int error)
{
	assert_true(ringwake_arm(consumer->target));
	doorbell_error = error;
	for (unsigned i = 0; i < capacity; i++)
		assert_int_equal(try_number(consumer, i), -EIO);
}

static void receive_all(struct consumer *consumer, unsigned count)
{
	struct pollfd entry = {.fd = ringwake_fd(consumer->target), .events = POLLIN};
	while (consumer->received < count) {
		if (ringwake_arm(consumer->target))
			assert_int_equal(poll(&entry, 1, -1), 1);
		ringwake_disarm(consumer->target);
		ringwake_dispatch(consumer->target, 0);
	}
}

static void test_full_after_refused_doorbells(void **state)
{
	(void)state;
	static const int errors[] = {-ENOMEM, -EPERM, -EINTR, -EAGAIN};
	for (unsigned capacity = 1; capacity <= 8; capacity *= 2)
		for (unsigned i = 0; i < sizeof errors / sizeof *errors; i++) {
			struct consumer consumer = {0};
			struct blocked blocked;
			open_channel(&consumer, capacity);
			hook_parking();
			fill_without_doorbell(&consumer, capacity, errors[i]);
			assert_int_equal(try_number(&consumer, 99), -EAGAIN); /* also refused */
			doorbell_error = 0;
			start_blocked(&blocked, &consumer, 1);
			struct pollfd entry = {
				.fd = ringwake_fd(consumer.target), .events = POLLIN};
			assert_int_equal(poll(&entry, 1, -1), 1);
			ringwake_disarm(consumer.target);
			receive_all(&consumer, capacity + 1);
			join(blocked.thread);
			assert_int_equal(blocked.result, 0);
			unhook();
			release_and_close(&consumer);
		}
}

/* A sender that does not wait also uses the doorbell. */
static void test_try_send_notifies_a_full_channel(void **state)
{
	(void)state;
	struct consumer consumer = {0};
	open_channel(&consumer, 2);
	hook_doorbell();
	fill_without_doorbell(&consumer, 2, -ENOMEM);
	doorbell_error = 0;
	doorbell_calls = 0;
	assert_int_equal(try_number(&consumer, 9), -EAGAIN);
	assert_int_equal(try_number(&consumer, 9), -EAGAIN);
	assert_int_equal(doorbell_calls, 1);
	ringwake_disarm(consumer.target);
	unhook();
	release_and_close(&consumer);
	assert_int_equal(consumer.received, 2);
}

/* The doorbell of a blocked sender is refused several times. It retries until one works. */
static void test_refused_while_the_sender_waits(void **state)
{
	(void)state;
	struct consumer consumer = {0};
	struct blocked blocked;
	open_channel(&consumer, 1);
	hook_parking();
	fill_without_doorbell(&consumer, 1, -ENOMEM);
	start_blocked(&blocked, &consumer, 1);
	await_parked(4);
	assert_true(doorbell_calls >= 4);
	doorbell_error = 0;
	struct pollfd entry = {.fd = ringwake_fd(consumer.target), .events = POLLIN};
	assert_int_equal(poll(&entry, 1, -1), 1);
	ringwake_disarm(consumer.target);
	receive_all(&consumer, 2);
	join(blocked.thread);
	assert_int_equal(blocked.result, 0);
	unhook();
	release_and_close(&consumer);
}

static void test_refused_until_the_timeout(void **state)
{
	(void)state;
	struct consumer consumer = {0};
	struct item item = {.sender = 1};
	struct blocked blocked = {.consumer = &consumer, .item = item, .timeout_ns = 20000000};
	open_channel(&consumer, 1);
	hook_parking();
	fill_without_doorbell(&consumer, 1, -EPERM);
	unsigned before = doorbell_calls;
	int64_t begin = now_ns();
	blocked.thread = start(send_blocked, &blocked);
	join(blocked.thread);
	assert_int_equal(blocked.result, -ETIME);
	assert_true(now_ns() - begin >= blocked.timeout_ns);
	assert_true(doorbell_calls > before);
	doorbell_error = 0;
	ringwake_disarm(consumer.target);
	unhook();
	release_and_close(&consumer);
	assert_int_equal(consumer.received, 1);
}

static void *send_refused(void *argument)
{
	static struct counted message = {.msg.fn = count_message};
	struct consumer *consumer = argument;
	return ringwake_send(consumer->target, &message.msg) == -ENOMEM ? NULL : argument;
}

/* A sender blocks while another sender's doorbell is in progress, which is refused later. */
static void test_refused_after_the_sender_blocked(void **state)
{
	(void)state;
	struct consumer consumer = {0};
	struct blocked blocked;
	void *failed;
	open_channel(&consumer, 1);
	hook_parking();
	hold_doorbell = true;
	assert_true(ringwake_arm(consumer.target));
	pthread_t other = start(send_refused, &consumer);
	pthread_barrier_wait(&reached);
	assert_int_equal(try_number(&consumer, 0), 0);
	start_blocked(&blocked, &consumer, 1);
	await_parked(1);
	doorbell_error = -ENOMEM;
	pthread_barrier_wait(&released);
	assert_int_equal(pthread_join(other, &failed), 0);
	assert_null(failed);
	doorbell_error = 0;
	struct pollfd entry = {.fd = ringwake_fd(consumer.target), .events = POLLIN};
	assert_int_equal(poll(&entry, 1, -1), 1);
	ringwake_disarm(consumer.target);
	receive_all(&consumer, 2);
	join(blocked.thread);
	assert_int_equal(blocked.result, 0);
	unhook();
	release_and_close(&consumer);
}

int main(void)
{
	const struct CMUnitTest channel_full_tests[] = {
		ON_BOTH_PATHS(test_room_releases_all_senders),
		ON_BOTH_PATHS(test_waiting_does_not_spin),
		ON_BOTH_PATHS(test_timeout_expires),
		ON_BOTH_PATHS(test_largest_timeout),
		ON_BOTH_PATHS(test_abort_releases_all_senders),
		ON_BOTH_PATHS(test_abort_while_receiving),
		ON_BOTH_PATHS(test_the_loop_must_not_wait_for_itself),
		ON_BOTH_PATHS(test_the_loop_may_move_to_another_thread),
		ON_BOTH_PATHS(test_cancelled_while_the_sender_waits),
		ON_BOTH_PATHS(test_signals_do_not_end_the_wait),
		ON_BOTH_PATHS(test_full_after_refused_doorbells),
		ON_BOTH_PATHS(test_try_send_notifies_a_full_channel),
		ON_BOTH_PATHS(test_refused_while_the_sender_waits),
		ON_BOTH_PATHS(test_refused_until_the_timeout),
		ON_BOTH_PATHS(test_refused_after_the_sender_blocked),
	};
	return RUN_BOUNDED(channel_full_tests, 60);
}
