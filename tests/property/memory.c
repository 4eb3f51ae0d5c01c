/* SPDX-License-Identifier: MIT */
#include "memory.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "clocks.h"
#include "schedule.h"

#define MAX_BLOCKS 8
#define BLOCK_SIZE 128

static struct block {
	alignas(max_align_t) char memory[BLOCK_SIZE];
	bool freed;
	unsigned marks[MAX_THREADS]; /* of each thread's last use */
} blocks[MAX_BLOCKS];
static unsigned count;

void memory_start(void)
{
	memset(blocks, 0, sizeof blocks);
	count = 0;
}

static struct block *block_at(const volatile void *address)
{
	const volatile char *byte = address;
	for (unsigned i = 0; i < count; i++)
		if (byte >= blocks[i].memory && byte < blocks[i].memory + BLOCK_SIZE)
			return &blocks[i];
	return NULL;
}

void *memory_get(size_t number, size_t size)
{
	require(number * size <= BLOCK_SIZE, "a block is too large");
	require(count < MAX_BLOCKS, "too many blocks");
	return blocks[count++].memory;
}

void memory_put(void *pointer)
{
	struct block *block = block_at(pointer);
	if (block == NULL) {
		free(pointer);
		return;
	}
	require(!block->freed, "memory is freed twice");
	for (unsigned i = 0; i < MAX_THREADS; i++)
		require(clocks_see(i, block->marks[i], this_thread()),
			"memory is freed before its use by another thread");
	block->freed = true;
}

void memory_use(const volatile void *address)
{
	struct block *block = block_at(address);
	if (block == NULL)
		return;
	require(!block->freed, "memory is used after free");
	block->marks[this_thread()] = clocks_mark();
}

bool memory_is_clean(void)
{
	for (unsigned i = 0; i < count; i++)
		if (!blocks[i].freed)
			return false;
	return true;
}
