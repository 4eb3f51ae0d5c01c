/* SPDX-License-Identifier: MIT */
/* Each rule that a debug build checks: a child that breaks it prints the rule and aborts. */
#include "fixture.h"

#include <liburing.h>
#include <signal.h>
#include <sys/wait.h>

#ifdef RINGWAKE_DEBUG
static char said[1024];

/* Runs the function in a child. Returns what the child prints before it aborts, or "". */
static const char *abort_message(void (*breaks_rule)(void))
{
	int ends[2], status;
	size_t length = 0;
	ssize_t count;
	assert_int_equal(pipe(ends), 0);
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		signal(SIGABRT, SIG_DFL);
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		breaks_rule();
		_exit(0);
	}
	close(ends[1]);
	while ((count = read(ends[0], said + length, sizeof said - 1 - length)) > 0)
		length += (size_t)count;
	said[length] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? said : "";
}

static void close_twice(void)
{
	struct fixture f;
	struct counter counter;
	open_loop(&f);
	open_counter(&f, &counter, 0);
	close_counter(&counter);
	close_counter(&counter);
}

static void start_without_callback(void)
{
	struct fixture f;
	ringwake_uv_request_t request;
	open_loop(&f);
	struct io_uring_sqe *sqe = io_uring_get_sqe(ringwake_uv_ring(f.binding));
	io_uring_prep_nop(sqe);
	ringwake_uv_request_start(f.binding, sqe, &request, NULL);
}
#endif

static void test_rules(void **state)
{
	(void)state;
#ifdef RINGWAKE_DEBUG
	struct fixture probe;
	open_loop(&probe); /* may skip the test */
	close_loop(&probe);
	assert_non_null(strstr(abort_message(close_twice), "a handle is closed twice"));
	assert_non_null(strstr(abort_message(start_without_callback), "needs a callback"));
#else
	print_message("the library is built without --enable-debug\n");
	skip();
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_rules),
	};
	return RUN_BOUNDED(tests, 60);
}
