/* SPDX-License-Identifier: MIT */
#include "effort.h"

#include <linux/perf_event.h>
#include <math.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "machine.h"

static int tracepoint(void)
{
	static const char *const paths[] = {"/sys/kernel/tracing/events/raw_syscalls/sys_enter/id",
		"/sys/kernel/debug/tracing/events/raw_syscalls/sys_enter/id"};
	int id = -1;
	for (int i = 0; i < 2 && id < 0; i++) {
		FILE *file = fopen(paths[i], "re");
		if (file == NULL)
			continue;
		if (fscanf(file, "%d", &id) != 1)
			id = -1;
		fclose(file);
	}
	return id;
}

/* Counts this thread's system calls. -1: the kernel refuses. */
static int open_counter(void)
{
	int id = tracepoint();
	struct perf_event_attr attributes = {.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof attributes,
		.config = (uint64_t)id,
		.disabled = 1};
	if (id < 0)
		return -1;
	return (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static double read_counter(int counter)
{
	uint64_t count;
	ioctl(counter, PERF_EVENT_IOC_DISABLE, 0);
	if (read(counter, &count, sizeof count) != sizeof count || count == 0)
		return NAN;
	return (double)count - 1; /* without the ioctl above */
}

void effort_begin(struct effort *effort, bool counts_calls)
{
	effort->counter = counts_calls ? open_counter() : -1;
	effort->used_ns = -thread_used_ns();
	effort->start_ns = now_ns();
	if (effort->counter >= 0)
		ioctl(effort->counter, PERF_EVENT_IOC_ENABLE, 0);
}

void effort_end(struct effort *effort)
{
	effort->end_ns = now_ns();
	effort->calls = effort->counter >= 0 ? read_counter(effort->counter) : NAN;
	effort->used_ns += thread_used_ns();
	if (effort->counter >= 0)
		close(effort->counter);
}
