/* SPDX-License-Identifier: MIT */
#include "machine.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "question.h"

static int processors[2];
static pthread_t spinners[2];
static _Atomic bool spinning;
static bool one_core;

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

int64_t thread_used_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

int64_t process_used_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

void find_processors(void)
{
	cpu_set_t set;
	int found = 0;
	must(sched_getaffinity(0, sizeof set, &set), "sched_getaffinity");
	for (int i = 0; i < CPU_SETSIZE && found < 2; i++) {
		if (CPU_ISSET(i, &set))
			processors[found++] = i;
	}
	check(found == 2, "two processors are needed");
}

static void set_of(int index, cpu_set_t *set)
{
	CPU_ZERO(set);
	if (index <= 0 || one_core)
		CPU_SET(processors[0], set);
	if (index != 0 && !one_core)
		CPU_SET(processors[1], set);
}

void pin(int index)
{
	cpu_set_t set;
	set_of(index, &set);
	must(-pthread_setaffinity_np(pthread_self(), sizeof set, &set), "pthread_setaffinity_np");
}

/* Also the workers that libuv and ringwake keep from an earlier question. */
static void pin_all_threads(void)
{
	cpu_set_t set;
	struct dirent *entry;
	DIR *threads = opendir("/proc/self/task");
	check(threads != NULL, "/proc/self/task");
	set_of(-1, &set);
	while ((entry = readdir(threads))) {
		pid_t id =
			atoi(entry->d_name); /* 0, this thread, for the directory's own entries */
		check(sched_setaffinity(id, sizeof set, &set) == 0 || errno == ESRCH,
			"sched_setaffinity");
	}
	closedir(threads);
}

pthread_t start_thread(void *(*run)(void *argument), void *argument, int index)
{
	pthread_t thread;
	pthread_attr_t attributes;
	cpu_set_t set;
	set_of(index, &set);
	pthread_attr_init(&attributes);
	must(-pthread_attr_setaffinity_np(&attributes, sizeof set, &set), "affinity");
	must(-pthread_create(&thread, &attributes, run, argument), "pthread_create");
	pthread_attr_destroy(&attributes);
	return thread;
}

void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static void *spin(void *unused)
{
	struct sched_param parameters = {0};
	must(-pthread_setschedparam(pthread_self(), SCHED_IDLE, &parameters), "SCHED_IDLE");
	while (atomic_load_explicit(&spinning, memory_order_relaxed))
		relax();
	return unused;
}

void begin_placement(enum placement placement)
{
	one_core = placement == ONE_CORE;
	pin_all_threads();
	if (placement != TWO_CORES)
		return;
	atomic_store(&spinning, true);
	for (int i = 0; i < 2; i++)
		spinners[i] = start_thread(spin, NULL, i);
}

void end_placement(enum placement placement)
{
	one_core = false;
	pin_all_threads();
	if (placement != TWO_CORES)
		return;
	atomic_store(&spinning, false);
	for (int i = 0; i < 2; i++)
		pthread_join(spinners[i], NULL);
}

void print_member(FILE *text, FILE *json, const char *name, const char *value)
{
	fprintf(text, "  %-10s %s\n", name, value);
	if (json)
		fprintf(json, "  \"%s\": \"%s\",\n", name, value);
}

/* The rest of the file's first line that matches the format, or "unknown". */
static void read_value(const char *path, const char *format, char value[128])
{
	char line[256];
	FILE *file = fopen(path, "re");
	snprintf(value, 128, "unknown");
	while (file && fgets(line, sizeof line, file) && sscanf(line, format, value) != 1)
		;
	if (file)
		fclose(file);
}

void print_machine(FILE *text, FILE *json)
{
	char value[320], found[128];
	struct utsname name;
	double load[3] = {0};
	uname(&name);
	snprintf(value, sizeof value, "%s %s %s", name.sysname, name.release, name.machine);
	print_member(text, json, "kernel", value);
	read_value("/etc/os-release", "PRETTY_NAME=\"%127[^\"]", found);
	print_member(text, json, "system", found);
	read_value("/proc/cpuinfo", "model name : %127[^\n]", found);
	snprintf(value, sizeof value, "%s, %ld online", found, sysconf(_SC_NPROCESSORS_ONLN));
	print_member(text, json, "processor", value);
	snprintf(value, sizeof value, "one core: %d; two cores: %d and %d", processors[0],
		processors[0], processors[1]);
	print_member(text, json, "pinned to", value);
	getloadavg(load, 3);
	snprintf(value, sizeof value, "%.2f at the start", load[0]);
	print_member(text, json, "load", value);
}
