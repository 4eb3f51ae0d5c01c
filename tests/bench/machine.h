/* SPDX-License-Identifier: MIT */
/* Time, processors and threads. */
#ifndef MACHINE_H
#define MACHINE_H

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>

int64_t now_ns(void);

/* Processor time that this thread has used. */
int64_t thread_used_ns(void);

/* Processor time that this process has used. */
int64_t process_used_ns(void);

/* Finds the two processors, 0 and 1, that everything is pinned to. */
void find_processors(void);

/* Pins this thread to processor 0 or 1, or with -1 to both. */
void pin(int index);

/* How the threads of a sample are placed. */
enum placement {
	FREE,     /* as the question pins them */
	ONE_CORE, /* all on processor 0 */
	/*
	 * As the question pins them, while SCHED_IDLE threads keep both processors from halting and
	 * take no time from any other thread. A wake across processors then costs what the software
	 * does, not what a virtual machine's halt does.
	 */
	TWO_CORES,
};

/* By the main thread, around a sample. */
void begin_placement(enum placement placement);
void end_placement(enum placement placement);

/* Starts a thread that is pinned as by pin(), or as the placement demands. It must be joined. */
pthread_t start_thread(void *(*run)(void *argument), void *argument, int index);

void relax(void);

/* Prints a member of a JSON object, if json is not NULL, and a line of text. */
void print_member(FILE *text, FILE *json, const char *name, const char *value);

/* Kernel, system, processor, pinning and load, each by print_member(). */
void print_machine(FILE *text, FILE *json);

/* The path that ringwake chooses, the compiler and the libraries, each by print_member(). */
void print_versions(FILE *text, FILE *json);

#endif
