/* SPDX-License-Identifier: MIT */
#include "doorbell.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "process.h"
#include "system.h"
#include "thread.h"

/* Of linux/io_uring.h, newer than the headers that liburing 2.3 brings. */
#define REGISTER_SEND_MSG_RING 31
#define SETUP_CQE_MIXED        (1U << 18)

/* Enough for doorbells of senders that stalled and rang late; more go to the kernel's backlog. */
#define OWN_COMPLETIONS 32

/* A ring by a thread whose system call was interrupted or refused for the moment is tried again. */
#define ATTEMPTS 16

/* So many in a row are no signals, but a system call that is denied in this way. */
#define MANY_INTERRUPTIONS 10000

static void prepare_msg_ring(struct io_uring_sqe *sqe, int fd, uint64_t user_data, int32_t result)
{
	memset(sqe, 0, sizeof *sqe);
	sqe->opcode = IORING_OP_MSG_RING;
	sqe->fd = fd;
	sqe->len = (uint32_t)result;
	sqe->off = user_data;
}

static int send_msg_ring(const struct io_uring_sqe *sqe)
{
	return ringwake_system.register_ring(-1, REGISTER_SEND_MSG_RING, sqe, 1);
}

/* A kernel that knows sync MSG_RING tries to read the request first; any other answer is its
 * refusal. */
static int probe_msg_ring(void)
{
	int result = ringwake_system.register_ring(
		-1, REGISTER_SEND_MSG_RING, (const void *)UINTPTR_MAX, 1);
	if (result == -EFAULT)
		return 0;
	return result < 0 ? result : -EINVAL;
}

static int check_ring(const struct io_uring *ring)
{
	if (ring->ring_fd < 0)
		return -EBADF;
	if (ring->flags & (IORING_SETUP_IOPOLL | SETUP_CQE_MIXED))
		return -EOPNOTSUPP;
	/* Does nothing to a ring that works; -EBADFD if it is disabled, -EBADF if it is closed. */
	return ringwake_system.enter(ring->ring_fd, 0, 0, NULL, 0);
}

static int open_msg_ring(struct doorbell *doorbell)
{
	int error = probe_msg_ring();
	if (error < 0)
		return error;
	if (doorbell->ring == NULL) {
		error = ringwake_system.queue_init(&doorbell->own, 1, OWN_COMPLETIONS);
		if (error < 0)
			return error;
		doorbell->ring = &doorbell->own;
	}
	doorbell->path = RINGWAKE_PATH_MSG_RING;
	doorbell->fd = doorbell->ring->ring_fd;
	prepare_msg_ring(doorbell->request, doorbell->fd, doorbell->user_data, 0);
	return 0;
}

static int open_eventfd(struct doorbell *doorbell)
{
	/* A READ on a ring waits only on a blocking one; without a ring the loop must never block.
	 */
	int flags = doorbell->ring ? EFD_CLOEXEC : EFD_CLOEXEC | EFD_NONBLOCK;
	int fd = ringwake_system.eventfd(flags);
	if (fd < 0)
		return fd;
	doorbell->path = RINGWAKE_PATH_EVENTFD;
	doorbell->fd = fd;
	*(uint64_t *)doorbell->request = 1;
	return 0;
}

static int path_from_environment(enum ringwake_path *path)
{
	const char *name = secure_getenv("RINGWAKE_PATH");
	if (name == NULL || strcmp(name, "") == 0 || strcmp(name, "auto") == 0)
		return 0;
	if (strcmp(name, "msg_ring") == 0)
		*path = RINGWAKE_PATH_MSG_RING;
	else if (strcmp(name, "eventfd") == 0)
		*path = RINGWAKE_PATH_EVENTFD;
	else
		return -EINVAL;
	return 0;
}

static int open_path(struct doorbell *doorbell, enum ringwake_path path)
{
	switch (path) {
	case RINGWAKE_PATH_MSG_RING:
		return open_msg_ring(doorbell);
	case RINGWAKE_PATH_EVENTFD:
		return open_eventfd(doorbell);
	case RINGWAKE_PATH_AUTO:
		return open_msg_ring(doorbell) < 0 ? open_eventfd(doorbell) : 0;
	}
	return -EINVAL;
}

int ringwake_doorbell_open(struct doorbell *doorbell, struct io_uring *ring,
	enum ringwake_path path, uint64_t user_data)
{
	int error = 0;
	if (path == RINGWAKE_PATH_AUTO)
		error = path_from_environment(&path);
	if (error == 0 && ring != NULL)
		error = check_ring(ring);
	if (error < 0)
		return error;

	doorbell->ring = ring;
	doorbell->user_data = user_data;
	doorbell->request = ringwake_wiped_new();
	if (doorbell->request == NULL)
		return -ENOMEM;
	error = open_path(doorbell, path);
	if (error < 0)
		ringwake_wiped_free(doorbell->request);
	return error;
}

int ringwake_doorbell_ring(const struct doorbell *doorbell)
{
	int result = 0;
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		if (doorbell->path == RINGWAKE_PATH_MSG_RING)
			result = send_msg_ring(doorbell->request);
		else
			result = ringwake_system.write(doorbell->fd, doorbell->request);
		if (result != -EINTR && result != -EAGAIN)
			break;
	}
	return result < 0 ? result : 0;
}

int ringwake_doorbell_post(const struct doorbell *doorbell, uint64_t user_data, int32_t result)
{
	if (doorbell->path != RINGWAKE_PATH_MSG_RING || doorbell->ring == &doorbell->own)
		return -EOPNOTSUPP;
	struct io_uring_sqe sqe;
	prepare_msg_ring(&sqe, doorbell->fd, user_data, result);
	return send_msg_ring(&sqe);
}

/*
 * For a request that is the last in the application's queue. The ring may refuse for now, or take
 * fewer than all; the request stays there then, and can be tried again. A kernel thread takes all,
 * late.
 */
static int submit_last(struct doorbell *doorbell)
{
	int result = ringwake_system.submit(doorbell->ring);
	if (result < 0)
		return result;
	bool is_taken = doorbell->ring->flags & IORING_SETUP_SQPOLL ||
		io_uring_sq_ready(doorbell->ring) == 0;
	return is_taken ? 0 : -EAGAIN;
}

static int submit_read(struct doorbell *doorbell)
{
	int error = submit_last(doorbell);
	doorbell->read_submitted = error == 0;
	return error;
}

static int get_request(struct doorbell *doorbell, struct io_uring_sqe **sqe)
{
	*sqe = io_uring_get_sqe(doorbell->ring);
	if (*sqe)
		return 0;
	int error = ringwake_system.submit(doorbell->ring);
	*sqe = io_uring_get_sqe(doorbell->ring);
	if (*sqe)
		return 0;
	return error < 0 ? error : -EBUSY;
}

static int prepare_read(struct doorbell *doorbell)
{
	struct io_uring_sqe *sqe;
	int error = get_request(doorbell, &sqe);
	if (error < 0)
		return error;
	/* Relaxed: the submission that follows hands the buffer to the kernel. */
	atomic_store_explicit(&doorbell->read_value, 0, memory_order_relaxed);
	io_uring_prep_read(sqe, doorbell->fd, &doorbell->read_value, sizeof(uint64_t), 0);
	io_uring_sqe_set_data64(sqe, doorbell->user_data);
	doorbell->read_request = sqe;
	doorbell->read_submitted = false;
	doorbell->read_by = ringwake_thread_number();
	return submit_read(doorbell);
}

/* Only a READ has to be prepared. A thread's requests end with it: another thread submits anew. */
int ringwake_doorbell_prepare(struct doorbell *doorbell)
{
	if (doorbell->path == RINGWAKE_PATH_MSG_RING || doorbell->ring == NULL)
		return 0;
	if (doorbell->read_request && !doorbell->read_submitted)
		return submit_read(doorbell);
	/* Acquire: the READ that wrote it is over, so its buffer may be used again. */
	uint64_t value = atomic_load_explicit(&doorbell->read_value, memory_order_acquire);
	if (doorbell->read_request && value == 0 && doorbell->read_by == ringwake_thread_number())
		return 0;
	return prepare_read(doorbell);
}

/* The descriptor to enter the ring by, and the flag that goes with it. */
static int enter_fd(struct doorbell *doorbell, unsigned *flags)
{
	if (doorbell->ring != &doorbell->own)
		return doorbell->ring->ring_fd;
	if (!doorbell->registered) {
		struct io_uring_rsrc_update update = {
			.offset = -1U, .data = (uint64_t)doorbell->fd};
		int count = ringwake_system.register_ring(
			doorbell->fd, IORING_REGISTER_RING_FDS, &update, 1);
		doorbell->registered_index = count == 1 ? (int)update.offset : -1;
		doorbell->registered_by = ringwake_thread_number();
		doorbell->registered = true;
	}
	if (doorbell->registered_index < 0 || doorbell->registered_by != ringwake_thread_number())
		return doorbell->fd;
	*flags |= IORING_ENTER_REGISTERED_RING;
	return doorbell->registered_index;
}

static void unregister_own(struct doorbell *doorbell)
{
	if (!doorbell->registered || doorbell->registered_index < 0 ||
		doorbell->registered_by != ringwake_thread_number())
		return;
	struct io_uring_rsrc_update update = {.offset = (unsigned)doorbell->registered_index};
	ringwake_system.register_ring(doorbell->fd, IORING_UNREGISTER_RING_FDS, &update, 1);
}

static int sleep_in_ring(struct doorbell *doorbell, unsigned completions, int64_t timeout_ns)
{
	struct __kernel_timespec timeout = {
		.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
	struct io_uring_getevents_arg arg = {.ts = (uintptr_t)&timeout};
	unsigned flags = IORING_ENTER_GETEVENTS;
	int fd = enter_fd(doorbell, &flags);
	if (timeout_ns < 0)
		return ringwake_system.enter(fd, completions, flags, NULL, 0);
	flags |= IORING_ENTER_EXT_ARG;
	return ringwake_system.enter(fd, completions, flags, &arg, sizeof arg);
}

static int sleep_in_poll(struct doorbell *doorbell, int64_t timeout_ns)
{
	struct timespec timeout = {
		.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
	struct pollfd entry = {.fd = doorbell->fd, .events = POLLIN};
	int ready = ringwake_system.poll(&entry, timeout_ns < 0 ? NULL : &timeout);
	return ready == 0 ? -ETIME : ready;
}

/* What the application has prepared and the kernel has not been told of. */
static bool has_submissions(const struct doorbell *doorbell)
{
	return !ringwake_doorbell_is_private(doorbell) && io_uring_sq_ready(doorbell->ring) > 0;
}

int ringwake_doorbell_submit(struct doorbell *doorbell)
{
	return has_submissions(doorbell) ? ringwake_system.submit(doorbell->ring) : 0;
}

int ringwake_doorbell_sleep(struct doorbell *doorbell, unsigned completions, int64_t timeout_ns)
{
	int result;
	if (doorbell->ring == NULL) {
		result = sleep_in_poll(doorbell, timeout_ns);
	} else if (has_submissions(doorbell) && timeout_ns < 0 && completions == 1) {
		result = ringwake_system.submit_and_wait(doorbell->ring);
	} else {
		result = ringwake_doorbell_submit(doorbell);
		if (result >= 0)
			result = sleep_in_ring(doorbell, completions, timeout_ns);
	}
	/* -EBADR: the kernel had to drop completions. The loop must look, so it counts as awake. */
	return result < 0 && result != -EBADR ? result : 0;
}

static int get_posted(const struct doorbell *doorbell)
{
	return ringwake_system.enter(doorbell->ring->ring_fd, 0, IORING_ENTER_GETEVENTS, NULL, 0);
}

void ringwake_doorbell_let_post(struct doorbell *doorbell)
{
	if (!ringwake_doorbell_is_private(doorbell) &&
		doorbell->ring->flags & (IORING_SETUP_COOP_TASKRUN | IORING_SETUP_DEFER_TASKRUN))
		get_posted(doorbell);
}

int ringwake_doorbell_flush(struct doorbell *doorbell)
{
	if (ringwake_doorbell_is_private(doorbell))
		return 0;
	int result = ringwake_doorbell_submit(doorbell);
	if (result >= 0)
		result = get_posted(doorbell);
	return result < 0 && result != -EBADR ? result : 0;
}

uint64_t ringwake_doorbell_reap(struct doorbell *doorbell)
{
	uint64_t count = 0;
	if (doorbell->ring == NULL) {
		ringwake_system.read(doorbell->fd, &count);
		return count;
	}
	struct io_uring_cqe *completion;
	unsigned head;
	io_uring_for_each_cqe(doorbell->ring, head, completion)
	{
		if (completion->user_data != doorbell->user_data)
			break;
		count++;
	}
	io_uring_cq_advance(doorbell->ring, (unsigned)count);
	/* Many came late and are in the backlog, which keeps the descriptor readable. */
	if (doorbell->ring == &doorbell->own && io_uring_cq_has_overflow(doorbell->ring))
		get_posted(doorbell);
	return count;
}

unsigned ringwake_doorbell_completions(const struct doorbell *doorbell)
{
	return doorbell->ring ? io_uring_cq_ready(doorbell->ring) : 0;
}

/* Moves the application's completions together at the tail of the queue; their order stays. The
 * number of those that are gone. */
static unsigned remove_from_queue(struct io_uring *ring, uint64_t user_data)
{
	struct io_uring_cq *queue = &ring->cq;
	unsigned shift = ring->flags & IORING_SETUP_CQE32 ? 1 : 0;
	unsigned head = *queue->khead;
	unsigned tail = io_uring_smp_load_acquire(queue->ktail);
	unsigned kept = tail;
	for (unsigned i = tail; i != head;) {
		i--;
		const struct io_uring_cqe *completion =
			&queue->cqes[(i & queue->ring_mask) << shift];
		if (completion->user_data == user_data)
			continue;
		kept--;
		memmove(&queue->cqes[(kept & queue->ring_mask) << shift], completion,
			sizeof *completion << shift);
	}
	io_uring_cq_advance(ring, kept - head);
	return kept - head;
}

/* What is not taken in the end must not be taken when the target is gone. */
static int submit_or_drop(struct doorbell *doorbell, struct io_uring_sqe *sqe)
{
	int error = submit_last(doorbell);
	for (int attempt = 1; error < 0 && attempt < ATTEMPTS; attempt++)
		error = submit_last(doorbell);
	if (error < 0) {
		io_uring_prep_nop(sqe);
		sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
	}
	return error;
}

/* For a thread that must not write, by a filter, but may use the ring. */
static int ring_by_request(struct doorbell *doorbell)
{
	struct io_uring_sqe *sqe;
	int error = get_request(doorbell, &sqe);
	if (error < 0)
		return error;
	io_uring_prep_write(sqe, doorbell->fd, doorbell->request, sizeof(uint64_t), 0);
	sqe->flags = IOSQE_CQE_SKIP_SUCCESS; /* its completion could come after close */
	io_uring_sqe_set_data64(sqe, doorbell->user_data);
	return submit_or_drop(doorbell, sqe);
}

/* False if the system refuses to wait. */
static bool await_read(struct doorbell *doorbell)
{
	for (unsigned interruptions = 0; interruptions < MANY_INTERRUPTIONS;) {
		/* Counted before the look: a READ that ends in between must not be waited for
		 * again. */
		unsigned completions = ringwake_doorbell_completions(doorbell) + 1;
		/* Acquire: pairs with the kernel's write; the buffer may go away after it. */
		if (atomic_load_explicit(&doorbell->read_value, memory_order_acquire) != 0)
			return true;
		int result = sleep_in_ring(doorbell, completions, -1);
		if (result == -EINTR)
			interruptions++;
		else if (result < 0 && result != -EBADR)
			return false;
	}
	return false;
}

/* A NOP gives 0; a READ gives the size of the value, or an error. */
static bool barrier_is_passed(const struct doorbell *doorbell)
{
	struct io_uring_cqe *completion;
	unsigned head;
	io_uring_for_each_cqe(doorbell->ring, head, completion)
	{
		if (completion->user_data == doorbell->user_data && completion->res == 0)
			return true;
	}
	return false;
}

/*
 * A kernel thread that serves the ring writes the buffer some time before it posts the completion,
 * which must not come after close. It completes in order, so a NOP's completion is waited for; not
 * in a queue that is full of the application's, where it has no place.
 */
static void pass_barrier(struct doorbell *doorbell)
{
	struct io_uring_sqe *sqe;
	if (!(doorbell->ring->flags & IORING_SETUP_SQPOLL) || get_request(doorbell, &sqe) < 0)
		return;
	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data64(sqe, doorbell->user_data);
	if (submit_or_drop(doorbell, sqe) < 0)
		return;
	for (;;) {
		/* Counted before the look, as above. */
		unsigned completions = ringwake_doorbell_completions(doorbell);
		if (barrier_is_passed(doorbell))
			return;
		if (completions == doorbell->ring->cq.ring_entries) {
			if (remove_from_queue(doorbell->ring, doorbell->user_data) == 0)
				return;
			continue;
		}
		int result = sleep_in_ring(doorbell, completions + 1, -1);
		if (result < 0 && result != -EINTR && result != -EBADR)
			return;
	}
}

/*
 * Ends the READ by ringing it; nothing else gives its buffer back on every kernel. False if the
 * system refuses all that could end it: the buffer is the kernel's then.
 */
static bool finish_read(struct doorbell *doorbell)
{
	if (doorbell->read_request == NULL || doorbell->read_by != ringwake_thread_number())
		return true;
	if (!doorbell->read_submitted && submit_or_drop(doorbell, doorbell->read_request) < 0)
		return true;
	if (ringwake_doorbell_ring(doorbell) < 0 && ring_by_request(doorbell) < 0)
		return false;
	if (!await_read(doorbell))
		return false;
	pass_barrier(doorbell);
	return true;
}

bool ringwake_doorbell_close(struct doorbell *doorbell)
{
	bool is_over = true;
	if (!ringwake_doorbell_is_private(doorbell)) {
		if (doorbell->path == RINGWAKE_PATH_EVENTFD)
			is_over = finish_read(doorbell);
		ringwake_doorbell_flush(doorbell);
		remove_from_queue(doorbell->ring, doorbell->user_data);
	}
	if (doorbell->ring == &doorbell->own)
		unregister_own(doorbell);
	ringwake_doorbell_abandon(doorbell);
	return is_over;
}

void ringwake_doorbell_abandon(struct doorbell *doorbell)
{
	if (doorbell->ring == &doorbell->own)
		ringwake_system.queue_exit(&doorbell->own);
	if (doorbell->path == RINGWAKE_PATH_EVENTFD)
		ringwake_system.close(doorbell->fd);
	ringwake_wiped_free(doorbell->request);
}
