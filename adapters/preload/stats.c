/* SPDX-License-Identifier: MIT */
/*
 * Figures for --stats. Each open loop has an entry that holds a reference to its target. An
 * exchange takes the target out: in the loop's thread when the loop is closed, or in the thread
 * that ends the process. So no lock is needed, and no freed target is read. Entries are reused and
 * never freed.
 *
 * If the environment asks for it, a process that had a loop prints a line to standard error when it
 * ends. A forked child counts only its own loops.
 */
#include "preload.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct entry {
	struct entry *next;
	_Atomic(const void *) loop;
	_Atomic(struct ringwake *) target; /* NULL: the entry is free */
	int64_t process;                   /* that opened the target */
};

static _Atomic(struct entry *) newest;

/* Relaxed throughout: the figures are only printed. */
static struct {
	_Atomic int64_t process; /* that the figures are of */
	_Atomic unsigned long loops, callbacks, doorbells, plain;
} total;

static void start_anew_in_child(void)
{
	int64_t process = ringwake_process_number();
	if (process < 0)
		return; /* no memory: neither this process nor a parent has opened a target */
	if (atomic_exchange_explicit(&total.process, process, memory_order_relaxed) == process)
		return;
	atomic_store_explicit(&total.loops, 0, memory_order_relaxed);
	atomic_store_explicit(&total.callbacks, 0, memory_order_relaxed);
	atomic_store_explicit(&total.doorbells, 0, memory_order_relaxed);
	atomic_store_explicit(&total.plain, 0, memory_order_relaxed);
}

static void add(_Atomic unsigned long *sum, unsigned long count)
{
	atomic_fetch_add_explicit(sum, count, memory_order_relaxed);
}

static void take_out(struct entry *entry)
{
	/* Acquire: pairs with the release in put_in. */
	struct ringwake *target =
		atomic_exchange_explicit(&entry->target, NULL, memory_order_acquire);
	if (target == NULL)
		return;
	if (entry->process == ringwake_process_number()) {
		struct ringwake_stats stats;
		ringwake_get_stats(target, &stats, sizeof stats);
		start_anew_in_child();
		add(&total.loops, 1);
		add(&total.callbacks, stats.messages);
		add(&total.doorbells, stats.doorbells);
	}
	ringwake_unref(target);
}

static bool put_in(struct entry *entry, const void *loop, struct ringwake *target)
{
	const void *none = NULL;
	/* Acquire: pairs with the release in ringwake_preload_stats_close. */
	if (!atomic_compare_exchange_strong_explicit(
		    &entry->loop, &none, loop, memory_order_acquire, memory_order_relaxed))
		return false;
	entry->process = ringwake_process_number();
	/* Release: pairs with the acquire in take_out. */
	atomic_store_explicit(&entry->target, ringwake_ref(target), memory_order_release);
	return true;
}

static struct entry *first(void)
{
	/* Acquire: pairs with the release below. */
	return atomic_load_explicit(&newest, memory_order_acquire);
}

void ringwake_preload_stats_open(const void *loop, struct ringwake *target)
{
	/* The parent's loop, or a loop at this address that was never closed. */
	ringwake_preload_stats_close(loop);
	for (struct entry *i = first(); i; i = i->next)
		if (put_in(i, loop, target))
			return;
	struct entry *fresh = calloc(1, sizeof *fresh);
	if (fresh == NULL)
		return;
	put_in(fresh, loop, target);
	fresh->next = first();
	/* Release: pairs with the acquire in first. Other threads find a complete entry. */
	while (!atomic_compare_exchange_weak_explicit(
		&newest, &fresh->next, fresh, memory_order_release, memory_order_relaxed))
		;
}

void ringwake_preload_stats_close(const void *loop)
{
	for (struct entry *i = first(); i; i = i->next) {
		/* Relaxed: the loop's thread has stored it. */
		if (atomic_load_explicit(&i->loop, memory_order_relaxed) != loop)
			continue;
		take_out(i);
		/* Release: pairs with the acquire in put_in. */
		atomic_store_explicit(&i->loop, NULL, memory_order_release);
	}
}

void ringwake_preload_stats_plain(void)
{
	start_anew_in_child();
	add(&total.plain, 1);
}

__attribute__((destructor)) static void report(void)
{
	const char *wanted = getenv(ringwake_preload.variable);
	if (wanted == NULL || *wanted == '\0')
		return;
	start_anew_in_child();
	for (struct entry *i = first(); i; i = i->next)
		take_out(i);
	if (total.loops > 0)
		fprintf(stderr, "%s: %lu loops, %lu callbacks, %lu doorbells\n",
			ringwake_preload.program, total.loops, total.callbacks, total.doorbells);
	ringwake_preload.report_plain(total.plain);
}
