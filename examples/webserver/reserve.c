/* SPDX-License-Identifier: MIT */
#include "reserve.h"

#include <stdatomic.h>
#include <stdlib.h>

/* The kernel provides pages only when they are used. */
#define LARGEST  (1 << 20)
#define SMALLEST (1 << 16)

/* Relaxed: the memory is never read, so the pointer publishes nothing. */
static _Atomic(void *) reserve;

bool reserve_fill(void)
{
	if (atomic_load_explicit(&reserve, memory_order_relaxed))
		return true;
	void *memory = NULL;
	for (size_t size = LARGEST; !memory && size >= SMALLEST; size /= 4)
		memory = malloc(size);
	free(atomic_exchange_explicit(&reserve, memory, memory_order_relaxed));
	return memory;
}

void *reserve_realloc(void *memory, size_t size)
{
	void *result = realloc(memory, size);
	if (result || size == 0)
		return result;
	free(atomic_exchange_explicit(&reserve, NULL, memory_order_relaxed));
	return realloc(memory, size);
}
