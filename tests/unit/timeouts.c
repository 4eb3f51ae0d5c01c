/* SPDX-License-Identifier: MIT */
/*
 * A timeout has the length that the caller passed, whichever structure the system call takes. A
 * 32-bit system has calls that take 32-bit times and calls that take 64-bit times.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <ringwake/channel.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "hooks.h"

/* It has seconds and nanoseconds: a misread structure loses one of them. */
#define LONG_NS  INT64_C(1100000000)
#define SHORT_NS INT64_C(300000000)

static int64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void expect_wait(int64_t timeout_ns)
{
	struct ringwake *target = open_target(NULL);
	int64_t begin = now_ns();
	assert_int_equal(ringwake_wait(target, timeout_ns), -ETIME);
	assert_true(now_ns() - begin >= timeout_ns);
	ringwake_close(target);
}

static void test_wait_lasts(void **state)
{
	(void)state;
	expect_wait(SHORT_NS);
	expect_wait(LONG_NS);
}

static void ignore_item(void *context, void *item, int status)
{
	(void)context, (void)item, (void)status;
}

static _Atomic unsigned waits;

static int counting_futex_wait(
	const _Atomic uint32_t *word, uint32_t expected, const struct timespec *timeout)
{
	atomic_fetch_add(&waits, 1);
	return real_system.futex_wait(word, expected, timeout);
}

struct timed_send {
	struct ringwake_channel *channel;
	int result;
	int64_t elapsed;
};

static void *send_to_full(void *argument)
{
	struct timed_send *send = argument;
	int item = 0;
	if (ringwake_channel_try_send(send->channel, &item) != 0)
		abort();
	int64_t begin = now_ns();
	send->result = ringwake_channel_send(send->channel, &item, SHORT_NS);
	send->elapsed = now_ns() - begin;
	return NULL;
}

/* A sender that misreads the pause between two looks at the doorbell does not block. */
static void test_send_blocks(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_channel_params params = {
		.item_size = sizeof(int), .capacity = 1, .receive = ignore_item};
	struct timed_send send = {0};
	assert_int_equal(ringwake_channel_open(&send.channel, target, &params), 0);
	hook_doorbell();
	ringwake_system.futex_wait = counting_futex_wait;
	waits = 0;
	join(start(send_to_full, &send));
	unhook();
	assert_int_equal(send.result, -ETIME);
	assert_true(send.elapsed >= SHORT_NS);
	/* It looks after 1, 2, 4 and so on, and then each 64 ms. */
	assert_true(waits <= 8 + send.elapsed / 64000000);
	assert_int_equal(ringwake_channel_release(send.channel), 0);
	assert_true(ringwake_dispatch(target, 0) > 0);
	ringwake_close(target);
}

/* True if each call of the table waits long enough. A child also calls it, so it must not assert.
 */
static bool calls_last(void)
{
	const struct timespec timeout = {.tv_sec = 1, .tv_nsec = LONG_NS - 1000000000};
	_Atomic uint32_t word = 1;
	int64_t begin = now_ns();
	bool ok = ringwake_system.futex_wait(&word, 0, &timeout) == -EAGAIN &&
		ringwake_system.futex_wait(&word, 1, &timeout) == -ETIMEDOUT &&
		now_ns() - begin >= LONG_NS && ringwake_system.futex_wake(&word, 1) == 0;

	int fd = eventfd(0, EFD_CLOEXEC);
	struct pollfd entry = {.fd = fd, .events = POLLIN};
	uint64_t one = 1;
	begin = now_ns();
	ok = ok && ringwake_system.poll(&entry, &timeout) == 0 && now_ns() - begin >= LONG_NS &&
		ringwake_system.write(fd, &one) == sizeof one &&
		ringwake_system.poll(&entry, NULL) == 1;
	close(fd);
	return ok;
}

static void test_each_call(void **state)
{
	(void)state;
	assert_true(calls_last());
}

/* Makes the newer calls fail as on kernels before 5.1. Returns false if filters are not available.
 */
static bool forbid_newer_calls(unsigned newer_poll, unsigned newer_futex)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, newer_poll, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, newer_futex, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void test_kernel_without_newer_calls(void **state)
{
	(void)state;
#if defined(SYS_ppoll_time64) && defined(SYS_ppoll)
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (!forbid_newer_calls(SYS_ppoll_time64, SYS_futex_time64))
			_exit(77);
		_exit(calls_last() ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("this process cannot set a seccomp filter\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
#else
	(void)forbid_newer_calls;
	print_message("this system has only one call for each wait\n");
	skip();
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_wait_lasts),
		ON_BOTH_PATHS(test_send_blocks),
		cmocka_unit_test(test_each_call),
		cmocka_unit_test(test_kernel_without_newer_calls),
	};
	return RUN_BOUNDED(tests, 60);
}
