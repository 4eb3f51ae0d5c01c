/* SPDX-License-Identifier: MIT */
#ifndef RINGWAKE_PROCESS_H
#define RINGWAKE_PROCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Which process is this? A page that the kernel wipes in a forked child holds a number, so a sender
 * finds out whether it runs in the process that opened its target with one load of a line that
 * nobody writes. Unlike pthread_atfork() this also sees fork by a raw system call.
 */
extern _Atomic uint32_t *ringwake_process_page;

/* This process's number, never 0, or a negative errno value: -ENOMEM, -EINVAL before Linux 4.14. */
int64_t ringwake_process_number(void);

/* For numbers that ringwake_process_number() has returned. */
static inline bool ringwake_process_is(uint32_t number)
{
	/* Relaxed: only fork() changes the page, before the child's first instruction. */
	return atomic_load_explicit(ringwake_process_page, memory_order_relaxed) == number;
}

#endif
