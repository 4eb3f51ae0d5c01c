/* SPDX-License-Identifier: MIT */
/* What the kernel offers without a ring: futex, pipe, eventfd. And a wake that needs no kernel. */
#include <fcntl.h>
#include <linux/futex.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "machine.h"
#include "question.h"
#include "way.h"

struct loop {
	alignas(64) _Atomic uint32_t word; /* 1: woken */
	alignas(64) woken_function woken;
	void *owner;
	bool stopped;
	int epoll;
	int read_end, write_end;
};

static void *open_word(woken_function woken, void *owner)
{
	struct loop *loop = aligned_alloc(64, sizeof *loop);
	check(loop != NULL, "memory");
	*loop = (struct loop){.woken = woken, .owner = owner};
	return loop;
}

static void stop(void *argument)
{
	struct loop *loop = argument;
	loop->stopped = true;
}

static void wake_line(void *argument)
{
	struct loop *loop = argument;
	atomic_exchange_explicit(&loop->word, 1, memory_order_release);
}

static void run_line(void *argument)
{
	struct loop *loop = argument;
	while (!loop->stopped) {
		while (atomic_load_explicit(&loop->word, memory_order_acquire) == 0)
			relax();
		atomic_store_explicit(&loop->word, 0, memory_order_relaxed);
		loop->woken(loop->owner);
	}
}

const struct way way_cache_line = {open_word, run_line, stop, free, wake_line};

static void wake_futex(void *argument)
{
	struct loop *loop = argument;
	atomic_store_explicit(&loop->word, 1, memory_order_release);
	must(syscall(SYS_futex, &loop->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), "futex");
}

static void run_futex(void *argument)
{
	struct loop *loop = argument;
	while (!loop->stopped) {
		while (atomic_exchange_explicit(&loop->word, 0, memory_order_acquire) == 0)
			syscall(SYS_futex, &loop->word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
		loop->woken(loop->owner);
	}
}

const struct way way_futex = {open_word, run_futex, stop, free, wake_futex};

static void wake_pipe(void *argument)
{
	struct loop *loop = argument;
	char byte = 0;
	must(write(loop->write_end, &byte, 1), "write");
}

static void run_pipe(void *argument)
{
	struct loop *loop = argument;
	char byte;
	while (!loop->stopped) {
		must(read(loop->read_end, &byte, 1), "read");
		loop->woken(loop->owner);
	}
}

static void *open_pipe(woken_function woken, void *owner)
{
	struct loop *loop = open_word(woken, owner);
	int ends[2];
	must(pipe2(ends, O_CLOEXEC), "pipe2");
	loop->read_end = ends[0];
	loop->write_end = ends[1];
	return loop;
}

static void close_pipe(void *argument)
{
	struct loop *loop = argument;
	close(loop->read_end);
	close(loop->write_end);
	free(loop);
}

const struct way way_pipe = {open_pipe, run_pipe, stop, close_pipe, wake_pipe};

static void *open_eventfd(woken_function woken, void *owner, uint32_t edge)
{
	struct loop *loop = open_word(woken, owner);
	loop->read_end = (int)must(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
	loop->epoll = (int)must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
	struct epoll_event event = {.events = EPOLLIN | edge};
	must(epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->read_end, &event), "epoll_ctl");
	return loop;
}

static void *open_level(woken_function woken, void *owner)
{
	return open_eventfd(woken, owner, 0);
}

static void *open_edge(woken_function woken, void *owner)
{
	return open_eventfd(woken, owner, EPOLLET);
}

static void wake_eventfd(void *argument)
{
	struct loop *loop = argument;
	uint64_t one = 1;
	must(write(loop->read_end, &one, sizeof one), "write");
}

static void run_epoll(struct loop *loop, bool read_it)
{
	struct epoll_event event;
	uint64_t value;
	while (!loop->stopped) {
		must(epoll_wait(loop->epoll, &event, 1, -1), "epoll_wait");
		if (read_it)
			must(read(loop->read_end, &value, sizeof value), "read");
		loop->woken(loop->owner);
	}
}

static void run_level(void *argument)
{
	run_epoll(argument, true);
}

static void run_edge(void *argument)
{
	run_epoll(argument, false);
}

static void close_eventfd(void *argument)
{
	struct loop *loop = argument;
	close(loop->epoll);
	close(loop->read_end);
	free(loop);
}

const struct way way_eventfd_level = {open_level, run_level, stop, close_eventfd, wake_eventfd};
const struct way way_eventfd_edge = {open_edge, run_edge, stop, close_eventfd, wake_eventfd};
