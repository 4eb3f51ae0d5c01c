/* SPDX-License-Identifier: MIT */
/*
 * M9: how long a descriptor waits that only the loop's epoll watches. Messages make the loop spin;
 * then the descriptor becomes readable.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "machine.h"
#include "policy.h"

#define MESSAGES 16
#define GAP_NS   2000

static struct {
	struct host host;
	int fd;
	_Atomic long arrived, seen;
	int64_t sent_ns;
	int32_t *latencies;
	long count;
	bool is_last;
} state;

static void on_arrival(struct ringwake_msg *msg)
{
	(void)msg;
	if (state.is_last)
		stop_host(&state.host);
	/* Release: pairs with the acquire in wait_for. */
	atomic_fetch_add_explicit(&state.arrived, 1, memory_order_release);
}

static void on_readable(void)
{
	uint64_t value;
	int64_t now = now_ns();
	long seen = atomic_load_explicit(&state.seen, memory_order_relaxed);
	must(read(state.fd, &value, sizeof value), "read");
	state.latencies[seen] = (int32_t)(now - state.sent_ns);
	/* Release: pairs with the acquire in wait_for. */
	atomic_store_explicit(&state.seen, seen + 1, memory_order_release);
}

/* Acquire: pairs with the release of the loop's callbacks. */
static void wait_for(_Atomic long *counter, long value)
{
	while (atomic_load_explicit(counter, memory_order_acquire) < value)
		relax();
}

static void send_message(struct item *item)
{
	long arrived = atomic_load_explicit(&state.arrived, memory_order_relaxed);
	send_to(&state.host, item);
	wait_for(&state.arrived, arrived + 1);
}

static void make_readable(long number)
{
	uint64_t one = 1;
	int64_t start = now_ns();
	while (now_ns() < start + GAP_NS)
		relax();
	state.sent_ns = now_ns();
	must(write(state.fd, &one, sizeof one), "write");
	wait_for(&state.seen, number + 1);
}

static struct loop *open_watching(const struct peer *peer, const struct receiver *receiver)
{
	const struct peer *inner = receiver->wake.context;
	(void)peer;
	struct loop *loop = inner->open(inner, receiver);
	inner->watch(loop, state.fd, on_readable);
	return loop;
}

static int compare(const void *left, const void *right)
{
	int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
	return (a > b) - (a < b);
}

/* Writes the median and the 90th percentile. */
static void measure(const struct peer *base, uint64_t spin_ns, double values[2])
{
	struct item item = {0};
	struct peer inner = *base, peer = *base;
	inner.spin_ns = spin_ns;
	peer.open = open_watching;
	state.host = (struct host){.peer = &peer,
		.receiver = {.deliver = on_arrival, .wake.context = &inner, .handles = 1}};
	state.fd = (int)must(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
	atomic_init(&state.arrived, 0);
	atomic_init(&state.seen, 0);
	state.is_last = false;
	start_host(&state.host, 0);
	for (long i = 0; i < state.count; i++) {
		for (int j = 0; j < MESSAGES; j++)
			send_message(&item);
		make_readable(i);
	}
	state.is_last = true;
	send_message(&item);
	end_hosts(&state.host, 1);
	close(state.fd);
	qsort(state.latencies, (size_t)state.count, sizeof state.latencies[0], compare);
	values[0] = state.latencies[state.count / 2] / 1000.0;
	values[1] = state.latencies[state.count * 9 / 10] / 1000.0;
}

static void run(const void *peer, long point, double *values)
{
	double blocking[2], adaptive[2];
	(void)point;
	state.count = amount(2000);
	state.latencies = allocate((size_t)state.count, sizeof state.latencies[0]);
	pin(1);
	measure(peer, RINGWAKE_SPIN_OFF, blocking);
	measure(peer, RINGWAKE_SPIN_ADAPTIVE, adaptive);
	free(state.latencies);
	values[0] = blocking[0];
	values[1] = adaptive[0];
	values[2] = adaptive[0] - blocking[0];
	values[3] = adaptive[1] - blocking[1];
}

static const struct variant variants[] = {{.name = ATTACHED, .what = &peer_uv_attached_messages},
	{.name = RING, .what = &peer_uv_ring_messages},
	{.name = EPOLL, EV_PEER(peer_ev_epoll_messages)},
	{.name = EV_RING, EV_PEER(peer_ev_ring_messages)}};
static const struct metric metrics[] = {{"p50, blocking", "us", false},
	{"p50, adaptive", "us", false}, {"p50, added by spinning", "us", false},
	{"p90, added by spinning", "us", false}};

#define WITHIN(kind)                                                                               \
	{.subject = (kind), .metric = 2, .comparison = BELOW, .limit = 20},                        \
	{                                                                                          \
		.subject = (kind), .metric = 3, .comparison = BELOW, .limit = 20                   \
	}
static const struct reach reaches[] = {
	WITHIN(ATTACHED), WITHIN(RING), WITHIN(EPOLL), WITHIN(EV_RING)};

const struct question question_descriptor = {.name = "M9",
	.title = "Adaptive spinning: a descriptor that only epoll watches",
	.how = "readable 2 us after the last of 16 messages; loop and sender on two cores",
	.placement = FREE,
	ONE_POINT,
	.metrics = ALL(metrics),
	.variants = ALL(variants),
	.run = run,
	.reaches = ALL(reaches)};
