/* SPDX-License-Identifier: MIT */
/* libev's own wake, and ringwake's on the same loop, on two backends. */
#include <ringwake/ev.h>
#include <stdlib.h>

#include "peer.h"
#include "question.h"

struct loop {
	struct ev_loop *ev;
	struct receiver receiver;
	struct ringwake_ev *attached; /* NULL: libev's own wake */
	ev_async plain_async;
	ringwake_ev_async async;
	ev_io io;
	void (*on_readable)(void);
};

static struct loop *open_loop(const struct peer *peer, const struct receiver *receiver)
{
	struct loop *loop = allocate(1, sizeof *loop);
	loop->receiver = *receiver;
	loop->ev = ev_loop_new(peer->flags);
	check(loop->ev != NULL, "ev_loop_new");
	ev_set_userdata(loop->ev, loop);
	return loop;
}

static void on_plain(struct ev_loop *ev, ev_async *async, int events)
{
	struct loop *loop = ev_userdata(ev);
	(void)async;
	(void)events;
	deliver_wake(&loop->receiver);
}

static struct loop *open_plain(const struct peer *peer, const struct receiver *receiver)
{
	struct loop *loop = open_loop(peer, receiver);
	ev_async_init(&loop->plain_async, on_plain);
	ev_async_start(loop->ev, &loop->plain_async);
	return loop;
}

static void on_attached(struct ev_loop *ev, ringwake_ev_async *async, int events)
{
	(void)async;
	on_plain(ev, NULL, events);
}

static struct loop *open_attached(const struct peer *peer, const struct receiver *receiver)
{
	struct loop *loop = open_loop(peer, receiver);
	struct ringwake_params params = {.spin_ns = peer->spin_ns};
	must(ringwake_ev_attach(&loop->attached, loop->ev, &params), "ringwake_ev_attach");
	ringwake_ev_async_init(&loop->async, on_attached);
	ringwake_ev_async_start(loop->attached, &loop->async);
	return loop;
}

static void run(struct loop *loop)
{
	ev_run(loop->ev, 0);
}

static void run_once(struct loop *loop)
{
	ev_run(loop->ev, EVRUN_ONCE);
}

static void stop(struct loop *loop)
{
	ev_break(loop->ev, EVBREAK_ALL);
}

static void close_loop(struct loop *loop)
{
	if (loop->attached) {
		ringwake_ev_async_stop(&loop->async);
		must(ringwake_ev_detach(loop->attached), "ringwake_ev_detach");
	} else {
		ev_async_stop(loop->ev, &loop->plain_async);
	}
	ev_loop_destroy(loop->ev);
	free(loop);
}

static void send_plain(struct loop *loop, struct item *item)
{
	(void)item;
	ev_async_send(loop->ev, &loop->plain_async);
}

static void send_attached(struct loop *loop, struct item *item)
{
	(void)item;
	must(ringwake_ev_async_send(&loop->async), "ringwake_ev_async_send");
}

static void send_message(struct loop *loop, struct item *item)
{
	item->msg.fn = loop->receiver.deliver;
	must(ringwake_send(ringwake_ev_target(loop->attached), &item->msg), "ringwake_send");
}

static void on_io(struct ev_loop *ev, ev_io *io, int events)
{
	(void)io;
	(void)events;
	((struct loop *)ev_userdata(ev))->on_readable();
}

static void watch(struct loop *loop, int fd, void (*callback)(void))
{
	loop->on_readable = callback;
	ev_io_init(&loop->io, on_io, fd, EV_READ);
	ev_io_start(loop->ev, &loop->io);
}

#define PEER(open_, send_, backend)                                                                \
	{                                                                                          \
		.open = (open_), .run = run, .run_once = run_once, .stop = stop,                   \
		.close = close_loop, .send = (send_), .watch = watch, .flags = (backend)           \
	}

const struct peer peer_ev_epoll = PEER(open_plain, send_plain, EVBACKEND_EPOLL);
const struct peer peer_ev_ring = PEER(open_plain, send_plain, EVBACKEND_IOURING);
const struct peer peer_ringwake_ev_epoll = PEER(open_attached, send_attached, EVBACKEND_EPOLL);
const struct peer peer_ringwake_ev_ring = PEER(open_attached, send_attached, EVBACKEND_IOURING);
const struct peer peer_ev_epoll_messages = PEER(open_attached, send_message, EVBACKEND_EPOLL);
const struct peer peer_ev_ring_messages = PEER(open_attached, send_message, EVBACKEND_IOURING);
