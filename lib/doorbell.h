/* SPDX-License-Identifier: MIT */
/*
 * The doorbell: how a thread that sleeps is woken by another. It has three forms, chosen at open:
 *
 *   MSG_RING            one completion posted straight into the loop's ring
 *   eventfd on a ring   a READ of the eventfd waits on the application's ring
 *   eventfd alone       the loop sleeps in ppoll(2) on it; no io_uring is needed
 *
 * It keeps no state about who has to ring: that is the target's word.
 */
#ifndef RINGWAKE_DOORBELL_H
#define RINGWAKE_DOORBELL_H

#include <liburing.h>
#include <ringwake/ringwake.h>

struct doorbell {
	/* Written at open, read by every sender. */
	enum ringwake_path path;
	int fd;             /* what is rung: the ring's, or the eventfd */
	uint64_t user_data; /* of the doorbell's completion */
	void *request; /* what the kernel is handed: an SQE, or the eventfd's 1; wiped by fork */
	struct io_uring *ring; /* the application's, or &own, or NULL */

	/* The loop thread's. */
	struct io_uring own;
	bool registered; /* own is registered with the thread that waits, which saves a look-up */
	int registered_index;
	uint64_t registered_by; /* number of a thread, as read_by */
	/* The READ of the eventfd on the application's ring: prepared, and known to the kernel. */
	struct io_uring_sqe *read_request;
	bool read_submitted;
	uint64_t read_by;
	_Atomic uint64_t read_value; /* 0 until that READ has completed; the kernel writes it */
};

int ringwake_doorbell_open(struct doorbell *doorbell, struct io_uring *ring,
	enum ringwake_path path, uint64_t user_data);

/* Any thread. 0 once the loop is certain to wake. */
int ringwake_doorbell_ring(const struct doorbell *doorbell);

/* Any thread. Exactly one completion with this user_data and res on the application's ring. */
int ringwake_doorbell_post(const struct doorbell *doorbell, uint64_t user_data, int32_t result);

/* Nobody but the target sees the doorbell's completions. */
static inline bool ringwake_doorbell_is_private(const struct doorbell *doorbell)
{
	return doorbell->ring == NULL || doorbell->ring == &doorbell->own;
}

/* The rest is the loop thread's. Before each sleep. */
int ringwake_doorbell_prepare(struct doorbell *doorbell);

/* Sleeps until the completion queue holds completions, or the eventfd was written. */
int ringwake_doorbell_sleep(struct doorbell *doorbell, unsigned completions, int64_t timeout_ns);

/* Submits what the application has prepared. */
int ringwake_doorbell_submit(struct doorbell *doorbell);

/* For a loop that is awake: some rings post completions only when their owner comes by. */
void ringwake_doorbell_let_post(struct doorbell *doorbell);

/* Submits what is prepared, and lets the kernel post what is due, without sleeping. */
int ringwake_doorbell_flush(struct doorbell *doorbell);

/* Takes doorbells that have arrived off the front of the queue; returns how many rings they stand
 * for. */
uint64_t ringwake_doorbell_reap(struct doorbell *doorbell);

/* How many completions wait in the ring's queue. */
unsigned ringwake_doorbell_completions(const struct doorbell *doorbell);

/* Nobody may be in ringwake_doorbell_ring(). False if the kernel may still write to read_value. */
bool ringwake_doorbell_close(struct doorbell *doorbell);

/* As close, in a forked child: lets go of the child's copies, does nothing to the ring itself. */
void ringwake_doorbell_abandon(struct doorbell *doorbell);

#endif
