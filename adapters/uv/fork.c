/* SPDX-License-Identifier: MIT */
/* The loop in a forked child: what would wake it, or be woken by it, is made anew. */
#include "attach.h"

/* Work and requests are the parent's. Closings that wait for a message are the child's too. */
static void drop_holds_of_parent(struct ringwake_uv *attached)
{
	unsigned kept = 0;
	for (struct ringwake_uv_signal *i = attached->signals; i; i = i->next)
		kept += i->awaits_message;
	while (attached->outstanding > kept)
		ringwake_uv_release(attached);
}

int ringwake_uv_fork(struct ringwake_uv *attached)
{
	drop_holds_of_parent(attached);
	int error = ringwake_uv_reopen(attached);
	if (error < 0)
		return error;
	ringwake_uv_leave_workers(attached);
	ringwake_uv_signals_move(attached);
	return 0;
}
