/* SPDX-License-Identifier: MIT */
/*
 * The size of the worker pool: workers that start and end by themselves, the watcher, resize and
 * close of lib/pool_size.c, pool_threads.c and pool_worker.c. Every job runs, every thread ends, and
 * no thread touches the pool after close has freed it.
 *
 * Work is counted, not linked; the locks are bits; a wait ends when its word has changed, because
 * pool.pml checks the wait. Every timeout may come at any moment. With BLOCKING, the job that starts
 * first ends only after another job, so a second worker is needed. FAILURES threads cannot be
 * created. With RESIZE, another thread changes the limits to those of RESIZED_MIN and RESIZED_MAX.
 * The pool is closed when all jobs were submitted or, with LATE, when all have run. Resizing has ended
 * then, but not with IN_WORK: a job resizes, and close waits for it as for any worker.
 */
#ifndef MIN
#define MIN 1
#endif
#ifndef MAX
#define MAX 2
#endif
#ifndef JOBS
#define JOBS 3
#endif
#ifndef FAILURES
#define FAILURES 0
#endif
#ifndef RESIZED_MIN
#define RESIZED_MIN 1
#define RESIZED_MAX 2
#endif
#define SLOTS 3
#define WATCHER SLOTS
#define NOBODY 255

mtype = { AWAKE, IDLE, BLOCKED };
mtype:watcher = { NONE, LOOKS, TIMED, PARKED };

byte inbox; /* the number of works in the inbox */
bit armed, closed, lock, size_lock;
byte queue, wakes_in_flight, depth, starting, threads, used, live, running;
byte submitted, begun, ran;
byte min_threads = MIN, max_threads = MAX, failures = FAILURES, started;
bit is_idle[SLOTS], is_used[SLOTS];
bit kick_pending, closing, freed, resized;
mtype word[SLOTS + 1] = AWAKE;
mtype:watcher watcher_state = NONE;

#define READY (threads - starting)

inline take_lock()
{
	assert(!freed);
	atomic { !lock -> lock = 1 }
	assert(!freed)
}

inline empty_inbox()
{
	d_step { queue = queue + inbox; inbox = 0 }
}

/* Picks nobody if the inbox is armed, or can be. */
inline try_arm(picked)
{
	atomic {
		if
		:: kick_pending -> picked = NOBODY
		:: !kick_pending && inbox == 0 && !closed -> armed = 1; kick_pending = 1; picked = NOBODY
		:: else
		fi
	}
}

inline pick(picked)
{
	picked = NOBODY;
	if
	:: depth > 0 ->
		d_step {
			if
			:: is_idle[0] -> picked = 0
			:: !is_idle[0] && is_idle[1] -> picked = 1
			:: else -> picked = 2
			fi
		}
		if
		:: queue > 0
		:: queue == 0 && wakes_in_flight > 0 -> picked = NOBODY
		:: queue == 0 && wakes_in_flight == 0 -> try_arm(picked)
		fi;
		if
		:: picked != NOBODY -> d_step { is_idle[picked] = 0; depth--; wakes_in_flight++ }
		:: else
		fi
	:: depth == 0 && (watcher_state == TIMED || watcher_state == PARKED) ->
		if
		:: closing && queue == 0 -> picked = WATCHER
		:: !(closing && queue == 0) && watcher_state == PARKED && wakes_in_flight == 0 &&
		   starting == 0 && used < max_threads ->
			if
			:: queue > 0 -> picked = WATCHER
#ifdef MUTANT_BUSY_POOL_IS_NOT_ARMED
			:: queue == 0
#else
			:: queue == 0 -> picked = WATCHER; try_arm(picked)
#endif
			fi
		:: else
		fi;
		if
		:: picked == WATCHER -> watcher_state = LOOKS
		:: else
		fi
	:: else
	fi
}

inline wake(who)
{
	if
	:: who != NOBODY -> atomic { assert(!freed); word[who] = AWAKE }
	:: else
	fi
}

inline unlock_and_wake(picked)
{
	pick(picked);
	lock = 0;
	wake(picked);
	picked = NOBODY
}

inline unlock_and_wake_all(picked, all)
{
	d_step {
		all = is_idle[0] + 2 * is_idle[1] + 4 * is_idle[2];
		wakes_in_flight = wakes_in_flight + depth;
		is_idle[0] = 0; is_idle[1] = 0; is_idle[2] = 0;
		depth = 0
	}
	unlock_and_wake(picked);
	if
	:: all & 1 -> wake(0)
	:: else
	fi;
	if
	:: all & 2 -> wake(1)
	:: else
	fi;
	if
	:: all & 4 -> wake(2)
	:: else
	fi;
	all = 0
}

/* With size_lock and the lock, which it releases. */
inline start_worker(slot, picked)
{
	d_step {
		if
		:: !is_used[0] -> slot = 0
		:: is_used[0] && !is_used[1] -> slot = 1
		:: else -> slot = 2; assert(!is_used[2])
		fi;
		is_used[slot] = 1; word[slot] = AWAKE;
		used++; starting++; threads++; live++
	}
	lock = 0;
	if
	:: failures > 0 ->
		failures--;
		take_lock();
#ifdef MUTANT_FAILED_START_IS_FORGOTTEN
		d_step { is_used[slot] = 0; used--; threads--; live-- }
#else
		d_step { is_used[slot] = 0; used--; starting--; threads--; live-- }
#endif
		unlock_and_wake(picked)
	:: failures == 0 -> atomic { running++; run worker(slot) }
	fi;
	slot = 0
}

proctype worker(byte me)
{
	byte picked, all, mine;
	bit timed;
	take_lock();
	starting--;
	if
	:: depth > 0 && READY > min_threads -> unlock_and_wake_all(picked, all); take_lock()
	:: else
	fi;
	do
	:: READY > max_threads -> break
	:: READY <= max_threads ->
		if
		:: queue == 0 -> empty_inbox()
		:: else
		fi;
		if
		:: queue > 0 ->
			d_step { queue--; begun++; mine = begun }
			unlock_and_wake(picked);
#ifdef BLOCKING
			mine > 1 || ran > 0;
#endif
			mine = 0;
			ran++;
			take_lock()
		:: queue == 0 && closing && !kick_pending -> break
		:: queue == 0 && !(closing && !kick_pending) ->
			d_step {
				is_idle[me] = 1; depth++; word[me] = IDLE;
#ifdef MUTANT_LAST_WORKER_ENDS
				timed = 1
#else
				timed = (READY > min_threads)
#endif
			}
			unlock_and_wake(picked);
			d_step {
				if
				:: word[me] == IDLE -> word[me] = BLOCKED
				:: else
				fi
			}
			do
			:: word[me] != BLOCKED -> take_lock(); wakes_in_flight--; timed = 0; break
			:: word[me] == BLOCKED && timed ->
				take_lock();
				if
#ifdef MUTANT_WOKEN_WORKER_ENDS
				:: READY > min_threads ->
					d_step { depth = depth - is_idle[me]; is_idle[me] = 0 }
					goto ends
#else
#ifdef MUTANT_LAST_WORKER_ENDS
				:: is_idle[me] -> d_step { is_idle[me] = 0; depth-- } goto ends
#else
				:: is_idle[me] && READY > min_threads -> d_step { is_idle[me] = 0; depth-- } goto ends
#endif
#endif
				:: else -> timed = 0; lock = 0
				fi
			od
		fi
	od;
ends:
	threads--;
	unlock_and_wake(picked); /* worker_end */
	take_lock();
	d_step { is_used[me] = 0; used--; live-- }
	unlock_and_wake(picked);
	running--
}

proctype watcher()
{
	byte picked, slot;
	bit timed;
	take_lock();
	do
	::
		empty_inbox();
		if
#ifdef MUTANT_CLOSING_POOL_DOES_NOT_GROW
		:: closing -> break
		:: !closing ->
#else
		:: closing && queue == 0 -> break
		:: !(closing && queue == 0) ->
#endif
			if
			:: queue > 0 && depth == 0 && wakes_in_flight == 0 && starting == 0 && used < max_threads ->
				if
				:: timed = 1 /* the work has not waited for so long */
				:: timed = 0; goto grows
				fi
			:: else -> timed = 0
			fi;
			watcher_state = (timed -> TIMED : PARKED);
			word[WATCHER] = BLOCKED;
			unlock_and_wake(picked);
			do
			:: word[WATCHER] != BLOCKED -> take_lock(); break
			:: word[WATCHER] == BLOCKED && timed ->
				take_lock();
				if
				:: watcher_state != LOOKS -> break
				:: else -> timed = 0; lock = 0
				fi
			od;
			watcher_state = LOOKS
		fi;
		if
		:: false ->
grows:
			lock = 0;
			atomic { !size_lock -> size_lock = 1 }
			take_lock();
			if
			:: depth == 0 && wakes_in_flight == 0 && starting == 0 && used < max_threads ->
				start_worker(slot, picked)
			:: else -> lock = 0
			fi;
			size_lock = 0;
			take_lock()
		:: true
		fi
	od;
	watcher_state = NONE;
	live--;
	unlock_and_wake(picked);
	running--
}

proctype submitter()
{
	byte picked, i;
	bit was;
	for (i : 1 .. JOBS) {
		assert(!freed);
		d_step { assert(!closed); was = armed; armed = 0; inbox++; submitted++ }
		if
		:: was ->
			take_lock();
			kick_pending = 0;
			unlock_and_wake(picked)
		:: else
		fi
	}
}

/* As ringwake_pool_resize(), once the pool is open. */
inline resize(new_min, new_max, picked, all, slot, start)
{
	atomic { !size_lock -> size_lock = 1 }
	take_lock();
	if
	:: closing -> lock = 0; goto refused
	:: else -> d_step { min_threads = new_min; max_threads = new_max }
	fi;
	unlock_and_wake_all(picked, all);
	do
	:: take_lock();
		if
#ifdef MUTANT_RESIZE_DOES_NOT_SEE_CLOSE
		:: threads < min_threads ->
#else
		:: threads < min_threads && !closing ->
#endif
			started++;
			assert(started <= new_min); /* or workers may end as soon as they start, for ever */
			start_worker(slot, picked)
		:: else -> lock = 0; break
		fi
	od;
	started = 0;
	if
	:: max_threads > min_threads ->
		take_lock();
		d_step {
			start = (watcher_state == NONE && !closing);
			if
			:: start -> watcher_state = LOOKS; live++
			:: else
			fi
		}
		lock = 0;
		if
		:: start -> atomic { running++; run watcher() }
		:: else
		fi
	:: else
	fi;
refused:
	size_lock = 0
}

#ifdef RESIZE
proctype resizer()
{
	byte picked, all, slot;
	bit start;
	resize(RESIZED_MIN, RESIZED_MAX, picked, all, slot, start);
#ifdef IN_WORK
	take_lock();
	live--;
	unlock_and_wake(picked);
	running--
#else
	resized = 1
#endif
}
#endif

proctype closer()
{
	byte picked;
#ifdef LATE
	ran == JOBS;
#else
	submitted == JOBS;
#endif
#if defined(RESIZE) && !defined(IN_WORK)
	resized;
#endif
	take_lock();
	d_step {
		if
		:: armed -> kick_pending = 0
		:: else
		fi;
		armed = 0;
		closed = 1;
		queue = queue + inbox;
		inbox = 0;
		closing = 1
	}
	unlock_and_wake(picked);
	live == 0;
	running == 0; /* it joins the last thread, which has joined the others */
	atomic { freed = 1; assert(ran == JOBS) }
}

init {
	byte picked, all, slot;
	bit start;
	byte wanted = failures;
	failures = 0; /* while the pool is opened */
	resize(MIN, MAX, picked, all, slot, start);
	atomic {
		failures = wanted;
		run submitter();
#ifdef RESIZE
#ifdef IN_WORK
		live++;
		running++;
#endif
		run resizer();
#endif
		run closer()
	}
}
