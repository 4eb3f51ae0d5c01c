/* SPDX-License-Identifier: MIT */
/*
 * A simulated kernel with one io_uring and one eventfd. It replaces the calls in ringwake_system,
 * counts completions in memory, and blocks threads in the schedule. Each result that a real kernel
 * may return, and each time at which it may act, is a choice of the schedule.
 */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdbool.h>
#include <stdint.h>

struct io_uring;
struct io_uring_cqe;

#define LOOP 0 /* the number of the loop's thread */

enum fault {
	FAULT_REFUSED = 1,        /* a doorbell of another thread returns -ENOMEM */
	FAULT_RETRY = 2,          /* a doorbell returns -EINTR or -EAGAIN */
	FAULT_DELAYED = 4,        /* the doorbell's completion is posted later */
	FAULT_DUPLICATED = 8,     /* a message to the ring posts two completions */
	FAULT_OVERFLOW = 16,      /* a full queue returns -EOVERFLOW and drops the completion */
	FAULT_INTERRUPTED = 32,   /* a wait ends with -EINTR */
	FAULT_NOT_SUBMITTED = 64, /* a submission returns -EBUSY */
	FAULT_FILTERED = 128,     /* every cancellation returns -EPERM */
	FAULT_RESTRICTED = 256,   /* the ring refuses a request */
	FAULT_HELD = 512,         /* a request waits behind requests that do not end */
};

/* Starts a new kernel. At most limit of these faults happen to the following calls. */
void kernel_start(unsigned faults, unsigned limit);

/* Stops all faults, except for a filter, which remains. */
void kernel_behave(void);

/*
 * The application's ring, with room for this many completions. On a served ring (SQPOLL) a kernel
 * thread posts completions at any time, and entering the ring does not post them.
 */
struct io_uring *kernel_ring(unsigned completions, bool is_served);

/* The application cancels every request on its ring. */
void kernel_cancel(void);

/* The target is closed: a doorbell from now on would reach another descriptor. */
void kernel_forbid_rings(void);

/* The application's own wait: blocks until the ring or the eventfd is readable. */
void kernel_poll(int descriptor);

/* Visits the completions that have no room in the ring. */
void kernel_for_each_due(void (*look)(const struct io_uring_cqe *completion));

/* True if everything that was opened is closed. */
bool kernel_is_clean(void);

/* True if the loop's last wait had a timeout. */
bool kernel_sleeps_timed(void);

/* True if the loop blocks only for a short time. */
bool kernel_naps(void);

/* The number of the loop's futex_wait() calls since kernel_start(). */
unsigned kernel_parks(void);

bool kernel_can_step(void);
void kernel_step(void);

#endif
