/* SPDX-License-Identifier: MIT */
#include "system.h"

#include <errno.h>
#include <limits.h>
#include <liburing.h>
#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * The raw system call. libc's wrappers for read, write, close and poll are cancellation points. A
 * thread that was cancelled after it cleared ARMED and before its system call would lose the wakes
 * of all senders.
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

/*
 * A 32-bit system has two calls for each wait with a timeout. The older call takes two longs, even
 * where time_t has 64 bits. The newer call takes struct __kernel_timespec; Linux has it since 5.1.
 * A 64-bit system has one call, which takes either struct: they are the same there.
 */
#ifndef SYS_ppoll_time64
#define SYS_ppoll_time64 SYS_ppoll
#define SYS_futex_time64 SYS_futex
_Static_assert(sizeof(struct timespec) == sizeof(struct __kernel_timespec), "the call's struct");
#endif
/* Some 32-bit systems are so new that they have only the newer call. */
#ifndef SYS_ppoll
#define SYS_ppoll SYS_ppoll_time64
#define SYS_futex SYS_futex_time64
#endif

union kernel_time {
	struct __kernel_timespec time64;
	struct {
		long tv_sec, tv_nsec;
	} longs;
};

/* Both return the argument for the call, which is 0 if there is no timeout. */
static long to_time64(union kernel_time *out, const struct timespec *timeout)
{
	if (timeout == NULL)
		return 0;
	out->time64.tv_sec = timeout->tv_sec;
	out->time64.tv_nsec = timeout->tv_nsec;
	return (long)&out->time64;
}

static long to_longs(union kernel_time *out, const struct timespec *timeout)
{
	if (timeout == NULL)
		return 0;
	out->longs.tv_sec = timeout->tv_sec > LONG_MAX ? LONG_MAX : (long)timeout->tv_sec;
	out->longs.tv_nsec = timeout->tv_nsec;
	return (long)&out->longs;
}

static int poll_one(struct pollfd *entry, const struct timespec *timeout)
{
	union kernel_time left; /* the kernel writes back what is left */
	int result = call(SYS_ppoll_time64, (long)entry, 1, to_time64(&left, timeout), 0, 0, 0);
	if (result == -ENOSYS)
		result = call(SYS_ppoll, (long)entry, 1, to_longs(&left, timeout), 0, 0, 0);
	return result;
}

static int futex(
	const _Atomic uint32_t *word, int operation, uint32_t value, const struct timespec *timeout)
{
	union kernel_time time;
	int result = call(SYS_futex_time64, (long)word, operation, (long)value,
		to_time64(&time, timeout), 0, 0);
	if (result == -ENOSYS)
		result = call(SYS_futex, (long)word, operation, (long)value,
			to_longs(&time, timeout), 0, 0);
	return result;
}

static int futex_wait(
	const _Atomic uint32_t *word, uint32_t expected, const struct timespec *timeout)
{
	return futex(word, FUTEX_WAIT_PRIVATE, expected, timeout);
}

static int futex_wake(const _Atomic uint32_t *word, int count)
{
	return futex(word, FUTEX_WAKE_PRIVATE, (uint32_t)count, NULL);
}

static int create_thread(
	pthread_t *out, const pthread_attr_t *attributes, void *(*function)(void *), void *argument)
{
	int saved = errno;
	int error = pthread_create(out, attributes, function, argument);
	errno = saved;
	return -error;
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
	.create_thread = create_thread,
};
