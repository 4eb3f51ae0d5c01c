/* SPDX-License-Identifier: MIT */
/* Shared by the tests of forked children. */
#ifndef TESTS_EV_FORK_H
#define TESTS_EV_FORK_H

#include "common.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* For a child, which must not run cmocka's handlers: returns the line if the condition is false. */
#define CHILD_EXPECT(condition)                                                                    \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return __LINE__ & 0xff ? __LINE__ & 0xff : 1;                              \
	} while (0)

static struct watched watched;
static struct watched stopped;
static struct counted message;

static inline pid_t fork_by_system_call(void)
{
	return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static inline void check_child(int (*child_does)(void), pid_t (*how)(void))
{
	pid_t child = how();
	if (child == 0) {
		alarm(20);
		_exit(child_does());
	}
	int status;
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* The child's sends did not reach this loop, and sends of this process do. */
static inline void check_parent(void)
{
	unsigned before = watched.count;
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(watched.count, before);
	watched.wanted = before + 1;
	pthread_t sender = start(send_once, &watched.async);
	ev_run(loop, 0);
	join(sender);
	assert_int_equal(watched.count, before + 1);
}

static inline void open_all(void **state)
{
	open_loop(state);
	start_watched(&watched, 1);
	start_watched(&stopped, 1);
	ringwake_ev_async_stop(&stopped.async);
	message = (struct counted){.msg.fn = count_message};
}

static inline void close_all(void)
{
	ringwake_ev_async_stop(&watched.async);
	close_loop();
}

#endif
