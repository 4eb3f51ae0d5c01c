/* SPDX-License-Identifier: MIT */
/* A watcher on the loop's own thread behaves as libev's manual specifies for ev_async and watchers.
 */
#include "common.h"

#include <fcntl.h>
#include <signal.h>

static void test_sends_are_coalesced(void **state)
{
	open_loop(state);
	struct watched watched;
	start_watched(&watched, 1);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(ringwake_ev_async_send(&watched.async), 0);
	ev_run(loop, 0);
	assert_int_equal(watched.count, 1);
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(watched.count, 1);
	ringwake_ev_async_stop(&watched.async);
	close_loop();
}

static void test_started_watcher_keeps_the_loop_alive(void **state)
{
	open_loop(state);
	struct watched watched;
	start_watched(&watched, 0);
	assert_true(ev_is_active(&watched.async));
	assert_int_equal(ev_run(loop, EVRUN_NOWAIT), 1);
	ev_unref(loop);
	assert_int_equal(ev_run(loop, 0), 0);
	ev_ref(loop);
	ringwake_ev_async_stop(&watched.async);
	assert_false(ev_is_active(&watched.async));
	assert_int_equal(ev_run(loop, 0), 0);
	close_loop();
}

static void test_detach_with_a_started_watcher_is_busy(void **state)
{
	open_loop(state);
	struct watched one, two;
	start_watched(&one, 0);
	start_watched(&two, 0);
	ringwake_ev_async_stop(&one.async);
	assert_int_equal(ringwake_ev_detach(binding), -EBUSY);
	ringwake_ev_async_stop(&two.async);
	close_loop();
}

static void test_only_a_started_watcher_is_sent(void **state)
{
	open_loop(state);
	struct watched watched;
	ringwake_ev_async_init(&watched.async, count_async);
	watched.count = watched.wanted = 0;
	assert_int_equal(ringwake_ev_async_send(&watched.async), -ECANCELED);
	ringwake_ev_async_stop(&watched.async);
	ringwake_ev_async_start(binding, &watched.async);
	ringwake_ev_async_start(binding, &watched.async);
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(watched.count, 0);

	assert_int_equal(ringwake_ev_async_send(&watched.async), 0);
	ringwake_ev_async_stop(&watched.async);
	assert_int_equal(ringwake_ev_async_send(&watched.async), -ECANCELED);
	ringwake_ev_async_start(binding, &watched.async);
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(watched.count, 0);

	assert_int_equal(ringwake_ev_async_send(&watched.async), 0);
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(watched.count, 1);
	ringwake_ev_async_stop(&watched.async);
	ringwake_ev_async_stop(&watched.async);
	close_loop();
}

static void test_pending(void **state)
{
	open_loop(state);
	struct watched watched;
	ringwake_ev_async_init(&watched.async, count_async);
	watched.count = watched.wanted = 0;
	assert_false(ringwake_ev_async_pending(&watched.async));
	ringwake_ev_async_start(binding, &watched.async);
	assert_false(ringwake_ev_async_pending(&watched.async));
	assert_int_equal(ringwake_ev_async_send(&watched.async), 0);
	assert_true(ringwake_ev_async_pending(&watched.async));
	ev_run(loop, EVRUN_NOWAIT);
	assert_false(ringwake_ev_async_pending(&watched.async));
	assert_int_equal(watched.count, 1);
	ringwake_ev_async_stop(&watched.async);
	assert_false(ringwake_ev_async_pending(&watched.async));
	close_loop();
}

static char order[8];

static void note_letter(struct ev_loop *in, ev_watcher *watcher, int revents)
{
	(void)in;
	(void)revents;
	strcat(order, watcher->data);
}

static void note_async(struct ev_loop *in, ringwake_ev_async *async, int revents)
{
	note_letter(in, (ev_watcher *)async, revents);
}

static void note_io(struct ev_loop *in, ev_io *io, int revents)
{
	note_letter(in, (ev_watcher *)io, revents);
	ev_io_stop(in, io);
}

static void note_message(struct ringwake_msg *msg)
{
	(void)msg;
	strcat(order, "m");
}

/* All are ready in one iteration, so the priorities alone decide the order. */
static void test_priorities(void **state)
{
	open_loop(state);
	int ends[2];
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	assert_int_equal(write(ends[1], "x", 1), 1);
	ringwake_ev_async asyncs[3];
	static char *const names[] = {"a", "b", "c"};
	for (int i = 0; i < 3; i++) {
		ringwake_ev_async_init(&asyncs[i], note_async);
		ev_set_priority(&asyncs[i], i == 0 ? 100 : 1 - i * 2); /* too high, -1, -3 */
		asyncs[i].data = names[i];
		ringwake_ev_async_start(binding, &asyncs[i]);
		assert_int_equal(ringwake_ev_async_send(&asyncs[i]), 0);
	}
	assert_int_equal(ev_priority(&asyncs[0]), EV_MAXPRI);
	assert_int_equal(ev_priority(&asyncs[2]), EV_MINPRI);
	ev_io io;
	ev_io_init(&io, note_io, ends[0], EV_READ);
	io.data = "i";
	ev_io_start(loop, &io);
	struct ringwake_msg message = {.fn = note_message};
	assert_int_equal(ringwake_send(ringwake_ev_target(binding), &message), 0);
	order[0] = '\0';
	ev_run(loop, EVRUN_ONCE);
	assert_string_equal(order, "maibc");
	for (int i = 0; i < 3; i++)
		ringwake_ev_async_stop(&asyncs[i]);
	close_loop();
	close(ends[0]);
	close(ends[1]);
}

static struct watched inner;

static void run_nested(struct ev_loop *in, ringwake_ev_async *async, int revents)
{
	(void)revents;
	assert_int_equal(ringwake_ev_async_send(&inner.async), 0);
	ev_run(in, EVRUN_ONCE);
	assert_int_equal(inner.count, 1);
	assert_int_equal(ev_depth(in), 1);
	ringwake_ev_async_stop(async);
}

static void test_callback_runs_the_loop(void **state)
{
	open_loop(state);
	ringwake_ev_async outer;
	ringwake_ev_async_init(&outer, run_nested);
	ringwake_ev_async_start(binding, &outer);
	start_watched(&inner, 0);
	assert_int_equal(ringwake_ev_async_send(&outer), 0);
	ev_run(loop, EVRUN_ONCE);
	assert_int_equal(inner.count, 1);
	ringwake_ev_async_stop(&inner.async);
	close_loop();
}

static void run_nested_in_message(struct ringwake_msg *msg)
{
	(void)msg;
	assert_int_equal(ringwake_ev_async_send(&inner.async), 0);
	ev_run(loop, 0); /* until inner breaks it */
	assert_int_equal(inner.count, 1);
}

static void test_message_runs_the_loop(void **state)
{
	open_loop(state);
	start_watched(&inner, 1);
	struct ringwake_msg outer = {.fn = run_nested_in_message};
	struct counted later = {.msg.fn = count_message};
	assert_int_equal(ringwake_send(ringwake_ev_target(binding), &outer), 0);
	assert_int_equal(ringwake_send(ringwake_ev_target(binding), &later.msg), 0);
	ev_run(loop, EVRUN_ONCE);
	assert_int_equal(inner.count, 1);
	assert_int_equal(later.count, 1);
	ringwake_ev_async_stop(&inner.async);
	close_loop();
}

static unsigned phases;

static void in_prepare(struct ev_loop *in, ev_prepare *prepare, int revents)
{
	(void)in;
	(void)prepare;
	(void)revents;
	assert_int_equal(inner.count, phases++);
}

static void in_check(struct ev_loop *in, ev_check *check, int revents)
{
	(void)in;
	(void)check;
	(void)revents;
	assert_int_equal(inner.count, phases - 1);
	assert_int_equal(ringwake_ev_async_send(&inner.async), 0);
}

/* A callback runs after the check callback of its iteration, which sends, and before the next
 * prepare callback. */
static void test_callback_runs_between_check_and_prepare(void **state)
{
	open_loop(state);
	ev_prepare prepare;
	ev_check check;
	ev_prepare_init(&prepare, in_prepare);
	ev_check_init(&check, in_check);
	ev_set_priority(&check, EV_MAXPRI); /* started later, so it runs before ringwake's */
	phases = 0;
	ev_prepare_start(loop, &prepare);
	ev_check_start(loop, &check);
	start_watched(&inner, 10);
	assert_int_equal(ringwake_wake(ringwake_ev_target(binding)), 0);
	for (int i = 0; i < 10; i++) {
		ringwake_wake(ringwake_ev_target(binding));
		ev_run(loop, EVRUN_ONCE);
	}
	assert_int_equal(inner.count, 10);
	ringwake_ev_async_stop(&inner.async);
	ev_prepare_stop(loop, &prepare);
	ev_check_stop(loop, &check);
	close_loop();
}

/* libev's functions for any watcher: feed, invoke and clear pending. */
static void test_fed_invoked_and_cleared(void **state)
{
	open_loop(state);
	struct watched watched;
	start_watched(&watched, 0);
	ev_feed_event(loop, &watched.async, EV_ASYNC);
	assert_true(ev_is_pending(&watched.async));
	assert_int_equal(ev_clear_pending(loop, &watched.async), EV_ASYNC);
	ev_invoke_pending(loop);
	assert_int_equal(watched.count, 0);
	ev_invoke(loop, &watched.async, EV_ASYNC);
	assert_int_equal(watched.count, 1);
	ev_feed_event(loop, &watched.async, EV_ASYNC);
	ringwake_ev_async_stop(&watched.async);
	ev_invoke_pending(loop);
	assert_int_equal(watched.count, 1);
	close_loop();
}

static void stop_all(struct ev_loop *in, ringwake_ev_async *async, int revents)
{
	ringwake_ev_async *all = async->data;
	(void)in;
	(void)revents;
	strcat(order, "s");
	for (int i = 0; i < 3; i++) {
		ringwake_ev_async_stop(&all[i]);
		memset(&all[i], 0xa5, sizeof all[i]);
	}
}

/* The memory may be reused at once, whether the send is noted, pending or still queued. */
static void test_stop_in_a_callback(void **state)
{
	open_loop(state);
	ringwake_ev_async asyncs[3];
	for (int i = 0; i < 3; i++) {
		ringwake_ev_async_init(&asyncs[i], stop_all);
		asyncs[i].data = asyncs;
		ringwake_ev_async_start(binding, &asyncs[i]);
		assert_int_equal(ringwake_ev_async_send(&asyncs[i]), 0);
	}
	order[0] = '\0';
	ev_run(loop, 0);
	assert_string_equal(order, "s");
	close_loop();
}

static struct watched signalled;

static void on_signal(int number)
{
	int saved = errno;
	(void)number;
	errno = E2BIG;
	ringwake_ev_async_send(&signalled.async);
	if (errno != E2BIG)
		abort();
	errno = saved;
}

static void *raise_in(void *thread)
{
	assert_int_equal(pthread_kill(*(pthread_t *)thread, SIGUSR1), 0);
	return NULL;
}

/* The handler runs in the loop's thread, which is blocked or about to block. */
static void test_signal_handler_sends(void **state)
{
	open_loop(state);
	struct sigaction action = {.sa_handler = on_signal};
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	start_watched(&signalled, 1);
	pthread_t self = pthread_self();
	for (unsigned i = 1; i <= 50; i++) {
		pthread_t raiser = start(raise_in, &self);
		signalled.wanted = i;
		ev_run(loop, 0);
		join(raiser);
		assert_int_equal(signalled.count, i);
	}
	ringwake_ev_async_stop(&signalled.async);
	signal(SIGUSR1, SIG_DFL);
	close_loop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_ALL(test_sends_are_coalesced),
		ON_ALL(test_started_watcher_keeps_the_loop_alive),
		ON_ALL(test_detach_with_a_started_watcher_is_busy),
		ON_ALL(test_only_a_started_watcher_is_sent),
		ON_ALL(test_pending),
		ON_ALL(test_priorities),
		ON_ALL(test_callback_runs_the_loop),
		ON_ALL(test_message_runs_the_loop),
		ON_ALL(test_callback_runs_between_check_and_prepare),
		ON_ALL(test_fed_invoked_and_cleared),
		ON_ALL(test_stop_in_a_callback),
		ON_ALL(test_signal_handler_sends),
	};
	return RUN_BOUNDED(tests, 60);
}
