/* SPDX-License-Identifier: MIT */
/* F: many senders, one loop. */
#include <math.h>
#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "carrier.h"
#include "count.h"
#include "machine.h"
#include "questions.h"

#define MAX_PRODUCERS 64
#define WINDOW        1024 /* messages that one producer has under way at the most */

struct producer {
	alignas(64) _Atomic uint64_t delivered; /* written by the loop */
	uint64_t expected;
	struct flood *flood;
	int64_t used_ns;
	uint64_t yields;
	alignas(64) struct item items[WINDOW];
};

struct flood {
	const struct carrier *carrier;
	pthread_barrier_t begin, end;
	uint64_t each; /* messages a producer */
	uint64_t left; /* the loop's: messages still to come */
	void *loop;
	int64_t start_ns, end_ns;
	int counter;
	double calls;
	int64_t used_ns; /* by the loop */
	struct producer producers[MAX_PRODUCERS];
};

static int64_t thread_used_ns(void)
{
	struct timespec time;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void deliver(struct item *item)
{
	struct producer *producer = item->sender;
	struct flood *flood = producer->flood;
	check(item->value == producer->expected, "a message is missing or out of order");
	producer->expected++;
	atomic_store_explicit(&producer->delivered, producer->expected, memory_order_release);
	if (--flood->left == 0)
		flood->carrier->stop(flood->loop);
}

static void *produce(void *argument)
{
	struct producer *producer = argument;
	struct flood *flood = producer->flood;
	pthread_barrier_wait(&flood->begin);
	for (uint64_t i = 0; i < flood->each; i++) {
		/* Half a window at a time, so that the counter's line is rarely looked at. */
		if (i % (WINDOW / 2) == 0) {
			while (i >= WINDOW &&
				atomic_load_explicit(&producer->delivered, memory_order_acquire) <
					i - WINDOW / 2)
				sched_yield();
		}
		struct item *item = &producer->items[i % WINDOW];
		item->loop = flood->loop;
		item->sender = producer;
		item->value = i;
		flood->carrier->send(flood->loop, item);
	}
	producer->used_ns = thread_used_ns();
	return NULL;
}

static void *consume(void *argument)
{
	struct flood *flood = argument;
	flood->loop = flood->carrier->open(deliver);
	pthread_barrier_wait(&flood->begin);
	count_start(flood->counter);
	flood->start_ns = now_ns();
	flood->carrier->run(flood->loop);
	flood->end_ns = now_ns();
	flood->calls = count_stop(flood->counter);
	flood->used_ns = thread_used_ns();
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
		atomic_store(&producer->delivered, 0);
		producer->expected = 0;
		producer->yields = 0;
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
		check(flood->producers[i].expected == flood->each, "messages are missing");
}

static void measure(const struct carrier *carrier, long producers, int processors, double *values)
{
	static struct flood flood;
	flood.carrier = carrier;
	flood.each = (uint64_t)amount(carrier->slow ? 20000 : 200000) / (uint64_t)producers;
	flood.counter = -1;
	run_flood(&flood, producers, processors);
	double messages = (double)(flood.each * (uint64_t)producers);
	int64_t used = flood.used_ns;
	for (long i = 0; i < producers; i++)
		used += flood.producers[i].used_ns;
	values[0] = (double)(flood.end_ns - flood.start_ns) / messages;
	values[2] = (double)used / messages;

	/* Again, counting; the senders' waiting for their window is not the carrier's. */
	flood.counter = count_open(true);
	run_flood(&flood, producers, processors);
	double calls = flood.calls;
	for (long i = 0; i < producers; i++)
		calls -= (double)flood.producers[i].yields;
	values[1] = calls / messages;
	count_close(flood.counter);
}

static void run_on_two_cores(const void *what, long producers, double *values)
{
	start_spinners();
	measure(what, producers, 2, values);
	stop_spinners();
}

static void run_on_one_core(const void *what, long producers, double *values)
{
	measure(what, producers, 1, values);
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
	{.name = ATTACHED, .what = &carrier_uv_attached}, {.name = UV, .what = &carrier_uv_queue},
	{.name = URCU, .what = URCU_CARRIER, .needs = "liburcu-dev"},
	{.name = "GAsyncQueue + g_main_context_wakeup",
		.what = GLIB_CARRIER,
		.needs = "libglib2.0-dev"},
	{.name = "eventfd + epoll + mutex + queue", .what = &carrier_eventfd_queue},
	{.name = "pipe full of pointers", .what = &carrier_pipe},
	{.name = "one sync MSG_RING a message", .what = &carrier_ring_sync},
	{.name = "async MSG_RING, locked sender ring", .what = &carrier_ring_async}};
static const long points[] = {1, 2, 4, 8, 16, 64};
static const struct metric metrics[] = {{"time", "ns/message", false},
	{"system calls", "a message", false}, {"processor time", "ns/message", false}};
static const struct reach reaches[] = {
	{.subject = RINGWAKE, .peer = UV, .comparison = AT_LEAST, .limit = 3},
	{.subject = RINGWAKE, .peer = URCU, .comparison = AT_LEAST, .limit = 1},
	{.subject = RINGWAKE, .metric = 1, .comparison = BELOW, .limit = 0.01}};

#define MESSAGES(id, letter, where, function)                                                      \
	const struct question question_##id = {.name = letter,                                     \
		.title = "Messages from many senders",                                             \
		.how = where ", 1,024 messages a sender under way, order checked",                 \
		.point = "producers",                                                              \
		.points = points,                                                                  \
		.point_count = COUNT(points),                                                      \
		.metrics = metrics,                                                                \
		.metric_count = COUNT(metrics),                                                    \
		.variants = variants,                                                              \
		.variant_count = COUNT(variants),                                                  \
		.reaches = reaches,                                                                \
		.reach_count = COUNT(reaches),                                                     \
		.run = function,                                                                   \
		.repeat = 3}

MESSAGES(messages, "F",
	"senders pinned to one core, the loop to the other, SCHED_IDLE spinners on both",
	run_on_two_cores);
MESSAGES(messages_one_core, "F1", "all pinned to one core", run_on_one_core);
