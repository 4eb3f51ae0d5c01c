/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/*
 * Pages of 64 pieces each, in a list that only grows. There is no lock: a child could find it held
 * by a thread that it does not have.
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
		/* Acquire: pairs with the release in ringwake_wiped_free by its last owner. */
		if (atomic_compare_exchange_weak_explicit(&page->used, &used, used | 1ull << piece,
			    memory_order_acquire, memory_order_relaxed))
			return page->memory + piece * WIPED_SIZE;
	}
	return NULL;
}

static struct page *new_page(void)
{
	size_t size = PIECES * WIPED_SIZE;
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

void *ringwake_wiped_new(void)
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
		/* Release: the page is complete when others find it. */
	} while (!atomic_compare_exchange_weak_explicit(
		&newest, &page, fresh, memory_order_release, memory_order_relaxed));
	return piece;
}

static struct page *page_of(const char *memory)
{
	struct page *page = atomic_load_explicit(&newest, memory_order_acquire);
	while (page && (memory < page->memory || memory >= page->memory + PIECES * WIPED_SIZE))
		page = page->next;
	return page;
}

void ringwake_wiped_free(void *memory)
{
	struct page *page = page_of(memory);
	if (page == NULL)
		return; /* of another copy of the library */
	memset(memory, 0, WIPED_SIZE);
	uint64_t piece = (uint64_t)((char *)memory - page->memory) / WIPED_SIZE;
	/* Release: pairs with the acquire in take_piece; the piece is zeroed when it has a new
	 * owner. */
	atomic_fetch_and_explicit(&page->used, ~(1ull << piece), memory_order_release);
}

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
	_Atomic uint32_t *fresh = ringwake_wiped_new();
	/* Release: others find the word zeroed. */
	if (fresh == NULL ||
		atomic_compare_exchange_strong_explicit(&ringwake_process_word, &word, fresh,
			memory_order_release, memory_order_acquire))
		return fresh;
	ringwake_wiped_free(fresh);
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
