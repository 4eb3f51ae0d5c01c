/* SPDX-License-Identifier: MIT */
/* Work in a forked child, and work of the parent when it forks. */
#include "fork.h"

#include <dirent.h>
#include <signal.h>
#include <sys/syscall.h>

static unsigned threads_here(void)
{
	unsigned count = 0;
	DIR *tasks = opendir("/proc/self/task");
	while (tasks && readdir(tasks))
		count++;
	if (tasks)
		closedir(tasks);
	return count;
}

static void queue_too_early(struct fixture *f)
{
	unsigned ends = 0;
	uv_work_t work = {.data = &ends};
	unsigned threads = threads_here();
	CHILD_ASSERT(
		ringwake_uv_queue_work(f->binding, &work, do_nothing, count_end) == -EOWNERDEAD);
	CHILD_ASSERT(threads_here() == threads);
	CHILD_ASSERT(!uv_loop_alive(&f->loop));
	CHILD_ASSERT(fork_loop(f));
	CHILD_ASSERT(ringwake_uv_queue_work(f->binding, &work, do_nothing, count_end) == 0);
	CHILD_ASSERT(uv_run(&f->loop, UV_RUN_DEFAULT) == 0);
	CHILD_ASSERT(ends == 1);
	close_loop_in_child(f);
}

/* The child queues its first work before it calls uv_loop_fork(). */
static void test_work_before_the_loop_is_told(void **state)
{
	(void)state;
#ifdef __SANITIZE_THREAD__
	print_message("ThreadSanitizer does not bear threads in a forked child\n");
	skip();
#endif
	struct fixture f;
	open_loop(&f);
	pid_t child = fork();
	if (child == 0) {
		queue_too_early(&f);
		_exit(0);
	}
	assert_child_succeeds(child);
	close_loop(&f);
}

/* Work that the parent waits for does not keep the child's loop alive. */
static void test_work_is_the_parents(void **state)
{
	(void)state;
	struct fixture f;
	pthread_barrier_t barrier;
	uv_work_t work = {.data = &barrier};
	open_loop(&f);
	settle_workers(&f);
	pthread_barrier_init(&barrier, NULL, 2);
	assert_int_equal(ringwake_uv_queue_work(f.binding, &work, block, NULL), 0);
	pid_t child = fork();
	if (child == 0) {
		CHILD_ASSERT(fork_loop(&f));
		CHILD_ASSERT(uv_run(&f.loop, UV_RUN_DEFAULT) == 0);
		close_loop_in_child(&f);
		_exit(0);
	}
	assert_child_succeeds(child);
	pthread_barrier_wait(&barrier);
	close_loop(&f);
	pthread_barrier_destroy(&barrier);
}

/* Two loops use the parent's workers. In the child one of them uses the child's, and the other is
 * detached. */
static void test_workers_of_the_child(void **state)
{
	(void)state;
#ifdef __SANITIZE_THREAD__
	print_message("ThreadSanitizer does not bear threads in a forked child\n");
	skip();
#endif
	struct fixture f, other;
	open_loop(&f);
	open_loop(&other);
	settle_workers(&f);
	uv_work_t work;
	assert_int_equal(ringwake_uv_queue_work(other.binding, &work, do_nothing, NULL), 0);
	assert_int_equal(uv_run(&other.loop, UV_RUN_DEFAULT), 0);
	pid_t child = fork();
	if (child == 0) {
		unsigned ends = 0;
		work.data = &ends;
		CHILD_ASSERT(fork_loop(&f));
		for (unsigned i = 1; i <= 2; i++) {
			CHILD_ASSERT(ringwake_uv_queue_work(
					     f.binding, &work, do_nothing, count_end) == 0);
			CHILD_ASSERT(uv_run(&f.loop, UV_RUN_DEFAULT) == 0);
			CHILD_ASSERT(ends == i);
			if (i == 1)
				CHILD_ASSERT(fork_loop(&other) &&
					ringwake_uv_detach(other.binding) == 0);
		}
		CHILD_ASSERT(ringwake_uv_detach(f.binding) == 0);
		_exit(0);
	}
	assert_child_succeeds(child);
	close_loop(&f);
	close_loop(&other);
}

/* The child cannot cancel work that waits in the parent's queue. */
static void test_cancel_in_the_child(void **state)
{
	(void)state;
	struct fixture f;
	pthread_barrier_t barrier;
	uv_work_t work[WORKERS + 1];
	open_loop(&f);
	settle_workers(&f);
	pthread_barrier_init(&barrier, NULL, WORKERS + 1);
	for (int i = 0; i <= WORKERS; i++) {
		work[i].data = &barrier;
		assert_int_equal(ringwake_uv_queue_work(f.binding, &work[i],
					 i < WORKERS ? block : do_nothing, NULL),
			0);
	}
	pid_t child = fork();
	if (child == 0) {
		CHILD_ASSERT(ringwake_uv_cancel((uv_req_t *)&work[WORKERS]) == UV_EBUSY);
		CHILD_ASSERT(fork_loop(&f));
		CHILD_ASSERT(ringwake_uv_cancel((uv_req_t *)&work[WORKERS]) == UV_EBUSY);
		_exit(0);
	}
	assert_child_succeeds(child);
	pthread_barrier_wait(&barrier);
	close_loop(&f);
	pthread_barrier_destroy(&barrier);
}

/*
 * A child that libc does not know of, in a PID namespace of its own: its process ID is 1. A child
 * of that child has the same process ID as its parent.
 */
static pid_t clone_as_first_process(void)
{
	pid_t child = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
	if (child < 0)
		child = (pid_t)syscall(
			SYS_clone, CLONE_NEWUSER | CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
	return child;
}

static void end_late(int signal_number)
{
	(void)signal_number;
	_exit(2);
}

/* The kernel ignores signals without a handler for the first process of a namespace. */
static void bound_first_process(void)
{
	signal(SIGALRM, end_late);
	alarm(20);
	CHILD_ASSERT(getpid() == 1);
}

static void work_in_child(struct fixture *f)
{
	unsigned ends = 0;
	uv_work_t work = {.data = &ends};
	CHILD_ASSERT(fork_loop(f));
	CHILD_ASSERT(ringwake_uv_queue_work(f->binding, &work, do_nothing, count_end) == 0);
	CHILD_ASSERT(uv_run(&f->loop, UV_RUN_DEFAULT) == 0);
	CHILD_ASSERT(ends == 1);
}

static void work_in_child_and_its_child(struct fixture *f, struct fixture *other)
{
	bound_first_process();
	work_in_child(f);
	settle_workers(f);
	work_in_child(other);
	pid_t child = clone_as_first_process();
	CHILD_ASSERT(child >= 0);
	if (child == 0) {
		bound_first_process();
		work_in_child(f);
		work_in_child(other);
		_exit(0);
	}
	int status;
	CHILD_ASSERT(waitpid(child, &status, 0) == child);
	CHILD_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_child_with_the_process_id_of_its_parent(void **state)
{
	(void)state;
#ifdef __SANITIZE_THREAD__
	print_message("ThreadSanitizer does not support threads in a forked child\n");
	skip();
#endif
	struct fixture f, other;
	open_loop(&f);
	open_loop(&other);
	pid_t child = clone_as_first_process();
	if (child == 0) {
		work_in_child_and_its_child(&f, &other);
		_exit(0);
	}
	int error = errno;
	if (child > 0)
		assert_child_succeeds(child);
	close_loop(&f);
	close_loop(&other);
	if (child < 0) {
		print_message("no PID namespace here: %s\n", strerror(error));
		skip();
	}
}

int main(void)
{
	setenv("UV_THREADPOOL_SIZE", "4", 1); /* WORKERS */
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_work_before_the_loop_is_told),
		ON_BOTH_PATHS(test_work_is_the_parents),
		ON_BOTH_PATHS(test_workers_of_the_child),
		ON_BOTH_PATHS(test_cancel_in_the_child),
		ON_BOTH_PATHS(test_child_with_the_process_id_of_its_parent),
	};
	return RUN_BOUNDED(tests, 60);
}
