/* SPDX-License-Identifier: MIT */
/*
 * Small programs for ev_async, compiled twice. They test the order of callbacks: no scenario
 * depends on a duration. A loop is destroyed even if watchers are still started.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../blocked.h"

/* A thread may hold the sanitizer's own locks during the fork. */
#if defined(__SANITIZE_THREAD__)
#define MAY_FORK 0
#else
#define MAY_FORK 1
#endif

#define MANY 700 /* more than one dispatch runs */

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

static void run_iterations(struct ev_loop *loop, int count)
{
	for (int i = 0; i < count; i++) {
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
	await_blocked_loop();
	return send_first(unused);
}

/* When a callback posts it, another thread sends to the first async as soon as its loop blocks. */
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

/* This timer ends a run that has lost a wake. */
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
	run_iterations(loop, 2);
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
	run_iterations(loop, 2);
	ev_async_stop(loop, &asyncs[1]);
	for (int i = 7; i-- > 0;)
		send(loop, i);
	run_iterations(loop, 2);
}

static void priorities_of_more_than_a_batch(struct ev_loop *loop)
{
	for (int i = 0; i < MANY; i++)
		start_async(loop, i, note_async, i % 7 - 3);
	for (int i = 0; i < MANY; i++)
		send(loop, i * 11 % MANY);
	run_iterations(loop, 3);
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
	for (int i = 0; i < 4; i++) { /* at the highest priority the descriptors decide the order */
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

static int iterations_left;

static void send_itself(struct ev_loop *loop, ev_async *async, int revents)
{
	note_async(loop, async, revents);
	if (--iterations_left > 0)
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
	iterations_left = 5;
	start_async(loop, 0, send_itself, async_priority);
	send(loop, 0);
	ev_run(loop, 0);
	for (int i = 5; i-- > 0;) {
		run_iterations(loop, 1);
		send(loop, 0);
		iterations_left = 1;
		run_iterations(loop, 2);
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

#include "scenarios-nested.h"
#include "scenarios-deferred.h"
#include "scenarios-random.h"

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
	SCENARIO(nested_single_iterations),
	SCENARIO(first_start_in_prepare),
	SCENARIO(first_start_in_check),
	SCENARIO(forks_in_prepare),
	SCENARIO(forks_in_a_blocking_iteration),
	SCENARIO(deferred_by_count),
	SCENARIO(all_deferred),
	SCENARIO(destroyed_with_a_deferral),
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
