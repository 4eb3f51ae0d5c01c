/* SPDX-License-Identifier: MIT */
#ifndef RINGWAKE_THREAD_H
#define RINGWAKE_THREAD_H

#include <stdint.h>

/* The calling thread's number, never 0. Unlike a pthread_t, it is never used again. */
uint64_t ringwake_thread_number(void);

/*
 * The same at the cost of one instruction, for what each iteration of a loop does. Never 0. A later
 * thread may have the value of a thread that has ended.
 */
#ifndef RINGWAKE_THIS_THREAD
#if defined(__x86_64__) && defined(__GNUC__) && (__GNUC__ >= 11 || __clang_major__ >= 14)
#define RINGWAKE_THIS_THREAD() ((uintptr_t)__builtin_thread_pointer())
#else
#include <pthread.h>
#define RINGWAKE_THIS_THREAD() ((uintptr_t)pthread_self())
#endif
#endif

#endif
