/* SPDX-License-Identifier: MIT */
/* An attached loop spins before it blocks. */
#include "common.h"

#include <signal.h>
#include <sys/time.h>

enum { SENDS = 50 };

static ringwake_ev_async async;
static unsigned calls;

static void open_spinning(void **state)
{
	setenv("RINGWAKE_SPIN", "999999999999999999", 1);
	open_loop(state);
	unsetenv("RINGWAKE_SPIN");
}

static void receive(struct ev_loop *in, ringwake_ev_async *watcher, int revents)
{
	(void)watcher;
	(void)revents;
	if (++calls == SENDS)
		ev_break(in, EVBREAK_ALL);
}

/* The signal comes when the process has used processor time: while it spins. */
static void send_from_handler(int signal)
{
	(void)signal;
	ringwake_ev_async_send(&async);
}

static void do_nothing(struct ev_loop *in, ev_timer *timer, int revents)
{
	(void)in;
	(void)timer;
	(void)revents;
}

static void end_run(struct ev_loop *in, ev_timer *timer, int revents)
{
	(void)timer;
	(void)revents;
	ev_break(in, EVBREAK_ALL);
}

/* The loop blocks until the timer is due: so it learns that it does block. Then it spins without a
 * limit. */
static void test_messages_need_no_doorbell(void **state)
{
	struct sigaction action = {.sa_handler = send_from_handler}, before;
	struct itimerval time = {{.tv_usec = 1000}, {.tv_usec = 1000}};
	ev_timer timer;
	open_spinning(state);
	calls = 0;
	ringwake_ev_async_init(&async, receive);
	ringwake_ev_async_start(binding, &async);
	ev_timer_init(&timer, do_nothing, 0.001, 0.001);
	ev_timer_start(loop, &timer);
	assert_int_equal(sigaction(SIGVTALRM, &action, &before), 0);
	assert_int_equal(setitimer(ITIMER_VIRTUAL, &time, NULL), 0);
	ev_run(loop, 0);
	setitimer(ITIMER_VIRTUAL, &(struct itimerval){0}, NULL);
	sigaction(SIGVTALRM, &before, NULL);
	assert_int_equal(calls, SENDS);
	assert_true(stats_of(ringwake_ev_target(binding)).doorbells < SENDS / 2);
	ev_timer_stop(loop, &timer);
	ringwake_ev_async_stop(&async);
	close_loop();
}

static void release_nothing(struct ev_loop *in)
{
	(void)in;
}

/* Senders may need the lock that the callback releases. The loop would spin for ever. */
static void test_loop_that_releases_a_lock_does_not_spin(void **state)
{
	ev_timer timer;
	open_spinning(state);
	ringwake_ev_set_loop_release_cb(loop, release_nothing, release_nothing);
	ev_timer_init(&timer, end_run, 0.001, 0.001);
	ev_timer_start(loop, &timer);
	for (int i = 0; i < 20; i++)
		ev_run(loop, 0);
	ev_timer_stop(loop, &timer);
	close_loop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_ALL(test_messages_need_no_doorbell),
		ON_ALL(test_loop_that_releases_a_lock_does_not_spin),
	};
	return RUN_BOUNDED(tests, 60);
}
