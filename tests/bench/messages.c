/* SPDX-License-Identifier: MIT */
/* F: many senders, one loop. */
#include <stdalign.h>

#include "carrier.h"
#include "count.h"
#include "credit.h"
#include "kernel.h"
#include "machine.h"
#include "questions.h"

#define MAX_PRODUCERS 64

/* What a thread has spent. */
struct effort {
	int64_t start_ns, end_ns;
	int64_t used_ns;
	double calls; /* system calls, where they are counted */
	int counter;
};

struct producer {
	struct credit credit;
	struct flood *flood;
	struct effort effort;
	alignas(64) struct item items[WINDOW];
};

struct flood {
	const struct carrier *carrier;
	pthread_barrier_t begin, end;
	uint64_t each;   /* messages a producer */
	uint64_t left;   /* the loop's: messages still to come */
	int64_t work_ns; /* that each callback takes */
	void *loop;
	bool counts;
	struct effort effort; /* the loop's */
	struct producer producers[MAX_PRODUCERS];
};

static void effort_begin(struct effort *effort, bool counts)
{
	effort->counter = counts ? count_open() : -1;
	effort->used_ns = -thread_used_ns();
	effort->start_ns = now_ns();
	count_start(effort->counter);
}

static void effort_end(struct effort *effort)
{
	effort->calls = count_stop(effort->counter);
	effort->end_ns = now_ns();
	effort->used_ns += thread_used_ns();
	count_close(effort->counter);
}

static void deliver(struct ringwake_msg *msg)
{
	struct item *item = (struct item *)msg;
	struct producer *producer = item->sender;
	struct flood *flood = producer->flood;
	check(item->value == producer->credit.counted, "a message is missing or out of order");
	credit_give(&producer->credit);
	if (flood->work_ns > 0) {
		int64_t end = now_ns() + flood->work_ns;
		while (now_ns() < end)
			relax();
	}
	if (--flood->left == 0)
		flood->carrier->stop(flood->loop);
}

static void *produce(void *argument)
{
	struct producer *producer = argument;
	struct flood *flood = producer->flood;
	pthread_barrier_wait(&flood->begin);
	effort_begin(&producer->effort, flood->counts);
	for (uint64_t i = 0; i < flood->each; i++) {
		credit_take(&producer->credit, i);
		struct item *item = &producer->items[i % WINDOW];
		item->sender = producer;
		item->value = i;
		flood->carrier->send(flood->loop, item);
	}
	effort_end(&producer->effort);
	return NULL;
}

static void *consume(void *argument)
{
	struct flood *flood = argument;
	flood->loop = flood->carrier->open(deliver);
	pthread_barrier_wait(&flood->begin);
	effort_begin(&flood->effort, flood->counts);
	flood->carrier->run(flood->loop);
	effort_end(&flood->effort);
	pthread_barrier_wait(&flood->end); /* no sender is in its call any more */
	flood->carrier->close(flood->loop);
	return NULL;
}

static void run_flood(struct flood *flood, long producers, int processors)
{
	pthread_t threads[MAX_PRODUCERS];
	flood->left = flood->each * (uint64_t)producers;
	pthread_barrier_init(&flood->begin, NULL, (unsigned)producers + 1);
	pthread_barrier_init(&flood->end, NULL, 2);
	pthread_t loop = start_thread(consume, flood, processors - 1);
	for (long i = 0; i < producers; i++) {
		struct producer *producer = &flood->producers[i];
		credit_init(&producer->credit);
		producer->flood = flood;
		threads[i] = start_thread(produce, producer, 0);
	}
	for (long i = 0; i < producers; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_wait(&flood->end);
	pthread_join(loop, NULL);
	pthread_barrier_destroy(&flood->begin);
	pthread_barrier_destroy(&flood->end);
	for (long i = 0; i < producers; i++)
		check(flood->producers[i].credit.counted == flood->each, "messages are missing");
}

static void measure(const struct carrier *carrier, long producers, int processors, int64_t work_ns,
	double *values)
{
	static struct flood flood;
	flood.work_ns = work_ns;
	flood.carrier = carrier;
	flood.each = (uint64_t)amount(carrier->slow ? 20000 : 200000) / (uint64_t)producers;
	if (flood.each < 2 * WINDOW)
		flood.each = 2 * WINDOW; /* so that the window is felt */
	flood.counts = false;
	run_flood(&flood, producers, processors);
	double messages = (double)(flood.each * (uint64_t)producers);
	/* From the first thread's start: on one core the loop may be the last to come to it. */
	int64_t start_ns = flood.effort.start_ns, used = flood.effort.used_ns;
	for (long i = 0; i < producers; i++) {
		const struct effort *effort = &flood.producers[i].effort;
		used += effort->used_ns;
		if (effort->start_ns < start_ns)
			start_ns = effort->start_ns;
	}
	values[0] = (double)(flood.effort.end_ns - start_ns) / messages;
	values[2] = (double)used / messages;

	/* Again, counting; the senders' waiting for credit is not the carrier's. */
	flood.counts = true;
	run_flood(&flood, producers, processors);
	double calls = flood.effort.calls;
	for (long i = 0; i < producers; i++) {
		const struct producer *producer = &flood.producers[i];
		calls += producer->effort.calls;
		calls -= (double)(producer->credit.given + producer->credit.taken);
	}
	values[1] = calls / messages;
}

static void run_on_two_cores(const void *what, long producers, double *values)
{
	start_spinners();
	measure(what, producers, 2, 0, values);
	stop_spinners();
}

static void run_saturated(const void *what, long producers, double *values)
{
	start_spinners();
	measure(what, producers, 2, 500, values);
	stop_spinners();
}

static void run_on_one_core(const void *what, long producers, double *values)
{
	measure(what, producers, 1, 0, values);
}

#ifdef HAVE_URCU
#define URCU_CARRIER &carrier_urcu
#else
#define URCU_CARRIER NULL
#endif
#ifdef HAVE_GLIB
#define GLIB_CARRIER &carrier_glib
#else
#define GLIB_CARRIER NULL
#endif

#define RINGWAKE "ringwake"
#define SPIN     "ringwake, spin_ns 20,000"
#define ATTACHED "ringwake, libuv attached"
#define ON_RING  "ringwake, libuv on the ring"
#define URCU     "liburcu wfcqueue + eventfd"
#define UV       "uv_async + mutex + queue"

static const struct variant variants[] = {{.name = RINGWAKE, .what = &carrier_ringwake},
	{.name = SPIN, .what = &carrier_ringwake_spin},
	{.name = ATTACHED, .what = &carrier_uv_attached},
	{.name = ON_RING, .what = &carrier_uv_ring}, {.name = UV, .what = &carrier_uv_queue},
	{.name = URCU, .what = URCU_CARRIER, .needs = "liburcu-dev"},
	{.name = "GAsyncQueue + g_main_context_wakeup",
		.what = GLIB_CARRIER,
		.needs = "libglib2.0-dev"},
	{.name = "eventfd + epoll + mutex + queue", .what = &carrier_eventfd_queue},
	{.name = "pipe full of pointers", .what = &carrier_pipe},
	{.name = "one sync MSG_RING a message", .what = &carrier_ring_sync, NEEDS_SYNC_MSG_RING},
	{.name = "async MSG_RING, locked sender ring", .what = &carrier_ring_async}};
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

#define MESSAGES(id, letter, where, reaches_, function, repeat_)                                   \
	const struct question question_##id = {.name = letter,                                     \
		.title = "Messages from many senders",                                             \
		.how = where ", 4,096 messages a sender under way, order checked",                 \
		.point = "producers",                                                              \
		.points = points,                                                                  \
		.point_count = COUNT(points),                                                      \
		.metrics = metrics,                                                                \
		.metric_count = COUNT(metrics),                                                    \
		.variants = variants,                                                              \
		.variant_count = COUNT(variants),                                                  \
		.reaches = reaches_,                                                               \
		.reach_count = COUNT(reaches_),                                                    \
		.run = function,                                                                   \
		.repeat = repeat_}

MESSAGES(messages, "F",
	"senders pinned to one core, the loop to the other, SCHED_IDLE spinners on both", reaches,
	run_on_two_cores, 3);
MESSAGES(messages_one_core, "F1", "all pinned to one core", reaches, run_on_one_core, 3);
MESSAGES(messages_saturated, "F2", "as F, each callback works for 500 ns, so the loop is saturated",
	reaches_saturated, run_saturated, 1);
