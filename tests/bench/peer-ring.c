/* SPDX-License-Identifier: MIT */
/* An io_uring without a library: READ of an eventfd, FUTEX_WAIT, MSG_RING both ways. */
#include <errno.h>
#include <liburing.h>
#include <ringwake/liburing-compat.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "futex.h"
#include "peer.h"
#include "question.h"

/* Newer than the headers that liburing 2.3 brings. */
#define OP_FUTEX_WAIT 51
#define FUTEX_U32     0x02
#define FUTEX_PRIVATE 0x80

struct loop {
	struct io_uring ring;
	struct receiver receiver;
	bool stopped;
	int eventfd;
	uint64_t value;
	_Atomic uint32_t is_woken;
	pthread_mutex_t lock;
	struct io_uring sender; /* guarded by lock */
};

static struct loop *open_ring(const struct peer *peer, const struct receiver *receiver)
{
	struct loop *loop = allocate(1, sizeof *loop);
	struct io_uring_params params = {.flags = IORING_SETUP_CQSIZE, .cq_entries = 4096};
	(void)peer;
	loop->receiver = *receiver;
	must(io_uring_queue_init_params(4, &loop->ring, &params), "io_uring_queue_init");
	must(io_uring_register_ring_fd(&loop->ring), "io_uring_register_ring_fd");
	must(io_uring_queue_init(4, &loop->sender, 0), "io_uring_queue_init");
	pthread_mutex_init(&loop->lock, NULL);
	loop->eventfd = (int)must(eventfd(0, EFD_CLOEXEC), "eventfd");
	return loop;
}

static void stop(struct loop *loop)
{
	loop->stopped = true;
}

static void close_ring(struct loop *loop)
{
	close(loop->eventfd);
	pthread_mutex_destroy(&loop->lock);
	io_uring_queue_exit(&loop->sender);
	io_uring_queue_exit(&loop->ring);
	free(loop);
}

/* Submits the request that was prepared, and returns the result of one completion. */
static int32_t wait_for_one(struct loop *loop)
{
	struct io_uring_cqe *completion;
	must(io_uring_submit_and_wait(&loop->ring, 1), "io_uring_submit_and_wait");
	must(io_uring_peek_cqe(&loop->ring, &completion), "io_uring_peek_cqe");
	int32_t result = completion->res;
	io_uring_cqe_seen(&loop->ring, completion);
	return result;
}

static void send_eventfd(struct loop *loop, struct item *item)
{
	uint64_t one = 1;
	(void)item;
	must(write(loop->eventfd, &one, sizeof one), "write");
}

static void run_read(struct loop *loop)
{
	while (!loop->stopped) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);
		io_uring_prep_read(sqe, loop->eventfd, &loop->value, sizeof loop->value, 0);
		must(wait_for_one(loop), "READ");
		deliver_wake(&loop->receiver);
	}
}

static void send_futex(struct loop *loop, struct item *item)
{
	(void)item;
	atomic_store_explicit(&loop->is_woken, 1, memory_order_release);
	must(futex_wake(&loop->is_woken), "futex");
}

static void run_futex(struct loop *loop)
{
	while (!loop->stopped) {
		while (atomic_exchange_explicit(&loop->is_woken, 0, memory_order_acquire) == 0) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);
			io_uring_prep_nop(sqe);
			sqe->opcode = OP_FUTEX_WAIT;
			sqe->fd = FUTEX_U32 | FUTEX_PRIVATE;
			sqe->addr = (uintptr_t)&loop->is_woken;
			sqe->off = 0; /* the value that is expected */
			sqe->addr3 = FUTEX_BITSET_MATCH_ANY;
			int32_t result = wait_for_one(loop);
			check(result == 0 || result == -EAGAIN, "FUTEX_WAIT");
		}
		deliver_wake(&loop->receiver);
	}
}

static void send_sync(struct loop *loop, struct item *item)
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_MSG_RING, .fd = loop->ring.ring_fd, .off = (uintptr_t)item};
	must(io_uring_register_sync_msg_ring(&sqe), "sync MSG_RING");
}

static void send_async(struct loop *loop, struct item *item)
{
	pthread_mutex_lock(&loop->lock);
	struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->sender);
	io_uring_prep_msg_ring(sqe, loop->ring.ring_fd, 0, (uintptr_t)item, 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	must(io_uring_submit(&loop->sender), "io_uring_submit");
	pthread_mutex_unlock(&loop->lock);
}

static void run_messages(struct loop *loop)
{
	struct io_uring_cqe *completions[64];
	while (!loop->stopped) {
		must(io_uring_submit_and_wait(&loop->ring, 1), "io_uring_submit_and_wait");
		unsigned count = io_uring_peek_batch_cqe(&loop->ring, completions, 64);
		for (unsigned i = 0; i < count; i++)
			loop->receiver.deliver(
				(struct ringwake_msg *)(uintptr_t)completions[i]->user_data);
		io_uring_cq_advance(&loop->ring, count);
	}
}

#define PEER(run_, send_)                                                                          \
	{                                                                                          \
		.open = open_ring, .run = (run_), .stop = stop, .close = close_ring,               \
		.send = (send_), .is_slow = true                                                   \
	}

const struct peer peer_ring_read = PEER(run_read, send_eventfd);
const struct peer peer_ring_futex = PEER(run_futex, send_futex);
const struct peer peer_ring_sync = PEER(run_messages, send_sync);
const struct peer peer_ring_async = PEER(run_messages, send_async);
