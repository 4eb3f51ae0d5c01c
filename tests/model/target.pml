/* SPDX-License-Identifier: MIT */
/*
 * The wake protocol: lib/target.c, with one inline for each function that changes the word or the
 * gate. One statement, d_step or atomic stands for one atomic operation of the C code. MUTANT_x is the
 * protocol with one fault; see run.
 */
#define ARMED     1
#define NOTIFIED   2
#define TAGS       (ARMED | NOTIFIED)
#define CLOSED     252
#define ADDRESS(m) ((m) << 2) /* the address of message m, 1 to MESSAGES */

#define GATE_CLOSING 1
#define GATE_CALL    2

/* The results of a send; FAILED is the doorbell's error. */
#define OK       0
#define CANCELED 1
#define FAILED   2

byte word;
byte next[MESSAGES + 1]; /* each message's link to the older message */
short gate;
short owed;
bool closed; /* the loop's own flag */
bool is_armed; /* true between a successful arm and the disarm */

/* Not part of the protocol: the assertions use it. */
byte accepted[MESSAGES + 1];
byte delivered[MESSAGES + 1];
byte undelivered;
bool wake_seen = true;  /* the loop has run since the last ringwake_wake() */
byte to_ring;           /* senders between clearing ARMED and the end of their doorbell */
byte posting;           /* between entering and leaving the gate */

/*
 * For each ARMED that a sender clears, one call leaves the gate. Mutants do not check this, because a
 * mutant must be found by its effect on the user.
 */
#ifdef MUTANT
#define SUMS_ARE_EQUAL true
#else
#define SUMS_ARE_EQUAL                                                                             \
	(owed >= 0 && (word == CLOSED ||                                                           \
		owed - (word & ARMED) + gate / GATE_CALL == to_ring + posting))
#endif

/* The loop blocks here: FUTEX_WAIT while the gate is unchanged. */
bool parked;

inline futex_wake()
{
#ifndef MUTANT_NO_FUTEX_WAKE
	parked = false
#else
	skip
#endif
}

inline leave_gate(counter)
{
	d_step {
		assert(SUMS_ARE_EQUAL);
		gate = gate - GATE_CALL;
		last_out = (gate == GATE_CLOSING);
		counter--;
		assert(SUMS_ARE_EQUAL)
	};
	if
	:: last_out -> futex_wake()
	:: else
	fi
}

inline close_gate()
{
	d_step {
		assert(SUMS_ARE_EQUAL);
		gate = gate + owed * GATE_CALL + GATE_CLOSING;
		gate_seen = gate
	};
#ifndef MUTANT_CLOSE_DOES_NOT_WAIT
	do
	:: gate_seen == GATE_CLOSING -> break
	:: else ->
#ifndef MUTANT_CLOSE_SPINS
		parked = (gate == gate_seen);
		!parked;
#endif
		gate_seen = gate
	od
#endif
}

/* NOTIFIED: the loop may have taken messages whose doorbells were refused. */
#ifdef MUTANT_GIVES_BACK_ARMED_ALONE
#define GIVEN_BACK ARMED
#else
#define GIVEN_BACK TAGS
#endif

inline rearm_after_failure()
{
	seen = word;
	do
	:: seen == CLOSED || seen & ARMED ->
		leave_gate(to_ring);
		break
	:: else ->
		atomic {
			if
			:: word == seen ->
				d_step {
#ifdef MUTANT_NO_GIVE_BACK
					gate = gate - GATE_CALL;
#else
					word = word | GIVEN_BACK;
#endif
#ifdef MUTANT_GIVE_BACK_AND_LEAVE
					gate = gate - GATE_CALL;
#endif
					to_ring--;
					assert(SUMS_ARE_EQUAL)
				};
				break
			:: else -> seen = word
			fi
		}
	od
}

/* Only the sender that has cleared ARMED calls it. */
inline notify()
{
#ifdef MUTANT_LEAVES_BEFORE_RING
	leave_gate(to_ring);
	ringwake_doorbell_notify(failed);
	result = (failed -> FAILED : OK)
#else
#ifndef MUTANT_RINGS_BEFORE_PUSH
	ringwake_doorbell_notify(failed);
#endif
	if
	:: !failed -> leave_gate(to_ring); result = OK
	:: else -> rearm_after_failure(); result = FAILED
	fi
#endif
}

#ifdef MUTANT_STATE_TESTED_APART
#define OWES_RING tested
#else
#define OWES_RING (seen & ARMED)
#endif

/* A step before the change of the word: empty in the correct protocol. */
inline begin()
{
	result = OK;
	failed = false;
#ifdef MUTANT_RINGS_BEFORE_PUSH
	if
	:: word & ARMED -> ringwake_doorbell_notify(failed)
	:: else
	fi;
#endif
#ifdef MUTANT_STATE_TESTED_APART
	tested = word & ARMED;
#endif
	seen = word
}

inline end()
{
	if
	:: result != CANCELED && OWES_RING -> notify()
	:: else
	fi
}

inline ringwake_send(message)
{
	begin();
	do
	:: seen == CLOSED -> result = CANCELED; break
	:: else ->
		atomic {
			if
			:: word == seen ->
				d_step {
					next[message] = seen >> 2;
					word = ADDRESS(message) | (seen & NOTIFIED);
					to_ring = to_ring + OWES_RING;
					accepted[message]++;
					undelivered++
				};
				break
			:: else -> seen = word
			fi
		}
	od;
	end()
}

#ifdef MUTANT_WAKE_TRUSTS_NOTIFIED
#define NOTHING_TO_CHANGE (seen != CLOSED && seen & NOTIFIED)
#else
#define NOTHING_TO_CHANGE false
#endif

inline ringwake_wake()
{
	begin();
	do
	:: seen == CLOSED -> result = CANCELED; break
	:: NOTHING_TO_CHANGE -> seen = 0; wake_seen = false; break
	:: seen != CLOSED && !NOTHING_TO_CHANGE ->
		atomic {
			if
			:: word == seen ->
				d_step {
					word = (seen & ~ARMED & 255) | NOTIFIED;
					to_ring = to_ring + OWES_RING;
					wake_seen = false
				};
				break
			:: else -> seen = word
			fi
		}
	od;
	end()
}

/* Posts exactly one completion to the application's ring. */
inline ringwake_post()
{
	d_step {
		seen = gate;
		gate = gate + GATE_CALL;
		posting++
	};
	if
	:: seen & GATE_CLOSING -> result = CANCELED
	:: else ->
		atomic { assert(descriptor_open); ACCEPT_RING; result = OK }
	fi;
	leave_gate(posting)
}

/* How the loop changes the word. */

inline ringwake_target_try_arm(asleep, ignored)
{
	d_step {
		if
#ifdef MUTANT_ARM_DOES_NOT_LOOK
		:: !(word & ARMED) -> word = word | ARMED; owed++; asleep = true
#else
		:: word == 0 -> word = ARMED; owed++; asleep = true
#endif
		:: else -> asleep = ((word & ~(ignored) & 255) == ARMED)
		fi
	}
}

inline ringwake_arm(armed)
{
	ringwake_doorbell_prepare();
	ringwake_target_try_arm(armed, 0);
	is_armed = armed
}

inline ringwake_disarm()
{
	is_armed = false;
	if
	:: word & ARMED ->
#ifdef MUTANT_DISARM_IS_TWO_STEPS
		seen = word;
		d_step {
			owed = owed - (seen & ARMED);
			word = seen & ~ARMED & 255;
			wake_seen = true
		}
#else
		d_step {
			owed = owed - (word & ARMED);
			word = word & ~ARMED & 255;
			wake_seen = true;
			assert(SUMS_ARE_EQUAL)
		}
#endif
	:: else -> wake_seen = true
	fi;
	ringwake_doorbell_consume()
}

inline exchange(value)
{
	d_step {
#ifndef MUTANT_TAKE_OWES_WHAT_IT_FOUND
		owed = owed - (word & ARMED);
#endif
		taken = word >> 2;
		word = value;
		wake_seen = true;
		assert(SUMS_ARE_EQUAL)
	}
}

/* An armed loop keeps ARMED, so that the next sender also notifies it of what was taken. */
inline ringwake_target_take()
{
#ifndef MUTANT_TAKE_FORGETS_ARMED
	if
	:: is_armed ->
		d_step {
			taken = word >> 2;
			word = (word & ARMED -> TAGS : 0);
			assert(SUMS_ARE_EQUAL)
		}
	:: else -> exchange(0)
	fi
#else
	exchange(0)
#endif
}

#define INBOX_IS_EMPTY ((word & ~ARMED & 255) == 0)

/* Runs the messages in the order sent: the list is reversed first. */
inline dispatch_taken()
{
	d_step {
		turned = 0;
		do
		:: taken != 0 ->
			older = next[taken];
			next[taken] = turned;
			turned = taken;
			taken = older
		:: else -> break
		od;
		do
		:: turned != 0 ->
			older = next[turned];
			next[turned] = 0;
			delivered[turned]++;
			assert(delivered[turned] <= accepted[turned]);
			undelivered--;
			CALLBACK(turned);
			turned = older
		:: else -> break
		od
	}
}

inline ringwake_dispatch()
{
	if
	:: closed || INBOX_IS_EMPTY
	:: else -> ringwake_target_take(); dispatch_taken()
	fi
}

inline ringwake_close()
{
	is_armed = false;
	exchange(CLOSED);
	closed = true;
	close_gate();
	dispatch_taken();
	ringwake_doorbell_close()
}
