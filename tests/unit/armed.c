/* SPDX-License-Identifier: MIT */
/*
 * Between ringwake_arm() and ringwake_disarm() the loop is about to block. A message whose send
 * returned 0 must wake it, whatever else happens there. The tests use a target with its own ring
 * and targets on each setup of the application's ring.
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

/* An armed loop that blocks now is woken. */
static void assert_is_notified(void)
{
	struct pollfd entry = {.fd = ringwake_fd(target), .events = POLLIN};
	struct __kernel_timespec patience = {.tv_sec = PATIENCE_SECONDS};
	struct io_uring_cqe *cqe;
	if (ring)
		assert_int_equal(io_uring_wait_cqes(ring, &cqe, 1, &patience, NULL), 0);
	else
		assert_int_equal(poll(&entry, 1, PATIENCE_SECONDS * 1000), 1);
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
	assert_is_notified();
	assert_int_equal(disarm_and_dispatch(), 1);
	assert_int_equal(message.count, 1);
}

/* A sender that was stopped between the two steps of ringwake_event_send(). It continues when the
 * loop blocks to wait for it. */
static struct counted extra; /* another message, sent immediately before */
static bool is_halfway, sends_extra;

static void stop_halfway(bool with_another)
{
	event.state = 1; /* QUEUED */
	is_halfway = true;
	sends_extra = with_another;
	extra = (struct counted){.msg.fn = count_message};
}

/* This sender's doorbell works, even if the loop's doorbell would be refused. */
static void resume_sender(void)
{
	if (!is_halfway)
		return;
	int error = atomic_exchange(&doorbell_error, 0);
	is_halfway = false;
	if (sends_extra)
		assert_int_equal(ringwake_send(target, &extra.msg), 0);
	assert_int_equal(ringwake_send(target, &event.msg), 0);
	doorbell_error = error;
}

static int resume_then_enter(int fd, unsigned min, unsigned flags, const void *arg, size_t size)
{
	if (min > 0)
		resume_sender();
	return real_system.enter(fd, min, flags, arg, size);
}

static int resume_then_poll(struct pollfd *entry, const struct timespec *timeout)
{
	resume_sender();
	return real_system.poll(entry, timeout);
}

static void hook_waits(void)
{
	hook_doorbell();
	ringwake_system.enter = resume_then_enter;
	ringwake_system.poll = resume_then_poll;
}

static void *send_refused(void *message)
{
	return (void *)(intptr_t)ringwake_send(target, message);
}

/* The loop wakes for another reason. It may have armed again before the doorbell is refused. */
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
			hook_waits();
			for (unsigned i = 0; i < failures; i++) {
				assert_arms();
				fail_late(i % 2);
			}
			assert_arms();
			stop_halfway(false);
			assert_int_equal(ringwake_event_close(&event), 0);
			assert_int_equal(ringwake_send(target, &message.msg), 0);
			assert_is_notified();
			assert_int_equal(disarm_and_dispatch(), 1);
			assert_int_equal(events, 0);
			unhook();
			assert_works();
			close_kind();
		}
	}
}

/* The loop's own doorbell would be refused, so the loop must not need it. */
static void test_event_closed_while_doorbells_fail(void **state)
{
	(void)state;
	for (int with_another = 0; with_another < 2; with_another++) {
		FOR_EACH_KIND(setup)
		{
			struct counted message = {.msg.fn = count_message};
			hook_waits();
			assert_arms();
			stop_halfway(with_another);
			doorbell_error = -ENOMEM;
			assert_int_equal(ringwake_event_close(&event), 0);
			doorbell_error = 0;
			if (!with_another)
				assert_int_equal(ringwake_send(target, &message.msg), 0);
			assert_is_notified();
			assert_int_equal(disarm_and_dispatch(), 1);
			assert_int_equal(extra.count + message.count, 1);
			unhook();
			assert_works();
			close_kind();
		}
	}
}

/* The doorbell of an earlier message was refused: the next send must make the system call, even
 * though the loop has already run that message. */
static void test_event_closed_after_a_refused_doorbell(void **state)
{
	(void)state;
	for (int is_taken = 0; is_taken < 2; is_taken++) {
		FOR_EACH_KIND(setup)
		{
			struct counted message = {.msg.fn = count_message}, last = message;
			struct ringwake_event queued;
			hook_waits();
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
			assert_is_notified();
			assert_int_equal(disarm_and_dispatch(), is_taken ? 3 : 4);
			assert_int_equal(message.count, 1);
			unhook();
			assert_works();
			close_kind();
		}
	}
}

/* Only a wake was refused: the word has NOTIFIED and ARMED, and no message is queued. */
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
		assert_is_notified();
		assert_int_equal(disarm_and_dispatch(), 1);
		unhook();
		assert_works();
		close_kind();
	}
}

static struct ringwake_event other;
static void close_both_events(struct ringwake_event *first)
{
	events++;
	assert_int_equal(ringwake_event_close(&other), 0);
	assert_int_equal(ringwake_event_close(first), 0);
}

/* ringwake_close() runs callbacks that close events while no sender is about to notify. */
static void test_callback_of_close_closes_an_event(void **state)
{
	(void)state;
	enum { AWAKE, ARMED, RUNG, REFUSED, KINDS };
	for (int how = AWAKE; how < KINDS; how++) {
		for (int is_queued = 0; is_queued < 2; is_queued++) {
			FOR_EACH_KIND(setup)
			{
				hook_doorbell();
				ringwake_event_init(&event, target, close_both_events);
				ringwake_event_init(&other, target, count_event);
				if (how != AWAKE)
					assert_arms();
				doorbell_error = how == REFUSED ? -ENOMEM : 0;
				int sent = ringwake_event_send(&event);
				assert_int_equal(sent, doorbell_error);
				if (is_queued)
					ringwake_event_send(&other);
				if (how == ARMED)
					assert_is_notified();
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

/* The loop reads the eventfd only if a sender may have written it. */
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
			reads = 0; /* the doorbell was in progress when the loop disarmed */
			assert_reads(0);
		}
		assert_arms();
		assert_int_equal(ringwake_send(target, &message.msg), 0);
		assert_is_notified();
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
		ON_BOTH_PATHS(test_event_closed_while_doorbells_fail),
		ON_BOTH_PATHS(test_event_closed_after_a_refused_doorbell),
		ON_BOTH_PATHS(test_refused_wake),
		ON_BOTH_PATHS(test_callback_of_close_closes_an_event),
		ON_BOTH_PATHS(test_reads_after_a_refused_doorbell),
	};
	return RUN_BOUNDED(armed_tests, 120);
}
