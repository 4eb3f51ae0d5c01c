/* SPDX-License-Identifier: MIT */
/* What an io_uring offers without a library: READ of an eventfd, FUTEX_WAIT, MSG_RING both ways. */
#include <errno.h>
#include <linux/futex.h>
#include <liburing.h>
#include <pthread.h>
#include <ringwake/liburing-compat.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "question.h"
#include "way.h"

/* Newer than the headers that liburing 2.3 brings. */
#define OP_FUTEX_WAIT 51
#define FUTEX_U32     0x02
#define FUTEX_PRIVATE 0x80

#define WOKEN 1 /* user_data of the completion that wakes */

struct loop {
	struct io_uring ring;
	woken_function woken;
	void *owner;
	bool stopped;
	int eventfd;
	uint64_t value;
	_Atomic uint32_t word;
	pthread_mutex_t lock;
	struct io_uring sender; /* guarded by lock */
};

static void *open_ring(woken_function woken, void *owner)
{
	struct loop *loop = calloc(1, sizeof *loop);
	check(loop != NULL, "memory");
	loop->woken = woken;
	loop->owner = owner;
	must(io_uring_queue_init(4, &loop->ring, 0), "io_uring_queue_init");
	must(io_uring_register_ring_fd(&loop->ring), "io_uring_register_ring_fd");
	return loop;
}

static void close_ring(void *argument)
{
	struct loop *loop = argument;
	io_uring_queue_exit(&loop->ring);
	free(loop);
}

static void stop(void *argument)
{
	struct loop *loop = argument;
	loop->stopped = true;
}

/* Submits what was prepared and takes one completion. */
static int32_t take_one(struct loop *loop)
{
	struct io_uring_cqe *completion;
	must(io_uring_submit_and_wait(&loop->ring, 1), "io_uring_submit_and_wait");
	must(io_uring_peek_cqe(&loop->ring, &completion), "io_uring_peek_cqe");
	int32_t result = completion->res;
	io_uring_cqe_seen(&loop->ring, completion);
	return result;
}

static void *open_read(woken_function woken, void *owner)
{
	struct loop *loop = open_ring(woken, owner);
	loop->eventfd = (int)must(eventfd(0, EFD_CLOEXEC), "eventfd");
	return loop;
}

static void run_read(void *argument)
{
	struct loop *loop = argument;
	while (!loop->stopped) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);
		io_uring_prep_read(sqe, loop->eventfd, &loop->value, sizeof loop->value, 0);
		must(take_one(loop), "READ");
		loop->woken(loop->owner);
	}
}

static void close_read(void *argument)
{
	struct loop *loop = argument;
	close(loop->eventfd);
	close_ring(loop);
}

static void wake_read(void *argument)
{
	struct loop *loop = argument;
	uint64_t one = 1;
	must(write(loop->eventfd, &one, sizeof one), "write");
}

const struct way way_ring_read = {open_read, run_read, stop, close_read, wake_read};

static void run_futex(void *argument)
{
	struct loop *loop = argument;
	while (!loop->stopped) {
		while (atomic_exchange_explicit(&loop->word, 0, memory_order_acquire) == 0) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);
			io_uring_prep_nop(sqe);
			sqe->opcode = OP_FUTEX_WAIT;
			sqe->fd = FUTEX_U32 | FUTEX_PRIVATE;
			sqe->addr = (uintptr_t)&loop->word;
			sqe->off = 0; /* the value that is expected */
			sqe->addr3 = FUTEX_BITSET_MATCH_ANY;
			int32_t result = take_one(loop);
			check(result == 0 || result == -EAGAIN, "FUTEX_WAIT");
		}
		loop->woken(loop->owner);
	}
}

static void wake_futex(void *argument)
{
	struct loop *loop = argument;
	atomic_store_explicit(&loop->word, 1, memory_order_release);
	must(syscall(SYS_futex, &loop->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), "futex");
}

const struct way way_ring_futex = {open_ring, run_futex, stop, close_ring, wake_futex};

static void run_message(void *argument)
{
	struct loop *loop = argument;
	while (!loop->stopped) {
		check(take_one(loop) == 0, "a completion");
		loop->woken(loop->owner);
	}
}

static void wake_sync(void *argument)
{
	struct loop *loop = argument;
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_MSG_RING, .fd = loop->ring.ring_fd, .off = WOKEN};
	must(io_uring_register_sync_msg_ring(&sqe), "sync MSG_RING");
}

const struct way way_ring_sync = {open_ring, run_message, stop, close_ring, wake_sync};

static void *open_async(woken_function woken, void *owner)
{
	struct loop *loop = open_ring(woken, owner);
	pthread_mutex_init(&loop->lock, NULL);
	must(io_uring_queue_init(4, &loop->sender, 0), "io_uring_queue_init");
	return loop;
}

static void close_async(void *argument)
{
	struct loop *loop = argument;
	io_uring_queue_exit(&loop->sender);
	pthread_mutex_destroy(&loop->lock);
	close_ring(loop);
}

static void wake_async(void *argument)
{
	struct loop *loop = argument;
	pthread_mutex_lock(&loop->lock);
	struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->sender);
	io_uring_prep_msg_ring(sqe, loop->ring.ring_fd, 0, WOKEN, 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	must(io_uring_submit(&loop->sender), "io_uring_submit");
	pthread_mutex_unlock(&loop->lock);
}

const struct way way_ring_async = {open_async, run_message, stop, close_async, wake_async};
