/* SPDX-License-Identifier: MIT */
/*
 * The synchronous MSG_RING call for any liburing from 2.3 on, under both names it has gone by.
 *
 *   int io_uring_register_sync_msg(struct io_uring_sqe *sqe);        liburing 2.12 and newer has it
 *   int io_uring_register_sync_msg_ring(struct io_uring_sqe *sqe);   the name it was proposed under
 *
 * sqe is a request as io_uring_prep_msg_ring() fills it in. It is carried out at once by the
 * calling thread, which needs no ring. Any thread, any signal handler. Available since Linux 6.13;
 * which liburing is installed says nothing about the kernel that runs.
 *
 * Returns 0 once the completion is posted, or
 * -EBADF    sqe->fd is not open
 * -EBADFD   sqe->fd is not a ring, or the ring is still disabled (IORING_SETUP_R_DISABLED)
 * -EINVAL   any opcode but IORING_OP_MSG_RING, any sqe->flags, any command but IORING_MSG_DATA, an
 *           unknown msg_ring_flags; or the kernel is older than 6.13
 * -EFAULT   sqe is not readable
 * -EOVERFLOW  the queue is full and its backlog could not grow
 * -ENOMEM   no memory, for a ring with IORING_SETUP_DEFER_TASKRUN
 * errno is left as it was.
 */
#ifndef RINGWAKE_LIBURING_COMPAT_H
#define RINGWAKE_LIBURING_COMPAT_H

/* First: it chooses what the system's headers offer. */
#include <liburing.h>

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* glibc hides it in the strict modes of C, where <liburing.h> compiles nevertheless. */
#if !defined(__cplusplus) && !defined(__USE_MISC)
long syscall(long number, ...);
#endif

/* The number is the kernel's; older headers do not name it. */
#define RINGWAKE_REGISTER_SEND_MSG_RING 31

static inline int io_uring_register_sync_msg_ring(struct io_uring_sqe *sqe)
{
	int saved = errno;
	long result = syscall(SYS_io_uring_register, -1, RINGWAKE_REGISTER_SEND_MSG_RING, sqe, 1);
	if (result < 0)
		result = -errno;
	errno = saved;
	return (int)result;
}

/* The version macros came with liburing 2.4, so their absence means an older one. */
#if !defined(IO_URING_VERSION_MAJOR) || IO_URING_VERSION_MAJOR < 2 ||                              \
	(IO_URING_VERSION_MAJOR == 2 && IO_URING_VERSION_MINOR < 12)
static inline int io_uring_register_sync_msg(struct io_uring_sqe *sqe)
{
	return io_uring_register_sync_msg_ring(sqe);
}
#endif

#ifdef __cplusplus
}
#endif

#endif
