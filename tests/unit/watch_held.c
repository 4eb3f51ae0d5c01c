/* SPDX-License-Identifier: MIT */
/*
 * The kernel may delay or refuse the poll request of the eventfd path, or may not get it. In these
 * cases the loop does not block without its doorbell, close returns, and the target works
 * afterwards.
 */
#include "rings.h"

/* The application's reads are pending until the pipe is written. */
static int pipe_ends[2];
static char byte;

static struct io_uring_sqe *prepare_read(struct io_uring *ring, uint64_t user_data)
{
	struct io_uring_sqe *sqe = get_sqe(ring);
	io_uring_prep_read(sqe, pipe_ends[0], &byte, 1, 0);
	io_uring_sqe_set_data64(sqe, user_data);
	return sqe;
}

static void end_read(void)
{
	assert_int_equal(write(pipe_ends[1], "x", 1), 1);
}

/* On a busy machine the read may be pending for a while after the write. */
static void wait_for_read(struct io_uring *ring, struct ringwake *target)
{
	while (byte != 'x') {
		ringwake_wait(target, 1000000);
		take_completions(ring, target);
	}
}

static void prepare_drain(struct io_uring *ring)
{
	prepare_read(ring, 1);
	prepare_nop(ring, 2)->flags |= IOSQE_IO_DRAIN;
}

static void prepare_open_chain(struct io_uring *ring)
{
	prepare_read(ring, 1)->flags |= IOSQE_IO_LINK;
}

static void (*const holds[])(struct io_uring *ring) = {prepare_drain, prepare_open_chain};

static bool make_pipe_and_ring(struct io_uring *ring, unsigned flags)
{
	assert_int_equal(pipe(pipe_ends), 0);
	byte = '\0';
	return make_ring(ring, 8, flags);
}

static void close_pipe(void)
{
	close(pipe_ends[0]);
	close(pipe_ends[1]);
}

/* The loop is woken, or it does not block and returns the reason. */
static void try_to_wake(struct io_uring *ring, struct ringwake *target)
{
	struct counted message = {.msg.fn = count_message};
	if (ringwake_arm(target)) {
		assert_wakes_armed(ring, target);
		return;
	}
	ringwake_disarm(target);
	prepare_nop(ring, 3);
	int result = ringwake_wait(target, PATIENCE_NS);
	assert_true(result == 0 || result == -EBUSY);
	/* The SQPOLL thread may have to submit it first. */
	while (io_uring_sq_ready(ring) > 0) {
		assert_true(ring->flags & IORING_SETUP_SQPOLL);
		sched_yield();
	}
	assert_int_equal(ringwake_send(target, &message.msg), 0);
	assert_int_equal(ringwake_dispatch(target, 0), 1);
}

/* True if the ring allows the loop to block after a while. Linux 6.18 can lose drained requests,
 * even without a target. */
static bool allows_blocking(struct io_uring *ring, struct ringwake *target, bool may_be_forgotten)
{
	for (unsigned i = 0; i < 100 || !may_be_forgotten; i++) {
		if (i < 4)
			prepare_nop(ring, 3);
		int result = ringwake_wait(target, 10000000);
		assert_true(result == 0 || result == -EBUSY || result == -ETIME);
		take_completions(ring, target);
		if (i > 4 && ringwake_arm(target))
			return true;
	}
	return false;
}

static void test_held_back(void **state)
{
	(void)state;
	FOR_EACH_SETUP(setup)
	{
		for (int i = 0; i < 2; i++) {
			struct io_uring ring;
			if (!make_pipe_and_ring(&ring, setup->flags))
				break;
			struct ringwake *target = open_doorbell(&ring);
			holds[i](&ring);
			for (int round = 0; round < 3; round++)
				try_to_wake(&ring, target);
			end_read();
			bool may_be_forgotten = holds[i] == prepare_drain;
			if (allows_blocking(&ring, target, may_be_forgotten)) {
				assert_wakes_armed(&ring, target);
				assert_wakes(&ring, target);
			}
			if (!may_be_forgotten)
				wait_for_read(&ring, target);
			ringwake_close(target);
			if (!may_be_forgotten)
				assert_nothing_left(&ring);
			io_uring_queue_exit(&ring);
			close_pipe();
		}
	}
}

/* The poll request is pending, so a request with IOSQE_IO_DRAIN waits until the target is closed.
 */
static void test_drain_behind_the_request(void **state)
{
	(void)state;
	FOR_EACH_SETUP(setup)
	{
		struct io_uring ring;
		if (!make_pipe_and_ring(&ring, setup->flags))
			continue;
		struct ringwake *target = open_doorbell(&ring);
		assert_wakes(&ring, target);
		prepare_nop(&ring, 2)->flags |= IOSQE_IO_DRAIN;
		for (int round = 0; round < 3; round++)
			assert_wakes(&ring, target);
		take_completions(&ring, target);
		ringwake_close(target);
		for (int i = 0; i < 100; i++)
			io_uring_get_events(&ring);
		/* The drained request may be missing: Linux 6.18 can lose it. */
		struct io_uring_cqe *cqe;
		unsigned head;
		io_uring_for_each_cqe(&ring, head, cqe) assert_int_equal(cqe->user_data, 2);
		io_uring_queue_exit(&ring);
		close_pipe();
	}
}

/* Close returns. It cannot remove a poll request that waits behind the application's drain. */
static void test_close_while_the_request_is_delayed(void **state)
{
	(void)state;
	FOR_EACH_SETUP(setup)
	{
		for (int i = 0; i < 2; i++) {
			struct io_uring ring;
			if (!make_pipe_and_ring(&ring, setup->flags))
				break;
			struct ringwake *target = open_doorbell(&ring);
			holds[i](&ring);
			try_to_wake(&ring, target);
			ringwake_close(target);
			assert_true(io_uring_submit(&ring) >= 0);
			end_read();
			await_completion(&ring, 1);
			if (holds[i] != prepare_drain)
				assert_nothing_left(&ring);
			io_uring_queue_exit(&ring);
			close_pipe();
		}
	}
}

static int submit_error;
static int refusing_submit(struct io_uring *ring)
{
	return submit_error ? submit_error : real_system.submit(ring);
}

/* The library's submission is refused, but the application's own submission works. */
static void test_submitted_by_the_application(void **state)
{
	(void)state;
	FOR_EACH_SETUP(setup)
	{
		for (int closes_at_once = 0; closes_at_once < 2; closes_at_once++) {
			struct io_uring ring;
			if (!make_ring(&ring, 8, setup->flags))
				break;
			struct ringwake *target = open_doorbell(&ring);
			hook_doorbell();
			ringwake_system.submit = refusing_submit;
			submit_error = -EAGAIN;
			assert_int_equal(ringwake_arm(target), test_path == RINGWAKE_PATH_MSG_RING);
			ringwake_disarm(target);
			assert_true(io_uring_submit(&ring) >= 0);
			prepare_nop(&ring, 1);
			if (!closes_at_once) {
				submit_error = 0;
				assert_wakes(&ring, target);
				submit_error = -EAGAIN;
				ringwake_arm(target);
			}
			ringwake_close(target);
			unhook();
			assert_nothing_left(&ring);
			io_uring_queue_exit(&ring);
		}
	}
}

/* The kernel stops at an invalid request and does not read the requests behind it. */
static void test_behind_a_wrong_request(void **state)
{
	(void)state;
	FOR_EACH_SETUP(setup)
	{
		struct io_uring ring;
		if (!make_ring(&ring, 8, setup->flags))
			continue;
		struct ringwake *target = open_doorbell(&ring);
		for (int i = 0; i < 3; i++)
			prepare_nop(&ring, 1)->opcode = 255;
		for (unsigned own = 0; own < 3;) {
			assert_int_equal(ringwake_wait(target, PATIENCE_NS), 0);
			own += take_completions(&ring, target);
		}
		assert_wakes(&ring, target);
		close_clean(&ring, target);
	}
}

/* A ring may first run deferred task work, a few requests at a time, without a completion. */
static void test_behind_silent_requests(void **state)
{
	(void)state;
	FOR_EACH_SETUP(setup)
	{
		enum { REQUESTS = 100 };
		struct io_uring ring;
		if (!make_ring(&ring, REQUESTS, setup->flags))
			continue;
		struct ringwake *target = open_doorbell(&ring);
		fire_silent_requests(&ring, REQUESTS);
		assert_true(ringwake_arm(target));
		assert_wakes_armed(&ring, target);
		ringwake_close(target);
		io_uring_queue_exit(&ring);
	}
}

#define MAY(kind, what)                                                                            \
	{                                                                                          \
		.opcode = IORING_RESTRICTION_##kind, .sqe_op = what                                \
	}
static struct io_uring_restriction restrictions[] = {
	MAY(SQE_OP, IORING_OP_NOP),
	MAY(SQE_OP, IORING_OP_ASYNC_CANCEL),
	MAY(SQE_FLAGS_ALLOWED, IOSQE_CQE_SKIP_SUCCESS),
	MAY(REGISTER_OP, IORING_REGISTER_SYNC_CANCEL),
	MAY(SQE_OP, IORING_OP_POLL_ADD),
};

static bool make_restricted_ring(struct io_uring *ring, unsigned flags, bool polls, bool cancels)
{
	unsigned count = sizeof restrictions / sizeof *restrictions;
	restrictions[3].register_op = cancels ? IORING_REGISTER_SYNC_CANCEL : IORING_REGISTER_PROBE;
	if (!make_ring(ring, 8, flags | IORING_SETUP_R_DISABLED))
		return false;
	assert_int_equal(ringwake_system.register_ring(ring->ring_fd, IORING_REGISTER_RESTRICTIONS,
				 restrictions, count - !polls),
		0);
	assert_int_equal(
		ringwake_system.register_ring(ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0),
		0);
	return true;
}

static void test_restrictions(void **state)
{
	(void)state;
	FOR_EACH_SETUP(setup)
	{
		for (int i = 0; i < 4; i++) {
			bool polls = i & 1, cancels = i & 2;
			struct io_uring ring;
			if (!make_restricted_ring(&ring, setup->flags, polls, cancels))
				break;
			struct ringwake *target = open_doorbell(&ring);
			struct counted message = {.msg.fn = count_message};
			if (polls || test_path == RINGWAKE_PATH_MSG_RING) {
				for (int round = 0; round < 3; round++)
					assert_wakes(&ring, target);
			} else {
				for (int round = 0; round < 3; round++) {
					assert_int_equal(ringwake_wait(target, -1), -EACCES);
					assert_false(ringwake_arm(target));
					take_completions(&ring, target);
				}
				assert_int_equal(ringwake_send(target, &message.msg), 0);
				assert_int_equal(ringwake_wait(target, -1), 1);
			}
			close_clean(&ring, target);
		}
	}
}

int main(void)
{
	const struct CMUnitTest held_tests[] = {
		ON_BOTH_PATHS(test_held_back),
		ON_BOTH_PATHS(test_drain_behind_the_request),
		ON_BOTH_PATHS(test_close_while_the_request_is_delayed),
		ON_BOTH_PATHS(test_submitted_by_the_application),
		ON_BOTH_PATHS(test_behind_a_wrong_request),
		ON_BOTH_PATHS(test_behind_silent_requests),
		ON_BOTH_PATHS(test_restrictions),
	};
	return RUN_BOUNDED(held_tests, 120);
}
