/* SPDX-License-Identifier: MIT */
/* The threads of a pool: how many, with which attributes and signals; how they start and end. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pool_private.h"
#include "system.h"

/* As libuv's workers have from 1.45 on, whatever the limit of the process is. */
#define STACK_SIZE (8u << 20)

static unsigned processors_online(void)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	return online < 1 ? 1 : (unsigned)online;
}

static unsigned processors_of_this_thread(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof set, &set) == 0)
		return (unsigned)CPU_COUNT(&set);
	/* The machine has more processors than a cpu_set_t has room for. */
	return processors_online();
}

/* A caller may have set bits of processors that do not exist. */
static unsigned processors_in(const void *set, size_t size)
{
	unsigned count = (unsigned)CPU_COUNT_S(size, (const cpu_set_t *)set);
	unsigned online = processors_online();
	return count < online ? count : online;
}

unsigned ringwake_pool_threads_wanted(const struct ringwake_pool_params *params)
{
	unsigned threads = params->threads;
	if (threads == 0 && params->affinity)
		threads = processors_in(params->affinity, params->affinity_size);
	else if (threads == 0)
		threads = processors_of_this_thread();
	if (threads < 1)
		return 1;
	return threads < RINGWAKE_POOL_MAX_THREADS ? threads : RINGWAKE_POOL_MAX_THREADS;
}

int ringwake_pool_set_attributes(
	struct ringwake_pool *pool, const struct ringwake_pool_params *params)
{
	const char *name = params->name ? params->name : "ringwake";
	memcpy(pool->name, name, strnlen(name, sizeof pool->name - 1));
	pool->worker_start = params->worker_start;
	pool->worker_end = params->worker_end;
	pool->context = params->context;
	int error = pthread_attr_init(&pool->attributes);
	if (error == 0)
		error = pthread_attr_setstacksize(
			&pool->attributes, params->stack_size ? params->stack_size : STACK_SIZE);
	if (error == 0 && (params->affinity == NULL) != (params->affinity_size == 0))
		error = EINVAL;
	if (error == 0 && params->affinity)
		error = pthread_attr_setaffinity_np(
			&pool->attributes, params->affinity_size, params->affinity);
	return -error;
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

/* The kernel keeps 15 bytes. The number must be among them, and no half of a UTF-8 character. */
static void set_name(const struct worker *worker)
{
	char name[sizeof worker->pool->name], number[12];
	size_t digits = (size_t)snprintf(number, sizeof number, "-%u", worker->number);
	const char *first = worker->pool->name;
	size_t length = strnlen(first, sizeof name - 1 - digits);
	while (length > 0 && ((unsigned char)first[length] & 0xc0) == 0x80)
		length--;
	memcpy(name, first, length);
	memcpy(name + length, number, digits + 1);
	pthread_setname_np(pthread_self(), name);
}

static void report_start(struct worker *worker, int error)
{
	worker->start_error = error;
	/* Release: pairs with the acquire in wait_for_start, if a thread waits there. */
	atomic_store_explicit(&worker->word, error < 0 ? REFUSED : AWAKE, memory_order_release);
	if (worker->pool->worker_start)
		ringwake_system.futex_wake(&worker->word, 1);
}

static void *run_thread(void *argument)
{
	struct worker *worker = argument;
	struct ringwake_pool *pool = worker->pool;
	set_name(worker);
	int error = pool->worker_start ? pool->worker_start(worker->number, pool->context) : 0;
	report_start(worker, error);
	if (error < 0)
		return NULL;
	ringwake_pool_run_worker(worker);
	if (pool->worker_end)
		pool->worker_end(worker->number, pool->context);
	return NULL;
}

static int create_thread(struct worker *worker)
{
	sigset_t blocked = blocked_signals(), before;
	pthread_sigmask(SIG_SETMASK, &blocked, &before);
	int error = pthread_create(&worker->thread, &worker->pool->attributes, run_thread, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

/* Without worker_start a thread that was created has started. */
static int wait_for_start(struct worker *worker)
{
	uint32_t word = AWAKE;
	if (worker->pool->worker_start == NULL)
		return 0;
	/* Acquire: pairs with the release in report_start. */
	while ((word = atomic_load_explicit(&worker->word, memory_order_acquire)) == STARTING)
		ringwake_system.futex_wait(&worker->word, STARTING, NULL);
	if (word != REFUSED)
		return 0;
	pthread_join(worker->thread, NULL);
	return worker->start_error;
}

static int start_worker(struct ringwake_pool *pool, struct worker *worker, unsigned number)
{
	worker->pool = pool;
	worker->number = number;
	worker->spinner = pool->spinner;
	/* Relaxed: the thread begins after this. */
	atomic_store_explicit(&worker->word, STARTING, memory_order_relaxed);
	int error = create_thread(worker);
	return error < 0 ? error : wait_for_start(worker);
}

int ringwake_pool_start(struct ringwake_pool *pool, unsigned threads)
{
	int error = 0;
	for (unsigned i = 0; error == 0 && i < threads; i++) {
		error = start_worker(pool, &pool->workers[i], i);
		if (error == 0)
			pool->stats.threads++;
	}
	return error;
}
