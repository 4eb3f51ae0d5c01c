/* SPDX-License-Identifier: MIT */
/* ringwake-info: prints which path this machine uses and why, and tests that it works. */
#include <dlfcn.h>
#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <ringwake/liburing-compat.h>
#include <ringwake/ringwake.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "config.h"

static void line(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void line(const char *name, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	printf("%-18s ", name);
	vprintf(format, arguments);
	putchar('\n');
	va_end(arguments);
}

/* Returns the first line of a file, or the value after key in it, or NULL if there is none. */
static const char *read_value(const char *path, const char *key)
{
	static char text[256];
	const char *value = NULL;
	FILE *file = fopen(path, "r");
	if (file == NULL)
		return NULL;
	size_t length = key ? strlen(key) : 0;
	while (value == NULL && fgets(text, sizeof text, file)) {
		text[strcspn(text, "\n")] = '\0';
		if (key == NULL)
			value = text;
		else if (strncmp(text, key, length) == 0)
			value = text + length + strspn(text + length, ": \t");
	}
	fclose(file);
	return value;
}

static void print_kernel(void)
{
	struct utsname name;
	int major = 0, minor = 0;
	uname(&name);
	sscanf(name.release, "%d.%d", &major, &minor);
	bool new_enough = major > 6 || (major == 6 && minor >= 13);
	line("kernel", "%s %s (sync MSG_RING needs 6.13 or newer: %s)", name.sysname, name.release,
		new_enough ? "this kernel should have it" : "this kernel is older");
}

static void print_settings(void)
{
	static const char *const variables[] = {"RINGWAKE_PATH", "RINGWAKE_SPIN", NULL};
	static const char *const disabled[] = {
		"for processes outside io_uring_group", "for all processes"};
	const char *value = read_value("/proc/sys/kernel/io_uring_disabled", NULL);
	if (value == NULL)
		line("io_uring_disabled", "this kernel does not have this setting");
	else if (value[0] == '0')
		line("io_uring_disabled", "0 (io_uring is enabled for all processes)");
	else
		line("io_uring_disabled", "%s (io_uring is disabled %s)", value,
			disabled[value[0] == '1' ? 0 : 1]);
	value = read_value("/proc/self/status", "Seccomp");
	line("seccomp", "%s",
		value == NULL || value[0] == '0'
			? "this process has no filter"
			: "this process has a filter, which may refuse system calls");
	for (const char *const *name = variables; *name; name++) {
		value = getenv(*name);
		line(*name, "%s", value ? value : "not set");
	}
}

/* The library may have another version than the program. */
static void print_ringwake(void)
{
	const char *library = ringwake_version_string();
	if (strcmp(library, PACKAGE_VERSION) == 0)
		line("ringwake", "%s", library);
	else
		line("ringwake", "%s; ringwake-info is %s", library, PACKAGE_VERSION);
}

static void print_liburing(void)
{
#ifdef IO_URING_VERSION_MAJOR
	line("liburing", "built with %d.%d", IO_URING_VERSION_MAJOR, IO_URING_VERSION_MINOR);
#else
	line("liburing", "built with a version older than 2.4");
#endif
}

static int try_ring(void)
{
	struct io_uring ring;
	int error = io_uring_queue_init(1, &ring, 0);
	if (error == 0)
		io_uring_queue_exit(&ring);
	return error;
}

/* If the kernel charges rings to RLIMIT_MEMLOCK, a limit of 0 makes their creation fail. */
static bool rings_are_charged(struct rlimit limit)
{
	struct rlimit none = {.rlim_cur = 0, .rlim_max = limit.rlim_max};
	setrlimit(RLIMIT_MEMLOCK, &none);
	int error = try_ring();
	setrlimit(RLIMIT_MEMLOCK, &limit);
	return error == -ENOMEM;
}

static void print_locked_memory(void)
{
	struct rlimit limit = {0};
	unsigned long long each = 2 * (unsigned long long)sysconf(_SC_PAGESIZE);
	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (!rings_are_charged(limit))
		line("locked memory", "rings of this process are not charged to RLIMIT_MEMLOCK");
	else if (limit.rlim_cur == RLIM_INFINITY)
		line("locked memory", "RLIMIT_MEMLOCK is unlimited");
	else
		line("locked memory",
			"RLIMIT_MEMLOCK is %llu KiB per user: %llu targets of %llu KiB fit on "
			"msg_ring; further targets use the eventfd",
			(unsigned long long)limit.rlim_cur / 1024, limit.rlim_cur / each,
			each / 1024);
}

static void print_calls(void)
{
	int error = try_ring();
	line("io_uring_setup", "%s", error < 0 ? strerror(-error) : "works");
	if (error == 0 || error == -ENOMEM)
		print_locked_memory();
	/* The request's address is invalid: a kernel that has the call returns EFAULT. */
	errno = 0;
	syscall(SYS_io_uring_register, -1, RINGWAKE_REGISTER_SEND_MSG_RING, (void *)UINTPTR_MAX, 1);
	line("sync MSG_RING", "%s",
		errno == EFAULT           ? "works"
			: errno == EINVAL ? "not supported by this kernel (EINVAL)"
					  : strerror(errno));
}

/* Two threads send each other a message for half a second. Each blocks until a message arrives. */
struct side {
	struct ringwake *own, *other;
	struct ringwake_msg *reply;
	unsigned long received;
};
static struct side sides[2];
static struct ringwake_msg messages[2];
static _Atomic bool stopping;

static void on_message(struct ringwake_msg *msg)
{
	struct side *side = &sides[msg - messages];
	side->received++;
	if (!stopping)
		ringwake_send(side->other, side->reply);
}

static void *answer(void *argument)
{
	struct side *side = argument;
	while (!stopping)
		ringwake_wait(side->own, 100000000);
	return NULL;
}

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int test_path(enum ringwake_path path, const char *name)
{
	struct ringwake_params params = {.path = path, .spin_ns = RINGWAKE_SPIN_OFF};
	struct ringwake_stats stats;
	pthread_t thread;
	memset(sides, 0, sizeof sides);
	stopping = false;
	for (int i = 0; i < 2; i++) {
		int error = ringwake_open(&sides[i].own, NULL, &params);
		if (error < 0) {
			line(name, "not available: %s", strerror(-error));
			if (i == 1)
				ringwake_close(sides[0].own);
			return error;
		}
		messages[i].fn = on_message;
		sides[i].reply = &messages[1 - i];
	}
	sides[0].other = sides[1].own;
	sides[1].other = sides[0].own;
	int error = pthread_create(&thread, NULL, answer, &sides[1]);
	double begin = seconds();
	bool lost = error != 0;
	if (error == 0) {
		ringwake_send(sides[1].own, &messages[1]);
		while (seconds() < begin + 0.5 && !lost)
			lost = ringwake_wait(sides[0].own, 5000000000) == -ETIME;
		stopping = true;
		ringwake_wake(sides[1].own);
		pthread_join(thread, NULL);
	}
	ringwake_get_stats(sides[0].own, &stats, sizeof stats);
	if (lost)
		line(name, "FAILED: no wake within 5 s after %lu round trips", sides[0].received);
	else
		line(name, "works: %lu round trips in half a second, %llu doorbells",
			sides[0].received, (unsigned long long)stats.doorbells);
	ringwake_close(sides[0].own);
	ringwake_close(sides[1].own);
	return lost ? -ETIME : 0;
}

static bool is_path(const char *name)
{
	return *name == '\0' || strcmp(name, "auto") == 0 || strcmp(name, "msg_ring") == 0 ||
		strcmp(name, "eventfd") == 0;
}

/* Whether a target can be opened if RINGWAKE_SPIN is not read. */
static bool opens_without_spin(void)
{
	struct ringwake_params params = {.spin_ns = RINGWAKE_SPIN_OFF};
	struct ringwake *target;
	int error = ringwake_open(&target, NULL, &params);
	if (error == 0)
		ringwake_close(target);
	return error == 0;
}

static void print_no_path(int error)
{
	const char *wanted = getenv("RINGWAKE_PATH");
	const char *spin = getenv("RINGWAKE_SPIN");
	if (wanted && !is_path(wanted))
		line("path", "none: RINGWAKE_PATH=%s: not a path; use auto, msg_ring or eventfd",
			wanted);
	else if (spin && opens_without_spin())
		line("path", "none: RINGWAKE_SPIN=%s: use off, adaptive or a number of nanoseconds",
			spin);
	else if (wanted && *wanted)
		line("path", "none: RINGWAKE_PATH=%s: %s", wanted, strerror(-error));
	else
		line("path", "none: %s", strerror(-error));
}

/* Prints the path of a target that is opened by default. Returns an error if none can be opened. */
static int print_path(void)
{
	struct ringwake *target;
	int error = ringwake_open(&target, NULL, NULL);
	if (error < 0) {
		print_no_path(error);
		return error;
	}
	line("path", "%s",
		ringwake_get_path(target) == RINGWAKE_PATH_MSG_RING
			? "msg_ring: the doorbell puts a completion into the loop's ring"
			: "eventfd: the doorbell writes to an eventfd that the loop polls");
	ringwake_close(target);
	return 0;
}

/* If the libuv adapter is installed, asks it whether it knows the installed libuv's layout. */
static void print_libuv(void)
{
	void *adapter = dlopen("libringwake-uv.so.1", RTLD_NOW | RTLD_LOCAL);
	if (adapter == NULL)
		return;
	int (*check)(void);
	const char *(*version)(void);
	*(void **)&check = dlsym(adapter, "ringwake_uv_check_libuv");
	*(void **)&version = dlsym(adapter, "uv_version_string");
	if (check && version) {
		int error = check();
		line("libuv", "%s, %s", version(),
			error == 0 ? "the adapter knows its private layout"
				: error == -ENOTSUP
				? "the adapter does not know its private layout and "
				  "uses only public functions"
				: strerror(-error));
	}
	dlclose(adapter);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		puts("ringwake-info " PACKAGE_VERSION);
		return 0;
	}
	if (argc > 1) {
		bool help = strcmp(argv[1], "--help") == 0;
		fprintf(help ? stdout : stderr,
			"Usage: ringwake-info [--help | --version]\n"
			"Prints which path ringwake uses on this machine and why, and tests each "
			"path.\n");
		return help ? 0 : 2;
	}
	print_ringwake();
	print_kernel();
	print_settings();
	print_liburing();
	print_calls();
	print_libuv();

	int error = print_path();
	fflush(stdout);
	int msg_ring = test_path(RINGWAKE_PATH_MSG_RING, "test of msg_ring");
	int eventfd = test_path(RINGWAKE_PATH_EVENTFD, "test of eventfd");
	return error < 0 || msg_ring == -ETIME || eventfd < 0;
}
