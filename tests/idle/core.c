/* SPDX-License-Identifier: MIT */
/*
 * core WAY: blocks in a target that is never woken, until the process is killed. idle.test reads
 * what the kernel counts meanwhile. own           ringwake_wait() on a target with its own ring
 *   ring          ringwake_wait() on the application's ring, which has a pending request
 *   ring-timeout  the same, with a timeout
 *   ring-spin     the same, after spinning
 *   features      prints the feature bits of io_uring_setup(2) and exits
 */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <ringwake/ringwake.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MINUTE INT64_C(60000000000)

/* The application's request never completes. */
static int open_ring(struct io_uring *ring)
{
	static int ends[2];
	if (pipe(ends) != 0)
		return -errno;
	int error = io_uring_queue_init(8, ring, 0);
	if (error < 0)
		return error;
	io_uring_prep_poll_add(io_uring_get_sqe(ring), ends[0], POLLIN);
	return io_uring_submit(ring);
}

int main(int argc, char **argv)
{
	const char *way = argc > 1 ? argv[1] : "";
	struct io_uring ring;
	struct ringwake *target;
	struct ringwake_params params = {.spin_ns = strcmp(way, "ring-spin") == 0 ? 1000000 : 0};
	bool is_private = strcmp(way, "own") == 0;
	int error = is_private ? 0 : open_ring(&ring);
	if (error >= 0 && strcmp(way, "features") == 0) {
		printf("%u\n", ring.features);
		return 0;
	}
	if (error >= 0)
		error = ringwake_open(&target, is_private ? NULL : &ring, &params);
	if (error < 0) {
		fprintf(stderr, "%s: %s\n", way, strerror(-error));
		return 1;
	}
	puts("ready");
	fflush(stdout);
	int result = ringwake_wait(target, strcmp(way, "ring-timeout") == 0 ? MINUTE : -1);
	fprintf(stderr, "%s: woken: %d\n", way, result);
	return 1;
}
