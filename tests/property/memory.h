/* SPDX-License-Identifier: MIT */
/*
 * The memory that the library allocates while threads run. A block is not used again in the same
 * schedule. So it is an error if an atomic operation uses a freed block, if a block is freed before
 * all other uses of it happen, by the memory orders of the library, or if a block is left over.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>
#include <stddef.h>

void memory_start(void);

/* Replace calloc() and free() in the library. Memory of another allocator is freed by free(). */
void *memory_get(size_t count, size_t size);
void memory_put(void *pointer);

/* Call it before an atomic operation of the running thread. */
void memory_use(const volatile void *address);

/* True if all blocks are freed. */
bool memory_is_clean(void);

#endif
