/* SPDX-License-Identifier: MIT */
/* The sync MSG_RING call itself, through both names of its helper. */
#include <ringwake/liburing-compat.h>
#include <sys/eventfd.h>

#include "../common.h"

static bool missing(void)
{
	if (syscall(SYS_io_uring_register, -1, RINGWAKE_REGISTER_SEND_MSG_RING, (void *)UINTPTR_MAX,
		    1) == -1 &&
		errno == EFAULT)
		return false;
	print_message("this kernel has no sync MSG_RING: %s\n", strerror(errno));
	return true;
}

static struct io_uring_sqe message_to(int fd)
{
	struct io_uring_sqe sqe;
	memset(&sqe, 0, sizeof sqe);
	io_uring_prep_msg_ring(&sqe, fd, 0x20, 0x5aa5, 0);
	return sqe;
}

struct receiver {
	unsigned flags;
	pthread_barrier_t ready;
	int fd, opened;
	int result; /* written by the thread until it ends */
	uint64_t user_data;
	int32_t res;
};

static void *receive(void *argument)
{
	struct receiver *receiver = argument;
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	receiver->opened = io_uring_queue_init(8, &ring, receiver->flags);
	receiver->fd = ring.ring_fd;
	pthread_barrier_wait(&receiver->ready);
	if (receiver->opened < 0)
		return NULL;
	/* A wait on an IOPOLL ring returns at once if nothing is to be polled, so wait repeatedly.
	 */
	do {
		receiver->result = io_uring_wait_cqe(&ring, &cqe);
	} while (receiver->result == -EAGAIN || receiver->result == -EINTR);
	if (receiver->result == 0) {
		receiver->user_data = cqe->user_data;
		receiver->res = cqe->res;
		io_uring_cqe_seen(&ring, cqe);
	}
	io_uring_queue_exit(&ring);
	return NULL;
}

static void test_delivery_to_another_thread(void **state)
{
	(void)state;
	if (missing())
		skip();
	static const unsigned flags[] = {
		0,
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		IORING_SETUP_IOPOLL,
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_IOPOLL,
	};
	for (unsigned i = 0; i < 2 * sizeof flags / sizeof *flags; i++) {
		struct receiver receiver = {.flags = flags[i / 2]};
		pthread_barrier_init(&receiver.ready, NULL, 2);
		pthread_t thread = start(receive, &receiver);
		pthread_barrier_wait(&receiver.ready);
		assert_int_equal(receiver.opened, 0);
		struct io_uring_sqe sqe = message_to(receiver.fd);
		int result = i % 2 ? io_uring_register_sync_msg(&sqe)
				   : io_uring_register_sync_msg_ring(&sqe);
		assert_int_equal(result, 0);
		join(thread);
		assert_int_equal(receiver.result, 0);
		assert_int_equal(receiver.res, 0x20);
		assert_int_equal(receiver.user_data, 0x5aa5);
		pthread_barrier_destroy(&receiver.ready);
	}
}

static void test_ring_sends_to_itself(void **state)
{
	(void)state;
	if (missing())
		skip();
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	assert_int_equal(io_uring_queue_init(8, &ring, 0), 0);
	struct io_uring_sqe sqe = message_to(ring.ring_fd);
	errno = 99;
	assert_int_equal(io_uring_register_sync_msg(&sqe), 0);
	assert_int_equal(io_uring_wait_cqe(&ring, &cqe), 0);
	assert_int_equal(cqe->res, 0x20);
	assert_int_equal(cqe->user_data, 0x5aa5);
	io_uring_cqe_seen(&ring, cqe);
	sqe.flags = IOSQE_ASYNC;
	assert_int_equal(io_uring_register_sync_msg(&sqe), -EINVAL);
	sqe = message_to(ring.ring_fd);
	sqe.opcode = IORING_OP_NOP;
	assert_int_equal(io_uring_register_sync_msg(&sqe), -EINVAL);
	sqe = message_to(ring.ring_fd);
	sqe.addr = IORING_MSG_SEND_FD;
	assert_int_equal(io_uring_register_sync_msg(&sqe), -EINVAL);
	sqe = message_to(ring.ring_fd);
	sqe.msg_ring_flags = 1u << 30;
	assert_int_equal(io_uring_register_sync_msg(&sqe), -EINVAL);
	assert_int_equal(errno, 99);
	assert_int_equal(io_uring_cq_ready(&ring), 0);
	io_uring_queue_exit(&ring);
}

static void test_targets_that_are_refused(void **state)
{
	(void)state;
	if (missing())
		skip();
	int fd = eventfd(0, EFD_CLOEXEC);
	struct io_uring_sqe sqe = message_to(fd);
	assert_int_equal(io_uring_register_sync_msg(&sqe), -EBADFD);
	close(fd);
	assert_int_equal(io_uring_register_sync_msg(&sqe), -EBADF);
	sqe.fd = -1;
	assert_int_equal(io_uring_register_sync_msg(&sqe), -EBADF);
	struct io_uring ring;
	assert_int_equal(io_uring_queue_init(8, &ring, IORING_SETUP_R_DISABLED), 0);
	sqe = message_to(ring.ring_fd);
	assert_int_equal(io_uring_register_sync_msg(&sqe), -EBADFD);
	/* liburing 2.3 declares io_uring_enable_rings() but does not export it. */
	assert_int_equal(
		io_uring_register((unsigned)ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0),
		0);
	assert_int_equal(io_uring_register_sync_msg(&sqe), 0);
	io_uring_queue_exit(&ring);
}

int main(void)
{
	const struct CMUnitTest sync_msg_tests[] = {
		cmocka_unit_test(test_delivery_to_another_thread),
		cmocka_unit_test(test_ring_sends_to_itself),
		cmocka_unit_test(test_targets_that_are_refused),
	};
	return RUN_BOUNDED(sync_msg_tests, 60);
}
