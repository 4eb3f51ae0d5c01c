/* SPDX-License-Identifier: MIT */
/*
 * The worker pool: submit, go_idle, block, unlock_and_wake and close of lib/pool*.c. Every job runs,
 * and no thread touches the pool after close has freed it. Work is counted, not linked; the lock is
 * one bit; only a wake-up ends a wait.
 *
 * With REFUSALS, that many doorbells are refused on their way to the loop that receives completions,
 * and a thread cancels one job if it comes in time. The loop must receive all completions. The wait
 * of the retrier may end at any time.
 */
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef SUBMITTERS
#define SUBMITTERS 2
#endif
#ifndef EACH
#define EACH 2
#endif
#ifndef REFUSALS
#define REFUSALS 0
#endif
#define JOBS (SUBMITTERS * EACH)
#define NOBODY 255
#ifdef MUTANT_NOBODY_IS_CALLED_TO_ATTEND
#define NEEDS_RETRIER 0
#else
#define NEEDS_RETRIER (retries && !has_retrier)
#endif

mtype = { AWAKE, IDLE, BLOCKED };

byte inbox;          /* the number of works in the inbox */
bit armed, closed;  /* the inbox's tags; never set while it holds work */
bit lock;
byte queue, wakes_in_flight, depth, ran, ended;
byte idle[WORKERS];
bit kick_pending, closing, freed;
mtype word[WORKERS] = AWAKE;
bit sleeping[WORKERS];
bit cancelled;

/* lib/target.c and lib/retry.c, with one target */
byte messages, received, refusals = REFUSALS;
bit loop_asleep, loop_rung, retries, has_retrier;

inline ring(was, refused)
{
	refused = 0;
	if
	:: was ->
		if
		:: refusals > 0 -> d_step { refusals--; loop_asleep = 1; refused = 1 }
		:: loop_rung = 1
		fi
	:: else
	fi
}

inline complete(was, refused)
{
#if REFUSALS > 0
	d_step { messages++; was = loop_asleep; loop_asleep = 0 }
	ring(was, refused)
#else
	skip
#endif
}

/* The caller holds the lock. */
inline remember(refused)
{
#ifndef MUTANT_REFUSED_AND_FORGOTTEN
	retries = (retries || refused);
#endif
	refused = 0
}

inline retry(was, refused)
{
	if
	:: retries && loop_asleep && messages > 0 ->
		d_step { was = loop_asleep; loop_asleep = 0 }
		ring(was, refused);
		refused = 0
	:: retries && !(loop_asleep && messages > 0) && (closing || messages == 0) -> retries = 0
	:: else
	fi
}

inline take_lock()
{
	assert(!freed);
	atomic { !lock -> lock = 1 }
	assert(!freed);
}

inline empty_inbox()
{
	d_step { queue = queue + inbox; inbox = 0 }
}

inline unlock_and_wake(picked, blocked)
{
	picked = NOBODY;
	if
	:: depth == 0
	:: depth > 0 && queue == 0 && (wakes_in_flight > 0 || (kick_pending && !NEEDS_RETRIER))
	:: depth > 0 && !(queue == 0 && (wakes_in_flight > 0 || (kick_pending && !NEEDS_RETRIER))) ->
		picked = idle[depth - 1];
		if
		:: queue == 0 && NEEDS_RETRIER
		:: queue == 0 && !NEEDS_RETRIER ->
#ifdef MUTANT_STORES_ASLEEP
			if
			:: inbox == 0 && !closed -> d_step { inbox = 0; armed = 1; kick_pending = 1 }; picked = NOBODY
			:: else
			fi
#else
			atomic {
				if
				:: inbox == 0 && !closed -> armed = 1; kick_pending = 1; picked = NOBODY
				:: else
				fi
			}
#endif
		:: else
		fi;
		if
		:: picked != NOBODY -> depth--; wakes_in_flight++
		:: else
		fi
	fi;
	lock = 0;
	if
	:: picked != NOBODY ->
		assert(!freed);
		d_step { blocked = (word[picked] == BLOCKED); word[picked] = AWAKE }
		if
		:: blocked -> sleeping[picked] = 0 /* the system call: may happen after the free */
		:: else
		fi
	:: else
	fi
}

proctype worker(byte me)
{
	byte picked;
	bit blocked, was, refused, is_retrier;
	take_lock();
	do
	::
		retry(was, refused);
		if
		:: queue == 0 -> empty_inbox()
		:: else
		fi;
		if
		:: queue > 0 ->
			queue--;
			unlock_and_wake(picked, blocked);
			complete(was, refused);
			ran++;
			take_lock();
			remember(refused)
#ifdef MUTANT_WORKER_ENDS_AT_ONCE
		:: queue == 0 && closing -> break
		:: queue == 0 && !closing ->
#else
		:: queue == 0 && closing && !kick_pending -> break
		:: queue == 0 && !(closing && !kick_pending) ->
#endif
			idle[depth] = me;
			depth++;
			word[me] = IDLE;
			is_retrier = (retries && !has_retrier);
			has_retrier = (has_retrier || is_retrier);
			unlock_and_wake(picked, blocked);
#ifdef MUTANT_STORES_PARKED
			word[me] = BLOCKED; blocked = 1;
#else
			d_step {
				blocked = (word[me] == IDLE);
				if
				:: blocked -> word[me] = BLOCKED
				:: else
				fi
			}
#endif
			do
			:: !blocked || word[me] != BLOCKED -> break
			:: else ->
				if
				:: is_retrier ->
					take_lock();
					retry(was, refused);
					is_retrier = retries;
					has_retrier = retries;
					lock = 0
				:: else
				fi;
				d_step {
					if
					:: word[me] == BLOCKED -> sleeping[me] = 1
					:: else
					fi
				}
				do
				:: !sleeping[me] -> break
				:: is_retrier -> sleeping[me] = 0; break /* the timeout */
				od
			od;
			take_lock();
			wakes_in_flight--;
#ifndef MUTANT_ATTENDED_FOR_EVER
			if
			:: is_retrier -> is_retrier = 0; has_retrier = 0
			:: else
			fi
#endif
		fi
	od;
	unlock_and_wake(picked, blocked);
	ended++
}

proctype submitter()
{
	byte picked, i;
	bit blocked, was;
	for (i : 1 .. EACH) {
		assert(!freed);
		d_step { assert(!closed); was = armed; armed = 0; inbox++ }
		if
		:: was ->
			take_lock();
			kick_pending = 0;
#ifdef MUTANT_SUBMIT_CALLS_NOBODY
			lock = 0
#else
			unlock_and_wake(picked, blocked)
#endif
		:: else
		fi
	}
}

#if REFUSALS > 0
proctype loop()
{
	do
	:: messages > 0 -> d_step { received = received + messages; messages = 0 }
	:: received == JOBS -> break
	:: atomic { messages == 0 && received < JOBS -> loop_asleep = 1 };
		loop_rung;
		d_step { loop_rung = 0; loop_asleep = 0 }
	od
}

proctype canceller()
{
	byte picked;
	bit blocked, was, refused;
	take_lock();
	empty_inbox();
	if
	:: queue > 0 ->
		queue--;
		complete(was, refused);
		ran++
	:: else
	fi;
	if
	:: refused ->
		remember(refused);
		unlock_and_wake(picked, blocked)
	:: else -> lock = 0
	fi;
	cancelled = 1
}
#endif

proctype closer()
{
	byte picked;
	bit blocked;
#if REFUSALS > 0
	received == JOBS && cancelled;
#else
	ran == JOBS; /* close relies only on this */
#endif
	take_lock();
	d_step {
		if
		:: armed -> kick_pending = 0
		:: else
		fi;
		armed = 0;
		closed = 1
	}
	closing = 1;
	unlock_and_wake(picked, blocked);
	ended == WORKERS;
	freed = 1
}

init {
	byte i;
	atomic {
		for (i : 0 .. WORKERS - 1) { run worker(i) }
		for (i : 1 .. SUBMITTERS) { run submitter() }
		run closer()
#if REFUSALS > 0
		;
		run loop();
		run canceller()
#endif
	}
}
