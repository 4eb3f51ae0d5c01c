/* SPDX-License-Identifier: MIT */
/*
 * A program that forbids io_uring to itself when its loop is attached, as a sandbox does. Wakes of
 * all kinds still arrive. A wake that is lost hangs.
 */
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

/* What a sender waits for before it sends: the loop is then about to block, or blocks. */
static void wait_a_little(void)
{
	struct timespec pause = {.tv_nsec = 5000000};
	nanosleep(&pause, NULL);
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
	wait_a_little();
	return ringwake_uv_async_send(&told->counter->async) == 0 ? NULL : told;
}

static void *send_message(void *argument)
{
	struct told *told = argument;
	wait_a_little();
	return ringwake_send(ringwake_uv_target(told->f->binding), &told->msg) == 0 ? NULL : told;
}

static void work(uv_work_t *request)
{
	(void)request;
	wait_a_little();
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

/* An idle loop blocks. */
static void check_idle(struct fixture *f, bool on_ring)
{
	uv_timer_t timer;
	uv_timer_init(&f->loop, &timer);
	uv_timer_start(&timer, do_nothing, 300, 0);
	double before = processor_seconds();
	while (!uv_is_closing((uv_handle_t *)&timer))
		run(f, on_ring, UV_RUN_ONCE);
	assert_true(processor_seconds() - before < 0.1);
	run(f, on_ring, UV_RUN_NOWAIT); /* the timer's memory is free after it */
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

/* The filter stays, so each life has a process of its own. */
static void in_a_process(bool on_ring)
{
	struct fixture probe;
	int status;
	open_loop(&probe); /* skips */
	close_loop(&probe);
	pid_t child = fork();
	if (child == 0) {
		live_without_io_uring(on_ring);
		exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* libuv 1.53 batches epoll_ctl() in an io_uring of its own, and aborts when that is refused. */
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
		print_message("this libuv needs an io_uring itself\n");
		skip();
	}
#ifdef __SANITIZE_THREAD__
	print_message("ThreadSanitizer does not bear threads in a forked child\n");
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
