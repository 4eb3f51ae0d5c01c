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

/* The two processors that everything is pinned to: 0 and 1. */
void find_processors(void);
int processor(int index);

void pin(int index);

/* index: 0, 1, or -1 for either of the two. The thread has to be joined. */
pthread_t start_thread(void *(*run)(void *argument), void *argument, int index);

/* Keep both processors from halting, without taking time from anybody: a wake across processors
 * then costs what the software does and not what a virtual machine's halt does. */
void start_spinners(void);
void stop_spinners(void);

void relax(void);

/* Kernel, processor, libraries, as members of a JSON object and as lines of text. */
void print_machine(FILE *text, FILE *json);

#endif
