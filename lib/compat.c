/* SPDX-License-Identifier: MIT */
/* The inline functions of liburing-compat.h as functions, for languages other than C and C++. */
#include <ringwake/liburing-compat.h>
#include <ringwake/ringwake.h>

int ringwake_register_sync_msg_ring(struct io_uring_sqe *sqe)
{
	return io_uring_register_sync_msg_ring(sqe);
}
