/* SPDX-License-Identifier: MIT */
/* Promise 4: a forked child cannot reach the parent's ring, and can open its own. */
#include <liburing.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../../lib/target.h"
#include "hooks.h"

/* Returns the line that failed, because a child must not run cmocka's handlers. */
#define CHILD_EXPECT(condition)                                                                    \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return __LINE__ & 0xff ? __LINE__ & 0xff : 1;                              \
	} while (0)

static int child_uses(struct ringwake *inherited)
{
	struct counted message = {.msg.fn = count_message};
	struct ringwake_event event;
	ringwake_event_init(&event, inherited, NULL);
	CHILD_EXPECT(ringwake_send(inherited, &message.msg) == -EOWNERDEAD);
	CHILD_EXPECT(ringwake_wake(inherited) == -EOWNERDEAD);
	CHILD_EXPECT(ringwake_post(inherited, 1, 2) == -EOWNERDEAD);
	CHILD_EXPECT(ringwake_wait(inherited, -1) == -EOWNERDEAD);
	CHILD_EXPECT(ringwake_event_send(&event) == -EOWNERDEAD);

	struct ringwake *child_own;
	struct ringwake_params params = {.path = test_path};
	CHILD_EXPECT(ringwake_open(&child_own, NULL, &params) == 0);
	CHILD_EXPECT(ringwake_send(inherited, &message.msg) == -EOWNERDEAD);
	CHILD_EXPECT(ringwake_arm(child_own));
	CHILD_EXPECT(ringwake_send(child_own, &message.msg) == 0);
	ringwake_disarm(child_own);
	CHILD_EXPECT(ringwake_dispatch(child_own, 0) == 1);
	CHILD_EXPECT(message.count == 1);
	ringwake_close(child_own);
	ringwake_close(inherited);
	return 0;
}

static void check_parent_is_untouched(struct ringwake *target)
{
	struct counted message = {.msg.fn = count_message};
	struct pollfd entry = {.fd = ringwake_fd(target), .events = POLLIN};
	assert_int_equal(poll(&entry, 1, 0), 0);
	assert_int_equal(ringwake_wait(target, 0), -ETIME);
	ringwake_send(target, &message.msg);
	assert_int_equal(ringwake_wait(target, -1), 1);
}

static void test_child_of_fork(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	assert_true(ringwake_arm(target));
	pid_t child = fork();
	if (child == 0)
		_exit(child_uses(target));
	assert_child_succeeds(child);
	check_parent_is_untouched(target);
	ringwake_close(target);
}

/* No pthread_atfork() handler runs for this child. */
static void test_child_of_a_raw_system_call(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	assert_true(ringwake_arm(target));
	pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (child == 0)
		_exit(child_uses(target));
	assert_child_succeeds(child);
	check_parent_is_untouched(target);
	ringwake_close(target);
}

static void test_grandchild(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	assert_true(ringwake_arm(target));
	pid_t child = fork();
	if (child == 0) {
		struct ringwake *own;
		struct ringwake_params params = {.path = test_path};
		if (ringwake_open(&own, NULL, &params) != 0)
			_exit(1);
		pid_t grandchild = fork();
		if (grandchild == 0)
			_exit(child_uses(own) ? 2 : child_uses(target));
		int status;
		if (waitpid(grandchild, &status, 0) != grandchild || status != 0)
			_exit(3);
		ringwake_close(own);
		_exit(0);
	}
	assert_child_succeeds(child);
	check_parent_is_untouched(target);
	ringwake_close(target);
}

static void test_child_with_messages_on_the_way(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct counted messages[2] = {{.msg.fn = count_message}, {.msg.fn = count_message}};
	ringwake_send(target, &messages[0].msg);
	ringwake_send(target, &messages[1].msg);
	ringwake_dispatch(target, 1);
	pid_t child = fork();
	if (child == 0) {
		ringwake_close(target); /* only the parent may deliver the message */
		_exit(messages[1].count == 0 ? 0 : 1);
	}
	assert_child_succeeds(child);
	assert_int_equal(ringwake_dispatch(target, 0), 1);
	ringwake_close(target);
}

/*
 * A signal handler forks in the middle of ringwake_send(), and the child executes the rest of the
 * send. Single-stepping runs the handler after each instruction of the send, one after the other.
 */
static struct ringwake *stepped;
static struct counted step_message = {.msg.fn = count_message};
static volatile int steps_left, steps_taken;
static volatile pid_t step_child;

static void on_step(int signal)
{
	(void)signal;
	steps_taken++;
	if (steps_left-- == 0)
		step_child = fork();
}

static void set_trap_flag(bool on)
{
#ifdef __x86_64__
	/* The pushes must not fall into the red zone. */
	if (on)
		__asm__ volatile(
			"sub $128, %%rsp; pushfq; orq $0x100, (%%rsp); popfq; add $128, %%rsp" ::
				: "memory", "cc");
	else
		__asm__ volatile(
			"sub $128, %%rsp; pushfq; andq $~0x100, (%%rsp); popfq; add $128, %%rsp" ::
				: "memory", "cc");
#else
	(void)on;
#endif
}

/* A sanitizer adds many instructions to a send. */
#ifdef __SANITIZE_ADDRESS__
#define STRIDE 11
#else
#define STRIDE 1
#endif

static void test_fork_at_every_step_of_a_send(void **state)
{
	(void)state;
#if !defined(__x86_64__) || defined(__SANITIZE_THREAD__)
	print_message("single-stepping needs x86-64 and does not work with ThreadSanitizer, "
		      "which delays signal handlers\n");
	skip();
#endif
	struct sigaction action = {.sa_handler = on_step, .sa_flags = SA_NODEFER}, before;
	assert_int_equal(sigaction(SIGTRAP, &action, &before), 0);
	stepped = open_target(NULL);
	pid_t parent = getpid();
	bool reached_the_end = false;
	for (int step = 0; !reached_the_end; step += STRIDE) {
		assert_true(ringwake_arm(stepped));
		struct pollfd entry = {.fd = ringwake_fd(stepped), .events = POLLIN};
		steps_left = step;
		step_child = -1;
		set_trap_flag(true);
		int result = ringwake_send(stepped, &step_message.msg);
		set_trap_flag(false);
		/* The child's send is refused, or the parent's doorbell came before the fork. */
		if (getpid() != parent)
			_exit(result == 0 || result == -EOWNERDEAD ? 0 : 1);
		assert_int_equal(result, 0);
		reached_the_end = step_child == -1;
		if (!reached_the_end)
			assert_child_succeeds(step_child);
		/* The parent's own doorbell is the only one: the child has left none. */
		assert_int_equal(poll(&entry, 1, -1), 1);
		ringwake_disarm(stepped);
		assert_int_equal(poll(&entry, 1, 0), 0);
		assert_int_equal(ringwake_dispatch(stepped, 0), 1);
	}
	assert_true(steps_taken > 20);
	ringwake_close(stepped);
	sigaction(SIGTRAP, &before, NULL);
}

static void test_application_ring_in_the_child(void **state)
{
	(void)state;
	struct io_uring ring;
	assert_int_equal(io_uring_queue_init(8, &ring, 0), 0);
	struct ringwake *target = open_target(&ring);
	assert_true(ringwake_arm(target));
	pid_t child = fork();
	if (child == 0)
		_exit(child_uses(target));
	assert_child_succeeds(child);
	assert_int_equal(io_uring_cq_ready(&ring), 0);
	ringwake_close(target);
	io_uring_queue_exit(&ring);
}

/* Both the sender that has not pushed its message and a late doorbell belong to the parent. */
static int child_closes_an_event(struct ringwake *target)
{
	struct ringwake_event event;
	ringwake_event_init(&event, target, NULL);
	event.state = 1; /* QUEUED */
	CHILD_EXPECT(ringwake_event_close(&event) == 0);
	return 0;
}

static void test_event_closed_in_the_child(void **state)
{
	(void)state;
	struct io_uring ring;
	struct io_uring_cqe *completion;
	assert_int_equal(io_uring_queue_init(8, &ring, 0), 0);
	struct ringwake *target = open_target(&ring);
	assert_true(ringwake_arm(target));
	assert_int_equal(ringwake_doorbell_notify(&target->doorbell), 0);
	assert_int_equal(io_uring_wait_cqe(&ring, &completion), 0);
	unsigned submitted = *ring.sq.ktail;
	pid_t child = fork();
	if (child == 0) {
		_exit(child_closes_an_event(target));
	}
	assert_child_succeeds(child);
	assert_int_equal(*ring.sq.ktail, submitted);
	ringwake_disarm(target);
	ringwake_close(target);
	io_uring_queue_exit(&ring);
}

static int child_uses_the_loops_side(struct ringwake *inherited)
{
	CHILD_EXPECT(ringwake_spin(inherited, 1000) == 1000);
	CHILD_EXPECT(!ringwake_arm(inherited));
	ringwake_disarm(inherited);
	CHILD_EXPECT(ringwake_dispatch(inherited, 0) == 0);
	return 0;
}

/* Requests that the parent has prepared are not the child's to submit. */
static void test_child_does_not_submit(void **state)
{
	(void)state;
	struct io_uring ring;
	assert_int_equal(io_uring_queue_init(8, &ring, 0), 0);
	struct ringwake *target =
		open_target_with(&ring, (struct ringwake_params){.spin_ns = 1000});
	io_uring_prep_nop(io_uring_get_sqe(&ring));
	pid_t child = fork();
	if (child == 0)
		_exit(child_uses_the_loops_side(target));
	assert_child_succeeds(child);
	assert_int_equal(io_uring_cq_ready(&ring), 0);
	ringwake_close(target);
	io_uring_queue_exit(&ring);
}

/* The parent's loop is still woken by a doorbell that was used before the fork. */
static void test_child_cannot_consume_the_doorbell(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct counted message = {.msg.fn = count_message};
	struct pollfd entry = {.fd = ringwake_fd(target), .events = POLLIN};
	assert_true(ringwake_arm(target));
	assert_int_equal(ringwake_send(target, &message.msg), 0);
	pid_t child = fork();
	if (child == 0)
		_exit(child_uses_the_loops_side(target));
	assert_child_succeeds(child);
	assert_int_equal(poll(&entry, 1, 0), 1);
	ringwake_disarm(target);
	assert_int_equal(ringwake_dispatch(target, 0), 1);
	assert_int_equal(message.count, 1);
	ringwake_close(target);
}

int main(void)
{
	const struct CMUnitTest fork_tests[] = {
		ON_BOTH_PATHS(test_child_of_fork),
		ON_BOTH_PATHS(test_child_of_a_raw_system_call),
		ON_BOTH_PATHS(test_grandchild),
		ON_BOTH_PATHS(test_child_with_messages_on_the_way),
		ON_BOTH_PATHS(test_fork_at_every_step_of_a_send),
		ON_BOTH_PATHS(test_application_ring_in_the_child),
		ON_BOTH_PATHS(test_event_closed_in_the_child),
		ON_BOTH_PATHS(test_child_cannot_consume_the_doorbell),
		ON_BOTH_PATHS(test_child_does_not_submit),
	};
	return RUN_BOUNDED(fork_tests, 60);
}
