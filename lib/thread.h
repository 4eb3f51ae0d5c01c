/* SPDX-License-Identifier: MIT */
#ifndef RINGWAKE_THREAD_H
#define RINGWAKE_THREAD_H

#include <stdint.h>

/* The calling thread's number, never 0. Unlike a pthread_t, it is never used again. */
uint64_t ringwake_thread_number(void);

#endif
