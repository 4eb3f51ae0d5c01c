/* SPDX-License-Identifier: MIT */
/* The doorbell of a completion is refused: the pool retries it, and pool close still returns. */
#include <poll.h>
#include <ringwake/pool.h>
#include <sched.h>

#include "hooks.h"

static _Atomic unsigned runs, dones, cancelled;

static void count_run(struct ringwake_work *work)
{
	(void)work;
	atomic_fetch_add(&runs, 1);
}

static void count_done(struct ringwake_work *work, int status)
{
	(void)work;
	atomic_fetch_add(&dones, 1);
	if (status == -ECANCELED)
		atomic_fetch_add(&cancelled, 1);
}

/* How many of the next doorbells are refused; negative: all. */
static _Atomic int refusals;
static _Atomic int refused_with;
static _Atomic unsigned refused;

static bool is_refused(void)
{
	int left = refusals;
	while (left > 0 && !atomic_compare_exchange_weak(&refusals, &left, left - 1))
		;
	if (left != 0)
		atomic_fetch_add(&refused, 1);
	return left != 0;
}

static int refusing_register(int fd, unsigned opcode, const void *arg, unsigned count)
{
	bool rings =
		fd == -1 && opcode == RINGWAKE_REGISTER_SEND_MSG_RING && arg != (void *)UINTPTR_MAX;
	return rings && is_refused() ? refused_with
				     : real_system.register_ring(fd, opcode, arg, count);
}

static int refusing_write(int fd, const uint64_t *value)
{
	return is_refused() ? refused_with : real_system.write(fd, value);
}

/* How many times a worker blocked, and how many of these without a timeout. */
static _Atomic unsigned parks, parks_without_timeout;
static int counting_futex_wait(
	const _Atomic uint32_t *word, uint32_t expected, const struct timespec *timeout)
{
	atomic_fetch_add(&parks, 1);
	if (timeout == NULL)
		atomic_fetch_add(&parks_without_timeout, 1);
	return real_system.futex_wait(word, expected, timeout);
}

static struct ringwake *target;
static struct ringwake_pool *pool;

static void begin_with(struct ringwake_pool_params params)
{
	runs = dones = cancelled = refused = 0;
	refusals = 0;
	refused_with = -ENOMEM;
	target = open_target(NULL);
	hook_doorbell();
	parks = parks_without_timeout = 0;
	ringwake_system.register_ring = refusing_register;
	ringwake_system.write = refusing_write;
	ringwake_system.futex_wait = counting_futex_wait;
	assert_int_equal(ringwake_pool_open_with(&pool, &params), 0);
}

static void begin(unsigned workers)
{
	begin_with((struct ringwake_pool_params){.threads = workers});
}

static void end(void)
{
	unhook();
	ringwake_close(target);
}

static void submit(struct ringwake_work *work)
{
	assert_int_equal(ringwake_pool_submit(pool, target, work, count_run, count_done), 0);
}

/* Only a doorbell ends this wait. */
static void block_until_notified(struct ringwake *sleeper)
{
	struct pollfd entry = {.fd = ringwake_fd(sleeper), .events = POLLIN};
	assert_int_equal(poll(&entry, 1, -1), 1);
	ringwake_disarm(sleeper);
}

static void wait_until(const _Atomic unsigned *count, unsigned wanted)
{
	while (atomic_load(count) < wanted)
		sched_yield();
}

static void test_refused_completion_is_retried(void **state)
{
	(void)state;
	static const int errors[] = {-ENOMEM, -EPERM, -EACCES, -EAGAIN, -EINTR};
	static const int counts[] = {1, 2, 5, 12};
	for (unsigned i = 0; i < sizeof errors / sizeof *errors; i++)
		for (unsigned j = 0; j < sizeof counts / sizeof *counts; j++) {
			struct ringwake_work work;
			begin(1 + i % 2);
			refused_with = errors[i];
			refusals = counts[j];
			assert_true(ringwake_arm(target));
			submit(&work);
			block_until_notified(target);
			assert_int_equal(ringwake_dispatch(target, 0), 1);
			assert_int_equal(dones, 1);
			ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
			end();
		}
}

static void end_batch(struct ringwake_batch *batch)
{
	(void)batch;
	atomic_fetch_add(&dones, 1);
}

/* The one doorbell of a batch is refused; the batch of 0 uses the submitter's. */
static void test_refused_batch_is_retried(void **state)
{
	(void)state;
	static const size_t counts[] = {0, 1, 3};
	for (unsigned i = 0; i < sizeof counts / sizeof *counts; i++) {
		struct ringwake_work pieces[3], *works[3] = {pieces, pieces + 1, pieces + 2};
		struct ringwake_batch batch;
		begin(2);
		wait_until(&parks_without_timeout, 2);
		refusals = 4;
		assert_true(ringwake_arm(target));
		assert_int_equal(ringwake_pool_submit_batch(pool, target, &batch, works, counts[i],
					 count_run, end_batch, NULL),
			0);
		block_until_notified(target);
		assert_int_equal(ringwake_dispatch(target, 0), 1);
		assert_int_equal(dones, 1);
		assert_int_equal(runs, counts[i]);
		assert_true(refused >= 4);
		ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
		end();
	}
}

/* A retrier does not spin: there is no more work, so the spin would not end. */
static void test_retrier_does_not_spin(void **state)
{
	(void)state;
	struct ringwake_work work;
	begin_with((struct ringwake_pool_params){.threads = 1, .spin_ns = INT64_MAX});
	refusals = 3;
	assert_true(ringwake_arm(target));
	submit(&work);
	block_until_notified(target);
	assert_int_equal(ringwake_dispatch(target, 0), 1);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	end();
}

/* Once the loop is awake, the workers block without a timeout again. */
static void test_workers_become_idle_again(void **state)
{
	(void)state;
	struct ringwake_work work;
	begin(2);
	wait_until(&parks_without_timeout, 2);
	refusals = 4;
	assert_true(ringwake_arm(target));
	submit(&work);
	block_until_notified(target);
	assert_int_equal(ringwake_dispatch(target, 0), 1);
	wait_until(&parks_without_timeout, 3);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	end();
}

/* All workers are blocked when the doorbell of a cancelled work is refused: one worker is woken. */
static void test_cancel_of_queued_work(void **state)
{
	(void)state;
	struct ringwake_work work;
	begin(2);
	wait_until(&parks_without_timeout, 2);
	refusals = -1;
	assert_true(ringwake_arm(target));
	assert_int_equal(ringwake_pool_enqueue(pool, target, &work, count_run, count_done), 1);
	assert_int_equal(ringwake_pool_cancel(pool, &work), 0);
	wait_until(&refused, 5);
	refusals = 0;
	block_until_notified(target);
	assert_int_equal(ringwake_dispatch(target, 0), 1);
	assert_int_equal(cancelled, 1);
	assert_int_equal(runs, 0);
	ringwake_pool_kick(pool);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	end();
}

struct held {
	struct ringwake_work work;
	pthread_barrier_t started, resume_sender;
};

static void run_held(struct ringwake_work *work)
{
	struct held *held = (struct held *)work;
	pthread_barrier_wait(&held->started);
	pthread_barrier_wait(&held->resume_sender);
}

static void hold_worker(struct held *held)
{
	pthread_barrier_init(&held->started, NULL, 2);
	pthread_barrier_init(&held->resume_sender, NULL, 2);
	assert_int_equal(ringwake_pool_submit(pool, target, &held->work, run_held, count_done), 0);
	pthread_barrier_wait(&held->started);
}

static void release_worker(struct held *held)
{
	pthread_barrier_wait(&held->resume_sender);
}

static void end_held(struct held *held)
{
	pthread_barrier_destroy(&held->started);
	pthread_barrier_destroy(&held->resume_sender);
}

/* The only worker is busy: it retries the doorbell when its work has ended. */
static void test_cancel_while_the_worker_is_busy(void **state)
{
	(void)state;
	struct ringwake_work work;
	struct held held;
	begin(1);
	hold_worker(&held);
	submit(&work);
	refusals = 1;
	assert_true(ringwake_arm(target));
	assert_int_equal(ringwake_pool_cancel(pool, &work), 0);
	assert_int_equal(refused, 1);
	release_worker(&held);
	block_until_notified(target);
	while (dones < 2)
		assert_true(ringwake_wait(target, -1) >= 0);
	assert_int_equal(cancelled, 1);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	end();
	end_held(&held);
}

/* The worker that retries the doorbell gets long work, so an idle worker must retry it. */
static void test_another_worker_retries(void **state)
{
	(void)state;
	struct ringwake_work work;
	struct held held;
	begin(2);
	refusals = -1;
	assert_true(ringwake_arm(target));
	submit(&work);
	wait_until(&refused, 4);
	hold_worker(&held);
	refusals = 0;
	block_until_notified(target);
	assert_int_equal(ringwake_dispatch(target, 0), 1);
	release_worker(&held);
	while (dones < 2)
		assert_true(ringwake_wait(target, -1) >= 0);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	end();
	end_held(&held);
}

/* The worker is never idle: each of two works submits the other one, once that is done. */
static struct link {
	struct ringwake_work work; /* must be first */
	_Atomic bool is_queued;
} chain[2];
static _Atomic bool chain_ends;
static struct ringwake *other_target;

static void end_link(struct ringwake_work *work, int status)
{
	(void)status;
	((struct link *)work)->is_queued = false;
}

static void run_link(struct ringwake_work *work)
{
	struct link *other = &chain[(struct link *)work == chain];
	while (other->is_queued && !chain_ends)
		sched_yield();
	if (chain_ends)
		return;
	other->is_queued = true;
	ringwake_pool_submit(pool, other_target, &other->work, run_link, end_link);
}

static void *dispatch_other(void *argument)
{
	while (!chain_ends)
		ringwake_wait(other_target, 1000000);
	return argument;
}

static void test_a_worker_that_is_never_idle(void **state)
{
	(void)state;
	struct ringwake_work work;
	begin(1);
	other_target = open_target(NULL);
	chain_ends = false;
	pthread_t other = start(dispatch_other, NULL);
	refusals = -1;
	assert_true(ringwake_arm(target));
	submit(&work);
	wait_until(&runs, 1);
	chain[0].is_queued = true;
	ringwake_pool_submit(pool, other_target, &chain[0].work, run_link, end_link);
	wait_until(&refused, 6);
	refusals = 0;
	block_until_notified(target);
	chain_ends = true;
	join(other);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	while (ringwake_dispatch(other_target, 0) > 0)
		;
	ringwake_close(other_target);
	end();
}

/* Many loops are blocked, and for a while no doorbell works. */
static void test_many_targets(void **state)
{
	(void)state;
	enum { COUNT = 40 };
	struct ringwake *targets[COUNT];
	static struct ringwake_work works[COUNT];
	begin(2);
	for (unsigned i = 0; i < COUNT; i++) {
		targets[i] = open_target(NULL);
		assert_true(ringwake_arm(targets[i]));
	}
	refusals = -1;
	for (unsigned i = 0; i < COUNT; i++)
		assert_int_equal(
			ringwake_pool_submit(pool, targets[i], &works[i], count_run, count_done),
			0);
	wait_until(&runs, COUNT);
	wait_until(&refused, 2 * COUNT);
	/* One loop wakes for another reason, and another target is closed. */
	ringwake_disarm(targets[0]);
	assert_int_equal(ringwake_dispatch(targets[0], 0), 1);
	ringwake_close(targets[1]);
	refusals = 0;
	for (unsigned i = 2; i < COUNT; i++) {
		block_until_notified(targets[i]);
		assert_int_equal(ringwake_dispatch(targets[i], 0), 1);
	}
	assert_int_equal(dones, COUNT);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(targets[0]);
	for (unsigned i = 2; i < COUNT; i++)
		ringwake_close(targets[i]);
	end();
}

struct closing {
	enum ringwake_pool_close_mode mode;
};

static void *close_pool(void *argument)
{
	struct closing *closing = argument;
	ringwake_pool_close(pool, closing->mode);
	return NULL;
}

/* No doorbell ever works. Another thread closes the pool while the loop is armed, or the loop does.
 */
static void close_without_doorbells(enum ringwake_pool_close_mode mode, bool by_the_loop)
{
	enum { COUNT = 10 };
	struct ringwake_work works[COUNT];
	struct closing closing = {.mode = mode};
	begin(1);
	refusals = -1;
	assert_true(ringwake_arm(target));
	for (unsigned i = 0; i < COUNT; i++)
		submit(&works[i]);
	if (by_the_loop)
		ringwake_disarm(target);
	if (by_the_loop)
		close_pool(&closing);
	else
		join(start(close_pool, &closing));
	if (!by_the_loop)
		ringwake_disarm(target);
	while (ringwake_dispatch(target, 0) > 0)
		;
	assert_int_equal(dones, COUNT);
	assert_int_equal(runs + cancelled, COUNT);
	end();
}

static void test_close_when_no_doorbell_works(void **state)
{
	(void)state;
	close_without_doorbells(RINGWAKE_POOL_FINISH, false);
	close_without_doorbells(RINGWAKE_POOL_CANCEL, false);
	close_without_doorbells(RINGWAKE_POOL_FINISH, true);
	close_without_doorbells(RINGWAKE_POOL_CANCEL, true);
}

/* Close cancels work, and the doorbells are refused for a while. Close retries them itself, because
 * the only worker is busy. */
static void test_close_retries_the_doorbell(void **state)
{
	(void)state;
	struct ringwake_work work;
	struct closing closing = {.mode = RINGWAKE_POOL_CANCEL};
	struct held held;
	begin(1);
	hold_worker(&held);
	submit(&work);
	refusals = 5;
	assert_true(ringwake_arm(target));
	pthread_t closer = start(close_pool, &closing);
	block_until_notified(target);
	assert_int_equal(ringwake_dispatch(target, 0), 1);
	assert_int_equal(cancelled, 1);
	release_worker(&held);
	join(closer);
	while (dones < 2)
		assert_true(ringwake_wait(target, -1) >= 0);
	end();
	end_held(&held);
}

int main(void)
{
	const struct CMUnitTest pool_refused_tests[] = {
		ON_BOTH_PATHS(test_refused_completion_is_retried),
		ON_BOTH_PATHS(test_refused_batch_is_retried),
		ON_BOTH_PATHS(test_retrier_does_not_spin),
		ON_BOTH_PATHS(test_workers_become_idle_again),
		ON_BOTH_PATHS(test_cancel_of_queued_work),
		ON_BOTH_PATHS(test_cancel_while_the_worker_is_busy),
		ON_BOTH_PATHS(test_another_worker_retries),
		ON_BOTH_PATHS(test_a_worker_that_is_never_idle),
		ON_BOTH_PATHS(test_many_targets),
		ON_BOTH_PATHS(test_close_when_no_doorbell_works),
		ON_BOTH_PATHS(test_close_retries_the_doorbell),
	};
	return RUN_BOUNDED(pool_refused_tests, 120);
}
