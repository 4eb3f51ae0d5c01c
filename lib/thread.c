/* SPDX-License-Identifier: MIT */
#include "thread.h"

#include <stdatomic.h>

uint64_t ringwake_thread_number(void)
{
	static _Atomic uint64_t last;
	static _Thread_local uint64_t number;
	/* Relaxed: it only counts. */
	if (number == 0)
		number = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
	return number;
}
