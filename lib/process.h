/* SPDX-License-Identifier: MIT */
/*
 * The number of this process. It is in memory that fork() wipes (wipeonfork.h). So with one load,
 * of a cache line that no thread writes, a sender knows whether it runs in the process that opened
 * its target. Unlike pthread_atfork(), this also detects fork by a raw system call.
 *
 * A program may hold two copies of the library, a static and a shared one. Each has numbers of its
 * own, so each copy refuses what belongs to the other.
 */
#ifndef RINGWAKE_PROCESS_H
#define RINGWAKE_PROCESS_H

#include <ringwake/ringwake.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

extern _Atomic(_Atomic uint32_t *) ringwake_process_word;

/* True for the number that ringwake_process_number() of this copy returns in this process. */
static inline bool ringwake_is_this_process(uint32_t number)
{
	/* Relaxed: the word existed before any number of this copy was returned, and only fork()
	 * changes it, before the child's first instruction. */
	_Atomic uint32_t *word = atomic_load_explicit(&ringwake_process_word, memory_order_relaxed);
	return atomic_load_explicit(word, memory_order_relaxed) == number;
}

/* True if this copy returned the number, in this process or in one that it was forked from. */
bool ringwake_is_of_this_copy(uint32_t number);

#endif
