/* SPDX-License-Identifier: MIT */
/*
 * The gate of a target, together with calls_expected, counts the calls in progress: the uses of the
 * doorbell, and posts. So ringwake_close() can wait for them.
 *
 * It counts in both directions, in steps of GATE_CALL, modulo 2^32. The loop knows how many uses of
 * the doorbell it must expect (calls_expected). A use that ends subtracts one step. Close adds all
 * that are expected and the CLOSING bit in one step, and blocks until only the bit is left. The
 * last sender sees the bit and wakes close. So a use of the doorbell costs one atomic operation
 * when it ends, and none when it begins.
 *
 * A post is not expected. It adds one step before its system call and subtracts it afterwards.
 */
#ifndef RINGWAKE_GATE_H
#define RINGWAKE_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define GATE_CLOSING 1u
#define GATE_CALL    2u

/* Any thread. False if the target was closed; then there is nothing to leave. */
bool ringwake_gate_enter(_Atomic uint32_t *gate);
void ringwake_gate_leave(_Atomic uint32_t *gate);

/* Loop thread. Blocks until all that entered or are expected have left. Nothing enters afterwards.
 */
void ringwake_gate_close(_Atomic uint32_t *gate, uint32_t expected);

/* Loop thread. The uses of the doorbell and the posts that have begun and not ended. */
static inline uint32_t ringwake_gate_in_flight(const _Atomic uint32_t *gate, uint32_t expected)
{
	/* Acquire: pairs with the release in ringwake_gate_leave; the system call comes before. */
	uint32_t left = atomic_load_explicit(gate, memory_order_acquire);
	return (left + expected * GATE_CALL) / GATE_CALL;
}

#endif
