/* SPDX-License-Identifier: MIT */
/*
 * Which process is this? A number in memory that a forked child finds wiped tells a sender with one
 * load, of a line that nobody writes, whether it runs in the process that opened its target. Unlike
 * pthread_atfork() this also sees fork by a raw system call.
 *
 * A program may hold two copies of the library, a static and a shared one. Each has numbers of its
 * own, so what belongs to one copy is refused by the other.
 */
#ifndef RINGWAKE_PROCESS_H
#define RINGWAKE_PROCESS_H

#include <ringwake/ringwake.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

extern _Atomic(_Atomic uint32_t *) ringwake_process_word;

/* For numbers that ringwake_process_number() has returned, here or in another copy. */
static inline bool ringwake_process_is(uint32_t number)
{
	/* Relaxed: a caller that has a number of this copy was given it after the word was there,
	 * and only fork() changes what is in it, before the child's first instruction. */
	_Atomic uint32_t *word = atomic_load_explicit(&ringwake_process_word, memory_order_relaxed);
	return atomic_load_explicit(word, memory_order_relaxed) == number;
}

/* This copy gave the number out, to this process or to one that it is a fork of. */
bool ringwake_process_is_known(uint32_t number);

#endif
