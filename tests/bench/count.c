/* SPDX-License-Identifier: MIT */
#include "count.h"

#include <linux/perf_event.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

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

int count_open(void)
{
	int id = tracepoint();
	if (id < 0)
		return -1;
	struct perf_event_attr attributes = {.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof attributes,
		.config = (uint64_t)id,
		.disabled = 1};
	long counter = syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	return counter < 0 ? -1 : (int)counter;
}

void count_start(int counter)
{
	if (counter >= 0)
		ioctl(counter, PERF_EVENT_IOC_ENABLE, 0);
}

double count_stop(int counter)
{
	uint64_t count;
	if (counter < 0)
		return NAN;
	ioctl(counter, PERF_EVENT_IOC_DISABLE, 0);
	if (read(counter, &count, sizeof count) != sizeof count || count == 0)
		return NAN;
	return (double)count - 1; /* the ioctl that ended it */
}

void count_close(int counter)
{
	if (counter >= 0)
		close(counter);
}
