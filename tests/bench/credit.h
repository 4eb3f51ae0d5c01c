/* SPDX-License-Identifier: MIT */
/*
 * How a sender is kept from running away: it has a window of messages, which it may use again when
 * the loop has delivered them. It parks when there is none. (With sched_yield() in its place the
 * figures are the scheduler's: a sender that yields beside a SCHED_IDLE spinner is gone for a tick,
 * and one that yields beside the loop makes it wake for single messages. With a window of 1,024 up
 * to a fifth of the faster variants' time was their senders' parking.)
 */
#ifndef CREDIT_H
#define CREDIT_H

#include <linux/futex.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WINDOW 4096

struct credit {
	alignas(64) _Atomic uint32_t delivered; /* told half a window at a time */
	_Atomic bool waits;
	uint64_t counted;           /* the loop's: delivered so far */
	uint64_t given;             /* system calls made to give credit ... */
	alignas(64) uint64_t taken; /* ... and to wait for it */
};

static inline void credit_init(struct credit *credit)
{
	atomic_init(&credit->delivered, 0);
	atomic_init(&credit->waits, false);
	credit->counted = credit->given = credit->taken = 0;
}

/* The loop's thread, for each message, with its memory no longer in use. */
static inline void credit_give(struct credit *credit)
{
	if (++credit->counted % (WINDOW / 2) != 0)
		return;
	atomic_store(&credit->delivered, (uint32_t)credit->counted);
	if (!atomic_exchange(&credit->waits, false))
		return;
	credit->given++;
	syscall(SYS_futex, &credit->delivered, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* The sender's, before its message number index, counted from 0. */
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
		syscall(SYS_futex, &credit->delivered, FUTEX_WAIT_PRIVATE, delivered, NULL, NULL,
			0);
	}
}

#endif
