/* SPDX-License-Identifier: MIT */
/* The application's ring: all accepted setups, and what an application does with the ring. */
#ifndef TESTS_UNIT_RINGS_H
#define TESTS_UNIT_RINGS_H

#include <liburing.h>
#include <sys/eventfd.h>

#include "hooks.h"

static const struct setup {
	const char *name;
	unsigned flags;
} setups[] = {
	{"plain", 0},
	{"COOP_TASKRUN", IORING_SETUP_COOP_TASKRUN},
	{"SINGLE_ISSUER", IORING_SETUP_SINGLE_ISSUER},
	{"SINGLE_ISSUER|DEFER_TASKRUN", IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN},
	{"SQPOLL", IORING_SETUP_SQPOLL},
	{"CQE32", IORING_SETUP_CQE32},
	{"SQE128", IORING_SETUP_SQE128},
};
#define FOR_EACH_SETUP(setup)                                                                      \
	for (const struct setup *setup = setups; setup < setups + sizeof setups / sizeof *setups;  \
		setup++)

/* Returns false if the kernel does not know the setup. completions 0: the kernel's default. */
static inline bool make_ring_of(
	struct io_uring *ring, unsigned entries, unsigned completions, unsigned flags)
{
	struct io_uring_params params = {.flags = flags | (completions ? IORING_SETUP_CQSIZE : 0),
		.cq_entries = completions};
	int error = io_uring_queue_init_params(entries, ring, &params);
	if (error == -EINVAL && flags != 0) {
		print_message("this kernel refuses setup flags 0x%x\n", flags);
		return false;
	}
	assert_int_equal(error, 0);
	return true;
}

static inline bool make_ring(struct io_uring *ring, unsigned entries, unsigned flags)
{
	return make_ring_of(ring, entries, 0, flags);
}

static inline struct io_uring_sqe *get_sqe(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	assert_non_null(sqe);
	return sqe;
}

static inline struct io_uring_sqe *prepare_nop(struct io_uring *ring, uint64_t user_data)
{
	struct io_uring_sqe *sqe = get_sqe(ring);
	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data64(sqe, user_data);
	return sqe;
}

#define DOORBELL 0xd00b /* the doorbell's user data, also used after close */

static inline struct ringwake *open_doorbell(struct io_uring *ring)
{
	return open_target_with(ring, (struct ringwake_params){.user_data = DOORBELL});
}

/* Blocks until a completion has this user data. Leaves it in the queue. */
static inline struct io_uring_cqe *await_completion(struct io_uring *ring, uint64_t user_data)
{
	for (unsigned seen = 0;;) {
		struct __kernel_timespec patience = {.tv_sec = PATIENCE_SECONDS};
		struct io_uring_cqe *cqe;
		unsigned head;
		assert_int_equal(io_uring_wait_cqes(ring, &cqe, seen + 1, &patience, NULL), 0);
		seen = 0;
		io_uring_for_each_cqe(ring, head, cqe)
		{
			if (cqe->user_data == user_data)
				return cqe;
			seen++;
		}
	}
}

/* Consumes all completions. Returns how many are the application's own. */
static inline unsigned take_completions(struct io_uring *ring, const struct ringwake *target)
{
	struct io_uring_cqe *cqe;
	unsigned head, seen = 0, own = 0;
	io_uring_for_each_cqe(ring, head, cqe)
	{
		seen++;
		own += !ringwake_is_doorbell(target, cqe);
	}
	io_uring_cq_advance(ring, seen);
	return own;
}

/* Arms the target on the loop's thread, which may have to handle completions first. */
static inline void arm(struct io_uring *ring, struct ringwake *target)
{
	while (!ringwake_arm(target)) {
		ringwake_disarm(target);
		io_uring_get_events(ring);
		take_completions(ring, target);
		ringwake_dispatch(target, 0);
		sched_yield(); /* to the kernel's thread of the ring */
	}
}

/* A sender's doorbell wakes an armed loop. */
static inline void assert_wakes_armed(struct io_uring *ring, struct ringwake *target)
{
	struct counted message = {.msg.fn = count_message};
	struct __kernel_timespec patience = {.tv_sec = PATIENCE_SECONDS};
	struct io_uring_cqe *cqe;
	assert_int_equal(ringwake_send(target, &message.msg), 0);
	assert_int_equal(io_uring_wait_cqes(ring, &cqe, 1, &patience, NULL), 0);
	take_completions(ring, target);
	ringwake_disarm(target);
	assert_int_equal(ringwake_dispatch(target, 0), 1);
	assert_int_equal(message.count, 1);
}

static inline void assert_wakes(struct io_uring *ring, struct ringwake *target)
{
	arm(ring, target);
	assert_wakes_armed(ring, target);
}

/* Submits requests that end at once and post no completion. A ring may defer them. */
static inline void fire_silent_requests(struct io_uring *ring, unsigned count)
{
	int fd = eventfd(0, 0);
	for (unsigned i = 0; i < count; i++) {
		struct io_uring_sqe *sqe = get_sqe(ring);
		io_uring_prep_poll_add(sqe, fd, POLLIN);
		io_uring_sqe_set_flags(sqe, IOSQE_CQE_SKIP_SUCCESS);
	}
	assert_true(io_uring_submit(ring) >= 0);
	while (io_uring_sq_ready(ring) > 0)
		sched_yield();
	assert_int_equal(eventfd_write(fd, 1), 0);
	close(fd);
}

#define CANCELLED_ALL 0xca11

/* The closed target has left no request and no completion on the ring. */
static inline void assert_nothing_left(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = get_sqe(ring);
	io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
	io_uring_sqe_set_data64(sqe, CANCELLED_ALL);
	assert_true(io_uring_submit(ring) >= 0);
	for (bool is_over = false;;) {
		struct __kernel_timespec patience = {.tv_sec = PATIENCE_SECONDS};
		struct io_uring_cqe *cqe;
		if (is_over && io_uring_peek_cqe(ring, &cqe) != 0)
			return;
		assert_int_equal(io_uring_wait_cqe_timeout(ring, &cqe, &patience), 0);
		assert_int_not_equal(cqe->user_data, DOORBELL);
		if (cqe->user_data == CANCELLED_ALL) {
			assert_int_equal(cqe->res, 0);
			is_over = true;
		}
		io_uring_cqe_seen(ring, cqe);
	}
}

/* True if close searches the kernel's backlog for doorbells, given a kernel with sync MSG_RING. */
static inline bool searches_backlog(const struct setup *setup)
{
	struct ringwake_params params = {.path = RINGWAKE_PATH_MSG_RING};
	struct ringwake *target;
	if (setup->flags & IORING_SETUP_CQE32 || ringwake_open(&target, NULL, &params) < 0)
		return false;
	ringwake_close(target);
	return true;
}

/* Closes the target. Close must return and leave nothing on the ring. */
static inline void close_clean(struct io_uring *ring, struct ringwake *target)
{
	ringwake_close(target);
	assert_nothing_left(ring);
	io_uring_queue_exit(ring);
}

#endif
