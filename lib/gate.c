/* SPDX-License-Identifier: MIT */
#include "gate.h"

#include <stddef.h>

#include "system.h"

void ringwake_gate_leave(_Atomic uint32_t *gate)
{
	/* Release: pairs with the acquire of the loop; the system call comes before. */
	uint32_t before = atomic_fetch_sub_explicit(gate, GATE_CALL, memory_order_release);
	if (before == (GATE_CALL | GATE_CLOSING))
		ringwake_system.futex_wake(gate, 1);
}

bool ringwake_gate_enter(_Atomic uint32_t *gate)
{
	/* Relaxed: it only has to be counted. Close sees it, or it sees close. */
	uint32_t before = atomic_fetch_add_explicit(gate, GATE_CALL, memory_order_relaxed);
	if (!(before & GATE_CLOSING))
		return true;
	ringwake_gate_leave(gate);
	return false;
}

void ringwake_gate_close(_Atomic uint32_t *gate, uint32_t expected)
{
	uint32_t add = expected * GATE_CALL + GATE_CLOSING;
	/* Acquire, here and in the loop: pairs with the release in ringwake_gate_leave. */
	uint32_t left = atomic_fetch_add_explicit(gate, add, memory_order_acquire) + add;
	while (left != GATE_CLOSING) {
		ringwake_system.futex_wait(gate, left, NULL);
		left = atomic_load_explicit(gate, memory_order_acquire);
	}
}
