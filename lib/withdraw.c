/* SPDX-License-Identifier: MIT */
/*
 * Takes one message back before its callback runs, for an event that is closed. If the message's
 * sender has not pushed it yet, the loop blocks until the sender has. No callback runs meanwhile.
 * Other messages become ready, and wait for the next dispatch.
 *
 * The loop may be armed: it is about to block, and will not dispatch before. It must not block
 * while the messages that were taken here wait. So while the loop is armed, its doorbell is not
 * consumed: if a sender has used the doorbell, the loop's wait ends at once. If no sender has,
 * ARMED stays set (ringwake_target_take), so the next sender uses it.
 */
#include "process.h"
#include "target.h"

/* How long the loop blocks before it checks again, because a sender's doorbell may be refused. */
#define PATIENCE_NS 10000000
#define PAUSE_NS    100000

static bool remove_ready(struct ringwake *target, const struct ringwake_msg *msg)
{
	struct ringwake_msg **link = &target->ready;
	while (*link && *link != msg)
		link = &(*link)->next;
	if (*link == NULL)
		return false;
	*link = msg->next;
	return true;
}

static bool may_block(struct ringwake *target, unsigned completions)
{
	struct doorbell *doorbell = &target->doorbell;
	return ringwake_doorbell_may_block(doorbell, completions, target->is_armed) &&
		(target->is_armed || ringwake_doorbell_prepare(doorbell) >= 0);
}

static void await_message(struct ringwake *target)
{
	/*
	 * Completions that are in the queue must not end the wait. They are counted first, since
	 * the doorbell may be among them as soon as the loop is armed.
	 */
	unsigned completions = ringwake_doorbell_completions(&target->doorbell);
	if (!may_block(target, completions))
		ringwake_doorbell_pause(PAUSE_NS);
	else if (ringwake_target_try_arm(target, NOTIFIED))
		ringwake_doorbell_block(&target->doorbell, completions + 1, PATIENCE_NS);
	if (!target->is_armed)
		ringwake_disarm(target);
}

bool ringwake_target_withdraw(struct ringwake *target, const struct ringwake_msg *msg)
{
	for (;;) {
		ringwake_target_gather(target);
		if (remove_ready(target, msg)) {
			DEBUG_UNQUEUE(msg);
			return true;
		}
		if (target->closed || !ringwake_is_this_process(target->process))
			return false;
		await_message(target);
	}
}
