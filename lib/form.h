/* SPDX-License-Identifier: MIT */
/* The operations of each form of the doorbell, and what the forms share. For their files alone. */
#ifndef RINGWAKE_FORM_H
#define RINGWAKE_FORM_H

#include <errno.h>

#include "doorbell.h"
#include "system.h"

/* doorbell.h describes each operation. If one is NULL, the form needs nothing there. */
struct doorbell_form {
	enum ringwake_path path;
	int (*open)(struct doorbell *doorbell); /* leaves nothing open if it fails */
	int (*notify)(const struct doorbell *doorbell);
	int (*post)(const struct doorbell *doorbell, uint64_t user_data, int32_t result);
	int (*prepare)(struct doorbell *doorbell);
	bool (*may_block)(const struct doorbell *doorbell, unsigned completions, bool is_armed);
	int (*block)(struct doorbell *doorbell, unsigned completions, int64_t timeout_ns);
	void (*consume)(struct doorbell *doorbell, uint32_t calls, const _Atomic uint32_t *gate);
	void (*note)(struct doorbell *doorbell, const struct io_uring_cqe *completion);
	void (*close)(struct doorbell *doorbell); /* before abandon */
	void (*abandon)(struct doorbell *doorbell);
};

extern const struct doorbell_form ringwake_form_msg_ring, ringwake_form_own_ring,
	ringwake_form_watch, ringwake_form_eventfd;

/* True if a system call that was interrupted or refused for the moment is to be made again. */
#define ATTEMPTS 16
static inline bool ringwake_try_again(int result, int *attempts)
{
	return (result == -EINTR || result == -EAGAIN) && ++*attempts < ATTEMPTS;
}

/* -EBADR: the kernel had to drop completions. The loop must look, so it counts as awake. */
static inline int ringwake_unless_dropped(int result)
{
	return result < 0 && result != -EBADR ? result : 0;
}

/* Tells the form of a completion of the doorbell that is taken out of the queue. */
static inline void ringwake_doorbell_note(
	struct doorbell *doorbell, const struct io_uring_cqe *completion)
{
	if (doorbell->form->note)
		doorbell->form->note(doorbell, completion);
}

/* msg_ring.c */
int ringwake_msg_ring_open(struct doorbell *doorbell, const struct io_uring *ring);
int ringwake_msg_ring_probe(void);
int ringwake_msg_ring_notify(const struct doorbell *doorbell);
int ringwake_msg_ring_repost(
	const struct doorbell *doorbell, const struct io_uring_cqe *completion);

/* eventfd.c */
int ringwake_eventfd_open(struct doorbell *doorbell, unsigned count);
int ringwake_eventfd_notify(const struct doorbell *doorbell);
void ringwake_eventfd_abandon(struct doorbell *doorbell);

/* ring.c. fd is the ring's, or its registered descriptor with the flag that says so. */
int ringwake_ring_check(const struct io_uring *ring);
int ringwake_ring_enter(const struct io_uring *ring, int fd, unsigned flags, unsigned completions,
	int64_t timeout_ns);
int ringwake_ring_run_task_work(const struct io_uring *ring);
int ringwake_ring_block(struct doorbell *doorbell, unsigned completions, int64_t timeout_ns);

/*
 * purge.c: takes all doorbells out of the application's queue, and out of the kernel's backlog.
 * Returns how many completions it left in the queue.
 */
unsigned ringwake_doorbell_purge(struct doorbell *doorbell);

#endif
