/* SPDX-License-Identifier: MIT */
/* What else a machine may do to the threads of a question. */
#ifndef CIRCUMSTANCES_H
#define CIRCUMSTANCES_H

#include <stdbool.h>

enum circumstances {
	CALM,
	BUSY,          /* another process has a busy thread on each processor */
	LIMITED,       /* this process is in a cgroup that may use half of a processor */
	LOW_NICE,      /* the sender has nice value 19 */
	LOW_SCHED_IDLE /* the sender has the policy SCHED_IDLE */
};

/* By the main thread, around a sample. begin returns false, and says why, if it is not possible. */
bool begin_circumstances(enum circumstances circumstances);
void end_circumstances(enum circumstances circumstances);

/* Makes this thread, and the threads that it starts, a sender in these circumstances. */
void become_sender(enum circumstances circumstances);

#endif
