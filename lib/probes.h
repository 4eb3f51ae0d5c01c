/* SPDX-License-Identifier: MIT */
/*
 * USDT probes of the provider "ringwake", for tracers. Each is one no-op instruction. Without
 * sys/sdt.h there are none.
 *
 *   doorbell(target)        a sender is about to make the system call that wakes the loop
 *   doorbell_failed(target, error)
 *   wake(target)            a doorbell ended the loop's wait; no callback has run yet
 *   dispatch(target, count) callbacks of one dispatch have run
 *   pool_submit(work, pool) a thread is about to submit work
 *   pool_start(work, pool)  a worker is about to call its run
 *   pool_done(work, status) its run has returned, or it was cancelled
 */
#ifndef RINGWAKE_PROBES_H
#define RINGWAKE_PROBES_H

#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#define PROBE1(name, a)    DTRACE_PROBE1(ringwake, name, a)
#define PROBE2(name, a, b) DTRACE_PROBE2(ringwake, name, a, b)
#else
#define PROBE1(name, a)    ((void)(a))
#define PROBE2(name, a, b) ((void)(a), (void)(b))
#endif

#endif
