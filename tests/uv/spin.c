/* SPDX-License-Identifier: MIT */
/* An attached loop under uv_run() spins before it blocks in epoll. */
#include "../blocked.h"
#include "fixture.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <sys/time.h>

enum { SENDS = 50 };

static struct counter counter;

static void open_spinning(struct fixture *f)
{
	test_spin_ns = INT64_MAX;
	open_loop(f);
	test_spin_ns = 0;
}

/* The signal comes when the process has used processor time: while it spins. */
static void send_from_handler(int signal)
{
	(void)signal;
	ringwake_uv_async_send(&counter.async);
}

static void do_nothing(uv_timer_t *timer)
{
	(void)timer;
}

/* The loop blocks until the timer is due: so it learns that it does block, and then spins. */
static void test_messages_need_no_doorbell(void **state)
{
	(void)state;
	struct fixture f;
	struct sigaction action = {.sa_handler = send_from_handler}, before;
	struct itimerval time = {{.tv_usec = 1000}, {.tv_usec = 1000}};
	uv_timer_t timer;
	open_spinning(&f);
	open_counter(&f, &counter, SENDS);
	uv_timer_init(&f.loop, &timer);
	uv_timer_start(&timer, do_nothing, 1, 1);
	uv_unref((uv_handle_t *)&timer);
	assert_int_equal(sigaction(SIGVTALRM, &action, &before), 0);
	assert_int_equal(setitimer(ITIMER_VIRTUAL, &time, NULL), 0);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	setitimer(ITIMER_VIRTUAL, &(struct itimerval){0}, NULL);
	sigaction(SIGVTALRM, &before, NULL);
	assert_int_equal(counter.calls, SENDS);
	/* Between its callbacks and its next wait the loop is armed. */
	assert_true(stats_of(ringwake_uv_target(f.binding)).doorbells < SENDS / 2);
	uv_close((uv_handle_t *)&timer, NULL);
	close_loop(&f);
}

/* With spin_ns of its own the loop would spin for ever, so the timer would not run. */
static void end_once(uv_timer_t *timer)
{
	uv_close((uv_handle_t *)timer, NULL);
}

static void test_timer_ends_the_spin(void **state)
{
	(void)state;
	struct fixture f;
	uv_timer_t timers[20];
	open_spinning(&f);
	for (unsigned i = 0; i < 20; i++) {
		uv_timer_init(&f.loop, &timers[i]);
		uv_timer_start(&timers[i], end_once, i, 0);
	}
	close_loop(&f);
}

/* A spin that lasts until the timer is due takes the place of the wait. */
struct repeated {
	uv_timer_t timer;
	unsigned left;
};

static void start_again(uv_timer_t *timer)
{
	struct repeated *repeated = (struct repeated *)timer;
	if (--repeated->left > 0)
		uv_timer_start(timer, start_again, 3, 0);
	else
		uv_close((uv_handle_t *)timer, NULL);
}

static void test_spin_shortens_the_wait_for_a_timer(void **state)
{
	(void)state;
	struct fixture f;
	struct repeated repeated = {.left = 100};
	open_spinning(&f);
	uv_timer_init(&f.loop, &repeated.timer);
	uv_timer_start(&repeated.timer, start_again, 3, 0);
	long before = times_blocked();
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_true(times_blocked() - before < 50);
	close_loop(&f);
}

static void count_idle(uv_idle_t *idle)
{
	unsigned *count = idle->data;
	if (++*count == 5000)
		uv_close((uv_handle_t *)idle, NULL);
}

/* An active idle handle means that libuv does not block. */
static void test_idle_loop_does_not_spin(void **state)
{
	(void)state;
	struct fixture f;
	uv_idle_t idle;
	unsigned count = 0;
	open_spinning(&f);
	uv_idle_init(&f.loop, &idle);
	idle.data = &count;
	uv_idle_start(&idle, count_idle);
	close_loop(&f);
	assert_int_equal(count, 5000);
}

/* The descriptor is always ready, and its callback takes longer than a switch of threads. */
static void take_time(uv_poll_t *poll, int status, int events)
{
	unsigned *count = poll->data;
	assert_int_equal(status, 0);
	assert_int_equal(events, UV_READABLE);
	++*count;
	for (uint64_t end = uv_hrtime() + 20000; uv_hrtime() < end;)
		;
}

static void test_polling_loop_does_not_spin(void **state)
{
	(void)state;
	struct fixture f;
	uv_poll_t poll;
	unsigned count = 0;
	int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_true(fd >= 0);
	open_spinning(&f);
	uv_poll_init(&f.loop, &poll, fd);
	poll.data = &count;
	uv_poll_start(&poll, UV_READABLE, take_time);
	while (count < 2000)
		uv_run(&f.loop, UV_RUN_NOWAIT);
	uv_close((uv_handle_t *)&poll, NULL);
	close_loop(&f);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_messages_need_no_doorbell),
		ON_BOTH_PATHS(test_timer_ends_the_spin),
		ON_BOTH_PATHS(test_spin_shortens_the_wait_for_a_timer),
		ON_BOTH_PATHS(test_idle_loop_does_not_spin),
		ON_BOTH_PATHS(test_polling_loop_does_not_spin),
	};
	return RUN_BOUNDED(tests, 60);
}
