/* SPDX-License-Identifier: MIT */
/*
 * The doorbell wakes the loop's thread from another thread. It has three forms, chosen at open:
 *
 *   MSG_RING            the sender posts one completion straight into the loop's ring
 *   eventfd on a ring   a poll request on the application's ring watches the eventfd
 *   eventfd alone       the loop blocks in ppoll(2) on the eventfd; no io_uring is needed
 *
 * The doorbell does not know which sender must ring: the target's word decides that.
 */
#ifndef RINGWAKE_DOORBELL_H
#define RINGWAKE_DOORBELL_H

#include <liburing.h>
#include <ringwake/ringwake.h>

/* The poll request of the second form: watch.c. */
struct watch {
	enum { WATCH_NONE, WATCH_PREPARED, WATCH_LIVE } state;
	unsigned position;    /* the submission queue's tail behind the request */
	unsigned completions; /* the completion queue's tail before the request */
	uint64_t thread;      /* number of the thread that prepared it */
};

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
	uint64_t registered_by; /* number of a thread */
	struct watch watch;
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

/* The loop's ring is the application's, and the doorbell is an eventfd. */
static inline bool ringwake_doorbell_is_watched(const struct doorbell *doorbell)
{
	return doorbell->path == RINGWAKE_PATH_EVENTFD && doorbell->ring != NULL;
}

/*
 * All functions below are for the loop's thread.
 *
 * Call before each sleep. 1: a ring will end the sleep; 0: the loop must not sleep, completions
 * wait in the queue; or a negative error number.
 */
int ringwake_doorbell_prepare(struct doorbell *doorbell);

/* Blocks until the completion queue holds this many completions, or the eventfd was written. */
int ringwake_doorbell_sleep(struct doorbell *doorbell, unsigned completions, int64_t timeout_ns);

/* Blocks for that time, whatever rings. */
void ringwake_doorbell_nap(int64_t time_ns);

/* Submits what the application has prepared. */
int ringwake_doorbell_submit(struct doorbell *doorbell);

/* Some rings post completions only when their owner enters them; for a loop that is awake. */
void ringwake_doorbell_run_task_work(struct doorbell *doorbell);

/* Submits what is prepared, and lets the kernel post what is due, without blocking. */
int ringwake_doorbell_flush(struct doorbell *doorbell);

/* Takes doorbells off the front of the queue. Returns how many rings they stand for. */
uint64_t ringwake_doorbell_reap(struct doorbell *doorbell);

/* The number of completions in the ring's queue. */
unsigned ringwake_doorbell_completions(const struct doorbell *doorbell);

/* True if the completion is the doorbell's. Each completion must be shown once, when it is taken.
 */
bool ringwake_doorbell_recognise(struct doorbell *doorbell, const struct io_uring_cqe *completion);

/* No thread may be in ringwake_doorbell_ring(), nor enter it again. */
void ringwake_doorbell_close(struct doorbell *doorbell);

/* Close for a forked child: releases the child's copies and leaves the ring itself alone. */
void ringwake_doorbell_abandon(struct doorbell *doorbell);

/* For the files of the doorbell alone. */
int ringwake_doorbell_sleep_in_ring(
	struct doorbell *doorbell, unsigned completions, int64_t timeout_ns);
int ringwake_doorbell_run_ring(const struct doorbell *doorbell);
int ringwake_doorbell_repost(
	const struct doorbell *doorbell, const struct io_uring_cqe *completion);

/* watch.c */
int ringwake_watch_prepare(struct doorbell *doorbell);
void ringwake_watch_note(struct watch *watch, const struct io_uring_cqe *completion);
void ringwake_watch_close(struct doorbell *doorbell);

/*
 * purge.c: takes all doorbells out of the application's queue, and out of the kernel's backlog.
 * Returns how many completions it left in the queue.
 */
unsigned ringwake_doorbell_purge(struct doorbell *doorbell);

#endif
