/* SPDX-License-Identifier: MIT */
#ifndef RINGWAKE_THREAD_H
#define RINGWAKE_THREAD_H

#include <stdint.h>

/* The calling thread's number, never 0. No later thread is given it, as it may be a pthread_t. */
uint64_t ringwake_thread_number(void);

#endif
