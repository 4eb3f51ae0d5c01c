/* SPDX-License-Identifier: MIT */
/*
 * No doorbell arrives after close, wherever it waits: in the completion queue, in the kernel's
 * backlog of a queue that is full, or in work that a ring with DEFER_TASKRUN does later. The
 * application's completions are kept, with their flags and in their order.
 */
#include "rings.h"

#define FIRST 100 /* the user data of the application's first completion */

static struct io_uring ring;
static uint64_t posted, taken;

/* As a request of the application's would: flags of a multishot request, and a buffer's number. */
static uint32_t flags_of(uint64_t number)
{
	return number % 3 ? (uint32_t)number << IORING_CQE_BUFFER_SHIFT | IORING_CQE_F_BUFFER |
			IORING_CQE_F_MORE
			  : 0;
}

static void post(unsigned count)
{
	for (unsigned i = 0; i < count; i++, posted++) {
		struct io_uring_sqe sqe = {
			.opcode = IORING_OP_MSG_RING,
			.fd = ring.ring_fd,
			.off = FIRST + posted,
			.len = (uint32_t)-posted,
			.rw_flags = 2, /* hands on the flags */
			.file_index = flags_of(posted),
		};
		assert_int_equal(
			ringwake_system.register_ring(-1, RINGWAKE_REGISTER_SEND_MSG_RING, &sqe, 1),
			0);
	}
}

static void check_next(const struct io_uring_cqe *cqe)
{
	assert_int_equal(cqe->user_data, FIRST + taken);
	assert_int_equal(cqe->res, -(int)taken);
	assert_int_equal(cqe->flags, flags_of(taken));
	taken++;
}

/* All that the application's threads have posted is there, and nothing else. */
static void take_all(void)
{
	while (taken < posted) {
		struct __kernel_timespec patience = {.tv_sec = 10};
		struct io_uring_cqe *cqe;
		assert_int_equal(io_uring_wait_cqe_timeout(&ring, &cqe, &patience), 0);
		check_next(cqe);
		io_uring_cqe_seen(&ring, cqe);
	}
	assert_nothing_left(&ring);
}

static void ring_doorbell(struct ringwake *target)
{
	struct counted message = {.msg.fn = count_message};
	bool is_armed = ringwake_arm(target);
	if (test_path == RINGWAKE_PATH_MSG_RING)
		assert_true(is_armed);
	assert_int_equal(ringwake_send(target, &message.msg), 0);
	ringwake_disarm(target);
	assert_int_equal(ringwake_dispatch(target, 0), 1);
}

/* The application's completions before, between and behind the doorbells. */
static const struct order {
	unsigned before, doorbells, between, behind;
} orders[] = {
	{0, 1, 0, 0},
	{0, 3, 0, 0},
	{0, 40, 0, 0},
	{5, 1, 0, 0},
	{0, 1, 0, 5},
	{3, 2, 1, 3},
	{30, 1, 0, 0},
	{63, 2, 1, 0},
	{64, 1, 0, 64},
	{65, 5, 3, 70},
	{1000, 1, 0, 0},
	{500, 7, 10, 500},
	{0, 2, 0, 1000},
};
#define ORDERS (sizeof orders / sizeof *orders)

static const unsigned queue_sizes[] = {1, 4, 64, 2048};
#define SIZES (sizeof queue_sizes / sizeof *queue_sizes)

/* False if the kernel does not know the setup, or close does not search its backlog. */
static bool begin(const struct setup *setup, unsigned completions)
{
	posted = taken = 0;
	return searches_backlog(setup) && make_ring_of(&ring, 1, completions, setup->flags);
}

static struct ringwake *open_watching(void)
{
	struct ringwake *target = open_doorbell(&ring);
	arm(&ring, target);
	ringwake_disarm(target);
	return target;
}

static void fill(struct ringwake *target, const struct order *order)
{
	post(order->before);
	for (unsigned i = 0; i < order->doorbells; i++) {
		ring_doorbell(target);
		post(order->between);
	}
	post(order->behind);
}

static void test_close(void **state)
{
	(void)state;
	FOR_EACH_SETUP(setup)
	{
		for (unsigned i = 0; i < SIZES * ORDERS; i++) {
			if (!begin(setup, queue_sizes[i / ORDERS]))
				break;
			struct ringwake *target = open_watching();
			fill(target, &orders[i % ORDERS]);
			ringwake_close(target);
			take_all();
			io_uring_queue_exit(&ring);
		}
	}
}

/* The application has taken some, and looked at the backlog, when the target is closed. */
static void test_close_after_a_while(void **state)
{
	(void)state;
	FOR_EACH_SETUP(setup)
	{
		for (unsigned i = 0; i < ORDERS; i++) {
			if (!begin(setup, 4))
				break;
			struct ringwake *target = open_watching();
			fill(target, &orders[i]);
			struct io_uring_cqe *cqe;
			for (int turns = 0; turns < 3 && io_uring_peek_cqe(&ring, &cqe) == 0;
				turns++) {
				if (!ringwake_is_doorbell(target, cqe))
					check_next(cqe);
				io_uring_cqe_seen(&ring, cqe);
				ringwake_wait(target, 0);
			}
			ringwake_close(target);
			take_all();
			io_uring_queue_exit(&ring);
		}
	}
}

/* A closed target's doorbells go, and those of another stay. */
static void test_two_targets(void **state)
{
	(void)state;
	FOR_EACH_SETUP(setup)
	{
		for (unsigned i = 0; i < 2 * SIZES; i++) {
			if (!begin(setup, queue_sizes[i / 2]))
				break;
			struct ringwake *one = open_watching();
			struct ringwake *other = open_target(&ring);
			struct counted message = {.msg.fn = count_message};
			arm(&ring, other);
			if (i % 2)
				ring_doorbell(one);
			post(70);
			assert_int_equal(ringwake_send(other, &message.msg), 0);
			ring_doorbell(one);
			post(70);
			ringwake_close(one);
			bool is_woken = false;
			while (taken < posted || !is_woken) {
				struct __kernel_timespec patience = {.tv_sec = 10};
				struct io_uring_cqe *cqe;
				assert_int_equal(
					io_uring_wait_cqe_timeout(&ring, &cqe, &patience), 0);
				if (ringwake_is_doorbell(other, cqe))
					is_woken = true;
				else
					check_next(cqe);
				io_uring_cqe_seen(&ring, cqe);
			}
			ringwake_disarm(other);
			assert_int_equal(ringwake_dispatch(other, 0), 1);
			if (queue_sizes[i / 2] > 1)
				assert_wakes(&ring, other);
			ringwake_close(other);
			assert_nothing_left(&ring);
			io_uring_queue_exit(&ring);
		}
	}
}

/* Requests that post nothing come first when the ring does what it has deferred. */
static void test_behind_silent_requests(void **state)
{
	(void)state;
	FOR_EACH_SETUP(setup)
	{
		enum { REQUESTS = 100 };
		posted = taken = 0;
		if (!make_ring(&ring, REQUESTS, setup->flags))
			continue;
		struct ringwake *target = open_watching();
		fire_silent_requests(&ring, REQUESTS);
		ring_doorbell(target);
		ringwake_close(target);
		for (int i = 0; i < REQUESTS; i++)
			io_uring_get_events(&ring);
		assert_int_equal(io_uring_cq_ready(&ring), 0);
		io_uring_queue_exit(&ring);
	}
}

/* Opened and closed again and again, with the same user data, beside a queue that is full. */
static void test_again(void **state)
{
	(void)state;
	FOR_EACH_SETUP(setup)
	{
		if (!begin(setup, 4))
			continue;
		post(10);
		for (int round = 0; round < 10; round++) {
			struct ringwake *target = open_doorbell(&ring);
			ring_doorbell(target);
			ringwake_close(target);
		}
		take_all();
		io_uring_queue_exit(&ring);
	}
}

int main(void)
{
	const struct CMUnitTest backlog_tests[] = {
		ON_BOTH_PATHS(test_close),
		ON_BOTH_PATHS(test_close_after_a_while),
		ON_BOTH_PATHS(test_two_targets),
		ON_BOTH_PATHS(test_behind_silent_requests),
		ON_BOTH_PATHS(test_again),
	};
	return RUN_BOUNDED(backlog_tests, 120);
}
