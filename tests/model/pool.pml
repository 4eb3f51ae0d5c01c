/* SPDX-License-Identifier: MIT */
/*
 * lib/pool.c: submit, rest, call and close. Every job is run, and nobody touches the pool after
 * close has freed it. Work is counted, not linked; the lock is one bit; a sleep ends by a wake only.
 *
 * With REFUSALS, so many doorbells are refused on the way to the loop that receives completions, and
 * a thread cancels one job if it comes in time. The loop must receive all of them. A park of the
 * worker that attends may end at any time.
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
#define NEGLECTED 0
#else
#define NEGLECTED (retries && !attended)
#endif

mtype = { AWAKE, RESTING, PARKED };

byte inbox;          /* work in it */
bit asleep, closed;  /* its tag; never together with work */
bit lock;
byte queue, called, depth, ran, ended;
byte idle[WORKERS];
bit expecting, closing, freed;
mtype word[WORKERS] = AWAKE;
bit sleeping[WORKERS];
bit cancelled;

/* lib/target.c and lib/retry.c, with one target */
byte messages, received, refusals = REFUSALS;
bit loop_asleep, loop_rung, retries, attended;

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

/* With the lock. */
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

inline unlock_and_call(picked, parked)
{
	picked = NOBODY;
	if
	:: depth == 0
	:: depth > 0 && queue == 0 && (called > 0 || (expecting && !NEGLECTED))
	:: depth > 0 && !(queue == 0 && (called > 0 || (expecting && !NEGLECTED))) ->
		picked = idle[depth - 1];
		if
		:: queue == 0 && NEGLECTED
		:: queue == 0 && !NEGLECTED ->
#ifdef MUTANT_STORES_ASLEEP
			if
			:: inbox == 0 && !closed -> d_step { inbox = 0; asleep = 1; expecting = 1 }; picked = NOBODY
			:: else
			fi
#else
			atomic {
				if
				:: inbox == 0 && !closed -> asleep = 1; expecting = 1; picked = NOBODY
				:: else
				fi
			}
#endif
		:: else
		fi;
		if
		:: picked != NOBODY -> depth--; called++
		:: else
		fi
	fi;
	lock = 0;
	if
	:: picked != NOBODY ->
		assert(!freed);
		d_step { parked = (word[picked] == PARKED); word[picked] = AWAKE }
		if
		:: parked -> sleeping[picked] = 0 /* the system call: may come after the free */
		:: else
		fi
	:: else
	fi
}

proctype worker(byte me)
{
	byte picked;
	bit parked, was, refused, attends;
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
			unlock_and_call(picked, parked);
			complete(was, refused);
			ran++;
			take_lock();
			remember(refused)
#ifdef MUTANT_WORKER_ENDS_AT_ONCE
		:: queue == 0 && closing -> break
		:: queue == 0 && !closing ->
#else
		:: queue == 0 && closing && !expecting -> break
		:: queue == 0 && !(closing && !expecting) ->
#endif
			idle[depth] = me;
			depth++;
			word[me] = RESTING;
			attends = (retries && !attended);
			attended = (attended || attends);
			unlock_and_call(picked, parked);
#ifdef MUTANT_STORES_PARKED
			word[me] = PARKED; parked = 1;
#else
			d_step {
				parked = (word[me] == RESTING);
				if
				:: parked -> word[me] = PARKED
				:: else
				fi
			}
#endif
			do
			:: !parked || word[me] != PARKED -> break
			:: else ->
				if
				:: attends ->
					take_lock();
					retry(was, refused);
					attends = retries;
					attended = retries;
					lock = 0
				:: else
				fi;
				d_step {
					if
					:: word[me] == PARKED -> sleeping[me] = 1
					:: else
					fi
				}
				do
				:: !sleeping[me] -> break
				:: attends -> sleeping[me] = 0; break /* its time is over */
				od
			od;
			take_lock();
			called--;
#ifndef MUTANT_ATTENDED_FOR_EVER
			if
			:: attends -> attends = 0; attended = 0
			:: else
			fi
#endif
		fi
	od;
	unlock_and_call(picked, parked);
	ended++
}

proctype submitter()
{
	byte picked, i;
	bit parked, was;
	for (i : 1 .. EACH) {
		assert(!freed);
		d_step { assert(!closed); was = asleep; asleep = 0; inbox++ }
		if
		:: was ->
			take_lock();
			expecting = 0;
#ifdef MUTANT_SUBMIT_CALLS_NOBODY
			lock = 0
#else
			unlock_and_call(picked, parked)
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
	bit parked, was, refused;
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
		unlock_and_call(picked, parked)
	:: else -> lock = 0
	fi;
	cancelled = 1
}
#endif

proctype closer()
{
	byte picked;
	bit parked;
#if REFUSALS > 0
	received == JOBS && cancelled;
#else
	ran == JOBS; /* all that close may rely on */
#endif
	take_lock();
	d_step {
		if
		:: asleep -> expecting = 0
		:: else
		fi;
		asleep = 0;
		closed = 1
	}
	closing = 1;
	unlock_and_call(picked, parked);
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
