/* SPDX-License-Identifier: MIT */
/*
 * A call: the loop's thread runs a function for another thread, which blocks until the function has
 * returned.
 *
 * A call is one message and one word, in memory of its own. They cannot be on the caller's stack: a
 * caller whose time is over returns while the message is still in the target's list, and only the
 * loop can take it out.
 *
 *   WAITING    the message is sent
 *   RUNNING    the loop has taken the call
 *   RETURNED   fn has returned
 *   REFUSED    the loop has taken the call when the target was closed, and has not called fn
 *   ABANDONED  the caller has given up: its time is over, or a doorbell was refused
 *
 *   thread  change                           function
 *   loop    WAITING -> RUNNING               arrived: fails if the call is ABANDONED
 *   loop    RUNNING -> RETURNED or REFUSED   answer
 *   caller  WAITING -> ABANDONED             abandon: fails if the loop has taken the call
 *
 * Either the loop or the caller takes the word out of WAITING. So fn runs if, and only if, the
 * caller waits for it, and what argument points to may be on the caller's stack. The timeout limits
 * only the time until fn starts.
 *
 * Memory. The thread that uses the call last frees it: the caller when it finds RETURNED or
 * REFUSED, the loop when it finds ABANDONED. The message of an accepted call arrives at the latest
 * in ringwake_close(), so neither waits for ever, and no call is left over. Only futex_wake() may
 * come after the caller has freed the call, on an address that is free or reused. It wakes no
 * thread, or one that checks its own word again. The caller holds a reference to the target
 * throughout.
 *
 * A refused doorbell. If the call's own doorbell is refused, the caller abandons the call and
 * returns the error. But the call may also rely on the doorbell of another sender, which gets the
 * error instead. So the caller does not block for long: it wakes the target itself if the target
 * needs a doorbell, after 1 ms, 2 ms, and so on, up to 64 ms.
 *
 * Fork. A child has neither the loop nor the message. If a signal handler of the caller forks, the
 * child finds this out after at most the same time.
 *
 * Memory order. Sending the message is a release and taking it an acquire (target.c): they pass fn
 * and argument. Answering is a release and the caller's look an acquire: they pass what fn has
 * written, and the memory of the call. Abandoning is a release and the loop's look an acquire: they
 * pass the memory.
 *
 * Checked: tests/property runs this file in all orders of its atomic operations ("calls" in
 * scripts.c), with timeouts, closes and refused doorbells.
 */
#include <errno.h>

#include "keep_errno.h"
#include "process.h"
#include "retry.h"
#include "spin.h"
#include "system.h"
#include "target.h"

enum { WAITING, RUNNING, RETURNED, REFUSED, ABANDONED };

/* How long a caller that has opened the target waits for any thread to run the loop. */
#define PATIENCE_NS INT64_C(5000000000)

struct call {
	struct ringwake_msg msg; /* the first member */
	struct ringwake *target;
	void (*fn)(void *argument);
	void *argument;
	_Atomic uint32_t state;
};

/* For the one thread that decides whether fn runs. False if the other thread was first. */
static bool decide(struct call *call, uint32_t state)
{
	uint32_t before = WAITING;
	/* Release and acquire: abandoning passes the memory to the loop. */
	return atomic_compare_exchange_strong_explicit(
		&call->state, &before, state, memory_order_release, memory_order_acquire);
}

static bool abandon(struct call *call)
{
	return decide(call, ABANDONED);
}

/* The caller may free the call from here on. */
static void answer(struct call *call, uint32_t state)
{
	/* Release: pairs with the acquire in await. */
	atomic_store_explicit(&call->state, state, memory_order_release);
	ringwake_system.futex_wake(&call->state, 1);
}

static void arrived(struct ringwake_msg *msg)
{
	struct call *call = (struct call *)msg;
	if (!decide(call, RUNNING)) {
		free(call);
	} else if (call->target->closed) {
		answer(call, REFUSED);
	} else {
		call->fn(call->argument);
		answer(call, RETURNED);
	}
}

static bool is_loop_thread(const struct ringwake *target)
{
	/* Relaxed, here and below: a thread compares it only with itself, or with 0. */
	return atomic_load_explicit(&target->thread, memory_order_relaxed) ==
		RINGWAKE_THIS_THREAD();
}

/* The caller has opened the target, and no thread has run its loop yet: perhaps the caller must. */
static bool may_be_loop_thread(const struct ringwake *target)
{
	return atomic_load_explicit(&target->thread, memory_order_relaxed) == 0 &&
		target->opener == RINGWAKE_THIS_THREAD();
}

/* The error of a doorbell. Close answers the call, and await notices a fork. */
static int wake_if_needed(struct ringwake *target)
{
	int error = ringwake_target_needs_doorbell(target) ? ringwake_wake(target) : 0;
	return ringwake_was_refused(error) ? 0 : error;
}

/* Blocks for a while. Returns an error if the caller must give up. */
static int wait_for_start(struct call *call, int64_t end_ns, int64_t patience_ns, int64_t pause_ns)
{
	struct ringwake *target = call->target;
	int error = wake_if_needed(target);
	bool is_suspect = may_be_loop_thread(target);
	if (is_suspect && patience_ns < end_ns)
		end_ns = patience_ns;
	if (error < 0 || ringwake_block_for_a_while(&call->state, WAITING, end_ns, pause_ns))
		return error;
	return is_suspect ? -EDEADLK : -ETIME;
}

/* Ends the caller's use of the call. */
static int await(struct call *call, int64_t end_ns)
{
	uint32_t process = call->target->process, state;
	int64_t patience_ns = ringwake_deadline(PATIENCE_NS), pause_ns = RETRY_FIRST_NS;
	/* Acquire: pairs with the release in answer. */
	while ((state = atomic_load_explicit(&call->state, memory_order_acquire)) < RETURNED &&
		ringwake_is_this_process(process)) {
		if (state == RUNNING) {
			ringwake_block_for_a_while(&call->state, RUNNING, INT64_MAX, pause_ns);
		} else {
			int error = wait_for_start(call, end_ns, patience_ns, pause_ns);
			if (error < 0 && abandon(call))
				return error;
		}
		pause_ns = ringwake_next_pause(pause_ns);
	}
	free(call);
	if (state < RETURNED)
		return -EOWNERDEAD;
	return state == RETURNED ? 0 : -ECANCELED;
}

static int call_target(
	struct ringwake *target, void (*fn)(void *argument), void *argument, int64_t end_ns)
{
	struct call *call = calloc_keeping_errno(1, sizeof *call);
	if (call == NULL)
		return -ENOMEM;
	call->msg.fn = arrived;
	call->target = target;
	call->fn = fn;
	call->argument = argument;
	int error = ringwake_send(target, &call->msg);
	if (ringwake_was_refused(error)) {
		free(call);
		return error;
	}
	if (error < 0 && abandon(call))
		return error;
	return await(call, end_ns);
}

int ringwake_call(
	struct ringwake *target, void (*fn)(void *argument), void *argument, int64_t timeout_ns)
{
	if (!ringwake_is_this_process(target->process))
		return -EOWNERDEAD;
	if (fn == NULL)
		return -EINVAL;
	if (is_loop_thread(target))
		return target->closed ? -ECANCELED : -EDEADLK;
	int64_t end_ns = timeout_ns < 0 ? INT64_MAX : ringwake_deadline((uint64_t)timeout_ns);
	ringwake_ref(target); /* while the caller waits, the loop may close it */
	int result = call_target(target, fn, argument, end_ns);
	ringwake_unref(target);
	return result;
}
