/* SPDX-License-Identifier: MIT */
#include "circumstances.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine.h"
#include "question.h"

static pid_t busy[2];

static pid_t start_busy_process(int processor)
{
	pid_t parent = getpid();
	pid_t child = (pid_t)must(fork(), "fork");
	if (child > 0)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin(processor);
	while (getppid() == parent) {
		for (int i = 0; i < 1000000; i++)
			relax();
	}
	_exit(0);
}

static bool write_file(const char *directory, const char *name, const char *text)
{
	char path[512];
	snprintf(path, sizeof path, "%s/%s", directory, name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool is_written = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return is_written;
}

/* Version 2 of cgroups, and version 1: where the groups are, and what limits one to a half. */
static const struct hierarchy {
	const char *root, *mark, *file, *limit, *period;
} hierarchies[] = {{"/sys/fs/cgroup", "0::%255s", "cpu.max", "50000 100000", NULL},
	{"/sys/fs/cgroup/cpu", "%*d:cpu:%255s", "cpu.cfs_quota_us", "50000", "cpu.cfs_period_us"},
	{"/sys/fs/cgroup/cpu,cpuacct", "%*d:cpu,cpuacct:%255s", "cpu.cfs_quota_us", "50000",
		"cpu.cfs_period_us"}};
static char group[64], group_before[320];

static bool enter_group(const struct hierarchy *hierarchy)
{
	char line[300], path[256] = "";
	FILE *file = fopen("/proc/self/cgroup", "re");
	while (file && fgets(line, sizeof line, file) && sscanf(line, hierarchy->mark, path) != 1)
		;
	if (file)
		fclose(file);
	if (path[0] == '\0')
		return false;
	snprintf(group_before, sizeof group_before, "%s%s", hierarchy->root, path);
	snprintf(group, sizeof group, "%s/ringwake-bench-%d", hierarchy->root, (int)getpid());
	if (mkdir(group, 0755) != 0)
		return false;
	if ((!hierarchy->period || write_file(group, hierarchy->period, "100000")) &&
		write_file(group, hierarchy->file, hierarchy->limit) &&
		write_file(group, "cgroup.procs", "0"))
		return true;
	rmdir(group);
	return false;
}

static void leave_group(void)
{
	check(write_file(group_before, "cgroup.procs", "0"), "leaving the cgroup");
	must(rmdir(group), group);
}

static bool begin_limit(void)
{
	static bool said;
	for (unsigned i = 0; i < COUNT(hierarchies); i++) {
		if (enter_group(&hierarchies[i]))
			return true;
	}
	if (!said)
		printf("\nM6 is left out: no cgroup with a processor limit can be made in "
		       "/sys/fs/cgroup (needs root and the cpu controller)\n");
	said = true;
	return false;
}

bool begin_circumstances(enum circumstances circumstances)
{
	for (int i = 0; circumstances == BUSY && i < 2; i++)
		busy[i] = start_busy_process(i);
	return circumstances != LIMITED || begin_limit();
}

void end_circumstances(enum circumstances circumstances)
{
	for (int i = 0; circumstances == BUSY && i < 2; i++) {
		kill(busy[i], SIGKILL);
		waitpid(busy[i], NULL, 0);
	}
	if (circumstances == LIMITED)
		leave_group();
}

void become_sender(enum circumstances circumstances)
{
	struct sched_param parameters = {0};
	if (circumstances == LOW_NICE)
		must(setpriority(PRIO_PROCESS, (id_t)gettid(), 19), "setpriority");
	if (circumstances == LOW_SCHED_IDLE)
		must(-pthread_setschedparam(pthread_self(), SCHED_IDLE, &parameters), "SCHED_IDLE");
}
