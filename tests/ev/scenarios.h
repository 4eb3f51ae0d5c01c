/* SPDX-License-Identifier: MIT */
/*
 * Small programs for ev_async, compiled twice. They are about order: no scenario depends on the
 * time that something takes. Their loops are
 * destroyed, whatever is still started.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child may find the sanitizer's own locks held. */
#if defined(__SANITIZE_THREAD__)
#define MAY_FORK 0
#else
#define MAY_FORK 1
#endif

#define MANY 700 /* more than one dispatch takes */

static ev_async asyncs[MANY];
static struct ev_loop *sent_to;

static void note_async(struct ev_loop *loop, ev_async *async, int revents)
{
	(void)loop;
	note("a%d ", (int)(async - asyncs));
	if (revents != EV_ASYNC)
		note("with %x ", (unsigned)revents);
}

static void note_name(struct ev_loop *loop, ev_watcher *watcher, int revents)
{
	(void)loop;
	(void)revents;
	note("%s ", (const char *)watcher->data);
}

static void note_prepare(struct ev_loop *loop, ev_prepare *watcher, int revents)
{
	note_name(loop, (ev_watcher *)watcher, revents);
}

static void note_check(struct ev_loop *loop, ev_check *watcher, int revents)
{
	note_name(loop, (ev_watcher *)watcher, revents);
}

static void note_idle(struct ev_loop *loop, ev_idle *watcher, int revents)
{
	note_name(loop, (ev_watcher *)watcher, revents);
}

static void note_io(struct ev_loop *loop, ev_io *watcher, int revents)
{
	note_name(loop, (ev_watcher *)watcher, revents);
}

static void note_timer(struct ev_loop *loop, ev_timer *watcher, int revents)
{
	note_name(loop, (ev_watcher *)watcher, revents);
}

static void start_async(
	struct ev_loop *loop, int i, void (*cb)(struct ev_loop *, ev_async *, int), int priority)
{
	ev_async_init(&asyncs[i], cb);
	ev_set_priority(&asyncs[i], priority);
	ev_async_start(loop, &asyncs[i]);
}

static void start_asyncs(struct ev_loop *loop, int count)
{
	for (int i = 0; i < count; i++)
		start_async(loop, i, note_async, 0);
}

static void send(struct ev_loop *loop, int i)
{
	ev_async_send(loop, &asyncs[i]);
}

static void run_turns(struct ev_loop *loop, int turns)
{
	for (int i = 0; i < turns; i++) {
		ev_run(loop, EVRUN_NOWAIT);
		note("| ");
	}
}

static void *send_first(void *unused)
{
	ev_async_send(sent_to, &asyncs[0]);
	return unused;
}

static void *send_first_later(void *unused)
{
	usleep(5000);
	return send_first(unused);
}

/* Once a callback has said so, another thread sends the first async, most likely to a loop that
 * blocks. */
static sem_t may_send;

__attribute__((constructor)) static void init_may_send(void)
{
	sem_init(&may_send, 0, 0);
}

static void *send_first_when_told(void *unused)
{
	sem_wait(&may_send);
	return send_first_later(unused);
}

static void run_until_told_and_sent(struct ev_loop *loop)
{
	pthread_t thread;
	sent_to = loop;
	pthread_create(&thread, NULL, send_first_when_told, NULL);
	ev_run(loop, 0);
	pthread_join(thread, NULL);
}

static void run_until_sent(struct ev_loop *loop)
{
	sem_post(&may_send);
	run_until_told_and_sent(loop);
}

static void break_all(struct ev_loop *loop, ev_async *async, int revents)
{
	note_async(loop, async, revents);
	ev_break(loop, EVBREAK_ALL);
}

/* A wake that is lost ends by this timer. */
static ev_timer far;

static void note_lost(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)timer;
	(void)revents;
	note("LOST ");
	ev_break(loop, EVBREAK_ALL);
}

static void start_far(struct ev_loop *loop)
{
	ev_timer_init(&far, note_lost, 20, 0);
	ev_timer_start(loop, &far);
}

static void equal_priorities_in_start_order(struct ev_loop *loop)
{
	start_asyncs(loop, 6);
	for (int i = 6; i-- > 0;)
		send(loop, i);
	run_turns(loop, 2);
}

static void a_stop_moves_the_last(struct ev_loop *loop)
{
	start_asyncs(loop, 7);
	ev_async_stop(loop, &asyncs[1]);
	ev_async_stop(loop, &asyncs[0]);
	ev_async_stop(loop, &asyncs[4]);
	ev_async_start(loop, &asyncs[1]);
	for (int i = 0; i < 7; i++)
		send(loop, i);
	run_turns(loop, 2);
	ev_async_stop(loop, &asyncs[1]);
	for (int i = 7; i-- > 0;)
		send(loop, i);
	run_turns(loop, 2);
}

static void priorities_of_more_than_a_batch(struct ev_loop *loop)
{
	for (int i = 0; i < MANY; i++)
		start_async(loop, i, note_async, i % 7 - 3);
	for (int i = 0; i < MANY; i++)
		send(loop, i * 11 % MANY);
	run_turns(loop, 3);
}

static void among_other_watchers(struct ev_loop *loop)
{
	static ev_io ios[5];
	static ev_timer timers[5];
	static ev_check checks[5];
	static ev_prepare prepares[5];
	static char *const names[4][5] = {{"i-2", "i-1", "i0", "i1", "i2"},
		{"t-2", "t-1", "t0", "t1", "t2"}, {"c-2", "c-1", "c0", "c1", "c2"},
		{"p-2", "p-1", "p0", "p1", "p2"}};
	int fd = eventfd(1, EFD_NONBLOCK);
	for (int i = 0; i < 5; i++) {
		start_async(loop, i, note_async, i - 2);
		start_async(loop, i + 5, note_async, i - 2);
	}
	for (int i = 0; i < 5; i++) {
		ev_timer_init(&timers[i], note_timer, 0, 0);
		ev_check_init(&checks[i], note_check);
		ev_prepare_init(&prepares[i], note_prepare);
		ev_set_priority(&timers[i], i - 2);
		ev_set_priority(&checks[i], i - 2);
		ev_set_priority(&prepares[i], i - 2);
		timers[i].data = names[1][i];
		checks[i].data = names[2][i];
		prepares[i].data = names[3][i];
		ev_timer_start(loop, &timers[i]);
		ev_check_start(loop, &checks[i]);
		ev_prepare_start(loop, &prepares[i]);
	}
	for (int i = 0; i < 4; i++) { /* of the highest priority the descriptors decide */
		ev_io_init(&ios[i], note_io, fd, EV_READ);
		ev_set_priority(&ios[i], i - 2);
		ios[i].data = names[0][i];
		ev_io_start(loop, &ios[i]);
	}
	for (int i = 0; i < 10; i++)
		send(loop, i);
	ev_run(loop, EVRUN_ONCE);
	note("| ");
	for (int i = 0; i < 10; i += 3)
		send(loop, i);
	ev_run(loop, EVRUN_ONCE);
}

static int turns_left;

static void send_itself(struct ev_loop *loop, ev_async *async, int revents)
{
	note_async(loop, async, revents);
	if (--turns_left > 0)
		ev_async_send(loop, async);
	else
		ev_break(loop, EVBREAK_ALL);
}

static void idle_beside(struct ev_loop *loop, int async_priority)
{
	static ev_idle idles[5];
	static char *const names[5] = {"d-2", "d-1", "d0", "d1", "d2"};
	for (int i = 0; i < 5; i++) {
		ev_idle_init(&idles[i], note_idle);
		ev_set_priority(&idles[i], i - 2);
		idles[i].data = names[i];
		ev_idle_start(loop, &idles[i]);
	}
	turns_left = 5;
	start_async(loop, 0, send_itself, async_priority);
	send(loop, 0);
	ev_run(loop, 0);
	for (int i = 5; i-- > 0;) {
		run_turns(loop, 1);
		send(loop, 0);
		turns_left = 1;
		run_turns(loop, 2);
		ev_idle_stop(loop, &idles[i]);
	}
}

static void idle_beside_equal(struct ev_loop *loop)
{
	idle_beside(loop, 0);
}

static void idle_beside_lower(struct ev_loop *loop)
{
	idle_beside(loop, -2);
}

static void idle_beside_higher(struct ev_loop *loop)
{
	idle_beside(loop, 2);
}

/* A callback of each kind that runs the loop, before a wait that a thread ends. */
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

static void nested_single_turns(struct ev_loop *loop)
{
	/* A nested turn must not take the send that is to end the outer run. */
	ev_timer_init(&soon, keep_ready, 0, 0.000001);
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

/* The child blocks in the very turn in which it was forked. */
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

static void forks_in_a_blocking_turn(struct ev_loop *loop)
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
			ev_prepare_start(loop, &prepare); /* before the first async, once */
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
			run_turns(loop, 1);
		}
	ev_async_stop(loop, &asyncs[0]);
}

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
		return; /* there a helper watcher is pending */
	start_asyncs(loop, 3);
	ev_run(loop, EVRUN_NOWAIT);
	ev_set_invoke_pending_cb(loop, defer);
	for (int i = 0; i < 6; i++) {
		deferrals = i;
		send(loop, i % 3);
		run_turns(loop, 3);
		send(loop, (i + 1) % 3);
		run_turns(loop, 3);
	}
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
		run_turns(loop, 2);
		ev_invoke_pending(loop);
		note("%u ", ev_pending_count(loop));
		/* A turn may end before what has ended it is noted. */
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
	deferrals = 1; /* what follows the prepare watchers' turn */
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

/* A loop that blocks with its prepare watchers uncalled. */
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
		run_turns(loop, 2);
		note("%u ", ev_pending_count(loop));
	}
}

static void pending_counts_in_prepare(struct ev_loop *loop)
{
	ev_prepare prepares[5];
	if (ev_backend(loop) == EVBACKEND_IOURING)
		return; /* there a helper watcher is counted */
	start_asyncs(loop, 3);
	for (int i = 0; i < 5; i++) {
		ev_prepare_init(&prepares[i], count_pending_in_prepare);
		ev_set_priority(&prepares[i], i - 2);
		ev_prepare_start(loop, &prepares[i]);
	}
	run_turns(loop, 3);
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
	run_turns(loop, 2);
	for (int i = 0; i < 6; i++) /* not noted by the loop, so nothing is cleared */
		send(loop, i);
	note("%d ", ev_clear_pending(loop, &asyncs[0]));
	run_turns(loop, 2);
}

static void fed_events(struct ev_loop *loop)
{
	start_asyncs(loop, 4);
	ev_feed_event(loop, &asyncs[1], EV_ASYNC);
	ev_feed_event(loop, &asyncs[0], EV_CUSTOM);
	send(loop, 0);
	send(loop, 2);
	note("%u ", ev_pending_count(loop));
	run_turns(loop, 2);
	ev_invoke(loop, &asyncs[3], EV_ASYNC);
	ev_feed_event(loop, &asyncs[3], EV_ASYNC);
	ev_async_stop(loop, &asyncs[3]);
	run_turns(loop, 1);
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
	run_turns(loop, 3);
	for (int i = 0; i < 6; i++)
		send(loop, i);
	run_turns(loop, 3);
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
	run_turns(loop, 1);
	note_pending();
	ev_async_stop(loop, &asyncs[0]);
	note_pending();
	ev_async_start(loop, &asyncs[0]);
	note_pending();
	run_turns(loop, 1);
	send(loop, 0);
	ev_async_stop(loop, &asyncs[0]);
	ev_async_start(loop, &asyncs[0]);
	run_turns(loop, 2);
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

/* Held by the loop but for its wait. */
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
	run_turns(loop, 2);
	ev_set_loop_release_cb(loop, NULL, NULL);
	run_until_sent(loop);
	ev_set_loop_release_cb(loop, release, acquire);
	run_until_sent(loop);
	note("%d ", held);
}

/* Callbacks that do what the seed says. The idle watcher keeps each run from blocking. */
static unsigned long random_state;

static unsigned draw(unsigned below)
{
	random_state = random_state * 6364136223846793005ul + 1442695040888963407ul;
	return (unsigned)(random_state >> 33) % below;
}

#define SOME 12
static ev_prepare random_prepares[5];
static ev_check random_checks[5];
static ev_timer random_timer_watcher; /* of several the clock would decide */
static int actions_left;

/* libev has a turn for a send to what is stopped, ringwake has none. */
static void send_if_started(struct ev_loop *loop, int i)
{
	if (ev_is_active(&asyncs[i]))
		send(loop, i);
}

static void stop_if_not_sent(struct ev_loop *loop, int i)
{
	if (ev_is_active(&asyncs[i]) && !ev_async_pending(&asyncs[i]))
		ev_async_stop(loop, &asyncs[i]);
}

static void act(struct ev_loop *loop)
{
	if (actions_left-- <= 0) {
		ev_break(loop, EVBREAK_ALL);
		return;
	}
	int i = (int)draw(SOME);
	switch (draw(12)) {
	case 0:
	case 1:
	case 2:
	case 3:
		send_if_started(loop, i);
		break;
	case 4:
		send_if_started(loop, i);
		send_if_started(loop, (int)draw(SOME));
		break;
	case 5:
		stop_if_not_sent(loop, i);
		break;
	case 6:
		stop_if_not_sent(loop, i);
		if (ev_is_active(&asyncs[i]))
			break;
		ev_set_priority(&asyncs[i], (int)draw(5) - 2);
		ev_async_start(loop, &asyncs[i]);
		break;
	case 7:
		note("{%u ", ev_depth(loop));
		if (ev_depth(loop) < 5)
			ev_run(loop, draw(2) ? EVRUN_NOWAIT : EVRUN_ONCE);
		note("} ");
		break;
	case 8:
		ev_feed_event(loop, &asyncs[i], EV_ASYNC);
		break;
	case 9:
		note("x%d ", ev_clear_pending(loop, &asyncs[i]));
		break;
	case 10:
		note("%d%d ", (int)ev_async_pending(&asyncs[i]) != 0,
			ev_is_pending(&asyncs[i]) != 0);
		break;
	case 11:
		ev_timer_start(loop, &random_timer_watcher);
		break;
	}
}

static void random_async(struct ev_loop *loop, ev_async *async, int revents)
{
	note_async(loop, async, revents);
	act(loop);
}

static void random_prepare(struct ev_loop *loop, ev_prepare *watcher, int revents)
{
	(void)revents;
	note("p%d ", (int)(watcher - random_prepares));
	if (draw(3) == 0)
		act(loop);
}

static void random_check(struct ev_loop *loop, ev_check *watcher, int revents)
{
	(void)revents;
	note("c%d ", (int)(watcher - random_checks));
	if (draw(3) == 0)
		act(loop);
}

static void random_timer(struct ev_loop *loop, ev_timer *watcher, int revents)
{
	(void)revents;
	(void)watcher;
	note("t ");
	act(loop);
}

static void random_callbacks(struct ev_loop *loop)
{
	static ev_idle idles[5];
	static char *const names[5] = {"d-2", "d-1", "d0", "d1", "d2"};
	random_state = scenario_seed;
	actions_left = 400;
	for (int i = 0; i < SOME; i++)
		start_async(loop, i, random_async, (int)draw(5) - 2);
	for (int i = 0; i < 5; i++) {
		ev_prepare_init(&random_prepares[i], random_prepare);
		ev_check_init(&random_checks[i], random_check);
		ev_idle_init(&idles[i], note_idle);
		ev_set_priority(&random_prepares[i], (int)draw(5) - 2);
		ev_set_priority(&random_checks[i], (int)draw(5) - 2);
		ev_set_priority(&idles[i], i - 2);
		idles[i].data = names[i];
		ev_prepare_start(loop, &random_prepares[i]);
		ev_check_start(loop, &random_checks[i]);
	}
	ev_timer_init(&random_timer_watcher, random_timer, 0, 0);
	ev_set_priority(&random_timer_watcher, (int)draw(5) - 2);
	ev_idle_start(loop, &idles[draw(5)]);
	ev_idle_start(loop, &idles[0]);
	for (int i = 0; i < SOME; i++)
		send(loop, i);
	ev_run(loop, 0);
}

#define SCENARIO(name)                                                                             \
	{                                                                                          \
#name, name, ev_loop_destroy                                                       \
	}
const struct scenario SCENARIOS[] = {
	SCENARIO(equal_priorities_in_start_order),
	SCENARIO(a_stop_moves_the_last),
	SCENARIO(priorities_of_more_than_a_batch),
	SCENARIO(among_other_watchers),
	SCENARIO(idle_beside_equal),
	SCENARIO(idle_beside_lower),
	SCENARIO(idle_beside_higher),
	SCENARIO(nested_polls),
	SCENARIO(nested_single_turns),
	SCENARIO(first_start_in_prepare),
	SCENARIO(first_start_in_check),
	SCENARIO(forks_in_prepare),
	SCENARIO(forks_in_a_blocking_turn),
	SCENARIO(deferred_by_count),
	SCENARIO(all_deferred),
	SCENARIO(deferred_before_a_wait),
	SCENARIO(pending_counts),
	SCENARIO(pending_counts_in_prepare),
	SCENARIO(cleared_events),
	SCENARIO(fed_events),
	SCENARIO(stops_in_a_callback),
	SCENARIO(pending_sends),
	SCENARIO(references),
	SCENARIO(edges_of_the_wait),
	SCENARIO(random_callbacks),
	{NULL, NULL, NULL},
};
