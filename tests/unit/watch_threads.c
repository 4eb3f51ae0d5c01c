/* SPDX-License-Identifier: MIT */
/* The loop of a target on the application's ring moves between threads, or its thread ends. */
#include "rings.h"

static bool binds_a_thread(const struct setup *setup)
{
	return setup->flags & (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
}

static struct io_uring ring;
static struct ringwake *target;
static struct counted message;
static pthread_barrier_t meeting;

static void meet(void)
{
	pthread_barrier_wait(&meeting);
}

enum { MOVES = 50 };

static void use_in_turn(int parity)
{
	for (int move = 0; move < MOVES; move++) {
		if (move % 2 == parity) {
			assert_wakes(&ring, target);
			arm(&ring, target);
			unsigned before = io_uring_cq_ready(&ring);
			assert_int_equal(ringwake_send(target, &message.msg), 0);
			await_completion(&ring, DOORBELL);
			/* The first completion of a request may also be queued. */
			assert_true(io_uring_cq_ready(&ring) - before <= 2);
			ringwake_disarm(target);
			take_completions(&ring, target);
			assert_int_equal(ringwake_dispatch(target, 0), 1);
		}
		meet();
	}
}

static void *take_turns(void *unused)
{
	use_in_turn(1);
	meet(); /* keeps running while the target is closed */
	return unused;
}

static void test_moving_loop(void **state)
{
	(void)state;
	FOR_EACH_SETUP(setup)
	{
		if (binds_a_thread(setup) || !make_ring(&ring, 8, setup->flags))
			continue;
		pthread_barrier_init(&meeting, NULL, 2);
		message = (struct counted){.msg.fn = count_message};
		target = open_doorbell(&ring);
		pthread_t other = start(take_turns, NULL);
		use_in_turn(0);
		ringwake_close(target);
		assert_nothing_left(&ring);
		meet();
		join(other);
		assert_nothing_left(&ring);
		assert_int_equal(message.count, MOVES);
		io_uring_queue_exit(&ring);
		pthread_barrier_destroy(&meeting);
	}
}

static _Atomic bool stop;
static void *compute(void *unused)
{
	assert_wakes(&ring, target);
	meet();
	while (!stop)
		;
	return unused;
}

/* A thread that computes runs its task work only from time to time. */
static void test_close_while_the_former_thread_runs(void **state)
{
	(void)state;
	FOR_EACH_SETUP(setup)
	{
		for (int round = 0; round < 20; round++) {
			if (binds_a_thread(setup) || !make_ring(&ring, 8, setup->flags))
				break;
			pthread_barrier_init(&meeting, NULL, 2);
			stop = false;
			target = open_doorbell(&ring);
			pthread_t former = start(compute, NULL);
			meet();
			if (round % 2)
				assert_wakes(&ring, target);
			ringwake_close(target);
			stop = true;
			join(former);
			assert_nothing_left(&ring);
			io_uring_queue_exit(&ring);
			pthread_barrier_destroy(&meeting);
		}
	}
}

static const struct setup *its_setup;
static enum end { AWAKE, ARMED, RUNG, ENDS } its_end;

/* This thread creates the ring and is its only issuer. */
static void *end_early(void *unused)
{
	if (!make_ring(&ring, 8, its_setup->flags))
		return unused;
	target = open_doorbell(&ring);
	assert_wakes(&ring, target);
	if (its_end != AWAKE)
		arm(&ring, target);
	if (its_end == RUNG)
		assert_int_equal(ringwake_send(target, &message.msg), 0);
	return unused;
}

/* The loop's thread has ended. The thread that joined it closes the target or keeps using it. */
static void test_thread_that_ended(void **state)
{
	(void)state;
	ringwake_close(open_target(NULL)); /* skips the test in this thread */
	FOR_EACH_SETUP(setup)
	{
		its_setup = setup;
		for (its_end = 0; its_end < ENDS; its_end++) {
			target = NULL;
			message = (struct counted){.msg.fn = count_message};
			join(start(end_early, NULL));
			if (target == NULL)
				break;
			if (its_end != RUNG)
				assert_int_equal(ringwake_send(target, &message.msg), 0);
			if (!binds_a_thread(setup) && its_end == AWAKE) {
				ringwake_dispatch(target, 0);
				for (int i = 0; i < 3; i++)
					assert_wakes(&ring, target);
			}
			ringwake_close(target);
			assert_int_equal(message.count, 1);
			if (!binds_a_thread(setup))
				assert_nothing_left(&ring);
			io_uring_queue_exit(&ring);
		}
	}
}

int main(void)
{
	const struct CMUnitTest thread_tests[] = {
		ON_BOTH_PATHS(test_moving_loop),
		ON_BOTH_PATHS(test_close_while_the_former_thread_runs),
		ON_BOTH_PATHS(test_thread_that_ended),
	};
	return RUN_BOUNDED(thread_tests, 120);
}
