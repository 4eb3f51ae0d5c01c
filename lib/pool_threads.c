/* SPDX-License-Identifier: MIT */
/* The threads of a pool: how many, with which stack and which signals. */
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "pool_private.h"

/* As libuv's workers have from 1.45 on, whatever the limit of the process is. */
#define STACK_SIZE (8u << 20)

unsigned ringwake_pool_processors(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof set, &set) == 0)
		return (unsigned)CPU_COUNT(&set);
	/* The machine has more processors than a cpu_set_t has room for. */
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	if (online < 1)
		return 1;
	return online < RINGWAKE_POOL_MAX_THREADS ? (unsigned)online : RINGWAKE_POOL_MAX_THREADS;
}

/*
 * Signal handlers run on the application's threads. But the kernel delivers a signal that a thread
 * causes itself to that thread, and ends the process if the thread blocks it. A profiler also needs
 * to see workers.
 */
static sigset_t blocked_signals(void)
{
	static const int open[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGPROF};
	sigset_t set;
	sigfillset(&set);
	for (size_t i = 0; i < sizeof open / sizeof *open; i++)
		sigdelset(&set, open[i]);
	return set;
}

int ringwake_pool_start(struct ringwake_pool *pool, unsigned threads)
{
	sigset_t blocked = blocked_signals(), before;
	pthread_attr_t attributes;
	int error = pthread_attr_init(&attributes);
	if (error != 0)
		return -error;
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	pthread_sigmask(SIG_SETMASK, &blocked, &before);
	while (error == 0 && pool->stats.threads < threads) {
		struct worker *worker = &pool->workers[pool->stats.threads];
		worker->pool = pool;
		worker->spinner = pool->spinner;
		error = pthread_create(
			&worker->thread, &attributes, ringwake_pool_run_worker, worker);
		if (error == 0)
			pool->stats.threads++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return -error;
}
