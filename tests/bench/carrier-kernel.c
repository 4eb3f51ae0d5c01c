/* SPDX-License-Identifier: MIT */
/* Messages by what the kernel offers: eventfd beside a queue, a pipe full of pointers, MSG_RING. */
#include <fcntl.h>
#include <liburing.h>
#include <ringwake/liburing-compat.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "carrier.h"
#include "locked-queue.h"
#include "question.h"

struct loop {
	deliver_function deliver;
	bool stopped;
	struct locked_queue queue;
	int epoll, read_end, write_end;
	struct io_uring ring;
	pthread_mutex_t sender_lock;
	struct io_uring sender; /* guarded by sender_lock */
};

static struct loop *open_loop(deliver_function deliver)
{
	struct loop *loop = calloc(1, sizeof *loop);
	check(loop != NULL, "memory");
	loop->deliver = deliver;
	return loop;
}

static void stop(void *argument)
{
	struct loop *loop = argument;
	loop->stopped = true;
}

static void *open_eventfd(deliver_function deliver)
{
	struct loop *loop = open_loop(deliver);
	locked_queue_init(&loop->queue);
	loop->read_end = (int)must(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
	loop->epoll = (int)must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	must(epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->read_end, &event), "epoll_ctl");
	return loop;
}

static void run_eventfd(void *argument)
{
	struct loop *loop = argument;
	struct epoll_event event;
	while (!loop->stopped) {
		must(epoll_wait(loop->epoll, &event, 1, -1), "epoll_wait");
		locked_queue_drain(&loop->queue, loop->deliver);
	}
}

static void close_eventfd(void *argument)
{
	struct loop *loop = argument;
	close(loop->epoll);
	close(loop->read_end);
	free(loop);
}

static void send_eventfd(void *argument, struct item *item)
{
	struct loop *loop = argument;
	uint64_t one = 1;
	locked_queue_push(&loop->queue, item);
	must(write(loop->read_end, &one, sizeof one), "write");
}

const struct carrier carrier_eventfd_queue = {
	open_eventfd, run_eventfd, stop, close_eventfd, send_eventfd, true};

static void *open_pipe(deliver_function deliver)
{
	struct loop *loop = open_loop(deliver);
	int ends[2];
	must(pipe2(ends, O_CLOEXEC), "pipe2");
	loop->read_end = ends[0];
	loop->write_end = ends[1];
	return loop;
}

static void run_pipe(void *argument)
{
	struct loop *loop = argument;
	struct item *items[512];
	while (!loop->stopped) {
		long size = must(read(loop->read_end, items, sizeof items), "read");
		check(size % (long)sizeof items[0] == 0, "a pipe broke a pointer");
		for (long i = 0; i < size / (long)sizeof items[0]; i++)
			loop->deliver(&items[i]->msg);
	}
}

static void close_pipe(void *argument)
{
	struct loop *loop = argument;
	close(loop->read_end);
	close(loop->write_end);
	free(loop);
}

static void send_pipe(void *argument, struct item *item)
{
	struct loop *loop = argument;
	must(write(loop->write_end, &item, sizeof item), "write");
}

const struct carrier carrier_pipe = {open_pipe, run_pipe, stop, close_pipe, send_pipe, true};

static void *open_ring(deliver_function deliver)
{
	struct loop *loop = open_loop(deliver);
	struct io_uring_params params = {.flags = IORING_SETUP_CQSIZE, .cq_entries = 4096};
	must(io_uring_queue_init_params(4, &loop->ring, &params), "io_uring_queue_init");
	must(io_uring_register_ring_fd(&loop->ring), "io_uring_register_ring_fd");
	return loop;
}

static void run_ring(void *argument)
{
	struct loop *loop = argument;
	struct io_uring_cqe *completions[64];
	while (!loop->stopped) {
		must(io_uring_submit_and_wait(&loop->ring, 1), "io_uring_submit_and_wait");
		unsigned count = io_uring_peek_batch_cqe(&loop->ring, completions, 64);
		for (unsigned i = 0; i < count; i++)
			loop->deliver((struct ringwake_msg *)(uintptr_t)completions[i]->user_data);
		io_uring_cq_advance(&loop->ring, count);
	}
}

static void close_ring(void *argument)
{
	struct loop *loop = argument;
	io_uring_queue_exit(&loop->ring);
	free(loop);
}

static void send_sync(void *argument, struct item *item)
{
	struct loop *loop = argument;
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_MSG_RING, .fd = loop->ring.ring_fd, .off = (uintptr_t)item};
	must(io_uring_register_sync_msg_ring(&sqe), "sync MSG_RING");
}

const struct carrier carrier_ring_sync = {open_ring, run_ring, stop, close_ring, send_sync, true};

static void *open_async(deliver_function deliver)
{
	struct loop *loop = open_ring(deliver);
	pthread_mutex_init(&loop->sender_lock, NULL);
	must(io_uring_queue_init(4, &loop->sender, 0), "io_uring_queue_init");
	return loop;
}

static void close_async(void *argument)
{
	struct loop *loop = argument;
	io_uring_queue_exit(&loop->sender);
	close_ring(loop);
}

static void send_async(void *argument, struct item *item)
{
	struct loop *loop = argument;
	pthread_mutex_lock(&loop->sender_lock);
	struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->sender);
	io_uring_prep_msg_ring(sqe, loop->ring.ring_fd, 0, (uintptr_t)item, 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	must(io_uring_submit(&loop->sender), "io_uring_submit");
	pthread_mutex_unlock(&loop->sender_lock);
}

const struct carrier carrier_ring_async = {
	open_async, run_ring, stop, close_async, send_async, true};
