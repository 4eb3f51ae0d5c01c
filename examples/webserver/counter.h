/* SPDX-License-Identifier: MIT */
/* A counter that the thread of one loop changes and all loops read. */
#ifndef WEBSERVER_COUNTER_H
#define WEBSERVER_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

struct counter {
	_Atomic uint64_t value;
};

/* Relaxed: a counter has one writer, and nothing else is published through it. */
static inline uint64_t counter_get(const struct counter *counter)
{
	return atomic_load_explicit(&counter->value, memory_order_relaxed);
}

static inline void counter_set(struct counter *counter, uint64_t number)
{
	atomic_store_explicit(&counter->value, number, memory_order_relaxed);
}

/* Not a read-modify-write: the reader may see either number, and no other thread writes. */
static inline void counter_up(struct counter *counter)
{
	counter_set(counter, counter_get(counter) + 1);
}

static inline void counter_down(struct counter *counter)
{
	counter_set(counter, counter_get(counter) - 1);
}

#endif
