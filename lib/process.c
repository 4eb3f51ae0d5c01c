/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <errno.h>
#include <stddef.h>

#include "wipeonfork.h"

/* Holds 0, the number of no process, until this process or its parent has taken a number. */
static _Atomic uint32_t no_number;
_Atomic(_Atomic uint32_t *) ringwake_process_word = &no_number;

/* Not wiped by fork: a child continues its parent's count. */
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
	/* Acquire, here and below: pairs with the release of the thread that set the word. */
	_Atomic uint32_t *word = atomic_load_explicit(&ringwake_process_word, memory_order_acquire);
	if (word != &no_number)
		return word;
	_Atomic uint32_t *fresh = ringwake_wipeonfork_alloc();
	/* Release: other threads see the word zeroed. */
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
	/* Relaxed: as above. If two threads get here, the compare-exchange of one wins. */
	uint32_t number = atomic_load_explicit(word, memory_order_relaxed);
	if (number != 0)
		return number;
	uint32_t fresh = new_number();
	if (atomic_compare_exchange_strong_explicit(
		    word, &number, fresh, memory_order_relaxed, memory_order_relaxed))
		return fresh;
	return number;
}

bool ringwake_is_of_this_copy(uint32_t number)
{
	return number - first_number() < atomic_load_explicit(&count, memory_order_relaxed);
}
