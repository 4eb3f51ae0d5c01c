/* SPDX-License-Identifier: MIT */
/*
 * A forked child, from ev_loop_fork() on. It lets go of its copies of the parent's ring and opens a
 * target of its own. Sends that the parent's loop had not noted when it forked are noted by the
 * child's loop as well, as libev has it; messages and work in the parent's hands stay there.
 *
 * libev calls fork watchers only if it was told of the fork before the iteration began. A child
 * that was forked in a prepare callback is noticed before its first wait (wait.c).
 */
#include "binding.h"

static int reopen(struct ringwake_ev *attached, bool is_rebuilding)
{
	struct ringwake *target, *inherited = attached->target;
	int error = ringwake_open(&target, NULL, &attached->params);
	if (error < 0)
		return error;
	error = ringwake_ev_change_doorbell(attached, target, is_rebuilding);
	if (error < 0) {
		/* The parent's target keeps refusing. */
		ringwake_close(target);
		return error;
	}
	ringwake_close(inherited);
	return 0;
}

int ringwake_ev_fork(struct ringwake_ev *attached, bool is_rebuilding)
{
	ringwake_ev_forget_work(attached);
	/* If it fails, the loop runs on, and asyncs are sent through libev. */
	int error = reopen(attached, is_rebuilding);
	if (error < 0)
		return error;
	ringwake_ev_move_asyncs(attached);
	return 0;
}
