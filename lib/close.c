/* SPDX-License-Identifier: MIT */
/* The end of a target: its last messages run, and the ring is the application's alone again. */
#include "process.h"
#include "target.h"

/* In a forked child: no callback, and the parent's ring is left alone. */
static void leave_to_parent(struct ringwake *target)
{
	target->closed = true;
	target->ready = target->reversing = target->reversed = NULL;
	ringwake_doorbell_abandon(&target->doorbell);
}

/* A callback may fork; then this is the child from there on. */
static void run_last_messages(struct ringwake *target)
{
	ringwake_target_gather(target);
	while (target->ready && ringwake_is_this_process(target->process))
		ringwake_dispatch(target, 0);
	ringwake_event_end_closings(target);
}

void ringwake_close(struct ringwake *target)
{
	if (!ringwake_is_of_this_copy(target->process))
		return; /* of another copy of the library */
	if (!ringwake_is_this_process(target->process)) {
		leave_to_parent(target);
		if (target->depth == 0)
			ringwake_unref(target);
		return;
	}
	DEBUG_ENTER(target, "ringwake_close()");
	RINGWAKE_ASSERT(!target->closed, "a target is closed twice");
	target->is_armed = false;
	ringwake_target_gather(target); /* it takes only if nothing is still to be reversed */
	ringwake_target_shut(target);
	target->depth++; /* a callback must not free what is in use here */
	run_last_messages(target);
	if (ringwake_is_this_process(target->process))
		ringwake_doorbell_close(&target->doorbell);
	else
		leave_to_parent(target);
	DEBUG_LEAVE(target);
	if (--target->depth == 0)
		ringwake_unref(target);
}
