/* SPDX-License-Identifier: MIT */
/*
 * Memory that the kernel wipes in a forked child (MADV_WIPEONFORK). It holds the number of a
 * process, and the request that a doorbell passes to the kernel: if a signal handler forks between
 * the sender's look at the number and its system call, the child passes zeros.
 */
#ifndef RINGWAKE_WIPEONFORK_H
#define RINGWAKE_WIPEONFORK_H

#define WIPEONFORK_SIZE 64

/* WIPEONFORK_SIZE bytes of zeroed memory, which a forked child finds zeroed; NULL: no memory. */
void *ringwake_wipeonfork_alloc(void);

/* Does nothing to memory of another copy of the library. */
void ringwake_wipeonfork_free(void *memory);

#endif
