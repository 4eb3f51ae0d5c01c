/* SPDX-License-Identifier: MIT */
/*
 * Between ringwake_arm() and ringwake_disarm() the loop is about to block. Whatever happens there,
 * a message whose sender was told 0 wakes it. Tried on a target of its own, and on each setup of
 * the application's ring.
 */
#include "rings.h"

static struct io_uring ring_memory, *ring; /* NULL: the target has its own */
static struct ringwake *target;
static struct ringwake_event event;
static unsigned events;

static void count_event(struct ringwake_event *sent)
{
	(void)sent;
	events++;
}

static bool open_kind(const struct setup *setup)
{
	ring = NULL;
	if (setup && !make_ring(&ring_memory, 8, setup->flags))
		return false;
	if (setup)
		ring = &ring_memory;
	target = open_target(ring);
	events = 0;
	ringwake_event_init(&event, target, count_event);
	return true;
}

static void close_kind(void)
{
	ringwake_close(target);
	if (ring)
		io_uring_queue_exit(ring);
}

#define FOR_EACH_KIND(setup)                                                                       \
	for (const struct setup *setup = NULL, *next = setups;                                     \
		next <= setups + sizeof setups / sizeof *setups; setup = next++)                   \
		if (open_kind(setup))

static void assert_arms(void)
{
	if (ring)
		arm(ring, target);
	else
		assert_true(ringwake_arm(target));
}

/* The armed loop's sleep ends. */
static void assert_is_rung(void)
{
	struct pollfd entry = {.fd = ringwake_fd(target), .events = POLLIN};
	struct __kernel_timespec patience = {.tv_sec = 5};
	struct io_uring_cqe *cqe;
	if (ring)
		assert_int_equal(io_uring_wait_cqes(ring, &cqe, 1, &patience, NULL), 0);
	else
		assert_int_equal(poll(&entry, 1, 5000), 1);
}

static unsigned disarm_and_dispatch(void)
{
	if (ring)
		take_completions(ring, target);
	ringwake_disarm(target);
	return (unsigned)ringwake_dispatch(target, 0);
}

static void assert_works(void)
{
	struct counted message = {.msg.fn = count_message};
	assert_arms();
	assert_int_equal(ringwake_send(target, &message.msg), 0);
	assert_is_rung();
	assert_int_equal(disarm_and_dispatch(), 1);
	assert_int_equal(message.count, 1);
}

/* A sender that was stopped between the two steps of ringwake_event_send(). It goes on when the
 * loop blocks for it. */
static struct counted beside; /* sent in the same moment */
static bool is_halfway, sends_beside;

static void stop_halfway(bool with_another)
{
	event.state = 1; /* QUEUED */
	is_halfway = true;
	sends_beside = with_another;
	beside = (struct counted){.msg.fn = count_message};
}

/* This sender's doorbell is not refused, even if the loop's would be. */
static void go_on(void)
{
	if (!is_halfway)
		return;
	int error = atomic_exchange(&doorbell_error, 0);
	is_halfway = false;
	if (sends_beside)
		assert_int_equal(ringwake_send(target, &beside.msg), 0);
	assert_int_equal(ringwake_send(target, &event.msg), 0);
	doorbell_error = error;
}

static int go_on_then_enter(int fd, unsigned min, unsigned flags, const void *arg, size_t size)
{
	if (min > 0)
		go_on();
	return real_system.enter(fd, min, flags, arg, size);
}

static int go_on_then_poll(struct pollfd *entry, const struct timespec *timeout)
{
	go_on();
	return real_system.poll(entry, timeout);
}

static void hook_sleeps(void)
{
	hook_doorbell();
	ringwake_system.enter = go_on_then_enter;
	ringwake_system.poll = go_on_then_poll;
}

static void *send_refused(void *message)
{
	return (void *)(intptr_t)ringwake_send(target, message);
}

/* The loop wakes by itself, and may have armed anew when a doorbell is refused. */
static void fail_late(bool is_armed_anew)
{
	struct counted message = {.msg.fn = count_message};
	void *result;
	hold_doorbell = true;
	pthread_t sender = start(send_refused, &message.msg);
	pthread_barrier_wait(&reached);
	ringwake_disarm(target);
	if (is_armed_anew) {
		assert_int_equal(ringwake_dispatch(target, 0), 1);
		assert_arms();
	}
	doorbell_error = -ENOMEM;
	pthread_barrier_wait(&released);
	assert_int_equal(pthread_join(sender, &result), 0);
	assert_int_equal((intptr_t)result, -ENOMEM);
	doorbell_error = 0;
	if (is_armed_anew)
		ringwake_disarm(target);
	assert_int_equal(ringwake_dispatch(target, 0), !is_armed_anew);
}

static void test_event_closed_after_a_late_failure(void **state)
{
	(void)state;
	for (unsigned failures = 1; failures <= 3; failures++) {
		FOR_EACH_KIND(setup)
		{
			struct counted message = {.msg.fn = count_message};
			hook_sleeps();
			for (unsigned i = 0; i < failures; i++) {
				assert_arms();
				fail_late(i % 2);
			}
			assert_arms();
			stop_halfway(false);
			assert_int_equal(ringwake_event_close(&event), 0);
			assert_int_equal(ringwake_send(target, &message.msg), 0);
			assert_is_rung();
			assert_int_equal(disarm_and_dispatch(), 1);
			assert_int_equal(events, 0);
			unhook();
			assert_works();
			close_kind();
		}
	}
}

/* The loop's own doorbell would be refused, so it must not need one. */
static void test_event_closed_while_the_loop_cannot_ring(void **state)
{
	(void)state;
	for (int with_another = 0; with_another < 2; with_another++) {
		FOR_EACH_KIND(setup)
		{
			struct counted message = {.msg.fn = count_message};
			hook_sleeps();
			assert_arms();
			stop_halfway(with_another);
			doorbell_error = -ENOMEM;
			assert_int_equal(ringwake_event_close(&event), 0);
			doorbell_error = 0;
			if (!with_another)
				assert_int_equal(ringwake_send(target, &message.msg), 0);
			assert_is_rung();
			assert_int_equal(disarm_and_dispatch(), 1);
			assert_int_equal(beside.count + message.count, 1);
			unhook();
			assert_works();
			close_kind();
		}
	}
}

/* Beside a message that nobody has rung for: the next send rings, though the loop has taken it. */
static void test_event_closed_beside_an_unrung_message(void **state)
{
	(void)state;
	for (int is_taken = 0; is_taken < 2; is_taken++) {
		FOR_EACH_KIND(setup)
		{
			struct counted message = {.msg.fn = count_message}, last = message;
			struct ringwake_event queued;
			hook_sleeps();
			ringwake_event_init(&queued, target, count_event);
			assert_arms();
			doorbell_error = -ENOMEM;
			assert_int_equal(ringwake_event_send(&queued), -ENOMEM);
			assert_int_equal(ringwake_send(target, &message.msg), -ENOMEM);
			assert_int_equal(ringwake_event_send(&event), -ENOMEM);
			if (is_taken)
				assert_int_equal(ringwake_event_close(&event), 0);
			doorbell_error = 0;
			doorbell_calls = 0;
			if (setup == NULL) {
				assert_int_equal(ringwake_event_send(&queued), 0);
				assert_int_equal(doorbell_calls, 1);
			}
			assert_int_equal(ringwake_send(target, &last.msg), 0);
			assert_int_equal(doorbell_calls, 1);
			assert_is_rung();
			assert_int_equal(disarm_and_dispatch(), is_taken ? 3 : 4);
			assert_int_equal(message.count, 1);
			unhook();
			assert_works();
			close_kind();
		}
	}
}

/* A wake alone was refused: NOTIFIED with ARMED, and no message. */
static void test_refused_wake(void **state)
{
	(void)state;
	FOR_EACH_KIND(setup)
	{
		struct counted message = {.msg.fn = count_message};
		hook_doorbell();
		assert_arms();
		doorbell_error = -EPERM;
		assert_int_equal(ringwake_wake(target), -EPERM);
		assert_int_equal(ringwake_wake(target), -EPERM);
		assert_int_equal(ringwake_event_close(&event), 0);
		assert_int_equal(ringwake_dispatch(target, 0), 0); /* still armed */
		doorbell_error = 0;
		doorbell_calls = 0;
		assert_int_equal(ringwake_send(target, &message.msg), 0);
		assert_int_equal(doorbell_calls, 1);
		assert_is_rung();
		assert_int_equal(disarm_and_dispatch(), 1);
		unhook();
		assert_works();
		close_kind();
	}
}

static struct ringwake_event other;
static void close_the_other(struct ringwake_event *first)
{
	events++;
	assert_int_equal(ringwake_event_close(&other), 0);
	assert_int_equal(ringwake_event_close(first), 0);
}

/* Callbacks that ringwake_close() runs close events, of which nobody is about to ring. */
static void test_callback_of_close_closes_an_event(void **state)
{
	(void)state;
	enum { AWAKE, ARMED, RUNG, REFUSED, KINDS };
	for (int how = AWAKE; how < KINDS; how++) {
		for (int is_queued = 0; is_queued < 2; is_queued++) {
			FOR_EACH_KIND(setup)
			{
				hook_doorbell();
				ringwake_event_init(&event, target, close_the_other);
				ringwake_event_init(&other, target, count_event);
				if (how != AWAKE)
					assert_arms();
				doorbell_error = how == REFUSED ? -ENOMEM : 0;
				int sent = ringwake_event_send(&event);
				assert_int_equal(sent, doorbell_error);
				if (is_queued)
					ringwake_event_send(&other);
				if (how == ARMED)
					assert_is_rung();
				close_kind();
				assert_int_equal(events, 1);
				unhook();
			}
		}
	}
}

static unsigned reads;
static int counted_read(int fd, uint64_t *value)
{
	reads++;
	return real_system.read(fd, value);
}

static void assert_reads(unsigned expected)
{
	for (int i = 0; i < 10; i++) {
		assert_arms();
		ringwake_disarm(target);
	}
	assert_int_equal(reads, expected);
	reads = 0;
}

/* The eventfd is read only if it may have been written. */
static void test_reads_after_a_refused_doorbell(void **state)
{
	(void)state;
	struct counted message = {.msg.fn = count_message};
	open_kind(NULL);
	hook_doorbell();
	ringwake_system.read = counted_read;
	reads = 0;
	bool is_read = test_path == RINGWAKE_PATH_EVENTFD;
	for (int round = 0; round < 3; round++) {
		assert_arms();
		doorbell_error = -ENOMEM;
		assert_int_equal(ringwake_send(target, &message.msg), -ENOMEM);
		doorbell_error = 0;
		assert_int_equal(disarm_and_dispatch(), 1);
		assert_reads(0);
		for (int is_armed_anew = 0; is_armed_anew < 2; is_armed_anew++) {
			assert_arms();
			fail_late(is_armed_anew);
			reads = 0; /* the doorbell was under way when the loop disarmed */
			assert_reads(0);
		}
		assert_arms();
		assert_int_equal(ringwake_send(target, &message.msg), 0);
		assert_is_rung();
		assert_int_equal(disarm_and_dispatch(), 1);
		assert_reads(is_read);
	}
	unhook();
	assert_works();
	close_kind();
}

int main(void)
{
	const struct CMUnitTest armed_tests[] = {
		ON_BOTH_PATHS(test_event_closed_after_a_late_failure),
		ON_BOTH_PATHS(test_event_closed_while_the_loop_cannot_ring),
		ON_BOTH_PATHS(test_event_closed_beside_an_unrung_message),
		ON_BOTH_PATHS(test_refused_wake),
		ON_BOTH_PATHS(test_callback_of_close_closes_an_event),
		ON_BOTH_PATHS(test_reads_after_a_refused_doorbell),
	};
	return RUN_BOUNDED(armed_tests, 120);
}
