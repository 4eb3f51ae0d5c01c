/* SPDX-License-Identifier: MIT */
/* Promise 6: which doorbell is chosen, and the error if it is not available. */
#include "hooks.h"

static int probe_answer;
static unsigned probes;
static int answering_register(int fd, unsigned opcode, const void *arg, unsigned count)
{
	if (fd == -1 && opcode == RINGWAKE_REGISTER_SEND_MSG_RING) {
		probes++;
		if (probe_answer != 0)
			return probe_answer;
	}
	return real_system.register_ring(fd, opcode, arg, count);
}

static int ring_answer;
static int answering_queue_init(struct io_uring *ring, unsigned entries, unsigned completions)
{
	return ring_answer ? ring_answer : real_system.queue_init(ring, entries, completions);
}

static int eventfd_answer;
static int answering_eventfd(unsigned count, int flags)
{
	return eventfd_answer ? eventfd_answer : real_system.eventfd(count, flags);
}

static int set_up(void **state)
{
	(void)state;
	hook_doorbell();
	ringwake_system.register_ring = answering_register;
	ringwake_system.queue_init = answering_queue_init;
	ringwake_system.eventfd = answering_eventfd;
	probe_answer = ring_answer = eventfd_answer = 0;
	probes = 0;
	unsetenv("RINGWAKE_PATH");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unsetenv("RINGWAKE_PATH");
	unhook();
	return 0;
}

static int open_path(enum ringwake_path wanted, enum ringwake_path *chosen)
{
	struct ringwake *target;
	struct ringwake_params params = {.path = wanted};
	int error = ringwake_open(&target, NULL, &params);
	if (error == 0) {
		struct counted message = {.msg.fn = count_message};
		*chosen = ringwake_get_path(target);
		assert_true(ringwake_arm(target));
		assert_int_equal(ringwake_send(target, &message.msg), 0);
		ringwake_disarm(target);
		assert_int_equal(ringwake_dispatch(target, 0), 1);
		ringwake_close(target);
	}
	return error;
}

static const int refusals[] = {-EINVAL, -EPERM, -ENOSYS, -EACCES};

static void test_auto_falls_back(void **state)
{
	(void)state;
	enum ringwake_path chosen;
	for (unsigned i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		probe_answer = refusals[i];
		assert_int_equal(open_path(RINGWAKE_PATH_AUTO, &chosen), 0);
		assert_int_equal(chosen, RINGWAKE_PATH_EVENTFD);
		probe_answer = 0;
		ring_answer = refusals[i];
		assert_int_equal(open_path(RINGWAKE_PATH_AUTO, &chosen), 0);
		assert_int_equal(chosen, RINGWAKE_PATH_EVENTFD);
		ring_answer = 0;
	}
}

static void test_forced_path_that_is_missing(void **state)
{
	(void)state;
	enum ringwake_path chosen;
	for (unsigned i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		probe_answer = refusals[i];
		assert_int_equal(open_path(RINGWAKE_PATH_MSG_RING, &chosen), refusals[i]);
	}
	eventfd_answer = -EMFILE;
	assert_int_equal(open_path(RINGWAKE_PATH_EVENTFD, &chosen), -EMFILE);
	probe_answer = -EINVAL;
	assert_int_equal(open_path(RINGWAKE_PATH_AUTO, &chosen), -EMFILE);
}

static void test_environment_steers_auto(void **state)
{
	(void)state;
	enum ringwake_path chosen;
	setenv("RINGWAKE_PATH", "eventfd", 1);
	assert_int_equal(open_path(RINGWAKE_PATH_AUTO, &chosen), 0);
	assert_int_equal(chosen, RINGWAKE_PATH_EVENTFD);
	setenv("RINGWAKE_PATH", "msg_ring", 1);
	probe_answer = -EPERM;
	assert_int_equal(open_path(RINGWAKE_PATH_AUTO, &chosen), -EPERM);
	assert_int_equal(open_path(RINGWAKE_PATH_EVENTFD, &chosen),
		0); /* the program's choice overrides the environment */
	assert_int_equal(chosen, RINGWAKE_PATH_EVENTFD);
	setenv("RINGWAKE_PATH", "pigeon", 1);
	assert_int_equal(open_path(RINGWAKE_PATH_AUTO, &chosen), -EINVAL);
	setenv("RINGWAKE_PATH", "auto", 1);
	assert_int_equal(open_path(RINGWAKE_PATH_AUTO, &chosen), 0);
}

static void test_probed_once(void **state)
{
	(void)state;
	probe_answer = -EFAULT; /* the answer of a kernel that has the call */
	struct ringwake *target;
	assert_int_equal(ringwake_open(&target, NULL, NULL), 0);
	assert_int_equal(ringwake_get_path(target), RINGWAKE_PATH_MSG_RING);
	unsigned before = probes;
	assert_int_equal(before, 1);
	for (int i = 0; i < 10; i++)
		ringwake_wait(target, 0);
	assert_int_equal(probes, before);
	ringwake_close(target);
}

/* EXPECT_PATH is the path that the kernel should support. */
static void test_expected_path(void **state)
{
	(void)state;
	const char *expected = getenv("EXPECT_PATH");
	if (expected == NULL) {
		print_message("EXPECT_PATH is not set\n");
		skip();
	}
	enum ringwake_path chosen;
	assert_int_equal(open_path(RINGWAKE_PATH_AUTO, &chosen), 0);
	assert_string_equal(chosen == RINGWAKE_PATH_MSG_RING ? "msg_ring" : "eventfd", expected);
}

int main(void)
{
	const struct CMUnitTest path_tests[] = {
		cmocka_unit_test_setup_teardown(test_auto_falls_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_forced_path_that_is_missing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_environment_steers_auto, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_probed_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_expected_path, set_up, tear_down),
	};
	return RUN_BOUNDED(path_tests, 60);
}
