/* SPDX-License-Identifier: MIT */
/* Waits until a loop blocks, so that the next wake ends its wait; counts how often it blocks. */
#ifndef TESTS_BLOCKED_H
#define TESTS_BLOCKED_H

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* The state of the process's first thread: 'R' runs, 'S' is blocked. */
static inline char state_of_first_thread(void)
{
	char path[64], state;
	snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)getpid());
	FILE *file = fopen(path, "r");
	if (file == NULL || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		abort();
	fclose(file);
	return state;
}

/* Another thread calls it. The loop runs in the first thread. */
static inline void await_blocked_loop(void)
{
	while (state_of_first_thread() != 'S')
		sched_yield();
}

/* How often the calling thread has blocked. */
static inline long times_blocked(void)
{
	struct rusage usage;
	if (getrusage(RUSAGE_THREAD, &usage) != 0)
		abort();
	return usage.ru_nvcsw;
}

#endif
