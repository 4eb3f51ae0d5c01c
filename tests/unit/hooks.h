/* SPDX-License-Identifier: MIT */
/* Replaces members of the system-call table, so that tests can count, fail or hold calls. */
#ifndef TESTS_UNIT_HOOKS_H
#define TESTS_UNIT_HOOKS_H

#include "../../lib/system.h"
#include "../common.h"

#include <ringwake/liburing-compat.h>

static struct ringwake_system real_system;
static bool is_hooked;

/* The result of the next doorbells, and how many were made. */
static _Atomic int doorbell_error;
static _Atomic unsigned doorbell_calls;

/* A doorbell call of any path is held between these two barriers. */
static pthread_barrier_t reached, released;
static _Atomic bool hold_doorbell;

static int before_doorbell(void)
{
	atomic_fetch_add(&doorbell_calls, 1);
	if (atomic_exchange(&hold_doorbell, false)) {
		pthread_barrier_wait(&reached);
		pthread_barrier_wait(&released);
	}
	return atomic_load(&doorbell_error);
}

static int hooked_register(int fd, unsigned opcode, const void *arg, unsigned count)
{
	bool rings =
		fd == -1 && opcode == RINGWAKE_REGISTER_SEND_MSG_RING && arg != (void *)UINTPTR_MAX;
	int error = rings ? before_doorbell() : 0;
	return error ? error : real_system.register_ring(fd, opcode, arg, count);
}

static int hooked_write(int fd, const uint64_t *value)
{
	int error = before_doorbell();
	return error ? error : real_system.write(fd, value);
}

/* A test that was skipped has not called unhook(). */
static inline void hook_doorbell(void)
{
	if (is_hooked)
		ringwake_system = real_system;
	real_system = ringwake_system;
	is_hooked = true;
	doorbell_error = 0;
	doorbell_calls = 0;
	hold_doorbell = false;
	pthread_barrier_init(&reached, NULL, 2);
	pthread_barrier_init(&released, NULL, 2);
	ringwake_system.register_ring = hooked_register;
	ringwake_system.write = hooked_write;
}

static inline void unhook(void)
{
	ringwake_system = real_system;
	is_hooked = false;
	pthread_barrier_destroy(&reached);
	pthread_barrier_destroy(&released);
}

#endif
