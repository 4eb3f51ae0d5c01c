/* SPDX-License-Identifier: MIT */
#include "doorbell.h"

#include <errno.h>
#include <ringwake/liburing-compat.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "system.h"
#include "thread.h"
#include "wipeonfork.h"

/* Of linux/io_uring.h, newer than the headers that liburing 2.3 brings. */
#define MSG_RING_FLAGS_PASS (1U << 1)
#define SETUP_CQE_MIXED     (1U << 18)
#define FEAT_NO_IOWAIT      (1U << 17)
#define ENTER_NO_IOWAIT     (1U << 7)

/* Enough for doorbells of senders that stalled and rang late; more go to the kernel's backlog. */
#define OWN_COMPLETIONS 32

/* A system call that was interrupted or refused for the moment is tried again. */
#define ATTEMPTS 16

static void prepare_msg_ring(struct io_uring_sqe *sqe, int fd, uint64_t user_data, int32_t result)
{
	memset(sqe, 0, sizeof *sqe);
	sqe->opcode = IORING_OP_MSG_RING;
	sqe->fd = fd;
	sqe->len = (uint32_t)result;
	sqe->off = user_data;
}

static bool is_momentary(int result)
{
	return result == -EINTR || result == -EAGAIN;
}

static int send_msg_ring(const struct io_uring_sqe *sqe)
{
	int result = -EAGAIN;
	for (int attempt = 0; is_momentary(result) && attempt < ATTEMPTS; attempt++)
		result = ringwake_system.register_ring(-1, RINGWAKE_REGISTER_SEND_MSG_RING, sqe, 1);
	return result;
}

static int write_eventfd(int fd, const uint64_t *value)
{
	int result = -EAGAIN;
	for (int attempt = 0; is_momentary(result) && attempt < ATTEMPTS; attempt++)
		result = ringwake_system.write(fd, value);
	return result < 0 ? result : 0;
}

/* A kernel that knows sync MSG_RING tries to read the request first; any other answer is its
 * refusal. */
static int probe_msg_ring(void)
{
	int result = ringwake_system.register_ring(
		-1, RINGWAKE_REGISTER_SEND_MSG_RING, (const void *)UINTPTR_MAX, 1);
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
	/* A watched eventfd is readable from the start: watch.c says why. */
	int fd = ringwake_system.eventfd(doorbell->ring ? 1 : 0, EFD_CLOEXEC | EFD_NONBLOCK);
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
	doorbell->request = ringwake_wipeonfork_alloc();
	if (doorbell->request == NULL)
		return -ENOMEM;
	error = open_path(doorbell, path);
	if (error < 0)
		ringwake_wipeonfork_free(doorbell->request);
	return error;
}

int ringwake_doorbell_ring(const struct doorbell *doorbell)
{
	if (doorbell->path == RINGWAKE_PATH_MSG_RING)
		return send_msg_ring(doorbell->request);
	return write_eventfd(doorbell->fd, doorbell->request);
}

int ringwake_doorbell_post(const struct doorbell *doorbell, uint64_t user_data, int32_t result)
{
	if (doorbell->path != RINGWAKE_PATH_MSG_RING || doorbell->ring == &doorbell->own)
		return -EOPNOTSUPP;
	struct io_uring_sqe sqe;
	prepare_msg_ring(&sqe, doorbell->fd, user_data, result);
	return send_msg_ring(&sqe);
}

int ringwake_doorbell_repost(const struct doorbell *doorbell, const struct io_uring_cqe *completion)
{
	struct io_uring_sqe sqe;
	prepare_msg_ring(&sqe, doorbell->ring->ring_fd, completion->user_data, completion->res);
	sqe.file_index = completion->flags;
	sqe.rw_flags = MSG_RING_FLAGS_PASS;
	return send_msg_ring(&sqe);
}

int ringwake_doorbell_prepare(struct doorbell *doorbell)
{
	return ringwake_doorbell_is_watched(doorbell) ? ringwake_watch_prepare(doorbell) : 1;
}

bool ringwake_doorbell_recognise(struct doorbell *doorbell, const struct io_uring_cqe *completion)
{
	if (completion->user_data != doorbell->user_data)
		return false;
	if (ringwake_doorbell_is_watched(doorbell))
		ringwake_watch_note(&doorbell->watch, completion);
	return true;
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

/* The processor is idle while the loop blocks, also if requests of the application are pending. */
static unsigned wait_flags(const struct io_uring *ring)
{
	return IORING_ENTER_GETEVENTS | (ring->features & FEAT_NO_IOWAIT ? ENTER_NO_IOWAIT : 0);
}

int ringwake_doorbell_sleep_in_ring(
	struct doorbell *doorbell, unsigned completions, int64_t timeout_ns)
{
	struct __kernel_timespec timeout = {
		.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
	struct io_uring_getevents_arg arg = {.ts = (uintptr_t)&timeout};
	unsigned flags = wait_flags(doorbell->ring);
	int fd = enter_fd(doorbell, &flags);
	if (timeout_ns < 0)
		return ringwake_system.enter(fd, completions, flags, NULL, 0);
	flags |= IORING_ENTER_EXT_ARG;
	return ringwake_system.enter(fd, completions, flags, &arg, sizeof arg);
}

static int sleep_in_poll(int fd, int64_t timeout_ns)
{
	struct timespec timeout = {
		.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
	struct pollfd entry = {.fd = fd, .events = POLLIN};
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

static int unless_dropped(int result)
{
	/* -EBADR: the kernel had to drop completions. The loop must look, so it counts as awake. */
	return result < 0 && result != -EBADR ? result : 0;
}

int ringwake_doorbell_sleep(struct doorbell *doorbell, unsigned completions, int64_t timeout_ns)
{
	if (doorbell->ring == NULL)
		return unless_dropped(sleep_in_poll(doorbell->fd, timeout_ns));
	int result = ringwake_doorbell_submit(doorbell);
	if (result >= 0)
		result = ringwake_doorbell_sleep_in_ring(doorbell, completions, timeout_ns);
	return unless_dropped(result);
}

void ringwake_doorbell_nap(int64_t time_ns)
{
	sleep_in_poll(-1, time_ns);
}

int ringwake_doorbell_run_ring(const struct doorbell *doorbell)
{
	int result = -EAGAIN;
	for (int attempt = 0; is_momentary(result) && attempt < ATTEMPTS; attempt++)
		result = ringwake_system.enter(
			doorbell->ring->ring_fd, 0, IORING_ENTER_GETEVENTS, NULL, 0);
	return result;
}

void ringwake_doorbell_run_task_work(struct doorbell *doorbell)
{
	if (!ringwake_doorbell_is_private(doorbell) &&
		doorbell->ring->flags & (IORING_SETUP_COOP_TASKRUN | IORING_SETUP_DEFER_TASKRUN))
		ringwake_doorbell_run_ring(doorbell);
}

int ringwake_doorbell_flush(struct doorbell *doorbell)
{
	if (ringwake_doorbell_is_private(doorbell))
		return 0;
	int result = ringwake_doorbell_submit(doorbell);
	if (result >= 0)
		result = ringwake_doorbell_run_ring(doorbell);
	return unless_dropped(result);
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
		if (!ringwake_doorbell_recognise(doorbell, completion))
			break;
		count++;
	}
	io_uring_cq_advance(doorbell->ring, (unsigned)count);
	/* Many came late and are in the backlog, which keeps the descriptor readable. */
	if (doorbell->ring == &doorbell->own && io_uring_cq_has_overflow(doorbell->ring))
		ringwake_doorbell_run_ring(doorbell);
	return count;
}

unsigned ringwake_doorbell_completions(const struct doorbell *doorbell)
{
	return doorbell->ring ? io_uring_cq_ready(doorbell->ring) : 0;
}

void ringwake_doorbell_close(struct doorbell *doorbell)
{
	if (!ringwake_doorbell_is_private(doorbell)) {
		if (ringwake_doorbell_is_watched(doorbell))
			ringwake_watch_close(doorbell);
		ringwake_doorbell_submit(doorbell);
		ringwake_doorbell_purge(doorbell);
	}
	if (doorbell->ring == &doorbell->own)
		unregister_own(doorbell);
	ringwake_doorbell_abandon(doorbell);
}

void ringwake_doorbell_abandon(struct doorbell *doorbell)
{
	if (doorbell->ring == &doorbell->own)
		ringwake_system.queue_exit(&doorbell->own);
	if (doorbell->path == RINGWAKE_PATH_EVENTFD)
		ringwake_system.close(doorbell->fd);
	ringwake_wipeonfork_free(doorbell->request);
}
