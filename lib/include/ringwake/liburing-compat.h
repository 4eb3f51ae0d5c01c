/* SPDX-License-Identifier: MIT */
/*
 * The sync MSG_RING system call as a function, for any liburing from 2.3 on. It posts a completion
 * to a ring without a ring of the caller. io_uring_register_sync_msg_ring() is the name under which
 * liburing was to have the function; io_uring_register_sync_msg() is the name that liburing 2.12
 * and newer have. See ringwake_liburing_compat(3).
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

/*
 * Any thread, any signal handler. Executes sqe, which io_uring_prep_msg_ring() has filled in, and
 * returns 0 when the completion is posted. Preserves errno. Needs Linux 6.13, with any liburing.
 * Errors: -EBADF, -EBADFD, -EINVAL, -EFAULT, -EOVERFLOW, -ENOMEM, -EPERM, -ENOSYS, -EACCES.
 */
static inline int io_uring_register_sync_msg_ring(struct io_uring_sqe *sqe)
{
	int saved = errno;
	long result = syscall(SYS_io_uring_register, -1, RINGWAKE_REGISTER_SEND_MSG_RING, sqe, 1);
	if (result < 0)
		result = -errno;
	errno = saved;
	return (int)result;
}

/*
 * The same. liburing 2.12 and newer define it. The version macros came with liburing 2.4, so their
 * absence means an older version. Errors: as io_uring_register_sync_msg_ring().
 */
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
