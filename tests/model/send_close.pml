/* SPDX-License-Identifier: MIT */
/*
 * Two senders, a loop that sleeps, and a close at any moment. Each sender sends its messages in
 * order, and wakes or posts in between as it likes; the loop's callbacks send one more.
 */
#ifndef SENDS
#define SENDS 2 /* of each sender */
#endif
#define MESSAGES (2 * SENDS)

/* Messages of one sender arrive in order. */
#define CALLBACK(m) assert((m) % SENDS == 1 % SENDS || delivered[(m) - 1] > 0)

#include "doorbell.pml"
#include "target.pml"

byte begun[2];       /* messages that a sender has begun to send */
byte finished;       /* senders that have done all */
bool close_returned;
byte extra = EXTRA;                 /* wakes and posts still to make */
byte again = AGAIN;                 /* sends from callbacks still to make */
byte interruptions = INTERRUPTIONS; /* sleeps that may end for no reason */

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
 * What the interface asks of a sender whose doorbell failed: wake the target again, unless another
 * send follows that will.
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
			/* The only way out for a loop whose doorbell does not come is that there is
			 * nothing to come. */
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
