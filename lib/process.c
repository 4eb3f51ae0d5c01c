/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <errno.h>
#include <stddef.h>

#include "wipeonfork.h"

/* Until this process, or the one that it is a fork of, has a number: no process has this one. */
static _Atomic uint32_t no_number;
_Atomic(_Atomic uint32_t *) ringwake_process_word = &no_number;

/* Not wiped: a child counts on from its parent's. */
static _Atomic uint32_t count;

/*
 * The numbers of another copy of the library, in the same process, begin elsewhere: the copies'
 * addresses are further apart than processes are nested.
 */
static uint32_t first_number(void)
{
	return (uint32_t)((uintptr_t)&count / sizeof count);
}

static _Atomic uint32_t *take_word(void)
{
	/* Acquire, here and below: pairs with the release of the thread that was first. */
	_Atomic uint32_t *word = atomic_load_explicit(&ringwake_process_word, memory_order_acquire);
	if (word != &no_number)
		return word;
	_Atomic uint32_t *fresh = ringwake_wipeonfork_alloc();
	/* Release: others find the word zeroed. */
	if (fresh == NULL ||
		atomic_compare_exchange_strong_explicit(&ringwake_process_word, &word, fresh,
			memory_order_release, memory_order_acquire))
		return fresh;
	ringwake_wipeonfork_free(fresh);
	return word;
}

/* Relaxed throughout: a number orders nothing. */
static uint32_t new_number(void)
{
	uint32_t number;
	do
		number =
			first_number() + atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
	while (number == 0);
	return number;
}

int64_t ringwake_process_number(void)
{
	_Atomic uint32_t *word = take_word();
	if (word == NULL)
		return -ENOMEM;
	/* Relaxed: as above, and of two threads that meet one's CAS wins. */
	uint32_t number = atomic_load_explicit(word, memory_order_relaxed);
	if (number != 0)
		return number;
	uint32_t fresh = new_number();
	if (atomic_compare_exchange_strong_explicit(
		    word, &number, fresh, memory_order_relaxed, memory_order_relaxed))
		return fresh;
	return number;
}

bool ringwake_process_is_known(uint32_t number)
{
	return number - first_number() < atomic_load_explicit(&count, memory_order_relaxed);
}
