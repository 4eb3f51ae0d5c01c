/* SPDX-License-Identifier: MIT */
#include "system.h"

#include <errno.h>
#include <liburing.h>
#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * The raw system call: libc's wrappers for read, write, close and poll are cancellation points, and
 * a thread that was cancelled between winning a wake and ringing would lose the wakes of others.
 */
static int call(long number, long a, long b, long c, long d, long e, long f)
{
	int saved = errno;
	long result = syscall(number, a, b, c, d, e, f);
	if (result == -1)
		result = -errno;
	errno = saved;
	return (int)result;
}

/*
 * liburing maps and unmaps rings by system calls of its own, so ThreadSanitizer takes a ring that
 * lies where another was for the same memory. What orders the two is the kernel's handing out of
 * addresses.
 */
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
static char addresses;
#define ADDRESSES_TAKEN() __tsan_acquire(&addresses)
#define ADDRESSES_GIVEN() __tsan_release(&addresses)
#else
#define ADDRESSES_TAKEN() ((void)0)
#define ADDRESSES_GIVEN() ((void)0)
#endif

static int queue_init(struct io_uring *ring, unsigned entries, unsigned completions)
{
	int saved = errno;
	struct io_uring_params params = {.flags = IORING_SETUP_CQSIZE, .cq_entries = completions};
	int result = io_uring_queue_init_params(entries, ring, &params);
	ADDRESSES_TAKEN();
	errno = saved;
	return result;
}

static void queue_exit(struct io_uring *ring)
{
	int saved = errno;
	ADDRESSES_GIVEN();
	io_uring_queue_exit(ring);
	errno = saved;
}

static int submit(struct io_uring *ring)
{
	int saved = errno;
	int result = io_uring_submit(ring);
	errno = saved;
	return result;
}

static int enter(int fd, unsigned min_complete, unsigned flags, const void *arg, size_t size)
{
	return call(SYS_io_uring_enter, fd, 0, min_complete, flags, (long)arg, (long)size);
}

static int register_ring(int fd, unsigned opcode, const void *arg, unsigned count)
{
	return call(SYS_io_uring_register, fd, opcode, (long)arg, count, 0, 0);
}

static int new_eventfd(unsigned count, int flags)
{
	return call(SYS_eventfd2, count, flags, 0, 0, 0, 0);
}

static int close_fd(int fd)
{
	return call(SYS_close, fd, 0, 0, 0, 0, 0);
}

static int read_value(int fd, uint64_t *value)
{
	return call(SYS_read, fd, (long)value, sizeof *value, 0, 0, 0);
}

static int write_value(int fd, const uint64_t *value)
{
	return call(SYS_write, fd, (long)value, sizeof *value, 0, 0, 0);
}

static int poll_one(struct pollfd *entry, const struct timespec *timeout)
{
	struct timespec left; /* the kernel writes back what is left */
	if (timeout)
		left = *timeout;
	return call(SYS_ppoll, (long)entry, 1, (long)(timeout ? &left : NULL), 0, 0, 0);
}

static int futex_wait(
	const _Atomic uint32_t *word, uint32_t expected, const struct timespec *timeout)
{
	return call(SYS_futex, (long)word, FUTEX_WAIT_PRIVATE, expected, (long)timeout, 0, 0);
}

static int futex_wake(const _Atomic uint32_t *word, int count)
{
	return call(SYS_futex, (long)word, FUTEX_WAKE_PRIVATE, count, 0, 0, 0);
}

struct ringwake_system ringwake_system = {
	.queue_init = queue_init,
	.queue_exit = queue_exit,
	.submit = submit,
	.enter = enter,
	.register_ring = register_ring,
	.eventfd = new_eventfd,
	.close = close_fd,
	.read = read_value,
	.write = write_value,
	.poll = poll_one,
	.futex_wait = futex_wait,
	.futex_wake = futex_wake,
};
