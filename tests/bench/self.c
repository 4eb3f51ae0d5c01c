/* SPDX-License-Identifier: MIT */
/* L, L1: a loop's own thread signals a handle of the loop, and runs its callback. */
#include "peer.h"
#include "question.h"

#include <stdlib.h>

struct self {
	const struct peer *peer;
	struct loop *loop;
	struct item item;
	bool signals_again; /* in the callback */
	long left;
};

static void on_signal(struct ringwake_msg *msg)
{
	struct self *self = ((struct item *)msg)->context;
	self->left--;
	if (!self->signals_again)
		return;
	if (self->left > 0)
		self->peer->send(self->loop, &self->item);
	else
		self->peer->stop(self->loop);
}

static void signal_in_callbacks(struct self *self)
{
	self->signals_again = true;
	self->peer->send(self->loop, &self->item);
	self->peer->run(self->loop);
}

static void signal_before_run(struct self *self)
{
	while (self->left > 0) {
		long left = self->left;
		self->peer->send(self->loop, &self->item);
		while (self->left == left)
			self->peer->run_once(self->loop);
	}
}

struct start {
	const struct peer *peer;
	void (*signal)(struct self *self);
	double ns;
};

static void *run_thread(void *argument)
{
	struct start *start = argument;
	long count = amount(20000);
	struct self self = {.peer = start->peer, .left = count};
	struct receiver receiver = {.deliver = on_signal, .wake.context = &self, .handles = 1};
	self.loop = self.peer->open(self.peer, &receiver);
	int64_t begin = now_ns();
	start->signal(&self);
	start->ns = (double)(now_ns() - begin) / (double)count;
	check(self.left == 0, "a callback is missing");
	self.peer->close(self.loop);
	return NULL;
}

static void run(const void *peer, void (*signal)(struct self *self), double *values)
{
	struct start start = {.peer = peer, .signal = signal};
	pthread_join(start_thread(run_thread, &start, 0), NULL);
	values[0] = start.ns;
}

static void run_in_callbacks(const void *peer, long point, double *values)
{
	(void)point;
	run(peer, signal_in_callbacks, values);
}

static void run_before_run(const void *peer, long point, double *values)
{
	(void)point;
	run(peer, signal_before_run, values);
}

#define UV       "uv_async"
#define UV_EDGES "ringwake, libuv attached"
#define EV       "ev_async, libev on epoll"
#define EV_EDGES "ringwake, libev on epoll"

static const struct variant variants[] = {{.name = UV_EDGES, .what = &peer_uv_attached},
	{.name = "ringwake, libuv on the ring", .what = &peer_uv_ring},
	{.name = UV, .what = &peer_uv}, {.name = EV_EDGES, EV_PEER(peer_ringwake_ev_epoll)},
	{.name = EV, EV_PEER(peer_ev_epoll)}};
static const struct metric metrics[] = {{"a signal and its callback", "ns", false}};
static const struct reach reaches[] = {
	{.subject = UV_EDGES, .peer = UV, .comparison = AT_LEAST, .limit = 1.0},
	{.subject = EV_EDGES, .peer = EV, .comparison = AT_LEAST, .limit = 1.0}};

#define SELF(id, letter, text, how_, run_)                                                         \
	const struct question question_##id = {.name = letter,                                     \
		.title = text,                                                                     \
		.how = how_,                                                                       \
		.placement = ONE_CORE,                                                             \
		ONE_POINT,                                                                         \
		.metrics = ALL(metrics),                                                           \
		.variants = ALL(variants),                                                         \
		.run = run_,                                                                       \
		.reaches = ALL(reaches),                                                           \
		.repeat = 5}

SELF(self, "L", "A loop signals its own handle, in the handle's callback",
	"one thread; each callback signals the handle for the next iteration", run_in_callbacks);
SELF(self_run, "L1", "A loop's thread signals a handle, then runs the loop",
	"one thread; a signal, then one iteration of the loop", run_before_run);
