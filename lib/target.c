/* SPDX-License-Identifier: MIT */
/*
 * The wake protocol.
 *
 * One word holds the list of messages and the loop's state. Both sides change it only by
 * read-modify-write, so there is one order of all changes. In that order the sender's question "is
 * the loop about to block?" and the loop's question "was anything sent?" have one answer.
 *
 * The doorbell is the system call that wakes a blocked loop (doorbell.h). The gate counts such
 * calls, so that close can wait for them (gate.h).
 *
 *   messages  the newest message, linked to older ones; 0: none
 *   NOTIFIED  ringwake_wake() was called, or a doorbell was refused
 *   ARMED     the loop blocks, or is about to: the next sender notifies it by the doorbell
 *   CLOSED    for good; no other bit is set then
 *
 * SENT stands for messages, NOTIFIED, or both:
 *
 *              try_arm                  send, wake: this sender notifies
 *     0 <-------------------> ARMED ---------------------------------------+
 *     ^ |       disarm                                                     |
 *     | |                     send, wake: no system call                   v
 *     | +--------------------------------------------------------------> SENT
 *     |                              take                                 | ^
 *     +-------------------------------------------------------------------+ |
 *                                                                         | |
 *                                        the doorbell is refused: rearm   | |  disarm, or
 *                                                                         | |  send, wake:
 *                                                                         v |  this sender notifies
 *                                                                    SENT + ARMED
 *
 * SENT + ARMED always has NOTIFIED. Not drawn: a take while the loop is armed leaves NOTIFIED +
 * ARMED; at another time a take leads from SENT + ARMED to 0. A refusal leads from 0 to NOTIFIED +
 * ARMED if the loop has taken the messages meanwhile. ringwake_close() leads from every state to
 * CLOSED.
 *
 *   thread  change                                       function
 *   loop    0 -> ARMED                                   ringwake_target_try_arm
 *   loop    any but CLOSED: - ARMED                      ringwake_disarm
 *   loop    any but CLOSED: -> 0                         ringwake_target_take
 *   loop    - messages, + NOTIFIED if ARMED stays        ringwake_target_take, while is_armed
 *   loop    any -> CLOSED                                ringwake_target_shut, for ringwake_close
 *   sender  any but CLOSED: + messages, - ARMED          push, for ringwake_send and send_many
 *   sender  any but CLOSED: + NOTIFIED, - ARMED          ringwake_wake
 *   sender  not CLOSED, not ARMED: + NOTIFIED, + ARMED   rearm_after_failure
 *
 * rearm_after_failure() changes nothing if ARMED is there already: the loop has looked at the word
 * since, or the next sender notifies for all.
 *
 * Invariants
 *
 *   1. The sender that clears ARMED uses the doorbell once. No other sender uses it.
 *   2. A loop stays blocked after something was sent only while a doorbell is in flight, or if the
 *      doorbell was refused. Then its sender got the error, and the word is SENT + ARMED: the next
 *      send or ringwake_wake() uses the doorbell again.
 *   3. All that was accepted before CLOSED runs before ringwake_close() returns. After CLOSED
 *      nothing is accepted.
 *   4. calls_expected counts each ARMED that the loop has set and has not found again. While ARMED
 *      is in the word, one of them has no call. Every other one is one call, which has left the
 *      gate or is in progress. So if ARMED is clear, and the gate's count plus calls_expected is
 *      0, no call is in progress.
 *
 * Why no wake is lost: a send comes before the loop's try_arm in the order of changes, or after it.
 *
 *   loop                              sender
 *                                     send: 0 -> message. No ARMED: no system call
 *   try_arm fails: the word is not 0
 *   take, run
 *
 *   try_arm: 0 -> ARMED
 *                                     send: ARMED -> message. It has cleared ARMED,
 *                                     so it notifies
 *   enters the kernel to block        the completion is posted. The kernel does not block a thread
 *   the wait ends                     whose completion queue holds one
 *   disarm, take, run
 *
 * A doorbell that is refused, and close. Sender B relies on A, so the next sender must notify for
 * both. Close must wait for A, which uses the ring.
 *
 *   sender A                          sender B                  loop
 *                                                               try_arm: expects 1 call
 *   send: ARMED -> a
 *                                     send: a -> b, a
 *   the kernel refuses the doorbell
 *   sets NOTIFIED and ARMED
 *   returns the error
 *                                     send: it notifies, for all
 *
 *   or, if something else has woken the loop meanwhile:
 *
 *   send: ARMED -> a
 *                                                               disarm; a -> CLOSED
 *                                                               adds 1 to the gate, and blocks
 *   the kernel refuses the doorbell
 *   CLOSED: no sender will notify
 *   takes 1 from the gate, which is
 *   0 now: wakes the loop
 *                                                               closes the doorbell
 *
 * A sender that has put ARMED back after a refusal does not leave the gate: the loop finds the
 * ARMED that it set, and expects one call less. ringwake_post() enters and leaves the same gate.
 *
 * ARMED may be put back when the loop is awake again. A stale ARMED costs one spurious wake-up. The
 * protocol needs ARMED to be set while the loop is blocked and no sender is about to notify it; it
 * does not need ARMED to be clear at other times. So the loop has a flag of its own (is_armed) for
 * the time from arm to disarm.
 *
 * Memory. A message is the sender's until the push succeeds, then the target's, and the caller's
 * again when its callback starts. The target is freed with its last reference. A sender that holds
 * none, but was accepted, is safe too: after its push it touches the target only if it must notify
 * the loop, and then close waits for it. Only futex_wake() in the gate may come later, on an
 * address that is free or reused. It reads nothing there, and a thread that it wakes checks its own
 * word again.
 *
 * Signal handlers. A sender holds no lock, so a handler finds the word before or after one change.
 * A handler that interrupts a sender between its push and its call leaves this call to it.
 *
 * Fork. The number of the process and the doorbell's request are in memory that fork() wipes. In a
 * child a send is refused, or its call has no effect.
 *
 * Memory order. Push is a release; take is an acquire. Pushes on top of each other are one release
 * sequence, so taking the newest message makes what was written before every one of them visible.
 * Nothing else is passed through the word, so the rest is relaxed; what pairs across the gate is
 * named there.
 *
 * Checked: tests/model/target.pml is this protocol (invariant 4 is its SUMS_ARE_EQUAL), and
 * send_close.pml asks for invariants 1 to 3. tests/property runs this file in all orders of its
 * atomic operations, "sends" and "close" in scripts.c, also with doorbells that are refused.
 * docs/design.md explains why the list is a stack.
 */
#include "target.h"

#include <errno.h>

#include "debug.h"
#include "gate.h"
#include "probes.h"
#include "process.h"

#define CLOSED (UINTPTR_MAX & ~TAGS) /* no message lies at the end of the address space */

/* More doorbells in flight than there are threads are a wrong count. */
#define MOST_IN_FLIGHT (1u << 20)
#define ASSERT_SUMS(target)                                                                        \
	RINGWAKE_ASSERT(ringwake_gate_in_flight(&(target)->gate, (target)->calls_expected) <       \
			MOST_IN_FLIGHT,                                                            \
		"more doorbells have ended than were begun")

static void rearm_after_failure(struct ringwake *target)
{
	uintptr_t word = atomic_load_explicit(&target->word, memory_order_relaxed);
	/* Release: pairs with the acquire in ringwake_close; the failed system call was made
	 * before. */
	do {
		if (word == CLOSED || word & ARMED) {
			ringwake_gate_leave(&target->gate);
			return;
		}
	} while (!atomic_compare_exchange_weak_explicit(
		&target->word, &word, word | TAGS, memory_order_release, memory_order_relaxed));
}

/* A program's filter may return any error. After the errors named here a later call may succeed. */
static bool is_final(int result)
{
	return result < 0 && result != -EINTR && result != -EAGAIN && result != -ENOMEM;
}

static int notify_or_fall_back(struct ringwake *target)
{
	/* Relaxed, here and below: a sender that reads an old value gets the same refusal. */
	if (!atomic_load_explicit(&target->refused, memory_order_relaxed)) {
		int result = ringwake_doorbell_notify(&target->doorbell);
		if (target->fallback == NULL || !is_final(result))
			return result;
		atomic_store_explicit(&target->refused, true, memory_order_relaxed);
	}
	return target->fallback(target->fallback_data);
}

/* For the one sender that has cleared ARMED: wakes the loop. */
static int notify(struct ringwake *target)
{
	/* Here and below: a signal handler of this thread may have forked. */
	if (!ringwake_is_this_process(target->process))
		return -EOWNERDEAD;
	atomic_fetch_add_explicit(&target->doorbell_calls, 1, memory_order_relaxed);
	PROBE1(doorbell, target);
	int result = notify_or_fall_back(target);
	if (!ringwake_is_this_process(target->process))
		return -EOWNERDEAD;
	if (result < 0) {
		PROBE2(doorbell_failed, target, result);
		atomic_fetch_add_explicit(&target->doorbell_failures, 1, memory_order_relaxed);
	}
	if (result == 0) {
		ringwake_gate_leave(&target->gate);
		return 0;
	}
	rearm_after_failure(target);
	/* The message was accepted. A filter or a fallback may return any error. */
	return ringwake_was_refused(result) ? -EIO : result;
}

/* The messages are linked from the newest to the oldest. */
static int push(struct ringwake *target, struct ringwake_msg *newest, struct ringwake_msg *oldest)
{
	uintptr_t word = atomic_load_explicit(&target->word, memory_order_relaxed);
	uintptr_t pushed;
	do {
		if (word == CLOSED)
			return -ECANCELED;
		oldest->next = (struct ringwake_msg *)(word & ~TAGS);
		pushed = (uintptr_t)newest | (word & NOTIFIED);
		/* Release: pairs with the acquire in ringwake_target_take. */
	} while (!atomic_compare_exchange_weak_explicit(
		&target->word, &word, pushed, memory_order_release, memory_order_relaxed));
	if (word & ARMED)
		return notify(target);
	ringwake_sends_to_awake++;
	return 0;
}

int ringwake_send(struct ringwake *target, struct ringwake_msg *msg)
{
	if (!ringwake_is_this_process(target->process))
		return -EOWNERDEAD;
	if (msg->fn == NULL)
		return -EINVAL;
	ASSERT_REFERENCED(target);
	DEBUG_QUEUE(msg, "a message is sent again before its callback has started");
	int result = push(target, msg, msg);
	if (result == -ECANCELED)
		DEBUG_UNQUEUE(msg);
	return result;
}

int ringwake_send_many(
	struct ringwake *target, struct ringwake_msg *const *messages, unsigned count)
{
	if (!ringwake_is_this_process(target->process))
		return -EOWNERDEAD;
	for (unsigned i = 0; i < count; i++)
		if (messages[i]->fn == NULL)
			return -EINVAL;
	if (count == 0)
		return 0;
	ASSERT_REFERENCED(target);
	for (unsigned i = 0; i < count; i++) {
		DEBUG_QUEUE(messages[i], "a message is sent again before its callback has started");
		messages[i]->next = i > 0 ? messages[i - 1] : NULL;
	}
	int result = push(target, messages[count - 1], messages[0]);
	for (unsigned i = 0; result == -ECANCELED && i < count; i++)
		DEBUG_UNQUEUE(messages[i]);
	return result;
}

int ringwake_wake(struct ringwake *target)
{
	if (!ringwake_is_this_process(target->process))
		return -EOWNERDEAD;
	ASSERT_REFERENCED(target);
	uintptr_t word = atomic_load_explicit(&target->word, memory_order_relaxed);
	/*
	 * The word is changed even if it is NOTIFIED already. Release: pairs with the acquire in
	 * ringwake_target_take, so the loop sees what was written before this wake, not just before
	 * the first.
	 */
	do {
		if (word == CLOSED)
			return -ECANCELED;
	} while (!atomic_compare_exchange_weak_explicit(&target->word, &word,
		(word & ~ARMED) | NOTIFIED, memory_order_release, memory_order_relaxed));
	return word & ARMED ? notify(target) : 0;
}

int ringwake_post(struct ringwake *target, uint64_t user_data, int32_t result)
{
	if (!ringwake_is_this_process(target->process))
		return -EOWNERDEAD;
	if (!ringwake_gate_enter(&target->gate))
		return -ECANCELED;
	int error = ringwake_doorbell_post(&target->doorbell, user_data, result);
	ringwake_gate_leave(&target->gate);
	return error;
}

bool ringwake_target_needs_doorbell(const struct ringwake *target)
{
	uintptr_t word = atomic_load_explicit(&target->word, memory_order_relaxed);
	return word == CLOSED || (word & ARMED && word != ARMED);
}

/* Relaxed: only the word decides, and arming publishes nothing. */
bool ringwake_target_try_arm(struct ringwake *target, uintptr_t ignored)
{
	uintptr_t word = 0;
	if (!atomic_compare_exchange_strong_explicit(
		    &target->word, &word, ARMED, memory_order_relaxed, memory_order_relaxed))
		return (word & ~ignored) == ARMED;
	target->calls_expected++;
	return true;
}

int ringwake_target_arm(struct ringwake *target)
{
	if (target->closed || !ringwake_target_has_nothing_to_run(target))
		return 0;
	int ready = ringwake_doorbell_prepare(&target->doorbell);
	if (ready <= 0)
		return ready;
	if (!ringwake_target_try_arm(target, 0))
		return 0;
	target->is_armed = true;
	return 1;
}

bool ringwake_arm(struct ringwake *target)
{
	if (!ringwake_is_this_process(target->process))
		return false;
	DEBUG_TAKE_OVER(target, "ringwake_arm()");
	bool armed = ringwake_target_arm(target) == 1;
	DEBUG_LEAVE(target);
	return armed;
}

static void disarm(struct ringwake *target)
{
	bool woken = target->is_armed;
	target->is_armed = false;
	/* Relaxed: no message is taken. The load spares the write where a sender has cleared
	 * ARMED. */
	if (atomic_load_explicit(&target->word, memory_order_relaxed) & ARMED) {
		uintptr_t before =
			atomic_fetch_and_explicit(&target->word, ~ARMED, memory_order_relaxed);
		if (before & ARMED) {
			target->calls_expected--;
			woken = false;
		}
	}
	ASSERT_SUMS(target);
	if (woken)
		PROBE1(wake, target);
	if (!target->closed)
		ringwake_doorbell_consume(&target->doorbell, target->calls_expected, &target->gate);
}

void ringwake_disarm(struct ringwake *target)
{
	/* A forked child shares the ring's memory and the eventfd: it would consume the doorbell.
	 */
	if (!ringwake_is_this_process(target->process))
		return;
	DEBUG_TAKE_OVER(target, "ringwake_disarm()");
	ringwake_target_note_thread(target);
	disarm(target);
	DEBUG_LEAVE(target);
}

static void take_over(struct ringwake *target, uintptr_t word)
{
	if (word & ARMED)
		target->calls_expected--;
	if (word & NOTIFIED)
		target->notified = true;
	target->reversing = (struct ringwake_msg *)(word & ~TAGS);
}

void ringwake_target_take(struct ringwake *target)
{
	/* Acquire, here and below: pairs with the release of every push and wake that it takes. */
	if (!target->is_armed) {
		take_over(target, atomic_exchange_explicit(&target->word, 0, memory_order_acquire));
		return;
	}
	uintptr_t word = atomic_load_explicit(&target->word, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&target->word, &word, word & ARMED ? TAGS : 0,
		memory_order_acquire, memory_order_relaxed))
		;
	take_over(target, word & ~ARMED);
}

void ringwake_target_shut(struct ringwake *target)
{
	target->is_armed = false;
	/* Acquire: as in ringwake_target_take, and pairs with the release in rearm_after_failure.
	 */
	take_over(target, atomic_exchange_explicit(&target->word, CLOSED, memory_order_acquire));
	target->closed = true;
	ASSERT_SUMS(target);
	ringwake_gate_close(&target->gate, target->calls_expected);
}
