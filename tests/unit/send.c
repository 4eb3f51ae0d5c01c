/* SPDX-License-Identifier: MIT */
/* Promise 2: sends, and what a wait returns. A send to an awake loop makes no system call. */
#include <poll.h>

#include "../../lib/target.h"
#include "hooks.h"

static void test_message_arrives(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct counted message = {.msg.fn = count_message};
	assert_int_equal(ringwake_send(target, &message.msg), 0);
	assert_int_equal(message.count, 0);
	assert_int_equal(ringwake_wait(target, -1), 1);
	assert_int_equal(message.count, 1);
	ringwake_close(target);
}

struct numbered {
	struct ringwake_msg msg;
	unsigned sender, number;
};
static unsigned next_number[4];
static bool in_order;

static void check_number(struct ringwake_msg *msg)
{
	struct numbered *message = (struct numbered *)msg;
	if (next_number[message->sender]++ != message->number)
		in_order = false;
}

struct sender {
	struct ringwake *target;
	struct numbered *messages;
	unsigned count;
};

static void *send_all(void *argument)
{
	struct sender *sender = argument;
	for (unsigned i = 0; i < sender->count; i++)
		if (ringwake_send(sender->target, &sender->messages[i].msg) != 0)
			abort();
	return NULL;
}

static void test_order_per_sender(void **state)
{
	(void)state;
	enum { COUNT = 20000 };
	static struct numbered messages[4][COUNT];
	struct ringwake *target = open_target(NULL);
	struct sender senders[4];
	pthread_t threads[4];
	in_order = true;
	memset(next_number, 0, sizeof next_number);
	for (unsigned s = 0; s < 4; s++) {
		for (unsigned i = 0; i < COUNT; i++)
			messages[s][i] =
				(struct numbered){.msg.fn = check_number, .sender = s, .number = i};
		senders[s] = (struct sender){target, messages[s], COUNT};
		threads[s] = start(send_all, &senders[s]);
	}
	for (unsigned ran = 0; ran < 4 * COUNT;) {
		int result = ringwake_wait(target, -1);
		assert_true(result >= 0);
		ran += (unsigned)result;
	}
	for (unsigned s = 0; s < 4; s++) {
		join(threads[s]);
		assert_int_equal(next_number[s], COUNT);
	}
	assert_true(in_order);
	assert_int_equal(stats_of(target).messages, 4 * COUNT);
	ringwake_close(target);
}

static void test_busy_loop_is_not_rung(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct counted messages[100];
	hook_doorbell();
	for (int i = 0; i < 100; i++) {
		messages[i] = (struct counted){.msg.fn = count_message};
		assert_int_equal(ringwake_send(target, &messages[i].msg), 0);
	}
	assert_int_equal(doorbell_calls, 0);
	assert_int_equal(ringwake_dispatch(target, 0), 100);
	assert_int_equal(stats_of(target).doorbells, 0);
	assert_int_equal(stats_of(target).doorbells_saved, 100);
	assert_int_equal(stats_of(target).longest_batch, 100);
	unhook();
	ringwake_close(target);
}

static void test_one_doorbell_per_sleep(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct counted messages[3] = {
		{.msg.fn = count_message}, {.msg.fn = count_message}, {.msg.fn = count_message}};
	hook_doorbell();
	for (unsigned sleep = 1; sleep <= 3; sleep++) {
		assert_true(ringwake_arm(target));
		for (int i = 0; i < 3; i++)
			assert_int_equal(ringwake_send(target, &messages[i].msg), 0);
		assert_int_equal(ringwake_wake(target), 0);
		assert_int_equal(doorbell_calls, sleep);
		ringwake_disarm(target);
		assert_int_equal(ringwake_dispatch(target, 0), 3);
	}
	unhook();
	ringwake_close(target);
}

static void test_arm_refuses_to_sleep_on_messages(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct counted messages[2] = {{.msg.fn = count_message}, {.msg.fn = count_message}};
	ringwake_send(target, &messages[0].msg);
	ringwake_send(target, &messages[1].msg);
	assert_false(ringwake_arm(target));
	assert_int_equal(ringwake_dispatch(target, 1), 1);
	assert_false(ringwake_arm(target)); /* one message was taken and has not run */
	assert_int_equal(ringwake_dispatch(target, 0), 1);
	assert_true(ringwake_arm(target));
	assert_true(ringwake_arm(target)); /* a second call changes nothing */
	ringwake_disarm(target);
	assert_int_equal(ringwake_wake(target), 0);
	assert_false(ringwake_arm(target));
	assert_int_equal(ringwake_dispatch(target, 0), 0);
	assert_true(ringwake_arm(target));
	ringwake_disarm(target);
	ringwake_close(target);
}

static void test_wakes_coalesce(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	for (int i = 0; i < 10; i++)
		assert_int_equal(ringwake_wake(target), 0);
	assert_int_equal(ringwake_wait(target, -1), 0);
	assert_int_equal(ringwake_wait(target, 0), -ETIME);
	ringwake_close(target);
}

static void *wake_once(void *target)
{
	return ringwake_wake(target) == 0 ? NULL : target;
}

static void test_wake_ends_a_sleep(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	for (int i = 0; i < 1000; i++) {
		pthread_t thread = start(wake_once, target);
		assert_int_equal(ringwake_wait(target, -1), 0);
		join(thread);
	}
	ringwake_close(target);
}

static void test_timeouts(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct timespec before, after;
	assert_int_equal(ringwake_wait(target, 0), -ETIME);
	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(ringwake_wait(target, 20000000), -ETIME);
	clock_gettime(CLOCK_MONOTONIC, &after);
	int64_t elapsed =
		(after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec;
	assert_true(elapsed >= 20000000);
	ringwake_close(target);
}

static struct ringwake *self_target;
static struct counted again;

static void send_again(struct ringwake_msg *msg)
{
	if (++((struct counted *)msg)->count < 1000)
		ringwake_send(self_target, msg);
}

static void test_callback_sends_itself_again(void **state)
{
	(void)state;
	self_target = open_target_with(NULL, (struct ringwake_params){.batch = 10});
	again = (struct counted){.msg.fn = send_again};
	ringwake_send(self_target, &again.msg);
	int dispatches = 0;
	while (again.count < 1000) {
		int ran = ringwake_wait(self_target, -1);
		assert_true(ran >= 1 && ran <= 10); /* promise 7: batch limits it */
		dispatches++;
	}
	assert_true(dispatches >= 100);
	ringwake_close(self_target);
}

static void dispatch_inside(struct ringwake_msg *msg)
{
	((struct counted *)msg)->count += 1 + (unsigned)ringwake_dispatch(self_target, 0);
}

static void test_nested_dispatch(void **state)
{
	(void)state;
	self_target = open_target(NULL);
	struct counted outer = {.msg.fn = dispatch_inside};
	struct counted inner[2] = {{.msg.fn = count_message}, {.msg.fn = count_message}};
	ringwake_send(self_target, &outer.msg);
	ringwake_send(self_target, &inner[0].msg);
	ringwake_send(self_target, &inner[1].msg);
	assert_int_equal(ringwake_dispatch(self_target, 0), 1);
	assert_int_equal(outer.count, 3);
	assert_int_equal(inner[0].count + inner[1].count, 2);
	ringwake_close(self_target);
}

static void test_poll_on_the_descriptor(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct counted message = {.msg.fn = count_message};
	struct pollfd entry = {.fd = ringwake_fd(target), .events = POLLIN};
	for (unsigned i = 1; i <= 100; i++) {
		assert_true(ringwake_arm(target));
		assert_int_equal(poll(&entry, 1, 0), 0);
		ringwake_send(target, &message.msg);
		assert_int_equal(poll(&entry, 1, -1), 1);
		ringwake_disarm(target);
		assert_int_equal(poll(&entry, 1, 0), 0);
		assert_int_equal(ringwake_dispatch(target, 0), 1);
		assert_int_equal(message.count, i);
	}
	ringwake_close(target);
}

/* There are more doorbells than the target's own ring has room for: all are consumed. */
static void test_late_doorbells_leave_nothing_behind(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct pollfd entry = {.fd = ringwake_fd(target), .events = POLLIN};
	for (int i = 0; i < 100; i++)
		assert_int_equal(ringwake_doorbell_notify(&target->doorbell), 0);
	target->calls_expected += 100; /* as if 100 senders were delayed */
	for (int tries = 0; poll(&entry, 1, 0) > 0; tries++) {
		assert_true(tries < 10);
		ringwake_disarm(target);
	}
	target->calls_expected -= 100;
	target->doorbell.calls_consumed -= 100;
	ringwake_close(target);
}

/* A signal handler interrupts the wait, and the handler's wake ends the wait. */
static struct ringwake *interrupted;
static unsigned interruptions;

static int interrupt(void)
{
	interruptions++;
	assert_int_equal(ringwake_wake(interrupted), 0);
	return -EINTR;
}

static int interrupted_enter(
	int fd, unsigned min_complete, unsigned flags, const void *arg, size_t size)
{
	(void)fd, (void)min_complete, (void)flags, (void)arg, (void)size;
	return interrupt();
}

static int interrupted_poll(struct pollfd *entry, const struct timespec *timeout)
{
	(void)entry, (void)timeout;
	return interrupt();
}

static void test_wake_by_a_signal_handler(void **state)
{
	(void)state;
	struct ringwake_system system = ringwake_system;
	interrupted = open_target(NULL);
	interruptions = 0;
	ringwake_system.enter = interrupted_enter;
	ringwake_system.poll = interrupted_poll;
	assert_int_equal(ringwake_wait(interrupted, -1), 0);
	ringwake_system = system;
	assert_int_equal(interruptions, 1);
	assert_int_equal(ringwake_wait(interrupted, 0), -ETIME);
	ringwake_close(interrupted);
}

static void test_errno_is_left_alone(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct counted message = {.msg.fn = count_message};
	errno = 12345;
	ringwake_wait(target, 1000);
	ringwake_arm(target);
	ringwake_send(target, &message.msg);
	ringwake_wait(target, 0);
	ringwake_post(target, 1, 1);
	ringwake_close(target);
	assert_int_equal(errno, 12345);
	struct ringwake *none;
	struct ringwake_params unknown = {.path = (enum ringwake_path)77};
	assert_int_equal(ringwake_open(&none, NULL, &unknown), -EINVAL);
	assert_int_equal(errno, 12345);
}

int main(void)
{
	const struct CMUnitTest send_tests[] = {
		ON_BOTH_PATHS(test_message_arrives),
		ON_BOTH_PATHS(test_order_per_sender),
		ON_BOTH_PATHS(test_busy_loop_is_not_rung),
		ON_BOTH_PATHS(test_one_doorbell_per_sleep),
		ON_BOTH_PATHS(test_arm_refuses_to_sleep_on_messages),
		ON_BOTH_PATHS(test_wakes_coalesce),
		ON_BOTH_PATHS(test_wake_ends_a_sleep),
		ON_BOTH_PATHS(test_timeouts),
		ON_BOTH_PATHS(test_callback_sends_itself_again),
		ON_BOTH_PATHS(test_nested_dispatch),
		ON_BOTH_PATHS(test_poll_on_the_descriptor),
		ON_BOTH_PATHS(test_late_doorbells_leave_nothing_behind),
		ON_BOTH_PATHS(test_wake_by_a_signal_handler),
		ON_BOTH_PATHS(test_errno_is_left_alone),
	};
	return RUN_BOUNDED(send_tests, 60);
}
