/* SPDX-License-Identifier: MIT */
/*
 * The doorbell and the kernel behind it: lib/doorbell.h. DOORBELL is one of its four forms:
 *
 *   MSG_RING  a completion in the application's ring
 *   OWN_RING  a completion in the target's own ring
 *   EVENTFD   an eventfd without a ring, which the loop polls
 *   WATCH     an eventfd with a poll request on the application's ring
 *
 * The kernel may refuse a doorbell (FAILURES times) and posts a completion at any later time.
 */
#define MSG_RING 1
#define OWN_RING 2
#define EVENTFD  3
#define WATCH    4

#define CAPACITY 2 /* of the completion queue: small enough to become full */

bool descriptor_open = true; /* false: another file may have its number */
byte failures_left = FAILURES;
byte due;         /* accepted, not posted yet; WATCH: writes that the poll request has not seen */
byte completions; /* in the queue; EVENTFD: the eventfd's counter */
byte reaped;      /* of a private doorbell: completions that the loop has consumed */
bool watching;    /* the poll request is in the ring */
bool live;        /* the loop assumes that the poll request is pending */
bool ended;       /* the poll request's last completion is in the queue */
#ifndef CANCELS
#define CANCELS 0
#endif
byte cancels_left = CANCELS; /* by the application, at any time */

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
inline ringwake_doorbell_notify(failed)
{
	atomic {
		assert(descriptor_open);
		if
		:: QUEUE_IS_FULL && DOORBELL != WATCH -> failed = false
		:: ACCEPT_RING; failed = false
		:: failures_left > 0 -> failures_left--; failed = true
		fi
	}
}

/* The poll request's first completion is consumed at once and has no meaning. */
inline ringwake_doorbell_prepare()
{
#if DOORBELL == WATCH
	if
	:: live
	:: else -> d_step { watching = true; live = true }
	fi
#else
	skip
#endif
}

/* On the application's ring the application itself skips them after each wait. */
inline ringwake_doorbell_consume()
{
#if DOORBELL == OWN_RING || DOORBELL == EVENTFD
	if
	:: owed != reaped -> d_step { reaped = reaped + completions; completions = 0 }
	:: else
	fi
#else
	d_step {
		completions = 0;
#ifndef MUTANT_END_OF_WATCH_IS_NOT_NOTICED
		live = live && !ended;
#endif
		ended = false
	}
#endif
}

inline ringwake_doorbell_close()
{
	d_step { watching = false; descriptor_open = false }
}

active proctype kernel()
{
end:
	do
#if DOORBELL == WATCH
	:: d_step { due > 0 && watching && !QUEUE_IS_FULL -> due = 0; completions++ }
	:: d_step { cancels_left > 0 && watching && !QUEUE_IS_FULL ->
		cancels_left--; watching = false; ended = true; completions++ }
#else
	:: d_step { due > 0 && !QUEUE_IS_FULL -> due--; completions++ }
	:: d_step { due > 0 && QUEUE_IS_FULL -> due-- }
#endif
	od
}
