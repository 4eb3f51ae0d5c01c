/* SPDX-License-Identifier: MIT */
/*
 * calls BACKEND: a thread sends WAKES times to a blocked loop. calls.test counts the system calls
 * of both threads. It counts the loop's calls between two calls of getsid().
 */
#ifdef NATIVE
#include <ev.h>
#else
#include <ringwake/ev-compat.h>
#endif

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WAKES 100

static struct ev_loop *loop;
static ev_async async;
static _Atomic int heard;
static char stat_path[64];

/* The loop's thread blocks only in the loop's wait. */
static int is_blocked(void)
{
	char text[256] = "";
	int fd = open(stat_path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
		abort();
	close(fd);
	const char *end = strrchr(text, ')');
	return end && end[1] == ' ' && end[2] == 'S';
}

static void *send_to_blocked_loop(void *unused)
{
	for (int i = 0; i < WAKES; i++) {
		while (atomic_load(&heard) != i || !is_blocked())
			sched_yield();
		ev_async_send(loop, &async);
	}
	return unused;
}

static void on_async(EV_P_ ev_async *w, int revents)
{
	(void)revents;
	if (atomic_fetch_add(&heard, 1) + 1 == WAKES)
		ev_async_stop(EV_A_ w);
}

int main(int argc, char **argv)
{
	unsigned backend = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 0) : 0;
	pthread_t sender;
	loop = ev_loop_new(backend | EVFLAG_NOENV);
	if (loop == NULL)
		return 77;
	snprintf(stat_path, sizeof stat_path, "/proc/self/task/%ld/stat", syscall(SYS_gettid));
	ev_async_init(&async, on_async);
	ev_async_start(loop, &async);
	ev_run(loop, EVRUN_NOWAIT);
	if (pthread_create(&sender, NULL, send_to_blocked_loop, NULL) != 0)
		return 1;
	syscall(SYS_getsid, 0);
	ev_run(loop, 0);
	syscall(SYS_getsid, 0);
	pthread_join(sender, NULL);
	ev_loop_destroy(loop);
	return atomic_load(&heard) == WAKES ? 0 : 1;
}
