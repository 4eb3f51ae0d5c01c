/* SPDX-License-Identifier: MIT */
/*
 * Tracks which writes happen before which reads, by the memory orders that the library uses. A
 * schedule is sequentially consistent and would hide an order that is too weak. So each thread has
 * a vector clock, and each atomic object has the clock of its release sequence. A thread's write
 * gets a mark. Another thread may rely on the write only if its clock has reached the mark.
 */
#ifndef CLOCKS_H
#define CLOCKS_H

#include <stdbool.h>

void clocks_start(void);

/* Returns a mark for a write of the running thread. */
unsigned clocks_mark(void);

/* True if the observer sees the thread's marked write. Without EVERY_ATOMIC always true. */
bool clocks_see(unsigned thread, unsigned mark, unsigned observer);

/* Call these after a load, store or read-modify-write of an atomic object by the running thread. */
void clocks_load(const volatile void *object, int order);
void clocks_store(const volatile void *object, int order);
void clocks_change(const volatile void *object, int order);

#endif
