/* SPDX-License-Identifier: MIT */
/*
 * A program forbids itself io_uring after its loop is attached, as a sandbox does. Wakes of all
 * kinds must still arrive. A lost wake makes the test hang.
 */
#include "../blocked.h"
#include "../forbid.h"
#include "fixture.h"

#include <ringwake/pool.h>
#include <sys/resource.h>
#include <sys/wait.h>

static unsigned answer;

static int run(struct fixture *f, bool on_ring, uv_run_mode mode)
{
	return on_ring ? ringwake_uv_run(f->binding, mode) : uv_run(&f->loop, mode);
}

struct told {
	struct ringwake_msg msg;
	struct fixture *f;
	struct counter *counter;
	unsigned messages, ends;
};

static void note_message(struct ringwake_msg *msg)
{
	((struct told *)msg)->messages++;
}

static void *send_event(void *argument)
{
	struct told *told = argument;
	await_blocked_loop();
	return ringwake_uv_async_send(&told->counter->async) == 0 ? NULL : told;
}

static void *send_message(void *argument)
{
	struct told *told = argument;
	await_blocked_loop();
	return ringwake_send(ringwake_uv_target(told->f->binding), &told->msg) == 0 ? NULL : told;
}

static void work(uv_work_t *request)
{
	(void)request;
	await_blocked_loop();
}

static void note_end(uv_work_t *request, int status)
{
	struct told *told = request->data;
	told->ends += status == 0;
}

static void check_sender(struct told *told, void *(*send)(void *), bool on_ring)
{
	unsigned before = told->counter->calls + told->messages;
	void *failed;
	pthread_t thread = start(send, told);
	while (told->counter->calls + told->messages == before)
		run(told->f, on_ring, UV_RUN_ONCE);
	assert_int_equal(pthread_join(thread, &failed), 0);
	assert_null(failed);
}

static double processor_seconds(void)
{
	struct rusage usage;
	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
		1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void do_nothing(uv_timer_t *timer)
{
	uv_close((uv_handle_t *)timer, NULL);
}

/* An idle loop must block. */
static void check_idle(struct fixture *f, bool on_ring)
{
	uv_timer_t timer;
	uv_timer_init(&f->loop, &timer);
	uv_timer_start(&timer, do_nothing, 300, 0);
	double before = processor_seconds();
	while (!uv_is_closing((uv_handle_t *)&timer))
		run(f, on_ring, UV_RUN_ONCE);
	assert_true(processor_seconds() - before < 0.1);
	run(f, on_ring, UV_RUN_NOWAIT); /* afterwards the timer's memory may be reused */
}

static void live_without_io_uring(bool on_ring)
{
	struct fixture f;
	struct counter counter;
	struct told told = {.msg.fn = note_message, .f = &f, .counter = &counter};
	uv_work_t request = {.data = &told};
	open_loop(&f);
	open_counter(&f, &counter, 0);
	check_sender(&told, send_event, on_ring);
	assert_true(forbid_io_uring(answer));
	for (int i = 0; i < 5; i++) {
		check_sender(&told, send_event, on_ring);
		check_sender(&told, send_message, on_ring);
		assert_int_equal(ringwake_uv_queue_work(f.binding, &request, work, note_end), 0);
		while (told.ends <= (unsigned)i)
			run(&f, on_ring, UV_RUN_ONCE);
	}
	check_idle(&f, on_ring);
	close_counter(&counter);
	assert_int_equal(run(&f, on_ring, UV_RUN_DEFAULT), 0);
	close_loop(&f);
}

/* A filter cannot be removed, so each test runs in its own process. */
static void in_a_process(bool on_ring)
{
	struct fixture probe;
	int status;
	open_loop(&probe); /* may skip the test */
	close_loop(&probe);
	pid_t child = fork();
	if (child == 0) {
		live_without_io_uring(on_ring);
		exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* libuv 1.53 batches epoll_ctl() in its own io_uring and aborts when the kernel refuses it. */
static bool has_ring_of_libuv(void)
{
	uv_loop_t loop;
	bool found = false;
	assert_int_equal(uv_loop_init(&loop), 0);
	for (int fd = 0; fd < 64; fd++) {
		char path[32], name[64] = "";
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		if (readlink(path, name, sizeof name - 1) > 0 && strstr(name, "io_uring"))
			found = true;
	}
	assert_int_equal(uv_loop_close(&loop), 0);
	return found;
}

static void test_wakes_without_io_uring(void **state)
{
	(void)state;
	if (test_path == RINGWAKE_PATH_MSG_RING && has_ring_of_libuv()) {
		print_message("this libuv itself needs an io_uring\n");
		skip();
	}
#ifdef __SANITIZE_THREAD__
	print_message("ThreadSanitizer does not support threads in a forked child\n");
	skip();
#endif
	static const unsigned answers[] = {EPERM, ENOSYS, EACCES, EIO};
	for (unsigned i = 0; i < sizeof answers / sizeof *answers; i++)
		for (int on_ring = 0; on_ring < 2; on_ring++) {
			answer = answers[i];
			in_a_process(on_ring);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_wakes_without_io_uring),
	};
	return RUN_BOUNDED(tests, 120);
}
