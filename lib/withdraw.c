/* SPDX-License-Identifier: MIT */
/*
 * Takes one message back before its callback runs, for an event that is closed. If the message's
 * sender has not pushed it yet, the loop blocks until it has. No callback runs meanwhile; other
 * messages become ready and stay so until the next dispatch.
 *
 * The loop may be armed: it is about to block, and will not look at its messages before. Then
 * nothing is taken that would leave it blocked beside a message. As long as the loop is armed, its
 * doorbell is not consumed, so if a sender has rung, the loop's sleep ends at once. If no sender
 * has rung, ARMED stays set (ringwake_target_take), so the next sender rings.
 */
#include "process.h"
#include "target.h"

/* How long the loop blocks before it looks again: a sender's doorbell may be refused. */
#define PATIENCE_NS 10000000
#define NAP_NS      100000

static bool remove_ready(struct ringwake *target, const struct ringwake_msg *msg)
{
	struct ringwake_msg *before = NULL;
	for (struct ringwake_msg *i = target->ready; i; before = i, i = i->next) {
		if (i != msg)
			continue;
		if (before)
			before->next = i->next;
		else
			target->ready = i->next;
		if (target->ready_last == i)
			target->ready_last = before;
		return true;
	}
	return false;
}

static bool may_sleep_beside(const struct ringwake *target, unsigned completions)
{
	/* The eventfd of an armed loop may be readable already, and has to stay so. */
	if (target->doorbell.ring == NULL)
		return !target->may_sleep;
	/* The last completion of the poll request may be among them: then no doorbell arrives. */
	return !ringwake_doorbell_is_watched(&target->doorbell) || completions == 0;
}

static bool is_prepared(struct ringwake *target)
{
	return target->may_sleep || ringwake_doorbell_prepare(&target->doorbell) >= 0;
}

static void await_message(struct ringwake *target)
{
	/*
	 * Completions that are in the queue must not end the sleep. They are counted first, since
	 * from ARMED on the doorbell may be among them.
	 */
	unsigned completions = ringwake_doorbell_completions(&target->doorbell);
	if (!may_sleep_beside(target, completions) || !is_prepared(target))
		ringwake_doorbell_nap(NAP_NS);
	else if (ringwake_target_try_arm(target, NOTIFIED))
		ringwake_doorbell_sleep(&target->doorbell, completions + 1, PATIENCE_NS);
	if (!target->may_sleep)
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
		if (target->closed || !ringwake_process_is(target->process))
			return false;
		await_message(target);
	}
}
