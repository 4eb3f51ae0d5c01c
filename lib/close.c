/* SPDX-License-Identifier: MIT */
/* The end of a target: its last messages run, and the ring is the application's alone again. */
#include "process.h"
#include "target.h"

static void close_inherited(struct ringwake *target)
{
	/* If a callback forked, the messages that its dispatch has not run yet are the parent's. */
	target->closed = true;
	target->ready = target->reversing = target->reversed = NULL;
	ringwake_doorbell_abandon(&target->doorbell);
	if (target->depth == 0)
		ringwake_unref(target);
}

void ringwake_close(struct ringwake *target)
{
	if (!ringwake_is_of_this_copy(target->process))
		return; /* of another copy of the library */
	if (!ringwake_is_this_process(target->process)) {
		close_inherited(target);
		return;
	}
	DEBUG_ENTER(target, "ringwake_close()");
	RINGWAKE_ASSERT(!target->closed, "a target is closed twice");
	target->is_armed = false;
	ringwake_target_gather(target); /* it takes only if nothing is still to be reversed */
	ringwake_target_shut(target);
	target->depth++; /* a callback must not free what is in use here */
	ringwake_target_gather(target);
	while (target->ready)
		ringwake_dispatch(target, 0);
	ringwake_doorbell_close(&target->doorbell);
	DEBUG_LEAVE(target);
	if (--target->depth == 0)
		ringwake_unref(target);
}
