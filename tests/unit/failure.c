/* SPDX-License-Identifier: MIT */
/* Promise 5: a failed doorbell is never a lost wake. */
#include <liburing.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "hooks.h"

static void *send_one(void *argument)
{
	struct ringwake **target = argument;
	static struct counted message = {.msg.fn = count_message};
	ringwake_send(*target, &message.msg);
	return NULL;
}

/* The process's first open fails for lack of memory; the second works. Must be the first test. */
static void test_open_succeeds_after_a_lack_of_memory(void **state)
{
	(void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	print_message("sanitizers do not work with a limit of their memory\n");
	skip();
#endif
	pid_t child = fork();
	if (child == 0) {
		struct ringwake_params params = {.path = RINGWAKE_PATH_EVENTFD};
		struct ringwake *target;
		struct rlimit before, none;
		getrlimit(RLIMIT_AS, &before);
		none = (struct rlimit){0, before.rlim_max};
		setrlimit(RLIMIT_AS, &none);
		int first = ringwake_open(&target, NULL, &params);
		setrlimit(RLIMIT_AS, &before);
		int second = ringwake_open(&target, NULL, &params);
		_exit(first != -ENOMEM || second != 0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void test_failure_is_reported_and_the_next_send_rings(void **state)
{
	(void)state;
	static const int errors[] = {-ENOMEM, -EPERM, -EACCES, -ENOSYS, -EBADF, -EAGAIN, -EINTR};
	struct ringwake *target = open_target(NULL);
	struct counted first = {.msg.fn = count_message}, second = first;
	hook_doorbell();
	for (unsigned i = 0; i < sizeof errors / sizeof *errors; i++) {
		assert_true(ringwake_arm(target));
		doorbell_error = errors[i];
		assert_int_equal(ringwake_send(target, &first.msg), errors[i]);
		doorbell_error = 0;
		doorbell_calls = 0;
		assert_int_equal(ringwake_send(target, &second.msg), 0);
		assert_int_equal(doorbell_calls, 1);
		ringwake_disarm(target);
		assert_int_equal(ringwake_dispatch(target, 0), 2);
	}
	assert_int_equal(first.count, second.count);
	assert_int_equal(stats_of(target).doorbell_failures, sizeof errors / sizeof *errors);
	unhook();
	ringwake_close(target); /* hangs if the gate's counts differ */
}

static void test_failed_wake_rings_again(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_event event;
	ringwake_event_init(&event, target, NULL);
	hook_doorbell();
	assert_true(ringwake_arm(target));
	doorbell_error = -ENOMEM;
	assert_int_equal(ringwake_wake(target), -ENOMEM);
	assert_int_equal(ringwake_event_send(&event), -ENOMEM);
	doorbell_error = 0;
	doorbell_calls = 0;
	assert_int_equal(ringwake_event_send(&event), 0); /* coalesced, but it uses the doorbell */
	assert_int_equal(doorbell_calls, 1);
	assert_int_equal(ringwake_event_send(&event), 0);
	assert_int_equal(doorbell_calls, 1);
	ringwake_disarm(target);
	assert_int_equal(ringwake_dispatch(target, 0), 1);
	assert_int_equal(ringwake_event_close(&event), 0);
	unhook();
	ringwake_close(target);
}

/* The kernel does not block a loop whose queue is full. An eventfd has no such answer. */
static void test_full_queue_is_a_wake(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct counted message = {.msg.fn = count_message};
	hook_doorbell();
	assert_true(ringwake_arm(target));
	doorbell_error = -EOVERFLOW;
	int expected = test_path == RINGWAKE_PATH_MSG_RING ? 0 : -EOVERFLOW;
	assert_int_equal(ringwake_send(target, &message.msg), expected);
	assert_int_equal(stats_of(target).doorbell_failures, expected != 0);
	ringwake_disarm(target);
	assert_int_equal(ringwake_dispatch(target, 0), 1);
	unhook();
	ringwake_close(target);
}

static unsigned events;
static void count_event(struct ringwake_event *event)
{
	(void)event;
	events++;
}

/* An event is accepted even if its doorbell and the doorbell of an earlier message fail. */
static void test_event_after_a_refused_doorbell(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct counted message = {.msg.fn = count_message};
	struct ringwake_event event;
	ringwake_event_init(&event, target, count_event);
	events = 0;
	hook_doorbell();
	assert_true(ringwake_arm(target));
	doorbell_error = -ENOMEM;
	assert_int_equal(ringwake_send(target, &message.msg), -ENOMEM);
	assert_int_equal(ringwake_event_send(&event), -ENOMEM);
	assert_int_equal(ringwake_event_send(&event), -ENOMEM); /* still queued */
	ringwake_disarm(target);
	assert_int_equal(ringwake_dispatch(target, 0), 2);
	assert_int_equal(events, 1);
	unhook();
	assert_int_equal(ringwake_event_close(&event), 0);
	ringwake_close(target);
}

static _Atomic int interruptions;
static int interrupted_register(int fd, unsigned opcode, const void *arg, unsigned count)
{
	if (fd == -1 && atomic_fetch_sub(&interruptions, 1) > 0)
		return -EINTR;
	return real_system.register_ring(fd, opcode, arg, count);
}
static int interrupted_write(int fd, const uint64_t *value)
{
	return atomic_fetch_sub(&interruptions, 1) > 0 ? -EAGAIN : real_system.write(fd, value);
}

static void test_interrupted_doorbell_is_tried_again(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct counted message = {.msg.fn = count_message};
	hook_doorbell();
	ringwake_system.register_ring = interrupted_register;
	ringwake_system.write = interrupted_write;
	assert_true(ringwake_arm(target));
	interruptions = 3;
	assert_int_equal(ringwake_send(target, &message.msg), 0);
	struct pollfd entry = {.fd = ringwake_fd(target), .events = POLLIN};
	assert_int_equal(poll(&entry, 1, -1), 1);
	ringwake_disarm(target);
	assert_int_equal(ringwake_dispatch(target, 0), 1);
	unhook();
	ringwake_close(target);
}

static const int momentary[] = {-EINTR, -EAGAIN};
static int interruption;

/* Refuses some calls and passes the others to the kernel. */
static int refusing_register(int fd, unsigned opcode, const void *arg, unsigned count)
{
	if (fd == -1 && atomic_fetch_sub(&interruptions, 1) > 0)
		return interruption;
	return real_system.register_ring(fd, opcode, arg, count);
}

static void test_interrupted_post_is_tried_again(void **state)
{
	(void)state;
	for (int i = 0; i < 40; i++) {
		struct io_uring ring;
		struct io_uring_cqe *cqe;
		assert_int_equal(io_uring_queue_init(8, &ring, 0), 0);
		test_path = RINGWAKE_PATH_MSG_RING;
		struct ringwake *target = open_target(&ring);
		hook_doorbell();
		ringwake_system.register_ring = refusing_register;
		interruption = momentary[i % 2];
		interruptions = i / 2;
		int result = ringwake_post(target, 4711, 42);
		unhook();
		assert_int_equal(result, i / 2 < 16 ? 0 : interruption);
		assert_int_equal(io_uring_cq_ready(&ring), result == 0);
		if (result == 0) {
			assert_int_equal(io_uring_peek_cqe(&ring, &cqe), 0);
			assert_int_equal(cqe->user_data, 4711);
			assert_int_equal(cqe->res, 42);
			io_uring_cqe_seen(&ring, cqe);
		}
		ringwake_close(target); /* hangs if the gate's counts differ */
		io_uring_queue_exit(&ring);
	}
}

/* The loop wakes for another reason while a doorbell is about to fail. The failed sender sets ARMED
 * again although the loop is awake. */
static void test_failure_after_the_loop_woke(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct counted message = {.msg.fn = count_message};
	hook_doorbell();
	hold_doorbell = true;
	assert_true(ringwake_arm(target));
	pthread_t sender = start(send_one, &target);
	pthread_barrier_wait(&reached);
	ringwake_disarm(target);
	assert_int_equal(ringwake_dispatch(target, 0), 1);
	doorbell_error = -ENOMEM;
	pthread_barrier_wait(&released);
	join(sender);
	doorbell_error = 0;
	assert_int_equal(ringwake_send(target, &message.msg), 0); /* needless doorbell */
	assert_int_equal(ringwake_wait(target, 0), 1);
	assert_true(ringwake_arm(target));
	assert_int_equal(ringwake_send(target, &message.msg), 0);
	assert_int_equal(ringwake_wait(target, 0), 1);
	unhook();
	ringwake_close(target);
}

static int sleep_error;
static int failing_enter(int fd, unsigned min, unsigned flags, const void *arg, size_t size)
{
	return min > 0 ? sleep_error : real_system.enter(fd, min, flags, arg, size);
}
static int failing_poll(struct pollfd *entry, const struct timespec *timeout)
{
	(void)entry;
	(void)timeout;
	return sleep_error;
}

static void test_failing_sleep_leaves_the_target_usable(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct counted message = {.msg.fn = count_message};
	hook_doorbell();
	ringwake_system.enter = failing_enter;
	ringwake_system.poll = failing_poll;
	static const int errors[] = {-EINTR, -EBADF, -ENOMEM, -EAGAIN};
	for (unsigned i = 0; i < sizeof errors / sizeof *errors; i++) {
		sleep_error = errors[i];
		assert_int_equal(ringwake_wait(target, -1), errors[i]);
		ringwake_send(target, &message.msg);
		assert_int_equal(ringwake_wait(target, -1), 1);
	}
	sleep_error = -EBADR; /* the kernel dropped completions: check the queue, do not fail */
	assert_int_equal(ringwake_wait(target, -1), 0);
	unhook();
	ringwake_send(target, &message.msg);
	assert_int_equal(ringwake_wait(target, -1), 1);
	ringwake_close(target);
}

static _Atomic unsigned reads;
static int counting_read(int fd, uint64_t *value)
{
	reads++;
	return real_system.read(fd, value);
}

/* The loop need not read an eventfd that no sender wrote. */
static void test_refused_doorbell_is_read_at_most_once(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	hook_doorbell();
	ringwake_system.read = counting_read;
	assert_true(ringwake_arm(target));
	atomic_store(&hold_doorbell, true);
	doorbell_error = -ENOMEM;
	pthread_t sender = start(send_one, &target);
	pthread_barrier_wait(&reached);
	ringwake_disarm(target); /* the sender is in its system call */
	assert_false(ringwake_arm(target));
	ringwake_disarm(target);
	assert_int_equal(ringwake_dispatch(target, 0), 1);
	assert_true(ringwake_arm(target));
	pthread_barrier_wait(&released);
	join(sender); /* it finds that the loop has armed again */
	doorbell_error = 0;
	ringwake_disarm(target);
	reads = 0;
	for (int i = 0; i < 10; i++) {
		ringwake_arm(target);
		ringwake_disarm(target);
		ringwake_dispatch(target, 0);
	}
	assert_true(reads <= 1);
	unhook();
	ringwake_close(target);
}

static int falls_back(void *count)
{
	++*(unsigned *)count;
	return 0;
}

static int fails_too(void *count)
{
	++*(unsigned *)count;
	return -EPIPE;
}

/* After a final error the library does not try the doorbell again. */
static void test_fallback(void **state)
{
	(void)state;
	static const int final_errors[] = {-EPERM, -EACCES, -ENOSYS};
	for (unsigned i = 0; i < sizeof final_errors / sizeof *final_errors; i++) {
		unsigned calls = 0;
		struct counted message = {.msg.fn = count_message};
		struct ringwake *target = open_target_with(NULL,
			(struct ringwake_params){.fallback = falls_back, .fallback_data = &calls});
		hook_doorbell();
		assert_true(ringwake_arm(target));
		doorbell_error = -ENOMEM;
		assert_int_equal(ringwake_wake(target), -ENOMEM);
		assert_int_equal(calls, 0);
		doorbell_error = final_errors[i];
		assert_int_equal(ringwake_send(target, &message.msg), 0);
		assert_int_equal(calls, 1);
		doorbell_error = 0;
		doorbell_calls = 0;
		for (unsigned round = 1; round <= 3; round++) {
			ringwake_disarm(target);
			assert_int_equal(ringwake_dispatch(target, 0), 1);
			assert_int_equal(message.count, round);
			assert_true(ringwake_arm(target));
			assert_int_equal(ringwake_send(target, &message.msg), 0);
			assert_int_equal(calls, 1 + round);
		}
		assert_int_equal(doorbell_calls, 0);
		ringwake_close(target);
		unhook();
	}
}

static int overflows(void *data)
{
	++*(unsigned *)data;
	return -EOVERFLOW;
}

/* The send returns the fallback's error, and the next send calls the fallback again. */
static void test_fallback_that_fails(void **state)
{
	(void)state;
	static const struct {
		int (*fallback)(void *data);
		int error;
	} cases[] = {{fails_too, -EPIPE}, {overflows, -EOVERFLOW}};
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		unsigned calls = 0;
		struct counted message = {.msg.fn = count_message};
		struct ringwake *target = open_target_with(NULL,
			(struct ringwake_params){
				.fallback = cases[i].fallback, .fallback_data = &calls});
		hook_doorbell();
		doorbell_error = -EPERM;
		assert_true(ringwake_arm(target));
		assert_int_equal(ringwake_send(target, &message.msg), cases[i].error);
		assert_int_equal(ringwake_wake(target), cases[i].error);
		assert_int_equal(calls, 2);
		ringwake_close(target);
		assert_int_equal(message.count, 1);
		unhook();
	}
}

/* A filter may return any error, also one by which ringwake_send() says that it sent nothing. */
static void test_error_that_looks_like_a_refusal(void **state)
{
	(void)state;
	static const int errors[] = {-EINVAL, -ECANCELED, -EOWNERDEAD};
	for (unsigned i = 0; i < sizeof errors / sizeof *errors; i++) {
		struct ringwake *target = open_target(NULL);
		struct counted message = {.msg.fn = count_message};
		struct ringwake_event event;
		ringwake_event_init(&event, target, NULL);
		hook_doorbell();
		assert_true(ringwake_arm(target));
		doorbell_error = errors[i];
		int results[] = {ringwake_send(target, &message.msg), ringwake_wake(target),
			ringwake_event_send(&event)};
		for (unsigned j = 0; j < sizeof results / sizeof *results; j++) {
			assert_int_equal(results[j], -EIO);
			assert_false(ringwake_was_refused(results[j]));
		}
		unhook();
		ringwake_disarm(target);
		assert_int_equal(ringwake_dispatch(target, 0), 2);
		assert_int_equal(message.count, 1);
		ringwake_close(target);
	}
}

int main(void)
{
	const struct CMUnitTest failure_tests[] = {
		cmocka_unit_test(test_open_succeeds_after_a_lack_of_memory),
		ON_BOTH_PATHS(test_failure_is_reported_and_the_next_send_rings),
		ON_BOTH_PATHS(test_failed_wake_rings_again),
		ON_BOTH_PATHS(test_event_after_a_refused_doorbell),
		ON_BOTH_PATHS(test_full_queue_is_a_wake),
		ON_BOTH_PATHS(test_interrupted_doorbell_is_tried_again),
		cmocka_unit_test(test_interrupted_post_is_tried_again),
		ON_BOTH_PATHS(test_failure_after_the_loop_woke),
		ON_BOTH_PATHS(test_failing_sleep_leaves_the_target_usable),
		ON_BOTH_PATHS(test_refused_doorbell_is_read_at_most_once),
		ON_BOTH_PATHS(test_error_that_looks_like_a_refusal),
		ON_BOTH_PATHS(test_fallback),
		ON_BOTH_PATHS(test_fallback_that_fails),
	};
	return RUN_BOUNDED(failure_tests, 60);
}
