/* SPDX-License-Identifier: MIT */
/*
 * A coalescing event: lib/event.c, and ringwake_target_withdraw() of lib/withdraw.c. Two senders send
 * the event; the second also sends other messages. The loop blocks. At any moment it closes the
 * event, in one of three ways, and the target.
 */
#define EVENT    1
#define MESSAGES (1 + OTHERS)

bool unrun; /* an armed loop took other messages, whose callbacks have not run */
bool ready; /* the loop took the event, whose callback has not run */
#define CALLBACK(m) ready = ready || m == EVENT; unrun = unrun || (m != EVENT && is_armed)

#include "doorbell.pml"
#include "target.pml"

#define QUEUED       1
#define EVENT_CLOSED 2
byte state;
bool event_parked; /* the loop blocks in FUTEX_WAIT on the state */

byte to_send[2];     /* sends of the event, per sender */
byte others;         /* messages whose send the second sender has begun */
byte finished;       /* senders that have ended */
bool pending[2];     /* the callback must see a write of the sender */
bool close_returned; /* of the event or the target */
byte interruptions = INTERRUPTIONS;

#define NEEDS_RING (word != CLOSED && word & ARMED && word != ARMED)

inline queue_event()
{
	d_step {
		before = state;
		if
#ifndef MUTANT_CLOSED_EVENT_IS_QUEUED
		:: before & EVENT_CLOSED
#endif
		:: else -> state = state | QUEUED
		fi
	};
	if
	:: before & EVENT_CLOSED -> result = (result == FAILED -> FAILED : CANCELED)
	:: !(before & EVENT_CLOSED) && !(before & QUEUED) ->
		ringwake_send(EVENT);
		if
		:: result == CANCELED -> state = state & ~QUEUED & 255; event_parked = false
		:: else
		fi
	:: else
	fi
}

inline ringwake_event_send()
{
	result = OK;
#ifndef MUTANT_EVENT_TRUSTS_QUEUED
	if
	:: word == CLOSED -> result = CANCELED
	:: else
	fi;
#endif
#ifndef MUTANT_EVENT_DOES_NOT_RING_AGAIN
	if
	:: result == OK && NEEDS_RING -> ringwake_wake()
	:: else
	fi;
#endif
	if
#ifdef MUTANT_FAILED_WAKE_DROPS_EVENT
	:: result == FAILED
#endif
	:: result == CANCELED
	:: else -> queue_event()
	fi
}

inline forget()
{
	atomic {
		before = 0;
		seen = 0;
		result = 0;
		failed = false;
		last_out = false;
		tested = false
	}
}

/* After a failed doorbell, the same sender or the next send of the other notifies the loop. */
#define OTHER_WILL_RING (to_send[1 - id] > 0 || (id == 0 && others < OTHERS))

proctype sender(bit id)
{
	byte seen, result, before;
	bool failed, last_out, after_close, tested;
	do
	:: to_send[id] > 0 ->
		d_step { to_send[id]--; pending[id] = true; after_close = close_returned };
		ringwake_event_send();
		do
		:: result == FAILED -> ringwake_event_send()
		:: result == FAILED && OTHER_WILL_RING -> break
		:: result != FAILED -> break
		od;
		assert(!after_close || result != OK);
		pending[id] = pending[id] && result != CANCELED;
		forget()
	:: id == 1 && others < OTHERS ->
		others++;
		ringwake_send(EVENT + others);
		do
		:: result == FAILED -> ringwake_wake()
		:: result == FAILED && OTHER_WILL_RING -> break
		:: result != FAILED -> break
		od;
		forget()
	:: to_send[id] == 0 && (id == 0 || others == OTHERS) -> break
	od;
	finished++
}

/* arrived() */
inline run_event()
{
#ifdef MUTANT_EVENT_CLEARS_LATE
	d_step { pending[0] = false; pending[1] = false };
	state = state & ~QUEUED & 255;
#else
	state = state & ~QUEUED & 255;
	d_step { pending[0] = false; pending[1] = false };
#endif
	d_step {
		assert(!event_closed);
		closing = false
	}
}

inline run_ready()
{
	if
	:: ready -> ready = false; run_event()
	:: else
	fi
}

inline sleep_and_dispatch()
{
	if
	:: armed ->
		if
		:: SLEEP_ENDS(1)
		:: interruptions > 0 -> interruptions--
		:: finished == 2 && undelivered == 0 && wake_seen && !pending[0] && !pending[1] &&
			!closing && !unrun -> break
		fi
	:: else
	fi;
	ringwake_disarm();
	unrun = false;
	ringwake_dispatch();
	run_ready()
}

inline iteration()
{
	ringwake_arm(armed);
	sleep_and_dispatch()
}

inline await_refusal()
{
	before = state;
	do
	:: before & QUEUED ->
		event_parked = (state == before);
		!event_parked;
		before = state
	:: else -> break
	od
}

/* In C the loop blocks for a short time and checks again. */
#define MESSAGE_CAME (word >> 2 != 0)
#if DOORBELL == EVENTFD
#define MUST_NAP(wanted) is_armed
#elif DOORBELL == WATCH && !defined(MUTANT_WITHDRAW_SLEEPS_BESIDE_THE_END)
#define MUST_NAP(wanted) (wanted > 1)
#else
#define MUST_NAP(wanted) false
#endif

inline await_message(asleep)
{
#ifndef MUTANT_WITHDRAW_COUNTS_LATE
	wanted = COMPLETIONS + 1;
#endif
	if
	:: MUST_NAP(wanted) -> MESSAGE_CAME
	:: else ->
		if
		:: is_armed
		:: else -> ringwake_doorbell_prepare()
		fi;
		ringwake_target_try_arm(asleep, NOTIFIED);
#ifdef MUTANT_WITHDRAW_COUNTS_LATE
		wanted = COMPLETIONS + 1;
#endif
		if
		:: asleep -> SLEEP_ENDS(wanted) /* the C code also has a timeout, which is not needed */
		:: else
		fi
	fi;
	wanted = 0;
#ifndef MUTANT_WITHDRAW_DISARMS
	if
	:: is_armed
	:: else -> ringwake_disarm()
	fi
#else
	ringwake_disarm()
#endif
}

inline ringwake_target_withdraw(found)
{
	do
	:: true ->
		ringwake_dispatch();
		d_step { found = ready; ready = false };
		if
		:: found || closed -> break
		:: else
		fi;
		await_message(asleep)
	od
}

inline mark_closed()
{
	d_step { before = state; state = state | EVENT_CLOSED }
}

inline ringwake_event_close()
{
	mark_closed();
	if
	:: before & QUEUED ->
		ringwake_target_withdraw(found);
		if
		:: !found -> await_refusal()
		:: else
		fi
	:: else
	fi;
	atomic { event_closed = true; close_returned = true; pending[0] = false; pending[1] = false }
}

proctype loop()
{
	byte seen, result, before, taken, turned, older, wanted;
	short gate_seen;
	bool failed, last_out, armed, asleep, tested, found, closing, event_closed;
	do
	:: true -> iteration()
	:: true -> break
	od;
	if
	:: ringwake_event_close()
	:: ringwake_arm(armed);
		ringwake_event_close();
		do
		:: sleep_and_dispatch(); break
		od
	:: mark_closed();
		if
		:: before & QUEUED ->
			closing = true;
			do
			:: closing -> iteration()
			:: else -> break
			od
		:: else
		fi;
		atomic { event_closed = true; close_returned = true }
	:: skip
	fi;
	ringwake_close();
	run_ready();
	close_returned = true;
	if
	:: event_closed
	:: else -> ringwake_event_close()
	fi;
	finished == 2;
	assert(undelivered == 0 && !ready);
	assert(gate == GATE_CLOSING)
}

init
{
	atomic {
		to_send[0] = SENDS_0;
		to_send[1] = SENDS_1;
		run loop();
		run sender(0);
		run sender(1)
	}
}
