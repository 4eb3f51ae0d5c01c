/* SPDX-License-Identifier: MIT */
#include "wipeonfork.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/*
 * Pages of 64 pieces each, in a list that only grows. There is no lock: a forked child could find
 * it held by a thread that the child does not have.
 */
#define PIECES 64
struct page {
	struct page *next; /* older */
	char *memory;
	_Atomic uint64_t used; /* a bit for each piece */
};
static _Atomic(struct page *) newest;

static void *take_piece(struct page *page)
{
	uint64_t used = atomic_load_explicit(&page->used, memory_order_relaxed);
	while (~used != 0) {
		int piece = __builtin_ctzll(~used);
		/* Acquire: pairs with the release in ringwake_wipeonfork_free by the last owner. */
		if (atomic_compare_exchange_weak_explicit(&page->used, &used, used | 1ull << piece,
			    memory_order_acquire, memory_order_relaxed))
			return page->memory + piece * WIPEONFORK_SIZE;
	}
	return NULL;
}

static struct page *new_page(void)
{
	size_t size = PIECES * WIPEONFORK_SIZE;
	struct page *page = malloc(sizeof *page);
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == NULL || memory == MAP_FAILED || madvise(memory, size, MADV_WIPEONFORK) != 0) {
		if (memory != MAP_FAILED)
			munmap(memory, size);
		free(page);
		return NULL;
	}
	page->memory = memory;
	atomic_init(&page->used, 0);
	return page;
}

void *ringwake_wipeonfork_alloc(void)
{
	/* Acquire: pairs with the release below. */
	struct page *page = atomic_load_explicit(&newest, memory_order_acquire);
	for (struct page *i = page; i; i = i->next) {
		void *piece = take_piece(i);
		if (piece)
			return piece;
	}
	int saved = errno;
	struct page *fresh = new_page();
	errno = saved;
	if (fresh == NULL)
		return NULL;
	void *piece = take_piece(fresh);
	do {
		fresh->next = page;
		/* Release: the page is complete when another thread finds it. */
	} while (!atomic_compare_exchange_weak_explicit(
		&newest, &page, fresh, memory_order_release, memory_order_relaxed));
	return piece;
}

static struct page *page_of(const char *memory)
{
	struct page *page = atomic_load_explicit(&newest, memory_order_acquire);
	while (page && (memory < page->memory || memory >= page->memory + PIECES * WIPEONFORK_SIZE))
		page = page->next;
	return page;
}

void ringwake_wipeonfork_free(void *memory)
{
	struct page *page = page_of(memory);
	if (page == NULL)
		return; /* of another copy of the library */
	memset(memory, 0, WIPEONFORK_SIZE);
	uint64_t piece = (uint64_t)((char *)memory - page->memory) / WIPEONFORK_SIZE;
	/* Release: pairs with the acquire in take_piece; the piece is zeroed when it has a new
	 * owner. */
	atomic_fetch_and_explicit(&page->used, ~(1ull << piece), memory_order_release);
}
