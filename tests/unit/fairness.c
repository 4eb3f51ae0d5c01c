/* SPDX-License-Identifier: MIT */
/* Promise 7: a flood of messages does not starve the loop's other input and output. */
#include <fcntl.h>
#include <liburing.h>

#include "hooks.h"

enum { FLOOD = 1000000, BATCH = 128 };

static struct counted *flood;
static unsigned since_io, longest_without_io;

static void on_flood(struct ringwake_msg *msg)
{
	((struct counted *)msg)->count++;
	if (++since_io > longest_without_io)
		longest_without_io = since_io;
}

static void *send_flood(void *target)
{
	for (unsigned i = 0; i < FLOOD; i++) {
		flood[i] = (struct counted){.msg.fn = on_flood};
		if (ringwake_send(target, &flood[i].msg) != 0)
			abort();
	}
	return NULL;
}

/* A million messages are queued before the loop starts. The loop reads an always readable pipe in
 * every iteration. The pipe is non-blocking, because before 6.5 the kernel reads blocking pipes in
 * a worker thread, some iterations later. */
static void test_flood_and_pipe(void **state)
{
	(void)state;
	struct io_uring ring;
	int ends[2];
	char byte = 0;
	assert_int_equal(io_uring_queue_init(8, &ring, 0), 0);
	struct ringwake *target = open_target_with(&ring, (struct ringwake_params){.batch = BATCH});
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	flood = calloc(FLOOD, sizeof *flood);
	join(start(send_flood, target));
	since_io = longest_without_io = 0;
	bool reading = false;
	unsigned ran = 0, reads = 0;
	while (ran < FLOOD) {
		if (!reading) {
			assert_int_equal(write(ends[1], &byte, 1), 1);
			struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
			io_uring_prep_read(sqe, ends[0], &byte, 1, 0);
			io_uring_sqe_set_data64(sqe, 1);
			reading = true;
		}
		int result = ringwake_wait(target, -1);
		assert_true(result >= 0 && result <= BATCH);
		ran += (unsigned)result;
		struct io_uring_cqe *cqe;
		while (io_uring_peek_cqe(&ring, &cqe) == 0) {
			if (!ringwake_is_doorbell(target, cqe)) {
				reading = false;
				reads++;
				since_io = 0;
			}
			io_uring_cqe_seen(&ring, cqe);
		}
	}
	assert_true(longest_without_io <= BATCH);
	assert_true(reads >= FLOOD / BATCH - 1);
	for (unsigned i = 0; i < FLOOD; i++)
		assert_int_equal(flood[i].count, 1);
	free(flood);
	close(ends[0]);
	close(ends[1]);
	ringwake_close(target);
	io_uring_queue_exit(&ring);
}

int main(void)
{
	const struct CMUnitTest fairness_tests[] = {ON_BOTH_PATHS(test_flood_and_pipe)};
	return RUN_BOUNDED(fairness_tests, 120);
}
