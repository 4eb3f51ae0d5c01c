/* SPDX-License-Identifier: MIT */
/* A loop that spins on a cache line, and the kernel's wakes without a ring: futex, pipe, eventfd.
 */
#include <fcntl.h>
#include <stdalign.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "futex.h"
#include "locked-queue.h"
#include "machine.h"
#include "peer.h"
#include "question.h"

struct loop {
	alignas(64) _Atomic uint32_t is_woken;
	alignas(64) struct receiver receiver;
	bool stopped;
	int epoll;
	int read_end, write_end; /* an eventfd is only a read_end */
	struct locked_queue queue;
};

static struct loop *open_loop(const struct peer *peer, const struct receiver *receiver)
{
	struct loop *loop = allocate(1, sizeof *loop);
	(void)peer;
	loop->receiver = *receiver;
	loop->epoll = loop->read_end = loop->write_end = -1;
	locked_queue_init(&loop->queue);
	return loop;
}

static void stop(struct loop *loop)
{
	loop->stopped = true;
}

static void close_loop(struct loop *loop)
{
	const int descriptors[] = {loop->epoll, loop->read_end, loop->write_end};
	for (unsigned i = 0; i < COUNT(descriptors); i++) {
		if (descriptors[i] >= 0)
			close(descriptors[i]);
	}
	free(loop);
}

static void send_line(struct loop *loop, struct item *item)
{
	(void)item;
	atomic_exchange_explicit(&loop->is_woken, 1, memory_order_release);
}

static void run_line(struct loop *loop)
{
	while (!loop->stopped) {
		while (atomic_load_explicit(&loop->is_woken, memory_order_acquire) == 0)
			relax();
		atomic_store_explicit(&loop->is_woken, 0, memory_order_relaxed);
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
		while (atomic_exchange_explicit(&loop->is_woken, 0, memory_order_acquire) == 0)
			futex_wait(&loop->is_woken, 0);
		deliver_wake(&loop->receiver);
	}
}

static struct loop *open_pipe(const struct peer *peer, const struct receiver *receiver)
{
	struct loop *loop = open_loop(peer, receiver);
	int ends[2];
	must(pipe2(ends, O_CLOEXEC), "pipe2");
	loop->read_end = ends[0];
	loop->write_end = ends[1];
	return loop;
}

static void send_pipe(struct loop *loop, struct item *item)
{
	must(write(loop->write_end, &item, sizeof item), "write");
}

static void run_pipe(struct loop *loop)
{
	struct item *items[512];
	while (!loop->stopped) {
		long size = must(read(loop->read_end, items, sizeof items), "read");
		check(size % (long)sizeof items[0] == 0, "a pipe broke a pointer");
		for (long i = 0; i < size / (long)sizeof items[0]; i++)
			loop->receiver.deliver(&items[i]->msg);
	}
}

static struct loop *open_eventfd(const struct peer *peer, const struct receiver *receiver)
{
	struct loop *loop = open_loop(peer, receiver);
	loop->read_end = (int)must(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
	loop->epoll = (int)must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
	struct epoll_event event = {.events = EPOLLIN | peer->flags};
	must(epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->read_end, &event), "epoll_ctl");
	return loop;
}

static void wait_epoll(struct loop *loop)
{
	struct epoll_event event;
	must(epoll_wait(loop->epoll, &event, 1, -1), "epoll_wait");
}

static void send_eventfd(struct loop *loop, struct item *item)
{
	uint64_t one = 1;
	(void)item;
	must(write(loop->read_end, &one, sizeof one), "write");
}

static void run_level(struct loop *loop)
{
	uint64_t value;
	while (!loop->stopped) {
		wait_epoll(loop);
		must(read(loop->read_end, &value, sizeof value), "read");
		deliver_wake(&loop->receiver);
	}
}

static void run_edge(struct loop *loop)
{
	while (!loop->stopped) {
		wait_epoll(loop);
		deliver_wake(&loop->receiver);
	}
}

static void send_queue(struct loop *loop, struct item *item)
{
	locked_queue_push(&loop->queue, item);
	send_eventfd(loop, item);
}

static void run_queue(struct loop *loop)
{
	while (!loop->stopped) {
		wait_epoll(loop);
		locked_queue_drain(&loop->queue, loop->receiver.deliver);
	}
}

#define PEER(open_, run_, send_)                                                                   \
	.open = (open_), .run = (run_), .stop = stop, .close = close_loop, .send = (send_)

const struct peer peer_cache_line = {PEER(open_loop, run_line, send_line)};
const struct peer peer_futex = {PEER(open_loop, run_futex, send_futex)};
const struct peer peer_pipe = {PEER(open_pipe, run_pipe, send_pipe), .is_slow = true};
const struct peer peer_eventfd_level = {PEER(open_eventfd, run_level, send_eventfd)};
const struct peer peer_eventfd_edge = {
	PEER(open_eventfd, run_edge, send_eventfd), .flags = EPOLLET};
const struct peer peer_eventfd_queue = {
	PEER(open_eventfd, run_queue, send_queue), .flags = EPOLLET, .is_slow = true};
