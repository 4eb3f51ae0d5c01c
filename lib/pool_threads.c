/* SPDX-License-Identifier: MIT */
/* The threads of a pool: their attributes and signals, how they start, end and are joined. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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

/* The kernel keeps 15 bytes. The suffix must be among them, and no half of a UTF-8 character. */
static void set_name(const struct ringwake_pool *pool, const char *suffix)
{
	char name[sizeof pool->name];
	size_t length = strnlen(pool->name, sizeof name - 1 - strlen(suffix));
	while (length > 0 && ((unsigned char)pool->name[length] & 0xc0) == 0x80)
		length--;
	memcpy(name, pool->name, length);
	strcpy(name + length, suffix);
	pthread_setname_np(pthread_self(), name);
}

static void count_out(struct ringwake_pool *pool)
{
	/* Release: pairs with the acquire in ringwake_pool_join. */
	if (atomic_fetch_sub_explicit(&pool->live, 1, memory_order_release) == 1)
		ringwake_system.futex_wake(&pool->live, 1);
}

/*
 * With the lock, which it releases: the calling thread ends. A thread that ended must be joined, or
 * its stack is never freed. The next thread that ends does this, and ringwake_pool_join() for the
 * last one.
 */
static void end_thread(struct ringwake_pool *pool)
{
	bool has_ended = pool->has_ended;
	pthread_t ended = pool->ended;
	pool->has_ended = true;
	pool->ended = pthread_self();
	count_out(pool);
	ringwake_pool_unlock_and_wake(pool);
	if (has_ended)
		pthread_join(ended, NULL);
}

void ringwake_pool_join(struct ringwake_pool *pool)
{
	uint32_t live;
	/* Acquire: pairs with the release in count_out. */
	while ((live = atomic_load_explicit(&pool->live, memory_order_acquire)) > 0)
		ringwake_system.futex_wait(&pool->live, live, NULL);
	pthread_mutex_lock(&pool->lock);
	bool has_ended = pool->has_ended;
	pthread_mutex_unlock(&pool->lock);
	if (has_ended)
		pthread_join(pool->ended, NULL);
}

static void report_start(struct worker *worker, int error)
{
	worker->start_error = error;
	/* Release: pairs with the acquire in wait_for_start, if a thread waits there. */
	atomic_store_explicit(&worker->word, error < 0 ? REFUSED : AWAKE, memory_order_release);
	if (worker->pool->worker_start)
		ringwake_system.futex_wake(&worker->word, 1);
}

static void *run_worker(void *argument)
{
	struct worker *worker = argument;
	struct ringwake_pool *pool = worker->pool;
	char suffix[12];
	snprintf(suffix, sizeof suffix, "-%u", worker->number);
	set_name(pool, suffix);
	int error = pool->worker_start ? pool->worker_start(worker->number, pool->context) : 0;
	report_start(worker, error);
	if (error < 0)
		return NULL;
	ringwake_pool_run_worker(worker);
	if (pool->worker_end) {
		ringwake_pool_unlock_and_wake(pool);
		pool->worker_end(worker->number, pool->context);
		pthread_mutex_lock(&pool->lock);
	}
	worker->is_used = false;
	pool->numbers_used--;
	end_thread(pool);
	return NULL;
}

static void *run_watcher(void *argument)
{
	struct ringwake_pool *pool = argument;
	set_name(pool, "-watcher");
	ringwake_pool_watch(pool);
	end_thread(pool);
	return NULL;
}

static int create_thread(
	struct ringwake_pool *pool, pthread_t *out, void *(*run)(void *), void *argument)
{
	sigset_t blocked = blocked_signals(), before;
	pthread_sigmask(SIG_SETMASK, &blocked, &before);
	int error = ringwake_system.create_thread(out, &pool->attributes, run, argument);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

/* Without worker_start a thread that was created has started. */
static int wait_for_start(struct worker *worker, pthread_t thread)
{
	uint32_t word = AWAKE;
	if (worker->pool->worker_start == NULL)
		return 0;
	/* Acquire: pairs with the release in report_start. */
	while ((word = atomic_load_explicit(&worker->word, memory_order_acquire)) == STARTING)
		ringwake_system.futex_wait(&worker->word, STARTING, NULL);
	if (word != REFUSED)
		return 0;
	pthread_join(thread, NULL);
	return worker->start_error;
}

static struct worker *new_worker(struct ringwake_pool *pool, unsigned number)
{
	struct worker *worker = aligned_alloc(CACHE_LINE, sizeof *worker);
	struct worker_times *times = pool->records_times ? calloc(1, sizeof *times) : NULL;
	if (worker == NULL || (pool->records_times && times == NULL)) {
		free(worker);
		free(times);
		return NULL;
	}
	memset(worker, 0, sizeof *worker);
	worker->pool = pool;
	worker->number = number;
	worker->times = times;
	/* Relaxed: only threads with the lock change it. */
	worker->next = atomic_load_explicit(&pool->workers, memory_order_relaxed);
	/* Release: a child that is forked now finds a complete list. */
	atomic_store_explicit(&pool->workers, worker, memory_order_release);
	return worker;
}

/* With the lock. Takes the lowest number that is free, and counts the worker as starting. */
static struct worker *take_number(struct ringwake_pool *pool)
{
	struct worker *lowest = NULL;
	unsigned count = 0;
	/* Relaxed: only threads with the lock change it. */
	struct worker *worker = atomic_load_explicit(&pool->workers, memory_order_relaxed);
	for (; worker; worker = worker->next, count++)
		if (!worker->is_used && (lowest == NULL || worker->number < lowest->number))
			lowest = worker;
	if (lowest == NULL && count < RINGWAKE_POOL_MAX_THREADS)
		lowest = new_worker(pool, count);
	if (lowest == NULL)
		return NULL;
	lowest->is_used = true;
	lowest->spinner = pool->spinner;
	/* Relaxed: the thread begins after this. */
	atomic_store_explicit(&lowest->word, STARTING, memory_order_relaxed);
	pool->numbers_used++;
	pool->starting++;
	pool->stats.threads++;
	atomic_fetch_add_explicit(&pool->live, 1, memory_order_relaxed); /* it is a count */
	return lowest;
}

static void give_number_back(struct worker *worker)
{
	struct ringwake_pool *pool = worker->pool;
	pthread_mutex_lock(&pool->lock);
	worker->is_used = false;
	pool->numbers_used--;
	pool->starting--;
	pool->stats.threads--;
	count_out(pool);
	ringwake_pool_unlock_and_wake(pool);
}

int ringwake_pool_start_worker(struct ringwake_pool *pool)
{
	pthread_t thread;
	pthread_mutex_lock(&pool->lock);
	struct worker *worker = take_number(pool);
	pthread_mutex_unlock(&pool->lock);
	if (worker == NULL)
		return -ENOMEM;
	int error = create_thread(pool, &thread, run_worker, worker);
	if (error == 0)
		error = wait_for_start(worker, thread);
	if (error < 0)
		give_number_back(worker);
	return error;
}

int ringwake_pool_start_watcher(struct ringwake_pool *pool)
{
	pthread_t thread;
	pthread_mutex_lock(&pool->lock);
	bool is_needed = pool->watcher_state == WATCHER_NONE && !pool->closing;
	if (is_needed) {
		pool->watcher_state = WATCHER_AWAKE;
		atomic_fetch_add_explicit(&pool->live, 1, memory_order_relaxed); /* it is a count */
	}
	pthread_mutex_unlock(&pool->lock);
	int error = is_needed ? create_thread(pool, &thread, run_watcher, pool) : 0;
	if (error == 0)
		return 0;
	pthread_mutex_lock(&pool->lock);
	pool->watcher_state = WATCHER_NONE;
	count_out(pool);
	pthread_mutex_unlock(&pool->lock);
	return error;
}
