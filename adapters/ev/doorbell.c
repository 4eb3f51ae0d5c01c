/* SPDX-License-Identifier: MIT */
/*
 * The descriptors that end the loop's wait: the doorbell's, and one that is always readable.
 *
 * Their watchers have the priority of libev's own watcher for asyncs, EV_MAXPRI. So libev finds a
 * pending watcher of a high priority before it decides whether to run ev_idle watchers.
 *
 * On EVBACKEND_IOURING a watcher may be stopped only after it has fired, or when libev is about to
 * set up its ring again. Otherwise libev submits a request to remove a poll in a slot that still
 * holds parts of an earlier request. Kernels that know more members of such requests than libev
 * refuse it, and if another request follows, libev aborts. So detach makes the doorbell fire, and
 * the memory is freed in the next iteration of the loop, or with the loop.
 *
 * A loop on that backend also must not poll for long without blocking: libev sets its timerfd each
 * time, and does not ask the kernel for completions beyond the 64 that its queue holds. So a busy
 * loop watches a descriptor that is always readable. A loop that never blocks does not call the
 * functions of wait.c, so the prepare watcher is always started.
 */
#include "binding.h"

#include <errno.h>
#include <fcntl.h>
#include <ringwake/liburing-compat.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

/* None of the helpers keeps the loop alive. */
static void start_io(struct ringwake_ev *binding, ev_io *io)
{
	if (ev_is_active(io))
		return;
	ev_io_start(binding->loop, io);
	ev_unref(binding->loop);
}

static void stop_io(struct ringwake_ev *binding, ev_io *io)
{
	if (!ev_is_active(io))
		return;
	ev_ref(binding->loop);
	ev_io_stop(binding->loop, io);
}

static bool is_watched(const struct ringwake_ev *binding)
{
	const struct ringwake_ev_doorbell *i = binding->doorbell;
	while (i && !ev_is_active(&i->io))
		i = i->older;
	return i || ev_is_active(&binding->keep_awake);
}

static void free_doorbell(struct ringwake_ev_doorbell *doorbell)
{
	if (doorbell->io.fd >= 0)
		close(doorbell->io.fd);
	ringwake_unref(doorbell->target);
	free(doorbell);
}

static void free_memory(struct ringwake_ev *binding)
{
	int saved = errno;
	while (binding->doorbell) {
		struct ringwake_ev_doorbell *older = binding->doorbell->older;
		free_doorbell(binding->doorbell);
		binding->doorbell = older;
	}
	if (binding->keep_awake.fd >= 0)
		close(binding->keep_awake.fd);
	free(binding);
	errno = saved;
}

static void free_if_unwatched(struct ringwake_ev *binding)
{
	if (is_watched(binding))
		return;
	ev_cleanup_stop(binding->loop, &binding->cleanup);
	free_memory(binding);
}

static void on_readable(struct ev_loop *loop, ev_io *io, int revents)
{
	struct ringwake_ev_doorbell *doorbell = (struct ringwake_ev_doorbell *)io;
	struct ringwake_ev *binding = doorbell->binding;
	(void)loop;
	(void)revents;
	if (binding->target && doorbell == binding->doorbell) {
		ringwake_ev_deliver(binding);
		return;
	}
	stop_io(binding, io);
	if (binding->target == NULL)
		free_if_unwatched(binding);
}

static void on_keep_awake(struct ev_loop *loop, ev_io *io, int revents)
{
	struct ringwake_ev *binding = io->data;
	(void)loop;
	(void)revents;
	stop_io(binding, io);
	if (binding->target)
		ringwake_ev_deliver(binding);
	else
		free_if_unwatched(binding);
}

/* The doorbell has a duplicate of the target's descriptor: the target closes its own while libev
 * may still watch the descriptor. */
static int open_doorbell(struct ringwake_ev *binding, struct ringwake *target)
{
	struct ringwake_ev_doorbell *doorbell = calloc(1, sizeof *doorbell);
	if (doorbell == NULL)
		return -ENOMEM;
	int fd = fcntl(ringwake_fd(target), F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		int error = -errno;
		free(doorbell);
		return error;
	}
	doorbell->binding = binding;
	doorbell->target = ringwake_ref(target);
	doorbell->older = binding->doorbell;
	ev_io_init(&doorbell->io, on_readable, fd, EV_READ);
	ev_set_priority(&doorbell->io, EV_MAXPRI);
	start_io(binding, &doorbell->io);
	binding->doorbell = doorbell;
	binding->target = target;
	return 0;
}

static int open_keep_awake(struct ringwake_ev *binding)
{
	int fd = -1;
	if (ringwake_ev_is_on_io_uring(binding)) {
		fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
		if (fd < 0)
			return -errno;
	}
	ev_io_init(&binding->keep_awake, on_keep_awake, fd, EV_READ);
	ev_set_priority(&binding->keep_awake, EV_MAXPRI);
	binding->keep_awake.data = binding;
	return 0;
}

int ringwake_ev_open_doorbells(struct ringwake_ev *binding)
{
	int saved = errno;
	int error = open_keep_awake(binding);
	if (error == 0) {
		error = open_doorbell(binding, binding->target);
		if (error < 0 && binding->keep_awake.fd >= 0)
			close(binding->keep_awake.fd);
	}
	errno = saved;
	return error;
}

/* Makes the doorbell of a closed target fire. No sender does, and the loop does not consume it. */
static void fire(const struct ringwake_ev_doorbell *doorbell)
{
	if (ringwake_get_path(doorbell->target) == RINGWAKE_PATH_EVENTFD) {
		int saved = errno;
		eventfd_write(doorbell->io.fd, 1);
		errno = saved;
		return;
	}
	struct io_uring_sqe sqe;
	memset(&sqe, 0, sizeof sqe);
	sqe.opcode = IORING_OP_MSG_RING;
	sqe.fd = doorbell->io.fd;
	io_uring_register_sync_msg_ring(&sqe);
}

void ringwake_ev_close_doorbells(struct ringwake_ev *binding, bool is_inherited)
{
	/* In a forked child the ring is the parent's, and libev sets up another. */
	if (ringwake_ev_is_on_io_uring(binding) && !is_inherited) {
		fire(binding->doorbell);
		return;
	}
	stop_io(binding, &binding->doorbell->io);
	stop_io(binding, &binding->keep_awake);
	free_if_unwatched(binding);
}

void ringwake_ev_free(struct ringwake_ev *binding)
{
	if (binding->loop) {
		for (struct ringwake_ev_doorbell *i = binding->doorbell; i; i = i->older)
			stop_io(binding, &i->io);
		stop_io(binding, &binding->keep_awake);
		ev_cleanup_stop(binding->loop, &binding->cleanup);
	}
	free_memory(binding);
}

/*
 * Stops the parent's doorbell. If libev does not rebuild its kernel state, the child's epoll may
 * still report the descriptor. libev then removes it from epoll, for which it must be open.
 */
static void stop_inherited(struct ringwake_ev_doorbell *doorbell, bool is_rebuilding)
{
	struct ringwake_ev *binding = doorbell->binding;
	if (is_rebuilding || !ringwake_ev_is_on_io_uring(binding))
		stop_io(binding, &doorbell->io);
	if (is_rebuilding) {
		close(doorbell->io.fd);
		doorbell->io.fd = -1;
	}
}

int ringwake_ev_change_doorbell(
	struct ringwake_ev *binding, struct ringwake *target, bool is_rebuilding)
{
	int saved = errno;
	struct ringwake_ev_doorbell *inherited = binding->doorbell;
	int error = open_doorbell(binding, target);
	if (error == 0)
		stop_inherited(inherited, is_rebuilding);
	errno = saved;
	return error;
}

void ringwake_ev_start_keep_awake(struct ringwake_ev *binding)
{
	start_io(binding, &binding->keep_awake);
}
