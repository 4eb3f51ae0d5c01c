/* SPDX-License-Identifier: MIT */
/*
 * What happens before what, by the memory orders that the library asks for. A schedule is
 * sequentially consistent and would hide an order that is too weak. So each thread has a vector
 * clock, each atomic object the clock of its release sequence, and what a thread writes is marked:
 * another may rely on it only if its clock has reached the mark.
 */
#ifndef CLOCKS_H
#define CLOCKS_H

#include <stdbool.h>

void clocks_start(void);

/* The running thread has written something. */
unsigned clocks_mark(void);

/* Is what that thread has marked visible to this one? Always, without EVERY_ATOMIC. */
bool clocks_see(unsigned thread, unsigned mark, unsigned observer);

/* After a load, a store, or a read-modify-write of an atomic object, by the running thread. */
void clocks_load(const volatile void *object, int order);
void clocks_store(const volatile void *object, int order);
void clocks_change(const volatile void *object, int order);

#endif
