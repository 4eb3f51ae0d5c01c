/* SPDX-License-Identifier: MIT */
/*
 * A loop in a forked child, after ev_loop_fork(). It closes its copy of the parent's target and
 * opens one of its own. The child's loop, too, handles the sends that the parent's loop had not
 * noted at the fork, as libev does. Messages and work remain the parent's.
 *
 * libev calls fork watchers only if the program called ev_loop_fork() before the iteration began.
 * If a prepare callback forks, the child's loop finds out before its first wait (wait.c).
 */
#include "binding.h"

static int reopen(struct ringwake_ev *binding, bool is_rebuilding)
{
	struct ringwake *target, *inherited = binding->target;
	int error = ringwake_open(&target, NULL, &binding->params);
	if (error < 0)
		return error;
	error = ringwake_ev_change_doorbell(binding, target, is_rebuilding);
	if (error < 0) {
		/* The parent's target keeps refusing sends. */
		ringwake_close(target);
		return error;
	}
	ringwake_close(inherited);
	return 0;
}

int ringwake_ev_fork(struct ringwake_ev *binding, bool is_rebuilding)
{
	ringwake_ev_forget_work(binding);
	/* If it fails, the loop still runs, and asyncs are sent through libev. */
	int error = reopen(binding, is_rebuilding);
	if (error < 0)
		return error;
	ringwake_ev_move_asyncs(binding);
	return 0;
}
