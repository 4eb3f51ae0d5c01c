/* SPDX-License-Identifier: MIT */
/*
 * The gate of a target counts the doorbells in flight, so that ringwake_close() can wait for them.
 *
 * It counts in both directions, in steps of GATE_CALL, modulo 2^32. The loop knows how many
 * doorbells it is owed (doorbells_owed). A ring that ends subtracts one step. Close adds all that
 * are owed and the CLOSING bit in one step, and blocks until only the bit is left. The last sender
 * sees the bit and wakes close. So a ring that ends costs one atomic operation, and a ring that
 * begins costs none.
 *
 * A post is not owed. It adds one step before its system call and subtracts it afterwards.
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

/* Loop thread. Blocks until all that entered or are owed have left. Nothing enters afterwards. */
void ringwake_gate_close(_Atomic uint32_t *gate, uint32_t owed);

/* Loop thread. The rings and posts that were begun and have not ended. */
static inline uint32_t ringwake_gate_in_flight(const _Atomic uint32_t *gate, uint32_t owed)
{
	/* Acquire: pairs with the release in ringwake_gate_leave; the system call comes before. */
	uint32_t left = atomic_load_explicit(gate, memory_order_acquire);
	return (left + owed * GATE_CALL) / GATE_CALL;
}

#endif
