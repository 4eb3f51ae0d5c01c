/* SPDX-License-Identifier: MIT */
/*
 * No doorbell arrives after close. Close must remove it from the completion queue, from the
 * kernel's backlog of a full queue, and from the deferred task work of a ring with DEFER_TASKRUN.
 * The application's completions keep their flags and their order.
 */
#include "rings.h"

#define FIRST 100 /* the user data of the application's first completion */

static struct io_uring ring;
static uint64_t posted, taken;

/* The flags of a multishot request with a buffer number, as an application's request has them. */
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
			.rw_flags = 2, /* passes the flags on */
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

/* The queue holds all completions that the application's threads have posted, and no other. */
static void take_all(void)
{
	while (taken < posted) {
		struct __kernel_timespec patience = {.tv_sec = PATIENCE_SECONDS};
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

/* The application's completions are before, between and behind the doorbells. */
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

/* Returns false if the kernel does not know the setup, or if close does not search its backlog. */
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

/* Before the target is closed, the application reads some completions and flushes the backlog. */
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
			for (int tries = 0; tries < 3 && io_uring_peek_cqe(&ring, &cqe) == 0;
				tries++) {
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

/* Close removes the doorbells of its target and keeps those of another target. */
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
				struct __kernel_timespec patience = {.tv_sec = PATIENCE_SECONDS};
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

/* The deferred task work begins with requests that post no completion. */
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

/* Targets with the same user data are opened and closed repeatedly while the queue is full. */
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
