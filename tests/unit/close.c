/* SPDX-License-Identifier: MIT */
/* Promise 3: after close a send is refused, and nothing reaches a ring with the same descriptor. */
#include <dirent.h>
#include <liburing.h>
#include <sys/resource.h>

#include "hooks.h"

static void test_send_after_close(void **state)
{
	(void)state;
	struct ringwake *target = ringwake_ref(open_target(NULL));
	struct counted message = {.msg.fn = count_message};
	struct ringwake_event event;
	ringwake_event_init(&event, target, NULL);
	ringwake_close(target);
	assert_int_equal(ringwake_send(target, &message.msg), -ECANCELED);
	assert_int_equal(ringwake_wake(target), -ECANCELED);
	assert_int_equal(ringwake_post(target, 1, 1), -ECANCELED);
	assert_int_equal(ringwake_event_send(&event), -ECANCELED);
	assert_int_equal(ringwake_event_close(&event), 0);
	assert_int_equal(message.count, 0);
	assert_int_equal(ringwake_wait(target, -1), -ECANCELED);
	assert_int_equal(ringwake_dispatch(target, 0), 0);
	assert_false(ringwake_arm(target));
	ringwake_disarm(target);
	ringwake_unref(target);
}

static void test_close_delivers_what_was_accepted(void **state)
{
	(void)state;
	struct ringwake *target = open_target_with(NULL, (struct ringwake_params){.batch = 3});
	struct counted messages[100];
	for (int i = 0; i < 100; i++) {
		messages[i] = (struct counted){.msg.fn = count_message};
		ringwake_send(target, &messages[i].msg);
		if (i == 50)
			ringwake_dispatch(target, 1); /* some messages are taken, some are not */
	}
	ringwake_close(target);
	for (int i = 0; i < 100; i++)
		assert_int_equal(messages[i].count, 1);
}

static struct ringwake *own;
static void close_own(struct ringwake_msg *msg)
{
	(void)msg;
	ringwake_close(own);
}

static void test_close_in_a_callback(void **state)
{
	(void)state;
	own = open_target(NULL);
	struct counted before = {.msg.fn = count_message}, closer = {.msg.fn = close_own},
		       after = before;
	ringwake_send(own, &before.msg);
	ringwake_send(own, &closer.msg);
	ringwake_send(own, &after.msg);
	assert_true(ringwake_wait(own, -1) >= 2);
	assert_int_equal(before.count, 1);
	assert_int_equal(after.count, 1);
}

static void *send_one(void *target)
{
	static struct counted message = {.msg.fn = count_message};
	return (void *)(intptr_t)ringwake_send(target, &message.msg);
}

static _Atomic bool closed;
static _Atomic uint32_t *gate_waited_on;
static pthread_barrier_t parked;

static int watched_futex_wait(
	const _Atomic uint32_t *word, uint32_t expected, const struct timespec *timeout)
{
	if (gate_waited_on == NULL) {
		gate_waited_on = (_Atomic uint32_t *)word;
		pthread_barrier_wait(&parked);
	}
	return real_system.futex_wait(word, expected, timeout);
}

/* The clock of a blocked thread does not advance; that of one that spins does, for ever. */
static void await_blocked(pthread_t thread)
{
	static _Atomic uint32_t never;
	struct timespec before, after, pause = {.tv_nsec = 100000000};
	clockid_t clock;
	assert_int_equal(pthread_getcpuclockid(thread, &clock), 0);
	do {
		clock_gettime(clock, &before);
		assert_int_equal(real_system.futex_wait(&never, 0, &pause), -ETIMEDOUT);
		clock_gettime(clock, &after);
	} while (before.tv_nsec != after.tv_nsec || before.tv_sec != after.tv_sec);
}

static void *close_it(void *target)
{
	ringwake_close(target);
	closed = true;
	return NULL;
}

/* A sender is held after it clears ARMED and before its system call. */
static void test_close_blocks_until_a_doorbell_returns(void **state)
{
	(void)state;
	struct ringwake *target = ringwake_ref(open_target(NULL));
	int fd = ringwake_fd(target);
	hook_doorbell();
	ringwake_system.futex_wait = watched_futex_wait;
	gate_waited_on = NULL;
	closed = false;
	pthread_barrier_init(&parked, NULL, 2);

	assert_true(ringwake_arm(target));
	hold_doorbell = true;
	pthread_t sender = start(send_one, target);
	pthread_barrier_wait(&reached);
	ringwake_disarm(target); /* the loop wakes for another reason */

	pthread_t closer = start(close_it, target);
	pthread_barrier_wait(&parked);
	await_blocked(closer);
	assert_false(closed);
	assert_int_equal(fcntl(fd, F_GETFD) & ~FD_CLOEXEC, 0); /* still open */

	pthread_barrier_wait(&released);
	join(sender);
	join(closer);

	/* A new ring with the same descriptor gets nothing. */
	struct io_uring ring;
	assert_int_equal(io_uring_queue_init(4, &ring, 0), 0);
	if (ring.ring_fd == fd) {
		struct counted message = {.msg.fn = count_message};
		assert_int_equal(ringwake_send(target, &message.msg), -ECANCELED);
		assert_int_equal(io_uring_cq_ready(&ring), 0);
	}
	io_uring_queue_exit(&ring);
	unhook();
	ringwake_unref(target);
}

struct storm {
	struct ringwake *target;
	pthread_barrier_t *go;
	unsigned accepted, refused;
	int last; /* the result of its last send */
	struct counted messages[64];
};

/* A thread ends, and the next thread often gets the same pthread_t. */
static void *wait_a_little(void *target)
{
	if (ringwake_wait(target, 1000000) != -ETIME)
		abort();
	return NULL;
}

static void *close_while_using_another(void *target)
{
	struct ringwake *other;
	struct ringwake_params params = {.path = test_path};
	if (ringwake_open(&other, NULL, &params) != 0)
		abort();
	wait_a_little(other);
	ringwake_close(target);
	wait_a_little(other);
	ringwake_close(other);
	return NULL;
}

static void test_close_by_the_thread_after_the_loop(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct io_uring ring;
		if (i == 1 && io_uring_queue_init(8, &ring, 0) != 0)
			continue;
		struct ringwake *target = open_target(i == 1 ? &ring : NULL);
		join(start(wait_a_little, target));
		join(start(close_while_using_another, target));
		if (i == 1)
			io_uring_queue_exit(&ring);
	}
}

static void *send_until_refused(void *argument)
{
	struct storm *storm = argument;
	pthread_barrier_wait(storm->go);
	for (int i = 0; i < 64; i++) {
		storm->messages[i] = (struct counted){.msg.fn = count_message};
		int result = ringwake_send(storm->target, &storm->messages[i].msg);
		if (result == 0)
			storm->accepted++;
		else if (result == -ECANCELED)
			storm->refused++;
	}
	do {
		storm->last = ringwake_wake(storm->target);
	} while (storm->last == 0 && sched_yield() == 0);
	ringwake_unref(storm->target);
	return NULL;
}

static void test_send_racing_close(void **state)
{
	(void)state;
	static struct storm storms[3];
	for (int round = 0; round < 500; round++) {
		struct ringwake *target = open_target(NULL);
		pthread_barrier_t go;
		pthread_barrier_init(&go, NULL, 4);
		pthread_t threads[3];
		for (int i = 0; i < 3; i++) {
			memset(&storms[i], 0, sizeof storms[i]);
			storms[i].target = ringwake_ref(target);
			storms[i].go = &go;
			threads[i] = start(send_until_refused, &storms[i]);
		}
		pthread_barrier_wait(&go);
		for (int i = 0; i < round % 4; i++)
			ringwake_wait(target, 20000);
		ringwake_close(target);
		for (int i = 0; i < 3; i++) {
			join(threads[i]);
			unsigned delivered = 0;
			for (int m = 0; m < 64; m++)
				delivered += storms[i].messages[m].count;
			assert_int_equal(delivered, storms[i].accepted);
			assert_int_equal(storms[i].accepted + storms[i].refused, 64);
			assert_int_equal(storms[i].last, -ECANCELED);
		}
		pthread_barrier_destroy(&go);
	}
}

static unsigned count_entries(const char *path)
{
	unsigned count = 0;
	DIR *directory = opendir(path);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static unsigned count_lines(const char *path)
{
	unsigned count = 0;
	FILE *file = fopen(path, "r");
	for (int c; (c = getc(file)) != EOF;)
		count += c == '\n';
	fclose(file);
	return count;
}

static void open_and_close(int times)
{
	for (int i = 0; i < times; i++) {
		struct ringwake *target = open_target(NULL);
		struct counted message = {.msg.fn = count_message};
		if (i % 4 == 0) {
			ringwake_send(target, &message.msg);
			ringwake_wait(target, 0);
		}
		if (i % 4 == 1) /* makes this thread register the ring */
			ringwake_wait(target, 1);
		ringwake_close(target);
	}
}

/* The long proofs set TEST_ROUNDS to 100,000. */
static void test_open_and_close_leak_nothing(void **state)
{
	(void)state;
	const char *rounds = getenv("TEST_ROUNDS");
	open_and_close(100);
	unsigned descriptors = count_entries("/proc/self/fd");
	unsigned mappings = count_lines("/proc/self/maps");
	struct rusage before, after;
	getrusage(RUSAGE_SELF, &before);
	open_and_close(rounds ? atoi(rounds) : 2000);
	getrusage(RUSAGE_SELF, &after);
	assert_int_equal(count_entries("/proc/self/fd"), descriptors);
	assert_true(count_lines("/proc/self/maps") <= mappings + 2);
	assert_true(after.ru_maxrss - before.ru_maxrss < 4096);
}

int main(void)
{
	const struct CMUnitTest close_tests[] = {
		ON_BOTH_PATHS(test_send_after_close),
		ON_BOTH_PATHS(test_close_delivers_what_was_accepted),
		ON_BOTH_PATHS(test_close_in_a_callback),
		ON_BOTH_PATHS(test_close_blocks_until_a_doorbell_returns),
		ON_BOTH_PATHS(test_close_by_the_thread_after_the_loop),
		ON_BOTH_PATHS(test_send_racing_close),
		ON_BOTH_PATHS(test_open_and_close_leak_nothing),
	};
	return RUN_BOUNDED(close_tests, 600);
}
