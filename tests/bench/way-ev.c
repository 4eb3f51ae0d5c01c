/* SPDX-License-Identifier: MIT */
/* libev's own wake, and ringwake's on the same loop, on two backends. */
#include <ringwake/ev.h>
#include <stdlib.h>

#include "question.h"
#include "way.h"

struct loop {
	struct ev_loop *ev;
	struct ringwake_ev *attached;
	union {
		ev_async async;
		ringwake_ev_async ringwake_async;
	};
	woken_function woken;
	void *owner;
};

static struct loop *open_loop(woken_function woken, void *owner, unsigned backend)
{
	struct loop *loop = calloc(1, sizeof *loop);
	check(loop != NULL, "memory");
	loop->woken = woken;
	loop->owner = owner;
	loop->ev = ev_loop_new(backend);
	check(loop->ev != NULL, "ev_loop_new");
	ev_set_userdata(loop->ev, loop);
	return loop;
}

static void arrived(struct ev_loop *ev, ev_async *async, int events)
{
	struct loop *loop = ev_userdata(ev);
	(void)async;
	(void)events;
	loop->woken(loop->owner);
}

static void *open_async(woken_function woken, void *owner, unsigned backend)
{
	struct loop *loop = open_loop(woken, owner, backend);
	ev_async_init(&loop->async, arrived);
	ev_async_start(loop->ev, &loop->async);
	return loop;
}

static void *open_async_epoll(woken_function woken, void *owner)
{
	return open_async(woken, owner, EVBACKEND_EPOLL);
}

static void *open_async_ring(woken_function woken, void *owner)
{
	return open_async(woken, owner, EVBACKEND_IOURING);
}

static void run(void *argument)
{
	struct loop *loop = argument;
	ev_run(loop->ev, 0);
}

static void stop(void *argument)
{
	struct loop *loop = argument;
	ev_break(loop->ev, EVBREAK_ALL);
}

static void close_async(void *argument)
{
	struct loop *loop = argument;
	ev_async_stop(loop->ev, &loop->async);
	ev_loop_destroy(loop->ev);
	free(loop);
}

static void wake_async(void *argument)
{
	struct loop *loop = argument;
	ev_async_send(loop->ev, &loop->async);
}

const struct way way_ev_epoll = {open_async_epoll, run, stop, close_async, wake_async};
const struct way way_ev_ring = {open_async_ring, run, stop, close_async, wake_async};

static void ringwake_arrived(struct ev_loop *ev, ringwake_ev_async *async, int events)
{
	struct loop *loop = ev_userdata(ev);
	(void)async;
	(void)events;
	loop->woken(loop->owner);
}

static void *open_attached(woken_function woken, void *owner, unsigned backend)
{
	struct loop *loop = open_loop(woken, owner, backend);
	must(ringwake_ev_attach(&loop->attached, loop->ev, NULL), "ringwake_ev_attach");
	ringwake_ev_async_init(&loop->ringwake_async, ringwake_arrived);
	ringwake_ev_async_start(loop->attached, &loop->ringwake_async);
	return loop;
}

static void *open_attached_epoll(woken_function woken, void *owner)
{
	return open_attached(woken, owner, EVBACKEND_EPOLL);
}

static void *open_attached_ring(woken_function woken, void *owner)
{
	return open_attached(woken, owner, EVBACKEND_IOURING);
}

static void close_attached(void *argument)
{
	struct loop *loop = argument;
	ringwake_ev_async_stop(&loop->ringwake_async);
	must(ringwake_ev_detach(loop->attached), "ringwake_ev_detach");
	ev_loop_destroy(loop->ev);
	free(loop);
}

static void wake_attached(void *argument)
{
	struct loop *loop = argument;
	must(ringwake_ev_async_send(&loop->ringwake_async), "ringwake_ev_async_send");
}

const struct way way_ringwake_ev_epoll = {
	open_attached_epoll, run, stop, close_attached, wake_attached};
const struct way way_ringwake_ev_ring = {
	open_attached_ring, run, stop, close_attached, wake_attached};
