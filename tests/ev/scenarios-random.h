/* SPDX-License-Identifier: MIT */
/* Part of scenarios.h: callbacks that do random actions. */

/* The seed determines the actions of the callbacks. The idle watcher keeps each run from blocking.
 */
static unsigned long random_state;

static unsigned draw(unsigned below)
{
	random_state = random_state * 6364136223846793005ul + 1442695040888963407ul;
	return (unsigned)(random_state >> 33) % below;
}

#define SOME 12
static ev_prepare random_prepares[5];
static ev_check random_checks[5];
static ev_timer random_timer_watcher; /* only one: the order of several would depend on the clock */
static int actions_left;

/* A send to a stopped watcher causes an iteration in libev, but none in ringwake. */
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
