/* SPDX-License-Identifier: MIT */
/* A loop that spins before it blocks. Each test hangs if its event does not end the spinning. */
#include <liburing.h>

#include "../../lib/system.h"
#include "../common.h"

static struct ringwake *open_spinning(struct io_uring *ring)
{
	return open_target_with(ring, (struct ringwake_params){.spin_ns = INT64_MAX, .batch = 1});
}

static void *send_one(void *argument)
{
	static struct counted message = {.msg.fn = count_message};
	if (ringwake_send(argument, &message.msg) != 0)
		abort();
	return NULL;
}

static void test_message_needs_no_doorbell(void **state)
{
	(void)state;
	struct ringwake *target = open_spinning(NULL);
	for (int i = 0; i < 100; i++) {
		pthread_t thread = start(send_one, target);
		assert_int_equal(ringwake_wait(target, -1), 1);
		join(thread);
	}
	assert_int_equal(stats_of(target).doorbells, 0);
	ringwake_close(target);
}

static void test_messages_that_are_left_over(void **state)
{
	(void)state;
	struct ringwake *target = open_spinning(NULL);
	struct counted messages[3];
	for (int i = 0; i < 3; i++) {
		messages[i] = (struct counted){.msg.fn = count_message};
		assert_int_equal(ringwake_send(target, &messages[i].msg), 0);
	}
	for (unsigned i = 0; i < 3; i++) {
		ringwake_spin(target, -1);
		assert_int_equal(ringwake_wait(target, -1), 1);
	}
	ringwake_close(target);
}

static void test_wake(void **state)
{
	(void)state;
	struct ringwake *target = open_spinning(NULL);
	assert_int_equal(ringwake_wake(target), 0);
	ringwake_spin(target, -1);
	assert_int_equal(ringwake_wait(target, -1), 0);
	ringwake_close(target);
}

static void test_timeout(void **state)
{
	(void)state;
	struct ringwake *target = open_spinning(NULL);
	ringwake_spin(target, 0);
	ringwake_spin(target, 1000000);
	assert_int_equal(ringwake_wait(target, 0), -ETIME);
	assert_int_equal(ringwake_wait(target, 1000000), -ETIME);
	ringwake_close(target);
}

static void test_what_is_left_of_the_timeout(void **state)
{
	(void)state;
	struct ringwake *target = open_target_with(NULL, (struct ringwake_params){.spin_ns = 1000});
	assert_int_equal(ringwake_spin(target, 3000), 2000);
	assert_int_equal(ringwake_spin(target, 1000), 0);
	assert_int_equal(ringwake_spin(target, 500), 0);
	assert_int_equal(ringwake_spin(target, -1), -1);
	ringwake_close(target);
}

static void test_target_that_does_not_spin(void **state)
{
	(void)state;
	struct ringwake *target =
		open_target_with(NULL, (struct ringwake_params){.spin_ns = RINGWAKE_SPIN_OFF});
	assert_int_equal(ringwake_spin(target, -1), -1);
	assert_int_equal(ringwake_spin(target, 1000), 1000);
	ringwake_close(target);
}

/* The first spin that fails skips no wait, and each next one twice as many and one more. */
static void test_adaptive(void **state)
{
	(void)state;
	struct ringwake *target =
		open_target_with(NULL, (struct ringwake_params){.spin_ns = RINGWAKE_SPIN_ADAPTIVE});
	for (int waits = 1; waits < 50; waits++) {
		bool spins = (waits & (waits - 1)) == 0; /* 1, 2, 4, 8, 16, 32 */
		int64_t left = ringwake_spin(target, 1000000);
		if ((left < 1000000) != spins)
			fail_msg("wait %d: %lld ns are left", waits, (long long)left);
	}
	ringwake_close(target);
}

/* A sender needs no doorbell while the loop spins, even if the loop has armed it. */
static void test_spin_disarms(void **state)
{
	(void)state;
	struct counted message = {.msg.fn = count_message};
	struct ringwake *target = open_target_with(NULL, (struct ringwake_params){.spin_ns = 1000});
	assert_true(ringwake_arm(target));
	assert_int_equal(ringwake_spin(target, -1), -1);
	assert_false(ringwake_is_armed(target));
	assert_int_equal(ringwake_send(target, &message.msg), 0);
	assert_int_equal(stats_of(target).doorbells, 0);
	assert_int_equal(ringwake_wait(target, -1), 1);
	ringwake_close(target);
}

static void test_closed_target(void **state)
{
	(void)state;
	struct ringwake *target = ringwake_ref(open_spinning(NULL));
	ringwake_close(target);
	ringwake_spin(target, -1);
	assert_int_equal(ringwake_wait(target, -1), -ECANCELED);
	ringwake_unref(target);
}

/* The application's requests are submitted before the loop spins. */
static void test_request_of_the_application(void **state)
{
	(void)state;
	struct io_uring ring;
	assert_int_equal(io_uring_queue_init(8, &ring, 0), 0);
	struct ringwake *target = open_spinning(&ring);
	for (unsigned i = 1; i <= 100; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, i);
		if (i % 2)
			ringwake_spin(target, -1);
		assert_int_equal(ringwake_wait(target, -1), 0);
		struct io_uring_cqe *completion;
		assert_int_equal(io_uring_peek_cqe(&ring, &completion), 0);
		assert_int_equal(completion->user_data, i);
		io_uring_cqe_seen(&ring, completion);
	}
	ringwake_close(target);
	io_uring_queue_exit(&ring);
}

/* Such a ring posts completions when its owner enters the kernel, so the loop must enter it. */
static void test_ring_that_posts_on_entry(void **state)
{
	(void)state;
	static const unsigned setups[] = {
		IORING_SETUP_COOP_TASKRUN, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
	for (int i = 0; i < 2; i++) {
		struct io_uring ring;
		struct __kernel_timespec limit = {.tv_nsec = 10000000};
		int error = io_uring_queue_init(8, &ring, setups[i]);
		if (error == -EINVAL)
			continue; /* the kernel does not know the setup */
		assert_int_equal(error, 0);
		struct ringwake *target = open_spinning(&ring);
		io_uring_prep_timeout(io_uring_get_sqe(&ring), &limit, 0, 0);
		assert_int_equal(ringwake_wait(target, -1), 0);
		assert_int_equal(io_uring_cq_ready(&ring), 1);
		ringwake_close(target);
		io_uring_queue_exit(&ring);
	}
}

static int refuse(struct io_uring *ring)
{
	(void)ring;
	return -EBUSY;
}

/* The wait returns the error, and the application may try again. */
static void test_refused_submission(void **state)
{
	(void)state;
	struct io_uring ring;
	assert_int_equal(io_uring_queue_init(8, &ring, 0), 0);
	struct ringwake *target = open_spinning(&ring);
	io_uring_prep_nop(io_uring_get_sqe(&ring));
	struct ringwake_system system = ringwake_system;
	ringwake_system.submit = refuse;
	assert_int_equal(ringwake_wait(target, -1), -EBUSY);
	ringwake_system = system;
	assert_int_equal(ringwake_wait(target, -1), 0);
	struct io_uring_cqe *completion;
	assert_int_equal(io_uring_peek_cqe(&ring, &completion), 0);
	assert_false(ringwake_is_doorbell(target, completion));
	ringwake_close(target);
	assert_int_equal(io_uring_cq_ready(&ring), 1);
	io_uring_queue_exit(&ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_message_needs_no_doorbell),
		ON_BOTH_PATHS(test_messages_that_are_left_over),
		ON_BOTH_PATHS(test_wake),
		ON_BOTH_PATHS(test_timeout),
		ON_BOTH_PATHS(test_what_is_left_of_the_timeout),
		ON_BOTH_PATHS(test_target_that_does_not_spin),
		ON_BOTH_PATHS(test_adaptive),
		ON_BOTH_PATHS(test_spin_disarms),
		ON_BOTH_PATHS(test_closed_target),
		ON_BOTH_PATHS(test_request_of_the_application),
		ON_BOTH_PATHS(test_ring_that_posts_on_entry),
		ON_BOTH_PATHS(test_refused_submission),
	};
	return RUN_BOUNDED(tests, 60);
}
