/* SPDX-License-Identifier: MIT */
/*
 * pthread_atfork() handlers that are registered before and after the first loop. They use libev
 * before the fork, in the parent and in the child.
 */
#include "../common.h"

#include <ringwake/ev.h>
#include <sys/wait.h>

static enum ringwake_path path;
static bool is_on; /* the handlers must do something */

static void die_unless(bool condition)
{
	if (!condition)
		abort();
}

struct stopper {
	ringwake_ev_async async;
	unsigned calls;
};

static void stop_itself(struct ev_loop *loop, ringwake_ev_async *async, int revents)
{
	(void)loop;
	(void)revents;
	((struct stopper *)async)->calls++;
	ringwake_ev_async_stop(async);
}

/* Opens, uses and closes a loop. */
static void use_a_loop(void)
{
	struct ringwake_params params = {.path = path};
	struct ringwake_ev *binding;
	struct stopper stopper = {.calls = 0};
	struct ev_loop *loop = ev_loop_new(EVBACKEND_POLL | EVFLAG_NOENV);
	die_unless(loop != NULL);
	die_unless(ringwake_ev_attach(&binding, loop, &params) == 0);
	ringwake_ev_async_init(&stopper.async, stop_itself);
	ringwake_ev_async_start(binding, &stopper.async);
	die_unless(ringwake_ev_async_send(&stopper.async) == 0);
	ev_run(loop, 0);
	die_unless(stopper.calls == 1);
	die_unless(ringwake_ev_detach(binding) == 0);
	ev_loop_destroy(loop);
}

static void use_if_on(void)
{
	if (is_on)
		use_a_loop();
}

static void *use_libev(void *argument)
{
	_Atomic bool *stop = argument;
	while (!atomic_load(stop))
		use_a_loop();
	return NULL;
}

static void fork_times(unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		int status;
		is_on = true;
		pid_t child = fork();
		if (child == 0) {
			use_a_loop();
			_exit(0);
		}
		is_on = false;
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
	}
}

static void probe(void)
{
	struct ringwake_params params = {.path = test_path};
	struct ringwake *target;
	path = test_path;
	int error = ringwake_open(&target, NULL, &params);
	if (error < 0) {
		print_message("the path is not available: %s\n", strerror(-error));
		skip();
	}
	ringwake_close(target);
}

static void skip_under_sanitizers(void)
{
#if defined __SANITIZE_THREAD__ || defined __SANITIZE_ADDRESS__
	print_message("sanitizers do not support fork() while other threads allocate\n");
	skip();
#endif
}

static void test_handlers_use_libev(void **state)
{
	(void)state;
	skip_under_sanitizers();
	probe();
	fork_times(5);
}

/* A child must not find a lock held by a thread that does not exist in the child. */
static void test_with_other_threads(void **state)
{
	(void)state;
	_Atomic bool stop = false;
	skip_under_sanitizers();
	probe();
	pthread_t thread = start(use_libev, &stop);
	fork_times(50);
	atomic_store(&stop, true);
	join(thread);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_handlers_use_libev),
		ON_BOTH_PATHS(test_with_other_threads),
	};
	path = RINGWAKE_PATH_EVENTFD;
	pthread_atfork(use_if_on, use_if_on, use_if_on); /* before any loop */
	use_a_loop();
	pthread_atfork(use_if_on, use_if_on, use_if_on); /* after it */
	return RUN_BOUNDED(tests, 120);
}
