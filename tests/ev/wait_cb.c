/* SPDX-License-Identifier: MIT */
/*
 * The moments before and after the loop's wait, when other callbacks also run. If the loop blocks
 * although a message is queued, the test hangs: the next timer is an hour away.
 */
#include "common.h"

static bool arrived;

static void arrive(struct ringwake_msg *msg)
{
	(void)msg;
	arrived = true;
	ev_break(loop, EVBREAK_ALL);
}

static struct ringwake_msg message = {.fn = arrive};

static void in_an_hour(struct ev_loop *in, ev_timer *timer, int revents)
{
	(void)in;
	(void)timer;
	(void)revents;
}

static void run_until_it_arrives(void)
{
	ev_timer hour;
	arrived = false;
	ev_timer_init(&hour, in_an_hour, 3600, 0);
	ev_timer_start(loop, &hour);
	ev_run(loop, 0);
	assert_true(arrived);
	ev_timer_stop(loop, &hour);
}

static void attach_and_send(struct ev_loop *in, ev_prepare *prepare, int revents)
{
	(void)revents;
	ev_prepare_stop(in, prepare);
	binding = attach_to(in, prepare->data);
	assert_int_equal(ringwake_send(ringwake_ev_target(binding), &message), 0);
}

/* The attachment's prepare callback does not run in this iteration any more. */
static void test_attach_in_a_prepare_callback(void **state)
{
	ev_prepare prepare;
	/* No ring may have been closed before: the kernel's cleanup of a ring would end the wait.
	 */
	loop = make_loop(*state, 0);
	ev_prepare_init(&prepare, attach_and_send);
	prepare.data = *state;
	ev_prepare_start(loop, &prepare);
	run_until_it_arrives();
	close_loop();
}

static ev_watcher fed;

static void feed(struct ev_loop *in, ev_prepare *prepare, int revents)
{
	(void)revents;
	ev_prepare_stop(in, prepare);
	ev_feed_event(in, &fed, EV_CUSTOM);
}

static void run_and_send(struct ev_loop *in, ev_watcher *watcher, int revents)
{
	(void)watcher;
	(void)revents;
	ev_run(in, EVRUN_NOWAIT);
	assert_int_equal(ringwake_send(ringwake_ev_target(binding), &message), 0);
}

/* A nested iteration between the attachment's prepare callback and the wait. */
static void test_nested_iteration_before_the_wait(void **state)
{
	ev_prepare prepare;
	loop = make_loop(*state, 0);
	ev_prepare_init(&prepare, feed);
	ev_set_priority(&prepare, EV_MINPRI);
	ev_prepare_start(loop, &prepare); /* started first, it runs after the attachment's */
	ev_init(&fed, run_and_send);
	binding = attach_to(loop, *state);
	run_until_it_arrives();
	close_loop();
}

/* The destructor of an ev::async does this. */
static void test_stop_when_the_loop_is_gone(void **state)
{
	ringwake_ev_async async;
	open_loop(state);
	ringwake_ev_async_init(&async, NULL);
	ringwake_ev_async_start(binding, &async);
	ringwake_ev_async_stop(&async);
	close_loop();
	ringwake_ev_async_stop(&async);
	assert_false(ev_is_active(&async));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_ALL(test_attach_in_a_prepare_callback),
		ON_ALL(test_nested_iteration_before_the_wait),
		ON_ALL(test_stop_when_the_loop_is_gone),
	};
	return RUN_BOUNDED(tests, 30);
}
