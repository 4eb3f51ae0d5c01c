/* SPDX-License-Identifier: MIT */
/*
 * A program forbids itself io_uring after its loop is attached, as a sandbox does. Wakes of all
 * kinds must still arrive. A lost wake makes the test hang.
 */
#include "../blocked.h"
#include "../forbid.h"
#include "common.h"

#define ROUNDS 5

static struct watched watched;

static struct counted message;

static void note_message(struct ringwake_msg *msg)
{
	count_message(msg);
	ev_break(loop, EVBREAK_ALL);
}

static void *send_async(void *unused)
{
	await_blocked_loop();
	return ringwake_ev_async_send(&watched.async) == 0 ? unused : &watched;
}

static void *send_message(void *unused)
{
	await_blocked_loop();
	return ringwake_send(ringwake_ev_target(binding), &message.msg) == 0 ? unused : &message;
}

static void run_until(void *(*send)(void *), const unsigned *count, unsigned wanted)
{
	void *failed;
	pthread_t sender = start(send, NULL);
	ev_run(loop, 0);
	assert_int_equal(pthread_join(sender, &failed), 0);
	assert_null(failed);
	assert_int_equal(*count, wanted);
}

static void live_without_io_uring(unsigned answer)
{
	watched.count = 0;
	message.msg.fn = note_message;
	watched.wanted = 1;
	run_until(send_async, &watched.count, 1);
	assert_true(forbid_io_uring(answer));
	for (unsigned i = 0; i < ROUNDS; i++) {
		watched.wanted = i + 2;
		run_until(send_async, &watched.count, i + 2);
		run_until(send_message, &message.count, i + 1);
	}
	ringwake_ev_async_stop(&watched.async);
	close_loop();
}

/* A filter cannot be removed, so each test runs in its own process. */
static void test_wakes_without_io_uring(void **state)
{
	static const unsigned answers[] = {EPERM, ENOSYS, EACCES};
#ifdef __SANITIZE_THREAD__
	print_message("ThreadSanitizer does not support threads in a forked child\n");
	skip();
#endif
	if (((const struct variant *)*state)->backend == EVBACKEND_IOURING) {
		print_message("this backend of libev itself needs io_uring\n");
		skip();
	}
	for (unsigned i = 0; i < 3; i++) {
		int status;
		loop = make_loop(*state, 0); /* may skip the test */
		ev_loop_destroy(loop);
		pid_t child = fork();
		if (child == 0) {
			loop = make_loop(*state, 0);
			struct ringwake_params params = {
				.path = ((const struct variant *)*state)->path};
			if (ringwake_ev_attach(&binding, loop, &params) < 0)
				_exit(77);
			start_watched(&watched, 1);
			live_without_io_uring(answers[i]);
			_exit(0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
			skip();
		assert_int_equal(status, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {ON_ALL(test_wakes_without_io_uring)};
	return RUN_BOUNDED(tests, 120);
}
