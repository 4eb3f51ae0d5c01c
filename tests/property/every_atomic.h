/* SPDX-License-Identifier: MIT */
/*
 * Include it before the library's sources: it makes each atomic operation a switch point. Only one
 * thread of the schedule runs at a time, so plain statements replace the atomic operations. The
 * library's allocations come from memory.c.
 */
#ifndef EVERY_ATOMIC_H
#define EVERY_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "clocks.h"
#include "memory.h"

/* Of schedule.h and world.h, which have names that the library has, too. */
unsigned this_thread(void);
void before_atomic(const volatile void *address);

/* All threads of a schedule are one thread of the system. */
#define RINGWAKE_THIS_THREAD() ((uintptr_t)this_thread() + 1)

#define calloc(count, size) memory_get(count, size)
#define free(pointer)       memory_put(pointer)

#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_exchange_explicit
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub_explicit
#undef atomic_fetch_and_explicit
#undef atomic_fetch_or_explicit
#undef atomic_compare_exchange_weak_explicit
#undef atomic_compare_exchange_strong_explicit

#define atomic_load_explicit(object, order)                                                        \
	(before_atomic(object), clocks_load(object, order), *(object))
#define atomic_store_explicit(object, value, order)                                                \
	(before_atomic(object), clocks_store(object, order), (void)(*(object) = (value)))

/* Returns the old value. */
#define ATOMIC_CHANGE(object, change, order)                                                       \
	__extension__({                                                                            \
		before_atomic(object);                                                             \
		clocks_change(object, order);                                                      \
		__typeof__((void)0, *(object)) was_ = *(object);                                   \
		*(object)change;                                                                   \
		was_;                                                                              \
	})
#define atomic_exchange_explicit(object, value, order)  ATOMIC_CHANGE(object, = (value), order)
#define atomic_fetch_add_explicit(object, value, order) ATOMIC_CHANGE(object, += (value), order)
#define atomic_fetch_sub_explicit(object, value, order) ATOMIC_CHANGE(object, -= (value), order)
#define atomic_fetch_and_explicit(object, value, order) ATOMIC_CHANGE(object, &= (value), order)
#define atomic_fetch_or_explicit(object, value, order)  ATOMIC_CHANGE(object, |= (value), order)

#define atomic_compare_exchange_strong_explicit(object, expected, value, order, failure_order)     \
	__extension__({                                                                            \
		before_atomic(object);                                                             \
		bool same_ = *(object) == *(expected);                                             \
		if (same_) {                                                                       \
			clocks_change(object, order);                                              \
			*(object) = (value);                                                       \
		} else {                                                                           \
			clocks_load(object, failure_order);                                        \
			*(expected) = *(object);                                                   \
		}                                                                                  \
		same_;                                                                             \
	})
#define atomic_compare_exchange_weak_explicit atomic_compare_exchange_strong_explicit

#endif
