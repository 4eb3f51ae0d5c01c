/* SPDX-License-Identifier: MIT */
/* The workers of a pool: how they are woken, how they block, their signals. */
#include <sched.h>
#include <signal.h>

#include "pool.h"

/* Those that a thread causes itself, and a profiler's. */
static bool is_open(int signal)
{
	return signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE || signal == SIGILL ||
		signal == SIGTRAP || signal == SIGSYS || signal == SIGPROF;
}

static void check_mask(struct ringwake_work *work)
{
	sigset_t mask;
	unsigned wrong = 0;
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	for (int signal = 1; signal < 32; signal++) {
		if (signal != SIGKILL && signal != SIGSTOP)
			wrong += sigismember(&mask, signal) == is_open(signal);
	}
	((struct job *)work)->runs = wrong;
}

static void test_workers_block_signals(void **state)
{
	(void)state;
	sigset_t all, before, after;
	sigfillset(&all);
	for (int blocked = 0; blocked < 2; blocked++) {
		struct ringwake *target = open_target(NULL);
		pthread_sigmask(SIG_SETMASK, blocked ? &all : NULL, &before);
		struct ringwake_pool *pool = open_pool(1);
		pthread_sigmask(SIG_SETMASK, &before, &after);
		assert_int_equal(sigismember(&after, SIGUSR1), blocked);
		struct job job = {.runs = 0};
		jobs_done = 0;
		ringwake_pool_submit(pool, target, &job.work, check_mask, finish_job);
		wait_for_jobs(target, 1);
		assert_int_equal(job.runs, 0);
		ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
		ringwake_close(target);
	}
}

static sigjmp_buf after_fault;
static pthread_t fault_thread;

static void leave_fault(int number)
{
	(void)number;
	fault_thread = pthread_self();
	siglongjmp(after_fault, 1);
}

static void fault(struct ringwake_work *work)
{
	struct job *job = (struct job *)work;
	job->ran_on = pthread_self();
	if (sigsetjmp(after_fault, 1) == 0)
		pthread_kill(pthread_self(), SIGSEGV); /* a true fault is an error to valgrind */
	else
		job->runs++;
}

/* The application's handler is called on the worker; a blocked signal would wait. */
static void test_a_fault_in_work_has_its_handler(void **state)
{
	(void)state;
	struct sigaction action = {.sa_handler = leave_fault}, before;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(1);
	struct job job = {.runs = 0};
	sigaction(SIGSEGV, &action, &before);
	jobs_done = 0;
	ringwake_pool_submit(pool, target, &job.work, fault, finish_job);
	wait_for_jobs(target, 1);
	sigaction(SIGSEGV, &before, NULL);
	assert_int_equal(job.runs, 1);
	assert_true(pthread_equal(fault_thread, job.ran_on));
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
}

/* Calls of the workers' futexes. The next wait can be held between reached and released. */
static _Atomic unsigned futex_wakes, futex_waits;
static _Atomic bool hold_wait;

static int hooked_futex_wake(const _Atomic uint32_t *word, int count)
{
	atomic_fetch_add(&futex_wakes, 1);
	return real_system.futex_wake(word, count);
}

static int hooked_futex_wait(
	const _Atomic uint32_t *word, uint32_t expected, const struct timespec *timeout)
{
	atomic_fetch_add(&futex_waits, 1);
	if (atomic_exchange(&hold_wait, false)) {
		pthread_barrier_wait(&reached);
		pthread_barrier_wait(&released);
	}
	return real_system.futex_wait(word, expected, timeout);
}

static int hook_futexes(void **state)
{
	(void)state;
	hook_doorbell();
	futex_wakes = futex_waits = 0;
	hold_wait = false;
	ringwake_system.futex_wake = hooked_futex_wake;
	ringwake_system.futex_wait = hooked_futex_wait;
	return use_eventfd(state); /* these tests are about workers, not about the doorbell */
}

static int unhook_futexes(void **state)
{
	(void)state;
	unhook();
	return 0;
}

#define WITH_FUTEXES(test) cmocka_unit_test_setup_teardown(test, hook_futexes, unhook_futexes)

static void wait_until_blocked(unsigned workers)
{
	while (futex_waits < workers)
		sched_yield();
}

static void test_busy_workers_are_not_woken(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(2);
	struct keeper keeper;
	struct job queued[100] = {{.runs = 0}};
	wait_until_blocked(2);
	keep_busy(&keeper, pool, target, 2);
	/* No system call for a worker that had not blocked yet. */
	assert_true(futex_wakes >= 1 && futex_wakes <= 2);
	futex_wakes = 0;
	for (int i = 0; i < 100; i++)
		ringwake_pool_submit(pool, target, &queued[i].work, run_job, finish_job);
	assert_int_equal(futex_wakes, 0);
	let_go(&keeper);
	wait_for_jobs(target, 102);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
	destroy_keeper(&keeper);
}

/* The worker has read its word and is about to block when it is woken. */
static void test_wake_before_the_block(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct job job = {.runs = 0};
	jobs_done = 0;
	hold_wait = true;
	struct ringwake_pool *pool = open_pool(1);
	pthread_barrier_wait(&reached);
	ringwake_pool_submit(pool, target, &job.work, run_job, finish_job);
	assert_int_equal(futex_wakes, 1);
	pthread_barrier_wait(&released);
	wait_for_jobs(target, 1);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
}

enum { MEETING = 4 };
static struct submit others;
static void submit_others(struct ringwake_work *work)
{
	submit_all(&others);
	run_job(work);
}

/* Work that waits for the other workers: all must be woken, whichever thread submits. */
static void test_all_workers_take_part(void **state)
{
	(void)state;
	pthread_barrier_t meeting;
	pthread_barrier_init(&meeting, NULL, MEETING);
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(MEETING);
	for (int round = 0; round < 1000; round++) {
		struct job jobs[MEETING];
		for (int i = 0; i < MEETING; i++)
			jobs[i] = (struct job){.started = &meeting, .go_on = &meeting};
		others = (struct submit){pool, target, jobs + 1, MEETING - 1};
		jobs_done = 0;
		if (round % 2 == 0)
			submit_all(&others);
		ringwake_pool_submit(pool, target, &jobs[0].work,
			round % 2 == 0 ? run_job : submit_others, finish_job);
		wait_for_jobs(target, MEETING);
	}
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
	pthread_barrier_destroy(&meeting);
}

/* The change of its word is enough to wake it, and it ends with the pool however long it spins. */
static void test_spinning_worker_needs_no_system_call(void **state)
{
	(void)state;
	enum { COUNT = 100 };
	static struct job jobs[COUNT];
	memset(jobs, 0, sizeof jobs);
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool;
	struct ringwake_pool_params params = {.threads = 1, .spin_ns = INT64_MAX};
	assert_int_equal(ringwake_pool_open_with(&pool, &params), 0);
	jobs_done = 0;
	for (unsigned i = 0; i < COUNT; i++) {
		ringwake_pool_submit(pool, target, &jobs[i].work, run_job, finish_job);
		wait_for_jobs(target, i + 1);
	}
	assert_int_equal(futex_waits, 0);
	assert_int_equal(futex_wakes, 0);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
}

/* Hangs if the other workers do not block. */
static void test_one_worker_spins(void **state)
{
	(void)state;
	struct ringwake_pool *pool;
	struct ringwake_pool_params params = {.threads = 3, .spin_ns = INT64_MAX};
	assert_int_equal(ringwake_pool_open_with(&pool, &params), 0);
	wait_until_blocked(2);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
}

/* No worker is woken for work that is enqueued, or submitted after it, until the kick. */
static void test_enqueued_work_waits_for_the_kick(void **state)
{
	(void)state;
	enum { COUNT = 20 };
	struct job jobs[COUNT];
	memset(jobs, 0, sizeof jobs);
	struct ringwake *target = open_target(NULL);
	struct ringwake_pool *pool = open_pool(2);
	struct ringwake_pool_stats stats;
	jobs_done = 0;
	wait_until_blocked(2);
	for (int i = 0; i < COUNT - 1; i++)
		assert_int_equal(
			ringwake_pool_enqueue(pool, target, &jobs[i].work, run_job, finish_job),
			i == 0);
	assert_int_equal(
		ringwake_pool_submit(pool, target, &jobs[COUNT - 1].work, run_job, finish_job), 0);
	assert_int_equal(futex_wakes, 0);
	ringwake_pool_get_stats(pool, &stats, sizeof stats);
	assert_int_equal(stats.queued, COUNT);
	ringwake_pool_kick(pool);
	wait_for_jobs(target, COUNT);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(jobs[i].runs, 1);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
}

int main(void)
{
	const struct CMUnitTest worker_tests[] = {
		ON_BOTH_PATHS(test_workers_block_signals),
		ON_BOTH_PATHS(test_a_fault_in_work_has_its_handler),
		ON_BOTH_PATHS(test_all_workers_take_part),
		WITH_FUTEXES(test_busy_workers_are_not_woken),
		WITH_FUTEXES(test_wake_before_the_block),
		WITH_FUTEXES(test_spinning_worker_needs_no_system_call),
		WITH_FUTEXES(test_one_worker_spins),
		WITH_FUTEXES(test_enqueued_work_waits_for_the_kick),
	};
	return RUN_BOUNDED(worker_tests, 120);
}
