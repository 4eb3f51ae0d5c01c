/* SPDX-License-Identifier: MIT */
/*
 * What a thread spends between two points. The kernel's tracepoint counts the system calls. That
 * slows every call down, so times are taken from a run that does not count.
 */
#ifndef EFFORT_H
#define EFFORT_H

#include <stdbool.h>
#include <stdint.h>

struct effort {
	int64_t start_ns, end_ns;
	int64_t used_ns; /* of processor time */
	double calls;    /* system calls; NAN if they are not counted */
	int counter;
};

/* Both are called by the thread that is measured. */
void effort_begin(struct effort *effort, bool counts_calls);
void effort_end(struct effort *effort);

#endif
