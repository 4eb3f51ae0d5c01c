/* SPDX-License-Identifier: MIT */
/*
 * Memory that the kernel wipes in a forked child (MADV_WIPEONFORK). The number of a process lies
 * there, and what a doorbell hands to the kernel: a child that forked between the sender's look at
 * the number and its system call hands over zeros.
 */
#ifndef RINGWAKE_WIPEONFORK_H
#define RINGWAKE_WIPEONFORK_H

#define WIPEONFORK_SIZE 64

/* WIPEONFORK_SIZE bytes of zeroed memory that a forked child finds zeroed; NULL if there is none.
 */
void *ringwake_wipeonfork_alloc(void);

/* Does nothing to memory of another copy of the library. */
void ringwake_wipeonfork_free(void *memory);

#endif
