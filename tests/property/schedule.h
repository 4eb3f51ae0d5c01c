/* SPDX-License-Identifier: MIT */
/*
 * Runs every schedule of a few threads. The threads are coroutines: only one runs at a time, and
 * they switch only at switch points. The next thread to run and the kernel's results are choices.
 * explore() runs the same scene repeatedly until it has tried every value of every choice.
 */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include <stdbool.h>

#define MAX_THREADS 6

struct scene {
	void (*begin)(void); /* creates a new world and its threads */
	void (*end)(void);   /* called when all threads have ended: checks and cleans up */
	/* Steps that may happen at any time: can_step() asks for one, step() executes it. */
	bool (*can_step)(void);
	void (*step)(void);
	/* The largest number of preemptions in one schedule. */
	unsigned preemptions;
};

/* Returns the number of schedules. If one fails, prints it and returns 0. */
unsigned long explore(const struct scene *scene);

/* Call the following functions only within a scene. */
void start_thread(const char *name, void (*run)(void *argument), void *argument);

/* Returns a number less than count. All schedules together return each such number. */
unsigned choose(unsigned count);

void switch_point(void);

/* The number of the running thread, in starting order. Outside the threads, the next free number.
 */
unsigned this_thread(void);

/* Lets other threads run until ready() is true. */
void wait_until(bool (*ready)(const void *argument), const void *argument);

/* The same, but also returns when no other thread can run and none waits for idleness: a timeout.
 */
void wait_until_timeout(bool (*ready)(const void *argument), const void *argument);

/* Lets other threads run until none of them can run. */
void wait_until_idle(void);

/* Records a line that is printed if the schedule fails. */
__attribute__((format(printf, 1, 2))) void trace(const char *format, ...);

/* Reports an error and ends the schedule. */
__attribute__((format(printf, 1, 2), noreturn)) void fail_schedule(const char *format, ...);

#define require(condition, text)                                                                   \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fail_schedule("%s", text);                                                 \
	} while (0)

#endif
