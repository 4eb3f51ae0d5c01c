/* SPDX-License-Identifier: MIT */
/* The application resizes its ring's queues (Linux 6.13), which moves them to other addresses. */
#include <sys/mman.h>

#include "rings.h"

/* The headers of liburing 2.3 do not define it. */
#define REGISTER_RESIZE_RINGS 33
#define SETUP_NO_SQARRAY      (1U << 16)

static struct io_uring ring;
static struct ringwake *target;

/* The kernel does not report the offset of the submission array, which follows the completions. */
static unsigned array_offset(const struct io_uring_params *params)
{
	unsigned end = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
	return params->sq_off.array ? params->sq_off.array : (end + 63) / 64 * 64;
}

/* Does what io_uring_resize_rings(3) does, which liburing 2.3 does not have. The caller must have
 * submitted all prepared requests. */
static int try_to_resize(unsigned entries, unsigned completions)
{
	struct io_uring before = ring;
	struct io_uring_params params = {
		.flags = IORING_SETUP_CQSIZE, .sq_entries = entries, .cq_entries = completions};
	assert_int_equal(io_uring_sq_ready(&ring), 0);
	int error = ringwake_system.register_ring(ring.ring_fd, REGISTER_RESIZE_RINGS, &params, 1);
	if (error < 0)
		return error;
	params.flags = before.flags;
	params.features = before.features;
	bool has_array = !(before.flags & SETUP_NO_SQARRAY);
	if (has_array)
		params.sq_off.array = array_offset(&params);
	munmap(before.sq.ring_ptr, before.sq.ring_sz);
	munmap(before.sq.sqes, before.sq.ring_entries * sizeof *before.sq.sqes);
	struct io_uring mapped;
	assert_int_equal(io_uring_queue_mmap(before.ring_fd, &params, &mapped), 0);
	ring.sq = mapped.sq;
	ring.cq = mapped.cq;
	ring.sq.sqe_head = ring.sq.sqe_tail = *ring.sq.ktail;
	for (unsigned i = 0; has_array && i < ring.sq.ring_entries; i++)
		ring.sq.array[i] = i;
	return 0;
}

static void resize(unsigned entries, unsigned completions)
{
	assert_int_equal(try_to_resize(entries, completions), 0);
}

static void begin(void)
{
	if (!make_ring_of(&ring, 8, 16, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN))
		skip();
	if (try_to_resize(8, 16) == -EINVAL) {
		print_message("this kernel cannot resize rings\n");
		io_uring_queue_exit(&ring);
		skip();
	}
	target = open_doorbell(&ring);
}

static const struct {
	unsigned entries, completions;
} sizes[] = {{16, 64}, {4, 8}, {32, 256}, {8, 16}, {1, 4}};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void test_between_sleeps(void **state)
{
	(void)state;
	begin();
	for (int i = 0; i < SIZES; i++) {
		resize(sizes[i].entries, sizes[i].completions);
		assert_wakes(&ring, target);
		assert_wakes(&ring, target);
	}
	close_clean(&ring, target);
}

/* A callback of the loop may resize the ring, even between arm and the wait. */
static void test_while_armed(void **state)
{
	(void)state;
	begin();
	for (int i = 0; i < SIZES; i++) {
		arm(&ring, target);
		resize(sizes[i].entries, sizes[i].completions);
		assert_wakes_armed(&ring, target);
		assert_wakes(&ring, target);
	}
	close_clean(&ring, target);
}

/* Doorbells and the application's completions move with the queue. */
static void test_with_completions_queued(void **state)
{
	(void)state;
	for (int i = 0; i < SIZES; i++) {
		for (int is_rung = 0; is_rung < 2; is_rung++) {
			struct counted message = {.msg.fn = count_message};
			begin();
			arm(&ring, target);
			for (int nops = 0; nops < 3; nops++)
				prepare_nop(&ring, 1);
			assert_true(io_uring_submit(&ring) >= 0);
			if (is_rung) {
				assert_int_equal(ringwake_send(target, &message.msg), 0);
				io_uring_get_events(&ring);
			}
			resize(sizes[i].entries, sizes[i].completions);
			if (!is_rung)
				assert_int_equal(ringwake_send(target, &message.msg), 0);
			ringwake_disarm(target);
			assert_int_equal(ringwake_dispatch(target, 0), 1);
			ringwake_close(target);
			assert_int_equal(io_uring_cq_ready(&ring), 3);
			assert_nothing_left(&ring);
			io_uring_queue_exit(&ring);
		}
	}
}

int main(void)
{
	const struct CMUnitTest resize_tests[] = {
		ON_BOTH_PATHS(test_between_sleeps),
		ON_BOTH_PATHS(test_while_armed),
		ON_BOTH_PATHS(test_with_completions_queued),
	};
	return RUN_BOUNDED(resize_tests, 60);
}
