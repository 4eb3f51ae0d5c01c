/* SPDX-License-Identifier: MIT */
/*
 * One loop, some senders, and what they may expect of ringwake. A script says what each thread
 * does, a letter at a time; world.c says what has to come of it.
 */
#ifndef WORLD_H
#define WORLD_H

#include <stdbool.h>

/* How the loop sleeps and is rung. */
enum form {
	FORM_MSG_RING, /* on the application's ring */
	FORM_OWN_RING,
	FORM_EVENTFD, /* on the eventfd alone */
	FORM_WATCHED, /* on the application's ring, by a poll request of the eventfd */
	FORM_SERVED,  /* the same, and a thread of the kernel serves the ring */
	FORM_COUNT,
};

/*
 * A sender's letters:
 *   s  sends a message
 *   m  sends two messages by one call
 *   r  sends a message whose callback sends it again, once
 *   x  sends a message whose callback closes the target
 *   y  sends a message whose callback closes the event
 *   w  wakes
 *   e  sends the event
 *   p  posts a completion
 *
 * The loop's:
 *   W  waits until nothing is left to do
 *   A  the same, with a wait of its own
 *   D  waits until all messages have come
 *   w  waits once
 *   t  waits once, with a timeout
 *   n  polls
 *   a  waits once, with a wait of its own
 *   b  the same, and closes the event after it has armed the target
 *   f  arms, disarms and dispatches, without a wait
 *   d  dispatches
 *   E  closes the event
 *   L  closes the event later, and waits until it is gone
 *   c  cancels every request on its ring
 *   C  closes the target
 *   B  arms the target and closes it
 * At the end it closes the target if it has not yet.
 */
struct script {
	const char *name;
	const char *loop;
	const char *senders[3];
	unsigned faults, fault_limit; /* see kernel.h */
	unsigned completions;         /* that have room in the application's ring; 0: plenty */
	unsigned batch;
	bool no_references; /* the senders hold none */
};

/* The script's schedules in this form; 0 if one failed. */
unsigned long try_script(const struct script *script, enum form form, unsigned preemptions);

/* The library calls it before each atomic operation, if it was built with every_atomic.h. */
void before_atomic(const volatile void *address);

#endif
