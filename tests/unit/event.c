/* SPDX-License-Identifier: MIT */
/* Coalescing events: at least one callback after the last send, and none after close. */
#include <poll.h>

#include "hooks.h"

struct tally {
	struct ringwake_event event;
	unsigned calls;
	uint64_t seen;
	_Atomic uint64_t *written;
};

static void on_tally(struct ringwake_event *event)
{
	struct tally *tally = (struct tally *)event;
	tally->calls++;
	if (tally->written)
		tally->seen = atomic_load_explicit(tally->written, memory_order_relaxed);
}

static void test_sends_coalesce(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct tally tally = {0};
	ringwake_event_init(&tally.event, target, on_tally);
	for (int i = 0; i < 100; i++)
		assert_int_equal(ringwake_event_send(&tally.event), 0);
	assert_int_equal(ringwake_wait(target, -1), 1);
	assert_int_equal(tally.calls, 1);
	assert_int_equal(ringwake_event_send(&tally.event), 0);
	assert_int_equal(ringwake_wait(target, -1), 1);
	assert_int_equal(tally.calls, 2);
	assert_int_equal(ringwake_event_close(&tally.event), 0);
	assert_int_equal(ringwake_event_close(&tally.event), -EALREADY);
	assert_int_equal(ringwake_event_send(&tally.event), -ECANCELED);
	ringwake_close(target);
}

struct writer {
	struct ringwake_event *event;
	_Atomic uint64_t *written;
	uint64_t last;
};

/* The counter is relaxed: only the event makes the callback see the write. */
static void *write_and_send(void *argument)
{
	struct writer *writer = argument;
	for (uint64_t i = 1; i <= writer->last; i++) {
		atomic_store_explicit(writer->written, i, memory_order_relaxed);
		if (ringwake_event_send(writer->event) != 0)
			abort();
	}
	return NULL;
}

static void test_callback_sees_the_last_write(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	for (int round = 0; round < 20; round++) {
		_Atomic uint64_t written = 0;
		struct tally tally = {.written = &written};
		ringwake_event_init(&tally.event, target, on_tally);
		struct writer writer = {&tally.event, &written, 5000};
		pthread_t thread = start(write_and_send, &writer);
		while (tally.seen < 5000)
			assert_true(ringwake_wait(target, PATIENCE_NS) >=
				0); /* -ETIME: a wake was lost */
		join(thread);
		assert_int_equal(ringwake_event_close(&tally.event), 0);
	}
	ringwake_close(target);
}

static void test_close_takes_the_message_back(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct counted others[3] = {
		{.msg.fn = count_message}, {.msg.fn = count_message}, {.msg.fn = count_message}};
	for (int place = 0; place < 4; place++) {
		struct tally *tally = calloc(1, sizeof *tally);
		ringwake_event_init(&tally->event, target, on_tally);
		for (int i = 0; i < 3; i++) {
			if (i == place)
				ringwake_event_send(&tally->event);
			ringwake_send(target, &others[i].msg);
		}
		if (place == 3)
			ringwake_event_send(&tally->event);
		assert_int_equal(ringwake_event_close(&tally->event), 0);
		assert_int_equal(tally->calls, 0);
		free(tally);
		assert_int_equal(ringwake_wait(target, 0), 3);
	}
	assert_int_equal(others[0].count + others[1].count + others[2].count, 12);
	ringwake_close(target);
}

static unsigned gone;
static void on_gone(struct ringwake_event *event)
{
	(void)event;
	gone++;
}

static void test_close_later(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct tally idle = {0}, pending = {0};
	gone = 0;
	ringwake_event_init(&idle.event, target, on_tally);
	ringwake_event_init(&pending.event, target, on_tally);
	ringwake_event_send(&pending.event);
	assert_int_equal(ringwake_event_close_async(&idle.event, on_gone), 0);
	assert_int_equal(ringwake_event_close_async(&idle.event, on_gone), -EALREADY);
	assert_int_equal(ringwake_event_close_async(&pending.event, on_gone), 1);
	assert_int_equal(ringwake_event_send(&pending.event), -ECANCELED);
	assert_int_equal(gone, 0);
	assert_int_equal(ringwake_wait(target, -1), 1);
	assert_int_equal(gone, 1);
	assert_int_equal(pending.calls + idle.calls, 0);
	ringwake_close(target);
}

struct closing_message {
	struct ringwake_msg msg;
	struct ringwake_event *event;
	int result;
};

static void close_the_event(struct ringwake_msg *msg)
{
	struct closing_message *words = (struct closing_message *)msg;
	words->result = ringwake_event_close_async(words->event, on_gone);
}

/* ringwake_close() runs a message that closes the event, whose own message comes after it. */
static void test_close_later_while_the_target_closes(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct tally tally = {0};
	struct closing_message words = {{.fn = close_the_event}, &tally.event, -1};
	gone = 0;
	ringwake_event_init(&tally.event, target, on_tally);
	assert_int_equal(ringwake_send(target, &words.msg), 0);
	assert_int_equal(ringwake_event_send(&tally.event), 0);
	ringwake_close(target);
	assert_int_equal(words.result, 0);
	assert_int_equal(tally.calls + gone, 0);
}

struct race {
	struct ringwake *target; /* a reference */
	struct ringwake_event event;
	pthread_barrier_t begin;
};

static void *send_until_refused(void *argument)
{
	struct race *race = argument;
	pthread_barrier_wait(&race->begin);
	while (ringwake_event_send(&race->event) == 0)
		;
	return NULL;
}

/* A sender that is about to push when the target is closed is refused: closed() is called all the
 * same, once, if ringwake_event_close_async() has returned 1. */
static void test_close_async_then_the_target(void **state)
{
	(void)state;
	for (unsigned round = 0; round < rounds_here(3000); round++) {
		struct race race = {.target = open_target(NULL)};
		ringwake_ref(race.target);
		ringwake_event_init(&race.event, race.target, NULL);
		pthread_barrier_init(&race.begin, NULL, 2);
		gone = 0;
		pthread_t thread = start(send_until_refused, &race);
		pthread_barrier_wait(&race.begin);
		for (unsigned i = 0; i < round % 50; i++)
			ringwake_dispatch(race.target, 0);
		int expected = ringwake_event_close_async(&race.event, on_gone);
		ringwake_close(race.target);
		assert_int_equal(gone, expected);
		join(thread);
		pthread_barrier_destroy(&race.begin);
		ringwake_unref(race.target);
	}
}

static void *send_event(void *event)
{
	return (void *)(intptr_t)ringwake_event_send(event);
}

/* The sender has pushed its message and is held before its doorbell. */
static void test_close_during_a_doorbell(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct tally tally = {0};
	ringwake_event_init(&tally.event, target, on_tally);
	hook_doorbell();
	assert_true(ringwake_arm(target));
	hold_doorbell = true;
	pthread_t sender = start(send_event, &tally.event);
	pthread_barrier_wait(&reached);
	assert_int_equal(ringwake_event_close(&tally.event), 0);
	pthread_barrier_wait(&released);
	join(sender);
	assert_int_equal(tally.calls, 0);
	unhook();
	ringwake_close(target);
}

/* A sender that was stopped between its two steps. It continues when the loop blocks to wait for
 * it. */
static struct halfway {
	struct ringwake *target;
	struct ringwake_msg *messages[2];
} halfway;

static void finish_send(void)
{
	for (int i = 0; i < 2; i++)
		if (halfway.messages[i])
			assert_int_equal(ringwake_send(halfway.target, halfway.messages[i]), 0);
	memset(halfway.messages, 0, sizeof halfway.messages);
}

static int send_then_enter(
	int fd, unsigned min_complete, unsigned flags, const void *arg, size_t size)
{
	finish_send();
	return real_system.enter(fd, min_complete, flags, arg, size);
}

static int send_then_poll(struct pollfd *entry, const struct timespec *timeout)
{
	finish_send();
	return real_system.poll(entry, timeout);
}

/* An armed loop may close an event, for example in a prepare callback. It must still be woken. */
static void close_while_armed(bool before, bool meanwhile)
{
	struct ringwake *target = open_target(NULL);
	struct tally tally = {0};
	struct counted other = {.msg.fn = count_message};
	struct pollfd entry = {.fd = ringwake_fd(target), .events = POLLIN};
	ringwake_event_init(&tally.event, target, on_tally);
	tally.event.state = 1; /* QUEUED */
	halfway = (struct halfway){target, {meanwhile ? &other.msg : NULL, &tally.event.msg}};
	hook_doorbell();
	ringwake_system.enter = send_then_enter;
	ringwake_system.poll = send_then_poll;
	assert_true(ringwake_arm(target));
	if (before)
		assert_int_equal(ringwake_send(target, &other.msg), 0);
	assert_int_equal(ringwake_event_close(&tally.event), 0);
	assert_null(halfway.messages[1]);
	if (!before && !meanwhile)
		assert_int_equal(ringwake_send(target, &other.msg), 0);
	unhook();
	assert_int_equal(poll(&entry, 1, 0), 1);
	ringwake_disarm(target);
	assert_int_equal(ringwake_dispatch(target, 0), 1);
	assert_int_equal(other.count, 1);
	assert_int_equal(tally.calls, 0);
	ringwake_close(target);
}

static void test_close_while_armed(void **state)
{
	(void)state;
	close_while_armed(false, false);
}

static void test_close_while_armed_and_notified(void **state)
{
	(void)state;
	close_while_armed(true, false);
}

static void test_close_while_armed_beside_a_message(void **state)
{
	(void)state;
	close_while_armed(false, true);
}

static _Atomic bool stop;
static void *send_forever(void *event)
{
	while (!stop)
		ringwake_event_send(event);
	return NULL;
}

static void test_close_while_senders_run(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	for (unsigned round = 0; round < rounds_here(300); round++) {
		struct tally tally = {0};
		ringwake_event_init(&tally.event, target, on_tally);
		stop = false;
		pthread_t one = start(send_forever, &tally.event);
		pthread_t other = start(send_forever, &tally.event);
		for (unsigned i = 0; i < round % 5; i++)
			ringwake_wait(target, 1000000);
		assert_int_equal(ringwake_event_close(&tally.event), 0);
		unsigned calls = tally.calls;
		while (ringwake_wait(target, 0) >= 0)
			;
		assert_int_equal(tally.calls, calls);
		stop = true;
		join(one);
		join(other);
	}
	ringwake_close(target);
}

/* Close takes the contents of the word, including a wake. The loop must still see the wake. */
static void test_close_keeps_a_wake(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct tally tally = {0};
	ringwake_event_init(&tally.event, target, on_tally);
	ringwake_event_send(&tally.event);
	assert_int_equal(ringwake_wake(target), 0);
	assert_int_equal(ringwake_event_close(&tally.event), 0);
	assert_false(ringwake_arm(target));
	assert_int_equal(ringwake_wait(target, -1), 0);
	assert_int_equal(ringwake_wait(target, 0), -ETIME);
	ringwake_close(target);
}

static void test_no_callback(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_event event;
	ringwake_event_init(&event, target, NULL);
	ringwake_event_send(&event);
	assert_int_equal(ringwake_wait(target, -1), 1);
	assert_int_equal(ringwake_event_close(&event), 0);
	ringwake_close(target);
}

/* The loop may have taken other senders' messages, so only the next sender can notify. */
static void test_event_send_notifies_after_a_refused_wake(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct tally tally = {0};
	hook_doorbell();
	ringwake_event_init(&tally.event, target, on_tally);
	tally.event.state = 1; /* QUEUED: its first sender has not pushed it yet */
	assert_true(ringwake_arm(target));
	doorbell_error = -ENOMEM;
	assert_int_equal(ringwake_wake(target), -ENOMEM);
	doorbell_error = 0;
	doorbell_calls = 0;
	assert_int_equal(ringwake_event_send(&tally.event), 0);
	assert_int_equal(doorbell_calls, 1);
	ringwake_disarm(target);
	tally.event.state = 0;
	unhook();
	ringwake_close(target);
}

int main(void)
{
	const struct CMUnitTest event_tests[] = {
		ON_BOTH_PATHS(test_sends_coalesce),
		ON_BOTH_PATHS(test_callback_sees_the_last_write),
		ON_BOTH_PATHS(test_close_takes_the_message_back),
		ON_BOTH_PATHS(test_close_later),
		ON_BOTH_PATHS(test_close_async_then_the_target),
		ON_BOTH_PATHS(test_close_later_while_the_target_closes),
		ON_BOTH_PATHS(test_close_during_a_doorbell),
		ON_BOTH_PATHS(test_close_while_armed),
		ON_BOTH_PATHS(test_close_while_armed_and_notified),
		ON_BOTH_PATHS(test_close_while_armed_beside_a_message),
		ON_BOTH_PATHS(test_close_while_senders_run),
		ON_BOTH_PATHS(test_close_keeps_a_wake),
		ON_BOTH_PATHS(test_no_callback),
		ON_BOTH_PATHS(test_event_send_notifies_after_a_refused_wake),
	};
	return RUN_BOUNDED(event_tests, 120);
}
