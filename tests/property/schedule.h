/* SPDX-License-Identifier: MIT */
/*
 * Every schedule of a few threads, one after the other. The threads are coroutines: only one runs,
 * and another may run instead at a switch point only. Whatever is left open, who runs next or what
 * the kernel answers, is a choice; explore() runs the same scene again and again until every choice
 * has been taken each way.
 */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include <stdbool.h>

#define MAX_THREADS 6

struct scene {
	void (*begin)(void); /* makes a fresh world and its threads */
	void (*end)(void);   /* all threads have ended: judges and tidies up */
	/* What happens by itself, at any time: is there anything, and let it happen. */
	bool (*can_step)(void);
	void (*step)(void);
	/* How often a thread that could go on may be stopped for another, in one schedule. */
	unsigned preemptions;
};

/* Returns how many schedules there were, or 0 after one that failed has been printed. */
unsigned long explore(const struct scene *scene);

/* The rest is for within a scene. */
void start_thread(const char *name, void (*run)(void *argument), void *argument);

/* Less than count, and in the end each number that is. */
unsigned choose(unsigned count);

void switch_point(void);

/* The number of the thread that runs now, in the order they were started; the last is nobody. */
unsigned this_thread(void);

/* Lets others run until this is true. */
void wait_until(bool (*ready)(const void *argument), const void *argument);

/* The same, or until nobody else can go on and nobody waits for that: a timeout. */
void wait_until_timeout(bool (*ready)(const void *argument), const void *argument);

/* Lets others run until none of them can. */
void wait_until_idle(void);

/* Is printed if the schedule fails. */
__attribute__((format(printf, 1, 2))) void trace(const char *format, ...);

/* Ends the schedule: it has shown an error. */
__attribute__((format(printf, 1, 2), noreturn)) void fail_schedule(const char *format, ...);

#define require(condition, text)                                                                   \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fail_schedule("%s", text);                                                 \
	} while (0)

#endif
