/* SPDX-License-Identifier: MIT */
#include "machine.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "question.h"
#include "versions.h"

static int processors[2];
static pthread_t spinners[2];
static _Atomic bool spinning;

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

int processor(int index)
{
	return processors[index];
}

static void set_of(int index, cpu_set_t *set)
{
	CPU_ZERO(set);
	if (index <= 0)
		CPU_SET(processors[0], set);
	if (index != 0)
		CPU_SET(processors[1], set);
}

void pin(int index)
{
	cpu_set_t set;
	set_of(index, &set);
	must(-pthread_setaffinity_np(pthread_self(), sizeof set, &set), "pthread_setaffinity_np");
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

void start_spinners(void)
{
	atomic_store(&spinning, true);
	for (int i = 0; i < 2; i++)
		spinners[i] = start_thread(spin, NULL, i);
}

void stop_spinners(void)
{
	atomic_store(&spinning, false);
	for (int i = 0; i < 2; i++)
		pthread_join(spinners[i], NULL);
}

static void member(FILE *text, FILE *json, const char *name, const char *value)
{
	fprintf(text, "  %-10s %s\n", name, value);
	if (json)
		fprintf(json, "  \"%s\": \"%s\",\n", name, value);
}

static void processor_model(char *model, size_t size)
{
	char line[256];
	FILE *file = fopen("/proc/cpuinfo", "re");
	snprintf(model, size, "unknown");
	while (file && fgets(line, sizeof line, file)) {
		char *value = strstr(line, ": ");
		if (strncmp(line, "model name", 10) != 0 || value == NULL)
			continue;
		value[strcspn(value, "\n")] = '\0';
		snprintf(model, size, "%s", value + 2);
		break;
	}
	if (file)
		fclose(file);
}

static void system_name(char *name, size_t size)
{
	char line[256];
	FILE *file = fopen("/etc/os-release", "re");
	snprintf(name, size, "unknown");
	while (file && fgets(line, sizeof line, file)) {
		if (sscanf(line, "PRETTY_NAME=\"%127[^\"]", name) == 1)
			break;
	}
	if (file)
		fclose(file);
}

void print_machine(FILE *text, FILE *json)
{
	char value[320], model[160];
	struct utsname name;
	uname(&name);
	snprintf(value, sizeof value, "%s %s %s", name.sysname, name.release, name.machine);
	member(text, json, "kernel", value);
	system_name(model, 128);
	member(text, json, "system", model);
	processor_model(model, sizeof model);
	snprintf(value, sizeof value, "%s, %ld online", model, sysconf(_SC_NPROCESSORS_ONLN));
	member(text, json, "processor", value);
	snprintf(value, sizeof value, "one core: %d; two cores: %d and %d", processors[0],
		processors[0], processors[1]);
	member(text, json, "pinned to", value);
	double load[3] = {0};
	getloadavg(load, 3);
	snprintf(value, sizeof value, "%.2f when it began", load[0]);
	member(text, json, "load", value);
	struct library library;
	for (unsigned i = 0; library_version(i, &library); i++)
		member(text, json, library.name, library.version);
}
