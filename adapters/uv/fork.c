/* SPDX-License-Identifier: MIT */
/* The loop in a forked child: what would wake it, or be woken by it, is made anew. */
#include "attach.h"

/* Work and requests are the parent's. Closings that wait for a message are the child's too. */
static void drop_holds_of_parent(struct ringwake_uv *attached)
{
	unsigned kept = 0;
	for (struct ringwake_uv_async_state *i = attached->signals; i; i = i->next)
		kept += i->awaits_message;
	while (attached->outstanding > kept)
		ringwake_uv_release(attached);
}

/* uv_loop_fork() has made another epoll. */
static int follow_loop(struct ringwake_uv *attached)
{
	attached->backend_fd = uv_backend_fd(attached->loop);
	attached->backend_polled = false;
	return 0;
}

int ringwake_uv_fork(struct ringwake_uv *attached)
{
	if (!ringwake_uv_is_foreign(attached))
		return follow_loop(attached);
	drop_holds_of_parent(attached);
	int error = ringwake_uv_reopen(attached);
	if (error < 0)
		return error;
	ringwake_uv_leave_workers(attached);
	ringwake_uv_signals_move(attached);
	return 0;
}
