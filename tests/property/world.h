/* SPDX-License-Identifier: MIT */
/*
 * One loop, some senders, and the guarantees of ringwake. A script has one letter for each step of
 * a thread. world.c runs the schedules of a script.
 */
#ifndef WORLD_H
#define WORLD_H

#include <stdbool.h>

/* How the loop blocks and how it is woken. */
enum form {
	FORM_MSG_RING, /* on the application's ring */
	FORM_OWN_RING,
	FORM_EVENTFD, /* on the eventfd, without a ring */
	FORM_WATCHED, /* on the application's ring, by a poll request of the eventfd */
	FORM_SERVED,  /* the same on an SQPOLL ring, which a kernel thread serves */
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
 *   c  calls a function on the loop
 *   t  the same, with a timeout that is over at once
 *   p  posts a completion
 *
 * The loop's:
 *   W  waits until nothing is left to do
 *   A  the same, with the application's own wait
 *   D  waits until all messages are delivered
 *   w  waits once
 *   t  waits once, with a timeout
 *   n  polls
 *   a  waits once, with the application's own wait
 *   b  the same, and closes the event after it has armed the target
 *   f  arms, disarms and dispatches, without a wait
 *   d  dispatches
 *   E  closes the event
 *   L  starts to close the event, and waits until it is closed
 *   l  starts to close the event, then closes the target
 *   c  cancels every request on its ring
 *   C  closes the target
 *   B  arms the target and closes it
 * At the end the loop closes the target if it is still open.
 */
struct script {
	const char *name;
	const char *loop;
	const char *senders[3];
	unsigned faults, fault_limit; /* see kernel.h */
	unsigned completions;         /* capacity of the application's ring; 0: large enough */
	unsigned batch;
	bool no_references; /* the senders hold none */
};

/* Returns the number of the script's schedules on this form, or 0 if one failed. */
unsigned long try_script(const struct script *script, enum form form, unsigned preemptions);

/* A library built with every_atomic.h calls it before each atomic operation. */
void before_atomic(const volatile void *address);

#endif
