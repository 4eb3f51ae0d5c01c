/* SPDX-License-Identifier: MIT */
/* A callback or a signal handler that runs in a function for the loop's thread forks. */
#include <liburing.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "hooks.h"

enum { COUNT = 300 }; /* more than one batch */

static struct counted messages[COUNT];
static struct ringwake_msg *array[COUNT];
static pid_t child;

static void fork_once(struct ringwake_msg *msg)
{
	count_message(msg);
	child = fork();
}

/* The first message's callback forks. */
static struct ringwake *open_with_messages(void)
{
	struct ringwake *target = open_target(NULL);
	for (unsigned i = 0; i < COUNT; i++) {
		messages[i] = (struct counted){.msg.fn = i == 0 ? fork_once : count_message};
		array[i] = &messages[i].msg;
	}
	assert_int_equal(ringwake_send_many(target, array, COUNT), 0);
	return target;
}

static unsigned count_all(void)
{
	unsigned count = 0;
	for (unsigned i = 0; i < COUNT; i++)
		count += messages[i].count;
	return count;
}

/* The messages after the one whose callback forked are the parent's. */
static void test_callback_of_a_dispatch(void **state)
{
	(void)state;
	struct ringwake *target = open_with_messages();
	int ran = ringwake_dispatch(target, COUNT);
	if (child == 0) {
		int more = ringwake_dispatch(target, 0);
		bool is_quiet = !ringwake_pending(target) && !ringwake_is_armed(target);
		ringwake_close(target);
		_exit(ran == 1 && more == 0 && is_quiet && count_all() == 1 ? 0 : 1);
	}
	assert_int_equal(ran, COUNT);
	assert_child_succeeds(child);
	ringwake_close(target);
}

static void test_callback_of_close(void **state)
{
	(void)state;
	ringwake_close(open_with_messages());
	if (child == 0)
		_exit(count_all() == 1 ? 0 : 1);
	assert_int_equal(count_all(), COUNT);
	assert_child_succeeds(child);
}

static struct ringwake *waited;
static int ends[2];

/* The signal comes again and again: a signal before the wait would interrupt nothing. */
static void fork_and_stay(int signal)
{
	char byte;
	(void)signal;
	if (child != -1 || !ringwake_is_armed(waited))
		return;
	child = fork();
	if (child == 0 && read(ends[0], &byte, 1) != 1)
		_exit(2);
}

/* The child returns from the handler when the parent's queue holds a doorbell. */
static void test_signal_handler_in_a_wait(void **state)
{
	(void)state;
#ifdef __SANITIZE_THREAD__
	print_message("ThreadSanitizer delays signal handlers\n");
	skip();
#endif
	struct io_uring ring;
	struct counted message = {.msg.fn = count_message};
	struct sigaction action = {.sa_handler = fork_and_stay}, before;
	child = -1;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(io_uring_queue_init(8, &ring, 0), 0);
	struct ringwake *target = waited = open_target(&ring);
	assert_int_equal(sigaction(SIGVTALRM, &action, &before), 0);
	/* A timer of another clock, because the test's own limit uses the alarm. */
	timer_t timer;
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGVTALRM};
	struct itimerspec time = {{.tv_nsec = 10000000}, {.tv_nsec = 10000000}};
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	assert_int_equal(timer_settime(timer, 0, &time, NULL), 0);
	int result = -EINTR;
	while (child == -1 && result == -EINTR)
		result = ringwake_wait(target, -1);
	if (child == 0)
		_exit(result == -EOWNERDEAD ? 0 : 1);
	timer_delete(timer);
	assert_int_equal(result, -EINTR);
	assert_true(ringwake_arm(target));
	assert_int_equal(ringwake_send(target, &message.msg), 0);
	struct io_uring_cqe *completion;
	assert_int_equal(io_uring_wait_cqe(&ring, &completion), 0);
	unsigned completions = io_uring_cq_ready(&ring);
	assert_int_equal(write(ends[1], "x", 1), 1);
	assert_child_succeeds(child);
	assert_int_equal(io_uring_cq_ready(&ring), completions);
	ringwake_disarm(target);
	assert_int_equal(ringwake_dispatch(target, 0), 1);
	sigaction(SIGVTALRM, &before, NULL);
	ringwake_close(target);
	io_uring_queue_exit(&ring);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_callback_of_a_dispatch),
		ON_BOTH_PATHS(test_callback_of_close),
		ON_BOTH_PATHS(test_signal_handler_in_a_wait),
	};
	return RUN_BOUNDED(tests, 60);
}
