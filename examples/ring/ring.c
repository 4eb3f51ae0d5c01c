/* SPDX-License-Identifier: MIT */
/* A target on the application's own io_uring: one wait returns completions and wakes. */
#include <liburing.h>
#include <pthread.h>
#include <ringwake/ringwake.h>
#include <stdio.h>
#include <string.h>

/* linux/io_uring.h has these since Linux 6.15; older headers do not. */
#define FEATURE_NO_IOWAIT (1U << 17)
#define ENTER_NO_IOWAIT   (1U << 7)

static int messages;

static void on_message(struct ringwake_msg *msg)
{
	(void)msg;
	messages++;
}

static void *send_three(void *target)
{
	static struct ringwake_msg message[3];
	for (int i = 0; i < 3; i++) {
		message[i].fn = on_message;
		ringwake_send(target, &message[i]);
	}
	return NULL;
}

static void prepare_timeout(struct io_uring *ring, struct __kernel_timespec *interval)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	io_uring_prep_timeout(sqe, interval, 0, 0);
	io_uring_sqe_set_data64(sqe, 1);
}

/* With the flag the kernel does not count an idle loop as waiting for I/O. */
static void wait_for_completion(struct io_uring *ring)
{
	unsigned flags = IORING_ENTER_GETEVENTS;
	if (ring->features & FEATURE_NO_IOWAIT)
		flags |= ENTER_NO_IOWAIT;
	io_uring_enter(ring->ring_fd, 0, 1, flags, NULL);
}

/* Marks all completions as seen. Returns how many were the application's. */
static int reap(struct io_uring *ring, const struct ringwake *target)
{
	struct io_uring_cqe *cqe;
	unsigned head, seen = 0;
	int own = 0;
	io_uring_for_each_cqe(ring, head, cqe)
	{
		seen++;
		if (!ringwake_is_doorbell(target, cqe))
			own++;
	}
	io_uring_cq_advance(ring, seen);
	return own;
}

int main(void)
{
	struct io_uring ring;
	struct ringwake *target;
	struct __kernel_timespec interval = {.tv_nsec = 10000000};
	int error = io_uring_queue_init(8, &ring, 0);
	if (error == 0)
		error = ringwake_open(&target, &ring, NULL);
	if (error < 0) {
		fprintf(stderr, "no ring, or no target on it: %s\n", strerror(-error));
		return 1;
	}

	pthread_t thread;
	if (pthread_create(&thread, NULL, send_three, target) != 0)
		return 1;
	prepare_timeout(&ring, &interval);
	for (int timeouts = 0; timeouts < 3 || messages < 3;) {
		/* If arm fails, messages wait, so the loop must not block. */
		bool armed = ringwake_arm(target);
		io_uring_submit(&ring);
		if (armed)
			wait_for_completion(&ring);
		ringwake_disarm(target);
		for (int own = reap(&ring, target); own > 0; own--) {
			timeouts++;
			prepare_timeout(&ring, &interval);
		}
		ringwake_dispatch(target, 0);
	}
	printf("3 timeouts and %d messages from one ring\n", messages);
	pthread_join(thread, NULL);
	ringwake_close(target);
	io_uring_queue_exit(&ring);
	return 0;
}
