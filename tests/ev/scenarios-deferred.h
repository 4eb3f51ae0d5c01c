/* SPDX-License-Identifier: MIT */
/* Part of scenarios.h: the program defers, counts, clears or invokes pending callbacks itself. */

static int deferrals;

static void defer(struct ev_loop *loop)
{
	if (deferrals-- > 0)
		note("%u ", ev_pending_count(loop));
	else
		ev_invoke_pending(loop);
}

static void deferred_by_count(struct ev_loop *loop)
{
	if (ev_backend(loop) == EVBACKEND_IOURING)
		return; /* on this backend a helper watcher is pending */
	start_asyncs(loop, 3);
	ev_run(loop, EVRUN_NOWAIT);
	ev_set_invoke_pending_cb(loop, defer);
	for (int i = 0; i < 6; i++) {
		deferrals = i;
		send(loop, i % 3);
		run_iterations(loop, 3);
		send(loop, (i + 1) % 3);
		run_iterations(loop, 3);
	}
}

static void note_invocation(struct ev_loop *loop)
{
	note("%u pending ", ev_pending_count(loop));
	ev_invoke_pending(loop);
}

/* ev_loop_destroy() of a loop without cleanup watchers invokes nothing. */
static void destroyed_with_a_deferral(struct ev_loop *loop)
{
	start_asyncs(loop, 1);
	ev_run(loop, EVRUN_NOWAIT);
	ev_set_invoke_pending_cb(loop, note_invocation);
}

static void do_not_invoke(struct ev_loop *loop)
{
	(void)loop;
}

static void all_deferred(struct ev_loop *loop)
{
	start_asyncs(loop, 3);
	ev_set_invoke_pending_cb(loop, do_not_invoke);
	for (int i = 0; i < 6; i++) {
		send(loop, i % 3);
		send(loop, (i + 1) % 3);
		run_iterations(loop, 2);
		ev_invoke_pending(loop);
		note("%u ", ev_pending_count(loop));
		/* An iteration may end before its cause is noted. */
		pthread_t thread;
		sent_to = loop;
		pthread_create(&thread, NULL, send_first_later, NULL);
		while (!ev_async_pending(&asyncs[0]) || ev_pending_count(loop) == 0)
			ev_run(loop, EVRUN_ONCE);
		pthread_join(thread, NULL);
		ev_invoke_pending(loop);
		note("> ");
	}
}

static ev_timer pause_timer;

static void pause_now(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)timer;
	(void)revents;
	note("pause ");
	sem_post(&may_send);
	deferrals = 1; /* the invocations after the prepare watchers */
}

static void defer_quietly(struct ev_loop *loop)
{
	if (deferrals-- <= 0)
		ev_invoke_pending(loop);
}

static void ignore_prepare(struct ev_loop *loop, ev_prepare *watcher, int revents)
{
	(void)loop;
	(void)watcher;
	(void)revents;
}

/* The loop blocks before its prepare callbacks have run. */
static void deferred_before_a_wait(struct ev_loop *loop)
{
	ev_prepare prepare;
	start_far(loop);
	ev_prepare_init(&prepare, ignore_prepare);
	ev_prepare_start(loop, &prepare);
	start_async(loop, 0, break_all, 0);
	ev_set_invoke_pending_cb(loop, defer_quietly);
	for (int i = 0; i < 3; i++) {
		deferrals = 0;
		ev_timer_init(&pause_timer, pause_now, 0, 0);
		ev_timer_start(loop, &pause_timer);
		run_until_told_and_sent(loop);
	}
}

static void count_pending(struct ev_loop *loop, ev_async *async, int revents)
{
	note_async(loop, async, revents);
	note("of %u ", ev_pending_count(loop));
}

static void count_pending_in_check(struct ev_loop *loop, ev_check *check, int revents)
{
	(void)check;
	(void)revents;
	note("c of %u ", ev_pending_count(loop));
}

static void count_pending_in_prepare(struct ev_loop *loop, ev_prepare *prepare, int revents)
{
	(void)prepare;
	(void)revents;
	note("p of %u ", ev_pending_count(loop));
}

static void pending_counts(struct ev_loop *loop)
{
	ev_check checks[5];
	for (int i = 0; i < 10; i++)
		start_async(loop, i, count_pending, i % 5 - 2);
	for (int i = 0; i < 5; i++) {
		ev_check_init(&checks[i], count_pending_in_check);
		ev_set_priority(&checks[i], i - 2);
		ev_check_start(loop, &checks[i]);
	}
	for (int round = 0; round < 3; round++) {
		for (int i = round; i < 10; i += round + 1)
			send(loop, i);
		note("%u ", ev_pending_count(loop));
		run_iterations(loop, 2);
		note("%u ", ev_pending_count(loop));
	}
}

static void pending_counts_in_prepare(struct ev_loop *loop)
{
	ev_prepare prepares[5];
	if (ev_backend(loop) == EVBACKEND_IOURING)
		return; /* on this backend a helper watcher is counted */
	start_asyncs(loop, 3);
	for (int i = 0; i < 5; i++) {
		ev_prepare_init(&prepares[i], count_pending_in_prepare);
		ev_set_priority(&prepares[i], i - 2);
		ev_prepare_start(loop, &prepares[i]);
	}
	run_iterations(loop, 3);
}

static void clear_others(struct ev_loop *loop, ev_async *async, int revents)
{
	note_async(loop, async, revents);
	for (int i = 0; i < 6; i++) {
		int pending = ev_is_pending(&asyncs[i]) != 0;
		note("%d%x%d ", pending, (unsigned)ev_clear_pending(loop, &asyncs[i]),
			(int)ev_async_pending(&asyncs[i]));
	}
}

static void cleared_events(struct ev_loop *loop)
{
	for (int i = 0; i < 6; i++)
		start_async(loop, i, i == 2 ? clear_others : note_async, i % 3 - 1);
	for (int i = 0; i < 6; i++)
		send(loop, i);
	run_iterations(loop, 2);
	for (int i = 0; i < 6; i++) /* the loop has not noted the sends, so nothing is cleared */
		send(loop, i);
	note("%d ", ev_clear_pending(loop, &asyncs[0]));
	run_iterations(loop, 2);
}

static void fed_events(struct ev_loop *loop)
{
	start_asyncs(loop, 4);
	ev_feed_event(loop, &asyncs[1], EV_ASYNC);
	ev_feed_event(loop, &asyncs[0], EV_CUSTOM);
	send(loop, 0);
	send(loop, 2);
	note("%u ", ev_pending_count(loop));
	run_iterations(loop, 2);
	ev_invoke(loop, &asyncs[3], EV_ASYNC);
	ev_feed_event(loop, &asyncs[3], EV_ASYNC);
	ev_async_stop(loop, &asyncs[3]);
	run_iterations(loop, 1);
}

static void stop_others(struct ev_loop *loop, ev_async *async, int revents)
{
	note_async(loop, async, revents);
	ev_async_stop(loop, &asyncs[1]);
	ev_async_stop(loop, &asyncs[4]);
	ev_async_stop(loop, async);
	ev_async_start(loop, &asyncs[4]);
	send(loop, 5);
}

static void stops_in_a_callback(struct ev_loop *loop)
{
	start_asyncs(loop, 6);
	ev_set_cb(&asyncs[0], stop_others);
	for (int i = 0; i < 6; i++)
		send(loop, i);
	run_iterations(loop, 3);
	for (int i = 0; i < 6; i++)
		send(loop, i);
	run_iterations(loop, 3);
}

static void note_pending(void)
{
	note("%d ", (int)ev_async_pending(&asyncs[0]) != 0);
}

static void note_pending_inside(struct ev_loop *loop, ev_async *async, int revents)
{
	note_async(loop, async, revents);
	note_pending();
	send(loop, 0);
	note_pending();
	ev_break(loop, EVBREAK_ALL);
}

static void pending_sends(struct ev_loop *loop)
{
	ev_async_init(&asyncs[0], note_pending_inside);
	ev_async_start(loop, &asyncs[0]);
	note_pending();
	send(loop, 0);
	note_pending();
	run_iterations(loop, 1);
	note_pending();
	ev_async_stop(loop, &asyncs[0]);
	note_pending();
	ev_async_start(loop, &asyncs[0]);
	note_pending();
	run_iterations(loop, 1);
	send(loop, 0);
	ev_async_stop(loop, &asyncs[0]);
	ev_async_start(loop, &asyncs[0]);
	run_iterations(loop, 2);
	ev_async_stop(loop, &asyncs[0]);
	send(loop, 0);
	note_pending();
}

static void references(struct ev_loop *loop)
{
	note("%d ", ev_run(loop, 0) != 0);
	start_asyncs(loop, 2);
	ev_unref(loop);
	ev_unref(loop);
	send(loop, 1);
	note("%d ", ev_run(loop, 0) != 0);
	note("%d ", ev_run(loop, EVRUN_ONCE) != 0);
	ev_ref(loop);
	ev_ref(loop);
	note("%d ", ev_run(loop, EVRUN_NOWAIT) != 0);
	ev_async_stop(loop, &asyncs[0]);
	ev_async_stop(loop, &asyncs[1]);
	note("%d ", ev_run(loop, 0) != 0);
	note("%u ", ev_depth(loop));
}

/* The loop holds it except in its wait. */
static int held;

static void release(struct ev_loop *loop) EV_NOEXCEPT
{
	(void)loop;
	held--;
}

static void acquire(struct ev_loop *loop) EV_NOEXCEPT
{
	(void)loop;
	held++;
}

static void note_held(struct ev_loop *loop, ev_async *async, int revents)
{
	break_all(loop, async, revents);
	note("%d ", held);
}

static void edges_of_the_wait(struct ev_loop *loop)
{
	held = 1;
	ev_set_loop_release_cb(loop, release, acquire);
	ev_run(loop, EVRUN_NOWAIT);
	start_async(loop, 0, note_held, 0);
	run_until_sent(loop);
	send(loop, 0);
	run_iterations(loop, 2);
	ev_set_loop_release_cb(loop, NULL, NULL);
	run_until_sent(loop);
	ev_set_loop_release_cb(loop, release, acquire);
	run_until_sent(loop);
	note("%d ", held);
}
