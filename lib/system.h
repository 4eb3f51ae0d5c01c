/* SPDX-License-Identifier: MIT */
/*
 * Every system call of the library goes through this table, so that tests can fail, delay and
 * reorder them. Each member returns 0 or a count, or a negative errno value, and leaves errno
 * alone.
 */
#ifndef RINGWAKE_SYSTEM_H
#define RINGWAKE_SYSTEM_H

#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct io_uring;

struct ringwake_system {
	int (*queue_init)(struct io_uring *ring, unsigned entries, unsigned completions);
	void (*queue_exit)(struct io_uring *ring);
	int (*submit)(struct io_uring *ring);
	int (*enter)(int fd, unsigned min_complete, unsigned flags, const void *arg, size_t size);
	int (*register_ring)(int fd, unsigned opcode, const void *arg, unsigned count);
	int (*eventfd)(unsigned count, int flags);
	int (*close)(int fd);
	int (*read)(int fd, uint64_t *value);
	int (*write)(int fd, const uint64_t *value);
	int (*poll)(struct pollfd *entry, const struct timespec *timeout);
	int (*futex_wait)(
		const _Atomic uint32_t *word, uint32_t expected, const struct timespec *timeout);
	int (*futex_wake)(const _Atomic uint32_t *word, int count);
	int (*create_thread)(pthread_t *out, const pthread_attr_t *attributes,
		void *(*function)(void *), void *argument);
};

extern struct ringwake_system ringwake_system;

#endif
