/* SPDX-License-Identifier: MIT */
/* F: many senders, one loop. */
#include <stdalign.h>

#include "credit.h"
#include "kernel.h"
#include "peer.h"
#include "question.h"

#define MAX_PRODUCERS 64
#define BATCH         16

struct producer {
	struct credit credit;
	struct flood *flood;
	struct effort effort;
	pthread_t thread;
	alignas(64) struct item items[WINDOW];
};

struct flood {
	struct host host;
	pthread_barrier_t begin;
	uint64_t each;   /* messages a producer */
	uint64_t left;   /* messages still to be delivered; only the loop's thread uses it */
	int64_t work_ns; /* that each callback takes */
	struct producer producers[MAX_PRODUCERS];
};

static void deliver(struct ringwake_msg *msg)
{
	struct item *item = (struct item *)msg;
	struct producer *producer = item->context;
	struct flood *flood = producer->flood;
	check(item->value == producer->credit.counted, "a message is missing or out of order");
	credit_give(&producer->credit);
	if (flood->work_ns > 0) {
		int64_t end = now_ns() + flood->work_ns;
		while (now_ns() < end)
			relax();
	}
	if (--flood->left == 0)
		stop_host(&flood->host);
}

static struct item *next_item(struct producer *producer, uint64_t index)
{
	credit_take(&producer->credit, index);
	struct item *item = &producer->items[index % WINDOW];
	item->context = producer;
	item->value = index;
	return item;
}

/* Returns how many messages it has sent. */
static unsigned produce_some(struct producer *producer, uint64_t index)
{
	const struct host *host = &producer->flood->host;
	if (host->peer->send_many == NULL) {
		send_to(host, next_item(producer, index));
		return 1;
	}
	struct ringwake_msg *batch[BATCH];
	unsigned count = 0;
	for (; count < BATCH && index + count < producer->flood->each; count++)
		batch[count] = &next_item(producer, index + count)->msg;
	host->peer->send_many(host->loop, batch, count);
	return count;
}

static void *produce(void *argument)
{
	struct producer *producer = argument;
	struct flood *flood = producer->flood;
	pthread_barrier_wait(&flood->begin);
	effort_begin(&producer->effort, flood->host.counts_calls);
	for (uint64_t i = 0; i < flood->each;)
		i += produce_some(producer, i);
	effort_end(&producer->effort);
	return NULL;
}

static void run_flood(struct flood *flood, long producers, bool counts_calls)
{
	flood->left = flood->each * (uint64_t)producers;
	flood->host.counts_calls = counts_calls;
	pthread_barrier_init(&flood->begin, NULL, (unsigned)producers);
	start_host(&flood->host, 1);
	for (long i = 0; i < producers; i++) {
		struct producer *producer = &flood->producers[i];
		credit_init(&producer->credit);
		producer->flood = flood;
		producer->thread = start_thread(produce, producer, 0);
	}
	for (long i = 0; i < producers; i++)
		pthread_join(flood->producers[i].thread, NULL);
	end_hosts(&flood->host, 1);
	pthread_barrier_destroy(&flood->begin);
	for (long i = 0; i < producers; i++)
		check(flood->producers[i].credit.counted == flood->each, "messages are missing");
}

static void measure(const struct peer *peer, long producers, int64_t work_ns, double *values)
{
	static struct flood flood;
	flood.work_ns = work_ns;
	flood.host.peer = peer;
	flood.host.receiver = (struct receiver){.deliver = deliver, .handles = 1};
	flood.each = (uint64_t)amount(peer->is_slow ? 20000 : 200000) / (uint64_t)producers;
	if (flood.each < 2 * WINDOW)
		flood.each = 2 * WINDOW; /* so that senders use their window up */
	run_flood(&flood, producers, false);
	double messages = (double)(flood.each * (uint64_t)producers);
	int64_t start_ns = INT64_MAX, used_ns = flood.host.effort.used_ns;
	for (long i = 0; i < producers; i++) {
		const struct effort *effort = &flood.producers[i].effort;
		used_ns += effort->used_ns;
		if (effort->start_ns < start_ns)
			start_ns = effort->start_ns;
	}
	values[0] = (double)(flood.host.effort.end_ns - start_ns) / messages;
	values[2] = (double)used_ns / messages;

	/* Senders that wait for credit make calls that are not the peer's. */
	run_flood(&flood, producers, true);
	double calls = flood.host.effort.calls;
	for (long i = 0; i < producers; i++) {
		const struct producer *producer = &flood.producers[i];
		calls += producer->effort.calls;
		calls -= (double)(producer->credit.given + producer->credit.taken);
	}
	values[1] = calls / messages;
}

static void run(const void *peer, long producers, double *values)
{
	measure(peer, producers, 0, values);
}

static void run_saturated(const void *peer, long producers, double *values)
{
	measure(peer, producers, 500, values);
}

#define RINGWAKE "ringwake"
#define MANY     "ringwake_send_many, 16 at a time"
#define BLOCKING "ringwake, RINGWAKE_SPIN_OFF"
#define ATTACHED "ringwake, libuv attached"
#define ON_RING  "ringwake, libuv on the ring"
#define URCU     "liburcu wfcqueue + eventfd"
#define UV       "uv_async + mutex + queue"

static const struct variant variants[] = {{.name = RINGWAKE, .what = &peer_ringwake, BOTH_PATHS},
	{.name = MANY, .what = &peer_ringwake_many, BOTH_PATHS},
	{.name = BLOCKING, .what = &peer_ringwake_blocking},
	{.name = ATTACHED, .what = &peer_uv_attached_messages, BOTH_PATHS},
	{.name = ON_RING, .what = &peer_uv_ring_messages, BOTH_PATHS},
	{.name = UV, .what = &peer_uv_queue}, {.name = URCU, URCU_PEER(peer_urcu)},
	{.name = "GAsyncQueue + g_main_context_wakeup", GLIB_PEER(peer_glib)},
	{.name = "eventfd + epoll + mutex + queue", .what = &peer_eventfd_queue},
	{.name = "pipe full of pointers", .what = &peer_pipe},
	{.name = "one sync MSG_RING a message", .what = &peer_ring_sync, NEEDS_SYNC_MSG_RING},
	{.name = "async MSG_RING, locked sender ring", .what = &peer_ring_async}};
static const long points[] = {1, 2, 4, 8, 16, 64};
static const struct metric metrics[] = {{"time", "ns/message", false},
	{"system calls", "a message", false}, {"processor time", "ns/message", false}};
static const struct reach reaches[] = {
	{.subject = RINGWAKE, .peer = UV, .comparison = AT_LEAST, .limit = 3},
	{.subject = RINGWAKE, .peer = URCU, .comparison = AT_LEAST, .limit = 1}};
static const struct reach reaches_saturated[] = {
	{.subject = RINGWAKE, .metric = 1, .comparison = BELOW, .limit = 0.01},
	{.subject = ATTACHED, .metric = 1, .comparison = BELOW, .limit = 0.01},
	{.subject = ON_RING, .metric = 1, .comparison = BELOW, .limit = 0.01}};

#define MESSAGES(id, letter, where, pinning, function, reaches_, repeat_)                          \
	const struct question question_##id = {.name = letter,                                     \
		.title = "Messages from many senders",                                             \
		.how = where ", 4,096 messages a sender under way, order checked",                 \
		.placement = pinning,                                                              \
		.point = "producers",                                                              \
		.points = ALL(points),                                                             \
		.metrics = ALL(metrics),                                                           \
		.variants = ALL(variants),                                                         \
		.run = function,                                                                   \
		.reaches = ALL(reaches_),                                                          \
		.repeat = repeat_}

MESSAGES(messages, "F",
	"senders pinned to one core, the loop to the other, SCHED_IDLE spinners on both", TWO_CORES,
	run, reaches, 3);
MESSAGES(messages_one_core, "F1", "all pinned to one core", ONE_CORE, run, reaches, 3);
MESSAGES(messages_saturated, "F2", "as F, each callback works for 500 ns, so the loop is saturated",
	TWO_CORES, run_saturated, reaches_saturated, 1);
