/* SPDX-License-Identifier: MIT */
/*
 * How many system calls were made, as the kernel's tracepoint counts them. Counting slows every
 * call down, so times are taken without.
 */
#ifndef COUNT_H
#define COUNT_H

/* Of this thread. -1: the kernel refuses. */
int count_open(void);

void count_start(int counter);

/* The calls between start and now; not a number if count_open() was refused. */
double count_stop(int counter);

void count_close(int counter);

#endif
