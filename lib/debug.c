/* SPDX-License-Identifier: MIT */
#include "debug.h"

#ifdef RINGWAKE_DEBUG
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "process.h"
#include "target.h"
#include "thread.h"

/* A thread that has ended uses no target. The kernel needs a moment after pthread_join() to end it.
 */
static bool has_ended(int thread_id)
{
	int saved = errno;
	bool ended = false;
	for (int i = 0; i < 1000 && !ended; i++) {
		ended = syscall(SYS_tgkill, getpid(), thread_id, 0) != 0 && errno == ESRCH;
		if (!ended)
			nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	errno = saved;
	return ended;
}

bool ringwake_debug_enter(struct ringwake *target, bool takes_over)
{
	struct ringwake_debug *debug = &target->debug;
	uint64_t self = ringwake_thread_number(), thread = 0;
	if (!ringwake_is_this_process(target->process))
		return true;
	/* Acquire: pairs with the release in leave, if another thread had it. */
	while (!atomic_compare_exchange_strong_explicit(
		&debug->thread, &thread, self, memory_order_acquire, memory_order_relaxed)) {
		if (thread == self)
			break;
		if (!(takes_over && debug->depth == 0) && !has_ended(debug->thread_id))
			return false;
		debug->depth = 0;
	}
	if (thread != self)
		debug->thread_id = (int)syscall(SYS_gettid);
	debug->depth++;
	return true;
}

void ringwake_debug_leave(struct ringwake *target)
{
	struct ringwake_debug *debug = &target->debug;
	if (!ringwake_is_this_process(target->process) || --debug->depth > 0 || target->is_armed)
		return;
	/* Release: pairs with the acquire in enter. */
	atomic_store_explicit(&debug->thread, 0, memory_order_release);
}

/*
 * Buckets of a few addresses each. Fork wipes the pages, because the child never gets back what is
 * queued in the parent.
 */
#define BUCKETS 4096
#define PLACES  8
typedef _Atomic(const void *) bucket[PLACES];
static _Atomic(bucket *) table;

static bucket *get_table(void)
{
	/* Acquire: pairs with the release below. */
	bucket *found = atomic_load_explicit(&table, memory_order_acquire);
	if (found)
		return found;
	size_t size = BUCKETS * sizeof(bucket);
	void *fresh = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fresh == MAP_FAILED)
		return NULL;
	madvise(fresh, size, MADV_WIPEONFORK);
	/* Release: the table is zeroed when another thread finds it. */
	if (atomic_compare_exchange_strong_explicit(
		    &table, &found, fresh, memory_order_release, memory_order_acquire))
		return fresh;
	munmap(fresh, size);
	return found;
}

static _Atomic(const void *) *bucket_of(const void *what)
{
	int saved = errno;
	bucket *all = get_table();
	errno = saved;
	uint64_t hash = (uintptr_t)what * UINT64_C(0x9e3779b97f4a7c15);
	return all ? all[hash >> 52] : NULL;
}

/* Relaxed throughout: nothing is published through the address. */
bool ringwake_debug_queue(const void *what)
{
	_Atomic(const void *) *places = bucket_of(what);
	for (int i = 0; places && i < PLACES; i++)
		if (atomic_load_explicit(&places[i], memory_order_relaxed) == what)
			return false;
	for (int i = 0; places && i < PLACES; i++) {
		const void *place = NULL;
		if (atomic_compare_exchange_strong_explicit(
			    &places[i], &place, what, memory_order_relaxed, memory_order_relaxed))
			break;
	}
	return true;
}

void ringwake_debug_unqueue(const void *what)
{
	_Atomic(const void *) *places = bucket_of(what);
	for (int i = 0; places && i < PLACES; i++) {
		const void *place = what;
		if (atomic_compare_exchange_strong_explicit(
			    &places[i], &place, NULL, memory_order_relaxed, memory_order_relaxed))
			break;
	}
}

/* A sanitizer keeps freed memory by itself. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
void ringwake_debug_free(void *memory)
{
	free(memory);
}
#else
#define KEPT 64
void ringwake_debug_free(void *memory)
{
	static _Atomic(void *) kept[KEPT];
	static _Atomic unsigned next;
	/* Relaxed: it only counts. */
	unsigned place = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed) % KEPT;
	/* Release and acquire: another thread may free what this one has kept. */
	free(atomic_exchange_explicit(&kept[place], memory, memory_order_acq_rel));
}
#endif
#endif
