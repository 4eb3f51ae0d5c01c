/* SPDX-License-Identifier: MIT */
/*
 * Since Linux 6.18 a ring is charged to its user's RLIMIT_MEMLOCK. ringwake_open(3) and
 * ringwake-info(1) promise two pages for each target, and the eventfd for targets that do not fit.
 */
#include <sys/resource.h>
#include <sys/wait.h>

#include "../common.h"

enum { FITTING = 8, TARGETS = 12 };

/* Uses a separate user, so that no other process is charged to the same limit. */
static bool limit_memory(void)
{
	rlim_t bytes = (rlim_t)(FITTING * 2 * sysconf(_SC_PAGESIZE));
	struct rlimit limit = {.rlim_cur = bytes, .rlim_max = bytes};
	unsigned user = 100000 + (unsigned)getpid();
	return setrlimit(RLIMIT_MEMLOCK, &limit) == 0 &&
		(geteuid() != 0 ||
			(setresgid(user, user, user) == 0 && setresuid(user, user, user) == 0));
}

static bool wakes(struct ringwake *target)
{
	return ringwake_wake(target) == 0 && ringwake_wait(target, -1) == 0;
}

/* Runs in a child. Returns how many targets use msg_ring, or a negative number on failure. */
static int open_many(void)
{
	struct ringwake *targets[TARGETS], *forced = NULL;
	const struct ringwake_params params = {.path = RINGWAKE_PATH_MSG_RING};
	int on_msg_ring = 0;
	for (int i = 0; i < TARGETS; i++) {
		if (ringwake_open(&targets[i], NULL, NULL) != 0 || !wakes(targets[i]))
			return -1;
		if (ringwake_get_path(targets[i]) == RINGWAKE_PATH_MSG_RING)
			on_msg_ring++;
		else if (on_msg_ring > 0 && ringwake_open(&forced, NULL, &params) != -ENOMEM)
			return -1;
	}
	for (int i = 0; i < TARGETS; i++)
		ringwake_close(targets[i]);
	return on_msg_ring;
}

static void test_targets_that_do_not_fit(void **state)
{
	(void)state;
	bool is_root = geteuid() == 0;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		int count = limit_memory() ? open_many() : -1;
		_exit(count < 0 ? 255 : count);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	int on_msg_ring = WEXITSTATUS(status);
	assert_int_not_equal(on_msg_ring, 255);
	if (on_msg_ring == 0 || on_msg_ring == TARGETS) {
		print_message("rings cannot be created, or the kernel does not charge them\n");
		skip();
	}
	if (is_root)
		assert_int_equal(on_msg_ring, FITTING);
	else /* the user's other processes may also be charged */
		assert_true(on_msg_ring <= FITTING);
}

int main(void)
{
	unsetenv("RINGWAKE_PATH");
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_targets_that_do_not_fit)};
	return RUN_BOUNDED(tests, 60);
}
