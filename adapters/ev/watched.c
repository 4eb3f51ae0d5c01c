/* SPDX-License-Identifier: MIT */
/*
 * What ends the loop's wait: the doorbell's descriptor, and what is started for one turn when the
 * loop must not wait at all. That is an ev_idle, which makes the poll not block. It costs no system
 * call, but libev's io_uring backend cannot bear it: it sets its timerfd each time, and does not
 * ask the kernel for completions beyond the 64 that its queue holds. There it is a descriptor that
 * is always readable.
 *
 * On EVBACKEND_IOURING a watcher may be stopped only when it has fired. Otherwise libev asks for
 * the removal of a poll with a request that still holds what its slot was used for before; kernels
 * that know more of such requests than libev does refuse it, and if another request comes after it,
 * libev aborts. So the second watcher stops itself, and on detach the first is made to fire: what
 * is left of the attachment goes in the next turn of the loop, or with the loop.
 */
#include "attach.h"

#include <errno.h>
#include <fcntl.h>
#include <ringwake/liburing-compat.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

static void start(struct ringwake_ev *attached, ev_io *watcher)
{
	if (ev_is_active(watcher))
		return;
	ev_io_start(attached->loop, watcher);
	ev_unref(attached->loop); /* it does not keep the loop alive */
}

static void stop(struct ringwake_ev *attached, ev_io *watcher)
{
	if (!ev_is_active(watcher))
		return;
	ev_ref(attached->loop);
	ev_io_stop(attached->loop, watcher);
}

static void release_if_stopped(struct ringwake_ev *attached)
{
	if (ev_is_active(&attached->doorbell) || ev_is_active(&attached->busy))
		return;
	int saved = errno;
	ev_cleanup_stop(attached->loop, &attached->destroyed);
	close(attached->doorbell.fd);
	close(attached->busy.fd);
	free(attached);
	errno = saved;
}

static void on_doorbell(struct ev_loop *loop, ev_io *watcher, int revents)
{
	struct ringwake_ev *attached = watcher->data;
	(void)loop;
	(void)revents;
	if (attached->target)
		return; /* to have ended the wait is all */
	stop(attached, watcher);
	release_if_stopped(attached);
}

static void on_busy(struct ev_loop *loop, ev_io *watcher, int revents)
{
	struct ringwake_ev *attached = watcher->data;
	(void)loop;
	(void)revents;
	stop(attached, watcher);
	if (attached->target == NULL)
		release_if_stopped(attached);
}

static void on_idle(struct ev_loop *loop, ev_idle *watcher, int revents)
{
	(void)loop; /* being active is all it is for */
	(void)watcher;
	(void)revents;
}

/* One of its own, since the target closes its number while libev may still be watching. */
static int doorbell_descriptor(const struct ringwake *target)
{
	int fd = fcntl(ringwake_fd(target), F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

static void start_doorbell(struct ringwake_ev *attached, int fd)
{
	ev_io_init(&attached->doorbell, on_doorbell, fd, EV_READ);
	attached->doorbell.data = attached;
	start(attached, &attached->doorbell);
}

int ringwake_ev_open_watched(struct ringwake_ev *attached)
{
	int saved = errno;
	int error = 0;
	int always_readable = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	if (always_readable < 0) {
		error = -errno;
	} else {
		int fd = doorbell_descriptor(attached->target);
		if (fd < 0) {
			error = fd;
			close(always_readable);
		} else {
			ev_io_init(&attached->busy, on_busy, always_readable, EV_READ);
			attached->busy.data = attached;
			ev_idle_init(&attached->idle, on_idle);
			ev_set_priority(&attached->idle, EV_MINPRI);
			start_doorbell(attached, fd);
		}
	}
	errno = saved;
	return error;
}

int ringwake_ev_change_doorbell(struct ringwake_ev *attached, const struct ringwake *target)
{
	int saved = errno;
	int fd = doorbell_descriptor(target);
	if (fd >= 0) {
		stop(attached, &attached->doorbell);
		close(attached->doorbell.fd);
		start_doorbell(attached, fd);
	}
	errno = saved;
	return fd < 0 ? fd : 0;
}

void ringwake_ev_stay_awake(struct ringwake_ev *attached)
{
	if (ev_backend(attached->loop) == EVBACKEND_IOURING) {
		start(attached, &attached->busy);
	} else if (!ev_is_active(&attached->idle)) {
		ev_idle_start(attached->loop, &attached->idle);
		ev_unref(attached->loop);
	}
}

void ringwake_ev_may_wait(struct ringwake_ev *attached)
{
	if (!ev_is_active(&attached->idle))
		return;
	ev_ref(attached->loop);
	ev_idle_stop(attached->loop, &attached->idle);
}

/* Its target is closed: nobody else rings it, and nobody takes the ring off it again. */
static void ring(const struct ringwake_ev *attached)
{
	if (attached->path == RINGWAKE_PATH_EVENTFD) {
		int saved = errno;
		eventfd_write(attached->doorbell.fd, 1);
		errno = saved;
		return;
	}
	struct io_uring_sqe sqe;
	memset(&sqe, 0, sizeof sqe);
	sqe.opcode = IORING_OP_MSG_RING;
	sqe.fd = attached->doorbell.fd;
	io_uring_register_sync_msg_ring(&sqe);
}

void ringwake_ev_end_watched(struct ringwake_ev *attached)
{
	/* In a forked child the ring is the parent's, and libev sets up its own anew. */
	if (ev_backend(attached->loop) == EVBACKEND_IOURING && !ringwake_ev_is_foreign(attached))
		ring(attached);
	else
		ringwake_ev_release_watched(attached);
}

void ringwake_ev_release_watched(struct ringwake_ev *attached)
{
	stop(attached, &attached->doorbell);
	stop(attached, &attached->busy);
	release_if_stopped(attached);
}
