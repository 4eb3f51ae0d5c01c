/* SPDX-License-Identifier: MIT */
/*
 * The worker pool: submit, take, go_idle, block, unlock_and_wake and close of lib/pool*.c. Every job
 * runs, and no thread touches the pool after close has freed it. Work is counted, not linked; the
 * lock is one bit; only a wake-up ends a wait.
 *
 * With CLASSES, each job is of any class. Slow jobs hold at most SLOW_LIMIT workers. No worker takes
 * a job while one of a higher class was submitted before this worker took the lock. (That a class is
 * not passed over for ever is left to tests/unit/pool_classes.c: its count is used with the lock
 * only.) With CLOSES_EARLY, close may begin as soon as all jobs were submitted.
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
#ifndef SLOW_LIMIT
#define SLOW_LIMIT 1
#endif
#define JOBS (SUBMITTERS * EACH)
#define NOBODY 255
#ifdef MUTANT_NOBODY_IS_CALLED_TO_ATTEND
#define NEEDS_RETRIER 0
#else
#define NEEDS_RETRIER (retries && !has_retrier)
#endif

mtype = { AWAKE, IDLE, BLOCKED };

#define NORMAL 0
#define FAST   1
#define SLOW   2
#define NONE   3

byte inbox[3];      /* the number of works in the inbox, of each class */
bit armed, closed;  /* the inbox's tags; never set while it holds work */
bit lock;
byte queue[3], wakes_in_flight, depth, pushed, ran, ended;
byte slow_running;
byte others_announced; /* others_submitted less others_arrived */
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

#define INBOX_IS_EMPTY (inbox[NORMAL] + inbox[FAST] + inbox[SLOW] == 0)
#ifdef MUTANT_SLOW_WORK_HAS_NO_LIMIT
#define CAN_TAKE_SLOW (queue[SLOW] > 0)
#else
#define CAN_TAKE_SLOW (queue[SLOW] > 0 && slow_running < SLOW_LIMIT)
#endif
#define HAS_WORK (queue[FAST] > 0 || queue[NORMAL] > 0 || CAN_TAKE_SLOW)

#ifdef MUTANT_FAST_WORK_WAITS_IN_THE_INBOX
#define MUST_EMPTY_INBOX (queue[FAST] == 0 && queue[NORMAL] == 0)
#elif defined MUTANT_NORMAL_WORK_WAITS_BEHIND_SLOW
#define MUST_EMPTY_INBOX (!HAS_WORK || (queue[FAST] == 0 && others_announced > 0))
#else
#define MUST_EMPTY_INBOX \
	(queue[FAST] == 0 && (queue[NORMAL] == 0 || others_announced > 0))
#endif

inline take_lock()
{
	assert(!freed);
	atomic { !lock -> lock = 1 }
	assert(!freed);
}

inline empty_inbox()
{
	d_step {
		queue[NORMAL] = queue[NORMAL] + inbox[NORMAL];
		queue[SLOW] = queue[SLOW] + inbox[SLOW];
		queue[FAST] = queue[FAST] + inbox[FAST];
#ifndef MUTANT_FAST_WORK_IS_FLAGGED
		others_announced = others_announced - inbox[FAST] - inbox[SLOW];
#endif
		inbox[NORMAL] = 0;
		inbox[SLOW] = 0;
		inbox[FAST] = 0
	}
}

/* The caller holds the lock. */
inline take(class)
{
	if
	:: MUST_EMPTY_INBOX ->
#ifdef MUTANT_FAST_WORK_IS_FLAGGED
		others_announced = 0;
#endif
		empty_inbox()
	:: else
	fi;
	d_step {
		if
		:: queue[FAST] > 0 -> class = FAST
		:: queue[FAST] == 0 && queue[NORMAL] > 0 -> class = NORMAL
		:: queue[FAST] == 0 && queue[NORMAL] == 0 && CAN_TAKE_SLOW -> class = SLOW
		:: else -> class = NONE
		fi;
		if
		:: class != NONE ->
			assert(class == FAST || !fast_was_waiting);
			assert(class != SLOW || !normal_was_waiting);
			queue[class]--;
			slow_running = slow_running + (class == SLOW);
			assert(slow_running <= SLOW_LIMIT)
		:: else
		fi;
		fast_was_waiting = 0;
		normal_was_waiting = 0
	}
}

/* What was submitted when the worker took the lock. */
inline note_what_waits()
{
#ifdef CLASSES
	d_step {
		fast_was_waiting = (queue[FAST] + inbox[FAST] > 0);
		normal_was_waiting = (queue[NORMAL] + inbox[NORMAL] > 0)
	}
#else
	skip
#endif
}

inline unlock_and_wake(picked, blocked)
{
	picked = NOBODY;
	if
	:: depth == 0
	:: depth > 0 && !HAS_WORK && (wakes_in_flight > 0 || (kick_pending && !NEEDS_RETRIER))
	:: depth > 0 && !(!HAS_WORK && (wakes_in_flight > 0 || (kick_pending && !NEEDS_RETRIER))) ->
		picked = idle[depth - 1];
		if
		:: !HAS_WORK && NEEDS_RETRIER
		:: !HAS_WORK && !NEEDS_RETRIER ->
#ifdef MUTANT_STORES_ASLEEP
			if
			:: INBOX_IS_EMPTY && !closed ->
				d_step { inbox[NORMAL] = 0; armed = 1; kick_pending = 1 };
				picked = NOBODY
			:: else
			fi
#else
			atomic {
				if
				:: INBOX_IS_EMPTY && !closed -> armed = 1; kick_pending = 1; picked = NOBODY
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
	byte picked, class, slow_ended;
	bit blocked, was, refused, is_retrier, fast_was_waiting, normal_was_waiting;
	take_lock();
	note_what_waits();
	do
	::
		retry(was, refused);
		take(class);
#ifdef MUTANT_LOOKS_BEFORE_SLOW_WORK_ENDS
		slow_running = slow_running - slow_ended;
		slow_ended = 0;
#endif
		if
		:: class != NONE ->
			unlock_and_wake(picked, blocked);
			complete(was, refused);
			ran++;
			take_lock();
			note_what_waits();
			remember(refused);
#ifdef MUTANT_LOOKS_BEFORE_SLOW_WORK_ENDS
			slow_ended = (class == SLOW)
#else
			slow_running = slow_running - (class == SLOW)
#endif
#ifdef MUTANT_WORKER_ENDS_AFTER_SLOW_WORK
			;
			if
			:: class == SLOW && closing && !kick_pending -> break
			:: else
			fi
#endif
#ifdef MUTANT_WORKER_ENDS_AT_ONCE
		:: class == NONE && closing -> break
		:: class == NONE && !closing ->
#else
		:: class == NONE && closing && !kick_pending -> break
		:: class == NONE && !(closing && !kick_pending) ->
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
			note_what_waits();
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
	byte picked, i, class;
	bit blocked, was;
	for (i : 1 .. EACH) {
		assert(!freed);
#ifdef CLASSES
		if
		:: class = NORMAL
		:: class = SLOW
		:: class = FAST
		fi;
		if
		:: class == NORMAL
		:: class != NORMAL ->
#ifdef MUTANT_FAST_WORK_IS_FLAGGED
			others_announced = 1
#else
			others_announced++
#endif
		fi;
#endif
		d_step {
			assert(!closed);
			was = armed;
			armed = 0;
			inbox[class]++;
			pushed++
		}
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
	:: queue[NORMAL] > 0 ->
		queue[NORMAL]--;
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
#elif defined CLOSES_EARLY
	pushed == JOBS;
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
	assert(ran == JOBS);
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
