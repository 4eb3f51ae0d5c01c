/* SPDX-License-Identifier: MIT */
/*
 * lib/pool.c: submit, rest, call and close. Every job is run, and nobody touches the pool after
 * close has freed it. Work is counted, not linked; the lock is one bit; a sleep ends by a wake only.
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
#define JOBS (SUBMITTERS * EACH)
#define NOBODY 255

mtype = { AWAKE, RESTING, PARKED };

byte inbox;          /* work in it */
bit asleep, closed;  /* its tag; never together with work */
bit lock;
byte queue, called, depth, ran, ended;
byte idle[WORKERS];
bit expecting, closing, freed;
mtype word[WORKERS] = AWAKE;
bit sleeping[WORKERS];

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
	:: depth > 0 && queue == 0 && (called > 0 || expecting)
	:: depth > 0 && !(queue == 0 && (called > 0 || expecting)) ->
		picked = idle[depth - 1];
		if
		:: queue == 0 ->
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
	bit parked;
	take_lock();
	do
	:: 
		if
		:: queue == 0 -> empty_inbox()
		:: else
		fi;
		if
		:: queue > 0 ->
			queue--;
			unlock_and_call(picked, parked);
			ran++;
			take_lock()
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
				d_step {
					if
					:: word[me] == PARKED -> sleeping[me] = 1
					:: else
					fi
				}
				!sleeping[me]
			od;
			take_lock();
			called--
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

proctype closer()
{
	byte picked;
	bit parked;
	ran == JOBS; /* all that close may rely on */
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
	}
}
