/* SPDX-License-Identifier: MIT */
/*
 * The doorbell and the kernel behind it: lib/doorbell.c. DOORBELL is one of its four forms:
 *
 *   MSG_RING  a completion in the application's ring
 *   OWN_RING  a completion in a ring of the target's own
 *   EVENTFD   an eventfd alone, which the loop polls
 *   READ      an eventfd, and a READ of it that waits on the application's ring
 *
 * The kernel may refuse a ring (FAILURES times), and posts a completion when it likes, not at once.
 */
#define MSG_RING 1
#define OWN_RING 2
#define EVENTFD  3
#define READ     4

#define CAPACITY 2 /* of the completion queue: small, so that it is full at times */

bool descriptor_open = true; /* false: the number may be another file's already */
byte failures_left = FAILURES;
byte due;         /* accepted and not posted yet; READ: what the eventfd holds */
byte completions; /* in the queue; EVENTFD: what the eventfd holds */
byte reaped;      /* of a private doorbell: those that the loop has taken off */
bool reading;     /* a READ was submitted */
byte read_value;  /* what it has read; 0: it still waits */

#if DOORBELL == EVENTFD
#define ACCEPT_RING     completions++
#define QUEUE_IS_FULL   false
#define COMPLETIONS     0
#define SLEEP_ENDS(wanted) (completions > 0)
#else
#define ACCEPT_RING     due++
#define QUEUE_IS_FULL   (completions == CAPACITY)
#define COMPLETIONS     completions
#define SLEEP_ENDS(wanted) (completions >= wanted || QUEUE_IS_FULL)
#endif

/* When the queue is full the kernel may drop the completion: -EOVERFLOW. */
inline ringwake_doorbell_ring(failed)
{
	atomic {
		assert(descriptor_open);
		if
		:: QUEUE_IS_FULL && DOORBELL != READ -> failed = false
		:: ACCEPT_RING; failed = false
		:: failures_left > 0 -> failures_left--; failed = true
		fi
	}
}

inline ringwake_doorbell_prepare()
{
#if DOORBELL == READ
	if
	:: reading && read_value == 0
	:: else -> d_step { read_value = 0; reading = true }
	fi
#else
	skip
#endif
}

/* On the application's ring it is the application that passes over them, after each wait. */
inline ringwake_doorbell_reap()
{
#if DOORBELL == OWN_RING || DOORBELL == EVENTFD
	if
	:: owed != reaped -> d_step { reaped = reaped + completions; completions = 0 }
	:: else
	fi
#else
	completions = 0
#endif
}

/* The application's ring outlives the target, so the READ must end before its buffer goes. */
inline finish_read()
{
	ACCEPT_RING; /* a write of an eventfd by its owner does not fail */
	do
	:: true ->
#ifdef MUTANT_FINISH_READ_COUNTS_LATE
		if
		:: read_value != 0 -> break
		:: else
		fi;
		wanted = COMPLETIONS + 1;
#else
		wanted = COMPLETIONS + 1;
		if
		:: read_value != 0 -> break
		:: else
		fi;
#endif
		SLEEP_ENDS(wanted)
	od
}

inline ringwake_doorbell_close()
{
#if DOORBELL == READ
	if
	:: reading -> finish_read()
	:: else
	fi;
#endif
	descriptor_open = false
}

active proctype kernel()
{
end:
	do
#if DOORBELL == READ
	:: d_step { due > 0 && reading && read_value == 0 -> read_value = due; due = 0 };
		completions < CAPACITY -> completions++
#else
	:: d_step { due > 0 && !QUEUE_IS_FULL -> due--; completions++ }
	:: d_step { due > 0 && QUEUE_IS_FULL -> due-- }
#endif
	od
}
