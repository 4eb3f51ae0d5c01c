/* SPDX-License-Identifier: MIT */
/*
 * The state of one schedule: what the senders sent, what the loop received, and where the loop is.
 * senders.c and loop.c change the state. world.c checks it.
 */
#ifndef STATE_H
#define STATE_H

#include <liburing.h>
#include <ringwake/ringwake.h>
#include <stdbool.h>

#include "schedule.h"
#include "world.h"

#define MAX_SENDERS    3
#define MAX_NOTES      8
#define MAX_EVENTS     4              /* per sender */
#define POSTED         7000           /* user_data of posted completions */
#define THREAD(sender) ((sender) + 1) /* the number of the sender's thread */
#define ROOMY          16
#define DOORBELL       99 /* user_data */

struct note {
	struct ringwake_msg msg; /* must be first */
	unsigned sender;         /* index, or MAX_SENDERS for run_last() */
	char kind;               /* the script's letter */
	bool accepted;
	unsigned sent, delivered;
	unsigned thread, mark; /* the mark of the write before the send */
	unsigned result_mark;  /* of the write of a call's function */
};

enum place { AWAKE, IN_WAIT, IN_EVENT_CLOSE, IN_CLOSE, AT_END };

struct world {
	const struct script *script;
	enum form form;
	struct ringwake *target;
	struct io_uring *ring; /* the application's ring, or NULL */

	struct note notes[MAX_NOTES];
	unsigned note_count;
	unsigned delivered;
	bool stopped; /* the last message was delivered */

	struct ringwake_event event;
	unsigned written[MAX_SENDERS]; /* the value written before each send of the event */
	unsigned marks[MAX_SENDERS][MAX_EVENTS + 1];
	unsigned seen[MAX_SENDERS]; /* the values that the callback has seen */
	unsigned due[MAX_SENDERS];  /* the values whose sends were accepted */
	bool event_closed;

	unsigned posted, received; /* the application's completions */

	/* The loop. */
	enum place place;
	bool closing, closed, freed;

	/* Logical times, which order the events. */
	unsigned now, last_iteration, last_wake, last_failure;
	unsigned wake_marks[MAX_SENDERS];
	bool excused; /* the last send returned that its doorbell failed */
	unsigned failed_sender;
};
extern struct world world;

/* Without EVERY_ATOMIC, the only switch points are here and at system calls. */
static inline void step(void)
{
#ifndef EVERY_ATOMIC
	switch_point();
#endif
}

/* senders.c */
int send_note(struct note *note);
struct note *new_note(unsigned sender, char kind);
void run_sender(void *script);

/* loop.c */
void on_note(struct ringwake_msg *msg);
void on_call(void *note);
void on_event(struct ringwake_event *event);
void take_completions(void);
void run_loop(void *script);

#endif
