/* SPDX-License-Identifier: MIT */
/* Part of scenarios.h: callbacks run the loop, start the first watcher, and fork. */

/* A callback of each kind runs the loop before a wait that another thread ends. */
static int nested_flags;

static void run_nested(struct ev_loop *loop)
{
	note("(");
	ev_run(loop, nested_flags);
	note(") ");
	sem_post(&may_send);
}

static void nest_in_prepare(struct ev_loop *loop, ev_prepare *watcher, int revents)
{
	(void)revents;
	ev_prepare_stop(loop, watcher);
	run_nested(loop);
}

static void nest_in_check(struct ev_loop *loop, ev_check *watcher, int revents)
{
	(void)revents;
	ev_check_stop(loop, watcher);
	run_nested(loop);
}

static void nest_in_timer(struct ev_loop *loop, ev_timer *watcher, int revents)
{
	(void)watcher;
	(void)revents;
	run_nested(loop);
}

static void nest_in_async(struct ev_loop *loop, ev_async *async, int revents)
{
	note_async(loop, async, revents);
	run_nested(loop);
}

static void nested_runs(struct ev_loop *loop)
{
	ev_prepare prepare;
	ev_check check;
	ev_timer timer;
	start_far(loop);
	start_async(loop, 0, break_all, 0);
	start_async(loop, 1, note_async, 0);
	start_async(loop, 2, nest_in_async, 0);
	for (int priority = EV_MINPRI; priority <= EV_MAXPRI; priority++) {
		ev_prepare_init(&prepare, nest_in_prepare);
		ev_set_priority(&prepare, priority);
		ev_prepare_start(loop, &prepare);
		send(loop, 1);
		run_until_told_and_sent(loop);
		ev_check_init(&check, nest_in_check);
		ev_set_priority(&check, priority);
		ev_check_start(loop, &check);
		send(loop, 1);
		run_until_told_and_sent(loop);
		ev_timer_init(&timer, nest_in_timer, 0, 0);
		ev_set_priority(&timer, priority);
		ev_timer_start(loop, &timer);
		run_until_told_and_sent(loop);
		ev_async_stop(loop, &asyncs[2]);
		ev_set_priority(&asyncs[2], priority);
		ev_async_start(loop, &asyncs[2]);
		send(loop, 1);
		send(loop, 2);
		run_until_told_and_sent(loop);
		note("| ");
	}
}

static void nested_polls(struct ev_loop *loop)
{
	nested_flags = EVRUN_NOWAIT;
	nested_runs(loop);
}

static ev_timer soon;

static void keep_ready(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)timer;
	(void)revents;
}

static void nested_single_iterations(struct ev_loop *loop)
{
	/* A nested iteration must not take the send that must end the outer run. */
	ev_timer_init(&soon, keep_ready, 0, 0.001);
	ev_timer_start(loop, &soon);
	nested_flags = EVRUN_ONCE;
	nested_runs(loop);
}

static pthread_t sender;

static void start_async_and_sender(struct ev_loop *loop)
{
	start_async(loop, 0, break_all, 0);
	sent_to = loop;
	pthread_create(&sender, NULL, send_first_later, NULL);
}

static void start_in_prepare(struct ev_loop *loop, ev_prepare *watcher, int revents)
{
	note_prepare(loop, watcher, revents);
	ev_prepare_stop(loop, watcher);
	start_async_and_sender(loop);
}

static void start_and_nest_in_check(struct ev_loop *loop, ev_check *watcher, int revents)
{
	note_check(loop, watcher, revents);
	ev_check_stop(loop, watcher);
	start_async_and_sender(loop);
	ev_run(loop, EVRUN_NOWAIT);
}

static void first_start_in_prepare(struct ev_loop *loop)
{
	ev_prepare prepare;
	start_far(loop);
	ev_prepare_init(&prepare, start_in_prepare);
	ev_set_priority(&prepare, EV_MINPRI);
	prepare.data = "p";
	ev_prepare_start(loop, &prepare);
	ev_run(loop, 0);
	pthread_join(sender, NULL);
}

static void first_start_in_check(struct ev_loop *loop)
{
	ev_check check;
	ev_timer timer;
	start_far(loop);
	ev_check_init(&check, start_and_nest_in_check);
	check.data = "c";
	ev_check_start(loop, &check);
	ev_timer_init(&timer, keep_ready, 0, 0);
	ev_timer_start(loop, &timer);
	ev_run(loop, 0);
	pthread_join(sender, NULL);
}

static pid_t forked;

static void fork_in_prepare(struct ev_loop *loop, ev_prepare *watcher, int revents)
{
	(void)revents;
	ev_prepare_stop(loop, watcher);
	forked = fork();
	if (forked == 0)
		ev_loop_fork(loop);
	else
		ev_break(loop, EVBREAK_ALL);
	if (forked == 0 && watcher->data)
		send_first(NULL);
}

static void fork_and_run(struct ev_loop *loop, int priority, void *sends_at_once)
{
	ev_prepare prepare, other;
	ev_prepare_init(&prepare, fork_in_prepare);
	ev_set_priority(&prepare, priority);
	prepare.data = sends_at_once;
	ev_prepare_start(loop, &prepare);
	ev_prepare_init(&other, note_prepare);
	other.data = "p";
	ev_prepare_start(loop, &other);
	forked = -1;
	pthread_t thread;
	ev_run(loop, EVRUN_NOWAIT);
	if (forked == 0) {
		alarm(15);
		sent_to = loop;
		for (int i = 0; i < 3; i++) {
			pthread_create(&thread, NULL, send_first_later, NULL);
			ev_run(loop, 0);
			pthread_join(thread, NULL);
		}
		_exit(0);
	}
	int status;
	waitpid(forked, &status, 0);
	note("child %x ", (unsigned)status);
	ev_prepare_stop(loop, &other);
}

static void forks_in_prepare(struct ev_loop *loop)
{
	if (!MAY_FORK)
		return;
	start_async(loop, 0, break_all, 0);
	sent_to = loop;
	for (int priority = EV_MINPRI; priority <= EV_MAXPRI; priority++) {
		fork_and_run(loop, priority, NULL);
		fork_and_run(loop, priority, "x");
	}
}

/* The child blocks in the iteration in which it was forked. */
static void fork_and_block(struct ev_loop *loop, ev_prepare *watcher, int revents)
{
	pthread_t thread;
	(void)revents;
	ev_prepare_stop(loop, watcher);
	forked = fork();
	if (forked != 0) {
		ev_break(loop, EVBREAK_ALL);
		return;
	}
	alarm(15);
	ev_loop_fork(loop);
	pthread_create(&thread, NULL, watcher->data ? send_first : send_first_later, NULL);
	pthread_detach(thread);
}

static void forks_in_a_blocking_iteration(struct ev_loop *loop)
{
	ev_prepare prepare;
	if (!MAY_FORK)
		return;
	sent_to = loop;
	ev_async_init(&asyncs[0], break_all);
	for (int priority = EV_MINPRI; priority <= EV_MAXPRI; priority++)
		for (int i = 0; i < 4; i++) {
			ev_prepare_init(&prepare, fork_and_block);
			ev_set_priority(&prepare, priority);
			prepare.data = i & 1 ? "x" : NULL;
			ev_prepare_start(loop, &prepare); /* once, before the first async */
			if (!ev_is_active(&asyncs[0]))
				start_async(loop, 0, break_all, 0);
			if (i & 2)
				send(loop, 0);
			ev_run(loop, 0);
			if (forked == 0)
				_exit(0);
			int status;
			waitpid(forked, &status, 0);
			note("child %x ", (unsigned)status);
			run_iterations(loop, 1);
		}
	ev_async_stop(loop, &asyncs[0]);
}
