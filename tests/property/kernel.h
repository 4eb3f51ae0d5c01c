/* SPDX-License-Identifier: MIT */
/*
 * A kernel with one io_uring and one eventfd, in place of the real one: it is put into
 * ringwake_system, counts completions in memory, and lets a sleeping thread wait in the schedule.
 * Whatever a real kernel may answer, or do at its leisure, is a choice of the schedule.
 */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdbool.h>
#include <stdint.h>

struct io_uring;
struct io_uring_cqe;

#define LOOP 0 /* the number of its thread */

enum fault {
	FAULT_REFUSED = 1,        /* a doorbell of another thread is answered -ENOMEM */
	FAULT_RETRY = 2,          /* -EINTR or -EAGAIN */
	FAULT_DELAYED = 4,        /* its completion comes later */
	FAULT_DUPLICATED = 8,     /* the completion of a message to the ring comes twice */
	FAULT_OVERFLOW = 16,      /* a full queue answers -EOVERFLOW, and drops it */
	FAULT_INTERRUPTED = 32,   /* a sleep ends with -EINTR */
	FAULT_NOT_SUBMITTED = 64, /* a submission is answered -EBUSY */
	FAULT_FILTERED = 128,     /* every cancellation is answered -EPERM */
	FAULT_RESTRICTED = 256,   /* the ring refuses a request */
	FAULT_HELD = 512,         /* a request waits for others that do not end */
};

/* A new kernel. At most limit of these faults happen to the calls from now on. */
void kernel_start(unsigned faults, unsigned limit);

/* No faults any more, except for a filter, which stays. */
void kernel_behave(void);

/*
 * The application's ring, with room for this many completions. One that is served (SQPOLL) posts
 * them when a thread of the kernel gets to it, and not because somebody enters the ring.
 */
struct io_uring *kernel_ring(unsigned completions, bool is_served);

/* The application cancels every request on its ring. */
void kernel_cancel(void);

/* The target is closed: a thread that rings now would ring something else. */
void kernel_forbid_rings(void);

/* A sleep of the application's own: until there is something in the ring or the eventfd. */
void kernel_poll(int descriptor);

/* The completions that have found no room in the ring. */
void kernel_for_each_due(void (*look)(const struct io_uring_cqe *completion));

/* Nothing that was opened is left. */
bool kernel_is_clean(void);

/* The loop's last sleep had a timeout. */
bool kernel_sleeps_timed(void);

/* The loop sleeps for a short time, whatever happens. */
bool kernel_naps(void);

/* Calls of futex_wait() since kernel_start(). */
unsigned kernel_parks(void);

bool kernel_can_step(void);
void kernel_step(void);

#endif
