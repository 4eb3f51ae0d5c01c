/* SPDX-License-Identifier: MIT */
/*
 * Two senders, a loop that blocks, and a close at any moment. Each sender sends its messages in order
 * and may wake or post in between. The loop's callbacks send one more message.
 */
#ifndef SENDS
#define SENDS 2 /* per sender */
#endif
#define MESSAGES (2 * SENDS)

/* Messages of one sender arrive in order. */
#define CALLBACK(m) assert((m) % SENDS == 1 % SENDS || delivered[(m) - 1] > 0)

#include "doorbell.pml"
#include "target.pml"

byte begun[2];       /* messages whose send has begun */
byte finished;       /* senders that have ended */
bool close_returned;
byte extra = EXTRA;                 /* remaining wakes and posts */
byte again = AGAIN;                 /* remaining sends from callbacks */
byte interruptions = INTERRUPTIONS; /* waits that may end without a cause */

/* Nothing is sent after ringwake_close() has returned. */
inline judge()
{
	d_step {
		assert(!after_close || result == CANCELED);
		seen = 0;
		result = 0;
		failed = false;
		last_out = false;
		tested = false
	}
}

/*
 * The manual's rule for a sender whose doorbell failed: it must wake the target again, unless another
 * send follows.
 */
inline make_good()
{
	do
	:: result == FAILED ->
		if
		:: ringwake_wake()
		:: begun[1 - id] < SENDS -> break
		:: begun[id] < SENDS -> break
		fi
	:: else -> break
	od
}

proctype sender(bit id)
{
	byte seen, result;
	bool failed, last_out, after_close, tested;
	do
	:: begun[id] < SENDS ->
		d_step { begun[id]++; after_close = close_returned };
		ringwake_send(id * SENDS + begun[id]);
		make_good();
		judge()
	:: atomic { extra > 0 -> extra--; after_close = close_returned };
		ringwake_wake();
		make_good();
		judge()
#if DOORBELL == MSG_RING
	:: atomic { extra > 0 -> extra--; after_close = close_returned };
		ringwake_post();
		judge()
#endif
	:: begun[id] == SENDS -> break
	od;
	finished++
}

proctype loop()
{
	byte seen, result, taken, turned, older, wanted, message;
	short gate_seen;
	bool failed, last_out, armed, tested;
	do
	:: true ->
		ringwake_arm(armed);
		if
		:: armed ->
			/* A loop may end without a doorbell only if no message is left. */
			if
			:: SLEEP_ENDS(1)
			:: interruptions > 0 -> interruptions--
			:: finished == 2 && undelivered == 0 && wake_seen -> break
			fi
		:: else
		fi;
		ringwake_disarm();
		ringwake_dispatch();
		if
		:: atomic { again > 0 && delivered[1] == accepted[1] && delivered[1] > 0 -> again-- };
			ringwake_send(1)
		:: true
		fi;
		d_step { seen = 0; result = 0; older = 0; armed = false; failed = false; last_out = false }
	:: break
	od;
	ringwake_close();
	close_returned = true;
	finished == 2;
	assert(undelivered == 0);
	assert(gate == GATE_CLOSING)
}

init
{
	atomic { run loop(); run sender(0); run sender(1) }
}
