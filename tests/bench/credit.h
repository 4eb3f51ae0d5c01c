/* SPDX-License-Identifier: MIT */
/*
 * Bounds how far a sender runs ahead of the loop. It has a window of messages, which it may use
 * again when the loop has delivered them, and blocks when it has none left. (With sched_yield()
 * instead, the figures are the scheduler's: a sender that yields to a SCHED_IDLE spinner does not
 * run for a tick, and one that yields to the loop makes it wake for single messages. With a window
 * of 1,024, senders blocked for up to a fifth of the faster variants' time.)
 */
#ifndef CREDIT_H
#define CREDIT_H

#include <stdalign.h>
#include <stdbool.h>

#include "futex.h"

#define WINDOW 4096

struct credit {
	alignas(64) _Atomic uint32_t delivered; /* stored once for each half window */
	_Atomic bool waits;
	uint64_t counted;           /* messages that the loop has delivered */
	uint64_t given;             /* system calls of the loop to wake the sender */
	alignas(64) uint64_t taken; /* system calls of the sender to wait for credit */
};

static inline void credit_init(struct credit *credit)
{
	atomic_init(&credit->delivered, 0);
	atomic_init(&credit->waits, false);
	credit->counted = credit->given = credit->taken = 0;
}

/* The loop's thread calls it for each message, when it no longer uses the message's memory. */
static inline void credit_give(struct credit *credit)
{
	if (++credit->counted % (WINDOW / 2) != 0)
		return;
	atomic_store(&credit->delivered, (uint32_t)credit->counted);
	if (!atomic_exchange(&credit->waits, false))
		return;
	credit->given++;
	futex_wake(&credit->delivered);
}

/* The sender calls it before it uses its message number index, counted from 0. */
static inline void credit_take(struct credit *credit, uint64_t index)
{
	uint32_t delivered;
	if (index % (WINDOW / 2) != 0 || index < WINDOW)
		return;
	while ((delivered = atomic_load(&credit->delivered)) < index - WINDOW / 2) {
		atomic_store(&credit->waits, true);
		if (atomic_load(&credit->delivered) != delivered)
			continue;
		credit->taken++;
		futex_wait(&credit->delivered, delivered);
	}
}

#endif
