/* SPDX-License-Identifier: MIT */
/*
 * The MSG_RING form: a sender posts the doorbell's completion straight into the application's ring,
 * by a system call that needs no ring of the sender's. Linux 6.13 and newer have it.
 */
#include <ringwake/liburing-compat.h>
#include <string.h>

#include "form.h"

/* Of linux/io_uring.h, newer than the headers that liburing 2.3 brings. */
#define MSG_RING_FLAGS_PASS (1U << 1)

static void prepare(struct io_uring_sqe *sqe, int fd, uint64_t user_data, int32_t result)
{
	memset(sqe, 0, sizeof *sqe);
	sqe->opcode = IORING_OP_MSG_RING;
	sqe->fd = fd;
	sqe->len = (uint32_t)result;
	sqe->off = user_data;
}

static int send_request(const struct io_uring_sqe *sqe)
{
	int result, attempts = 0;
	do
		result = ringwake_system.register_ring(-1, RINGWAKE_REGISTER_SEND_MSG_RING, sqe, 1);
	while (ringwake_try_again(result, &attempts));
	return result;
}

/* A kernel that has sync MSG_RING first tries to read the request. Any other answer is a refusal.
 */
int ringwake_msg_ring_probe(void)
{
	int result = ringwake_system.register_ring(
		-1, RINGWAKE_REGISTER_SEND_MSG_RING, (const void *)UINTPTR_MAX, 1);
	if (result == -EFAULT)
		return 0;
	return result < 0 ? result : -EINVAL;
}

int ringwake_msg_ring_open(struct doorbell *doorbell, const struct io_uring *ring)
{
	doorbell->fd = ring->ring_fd;
	prepare(doorbell->request, doorbell->fd, doorbell->user_data, 0);
	return 0;
}

static int open_on_application(struct doorbell *doorbell)
{
	int error = ringwake_msg_ring_probe();
	return error < 0 ? error : ringwake_msg_ring_open(doorbell, doorbell->application);
}

/* -EOVERFLOW: the queue is full, so the kernel does not block the loop. */
int ringwake_msg_ring_notify(const struct doorbell *doorbell)
{
	int result = send_request(doorbell->request);
	return result == -EOVERFLOW ? 0 : result;
}

static int post(const struct doorbell *doorbell, uint64_t user_data, int32_t result)
{
	struct io_uring_sqe sqe;
	prepare(&sqe, doorbell->fd, user_data, result);
	return send_request(&sqe);
}

int ringwake_msg_ring_repost(const struct doorbell *doorbell, const struct io_uring_cqe *completion)
{
	struct io_uring_sqe sqe;
	prepare(&sqe, doorbell->application->ring_fd, completion->user_data, completion->res);
	sqe.file_index = completion->flags;
	sqe.rw_flags = MSG_RING_FLAGS_PASS;
	return send_request(&sqe);
}

static void close_on_application(struct doorbell *doorbell)
{
	ringwake_doorbell_submit(doorbell);
	ringwake_doorbell_purge(doorbell);
}

const struct doorbell_form ringwake_form_msg_ring = {
	.path = RINGWAKE_PATH_MSG_RING,
	.open = open_on_application,
	.notify = ringwake_msg_ring_notify,
	.post = post,
	.block = ringwake_ring_block,
	.close = close_on_application,
};
