/* SPDX-License-Identifier: MIT */
/*
 * The doorbell ends the wait of the loop's thread from another thread. It has one of four forms,
 * chosen at open. form.h has their operations, and each form is one file:
 *
 *   msg_ring.c  the sender posts one completion into the application's ring
 *   own_ring.c  the same, into a small ring of the target's own
 *   watch.c     a poll request on the application's ring watches an eventfd
 *   eventfd.c   the loop polls an eventfd; no io_uring is needed
 *
 * ring.c has what the forms on a ring share. The doorbell does not know which sender must notify
 * the loop: the target's word decides that.
 */
#ifndef RINGWAKE_DOORBELL_H
#define RINGWAKE_DOORBELL_H

#include <liburing.h>
#include <ringwake/ringwake.h>

#include "gate.h"

/* The state of own_ring.c. */
struct own_ring {
	struct io_uring ring;
	bool registered; /* with the thread that waits, which saves the kernel a look-up */
	int index;       /* its registered descriptor, or negative */
	uint64_t thread; /* number of that thread */
};

/* The state of watch.c. */
struct watch {
	enum { WATCH_NONE, WATCH_PREPARED, WATCH_LIVE } state;
	unsigned position;    /* the submission queue's tail behind the request */
	unsigned completions; /* the completion queue's tail before the request */
	uint64_t thread;      /* number of the thread that prepared it */
};

struct doorbell {
	/* Written at open, read by every sender. */
	const struct doorbell_form *form;
	int fd;             /* of the ring that is posted into, or the eventfd */
	uint64_t user_data; /* of the doorbell's completion */
	void *request; /* what the kernel is handed: an SQE, or the eventfd's 1; wiped by fork */
	struct io_uring *application; /* the application's ring; NULL: none */
	struct io_uring *ring;        /* the ring that the loop blocks in; NULL: none */

	/* The loop thread's. */
	struct own_ring own;
	struct watch watch;
	uint32_t calls_consumed; /* uses whose write to the eventfd was read: eventfd.c */
};

int ringwake_doorbell_open(struct doorbell *doorbell, struct io_uring *ring,
	enum ringwake_path path, uint64_t user_data);
enum ringwake_path ringwake_doorbell_path(const struct doorbell *doorbell);

/* The file descriptor that is readable after a notification, or -EOPNOTSUPP. */
int ringwake_doorbell_fd(const struct doorbell *doorbell);

/* Any thread. 0 once the loop is certain to wake. */
int ringwake_doorbell_notify(const struct doorbell *doorbell);

/* Any thread. Exactly one completion with this user_data and res on the application's ring. */
int ringwake_doorbell_post(const struct doorbell *doorbell, uint64_t user_data, int32_t result);

/*
 * All functions below are for the loop's thread.
 *
 * Call before the loop blocks. 1: a notification will end the wait; 0: the loop must not block,
 * completions are in the queue; or a negative error number.
 */
int ringwake_doorbell_prepare(struct doorbell *doorbell);

/* True if a notification ends a wait for one more than these completions. */
bool ringwake_doorbell_may_block(
	const struct doorbell *doorbell, unsigned completions, bool is_armed);

/* Submits, and blocks until the queue has this many completions or the eventfd was written. */
int ringwake_doorbell_block(struct doorbell *doorbell, unsigned completions, int64_t timeout_ns);

/* Blocks for that time. No notification ends it. */
void ringwake_doorbell_pause(int64_t time_ns);

/*
 * Consumes notifications that no thread but the loop's can see. calls is how many were to be
 * expected since open; the gate says how many of them are still in progress.
 */
void ringwake_doorbell_consume(
	struct doorbell *doorbell, uint32_t calls, const _Atomic uint32_t *gate);

/* True if the completion is the doorbell's. Each completion must be shown once, when it is taken.
 */
bool ringwake_doorbell_recognise(struct doorbell *doorbell, const struct io_uring_cqe *completion);

/* No thread may be in ringwake_doorbell_notify(), nor enter it again. */
void ringwake_doorbell_close(struct doorbell *doorbell);

/* Close for a forked child: releases the child's copies and leaves the ring itself alone. */
void ringwake_doorbell_abandon(struct doorbell *doorbell);

/*
 * ring.c: the application's ring. Without one, the first four do nothing.
 *
 * Submits what the application has prepared.
 */
int ringwake_doorbell_submit(struct doorbell *doorbell);

/* Submits, and lets the kernel post completions that are due, without blocking. */
int ringwake_doorbell_flush(struct doorbell *doorbell);

/* Some rings post completions only when their owner enters them. For a loop that spins. */
void ringwake_doorbell_run_task_work(struct doorbell *doorbell);

/* Takes doorbells off the front of the application's queue. */
void ringwake_doorbell_drain(struct doorbell *doorbell);

/* The number of completions in the queue of the ring that the loop blocks in. */
unsigned ringwake_doorbell_completions(const struct doorbell *doorbell);

#endif
