/* SPDX-License-Identifier: MIT */
/* N1: many loops with one pool. N2: many messages that wait in one queue. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "futex.h"
#include "machine.h"
#include "peer.h"
#include "question.h"

#define MAX_LOOPS 64

struct client {
	struct job job; /* one is under way at any time */
	const struct peer *peer;
	struct host *host;
	long left;
};

static void end_job(struct job *job)
{
	struct client *client = (struct client *)job;
	if (--client->left == 0)
		stop_host(client->host);
	else
		client->peer->submit(client->host->loop, job);
}

static struct loop *open_and_submit(const struct peer *unused, const struct receiver *receiver)
{
	struct client *client = receiver->wake.context;
	(void)unused;
	struct loop *loop = client->peer->open(client->peer, receiver);
	client->peer->submit(loop, &client->job);
	return loop;
}

static void run_loops(const void *what, long count, double *values)
{
	static struct client clients[MAX_LOOPS];
	struct host hosts[MAX_LOOPS] = {0};
	struct peer peer = *(const struct peer *)what;
	long each = amount(64000) / count;
	int64_t start_ns = INT64_MAX, end_ns = 0, used_ns = -process_used_ns();
	peer.open = open_and_submit;
	for (long i = 0; i < count; i++) {
		clients[i] = (struct client){
			.job.ended = end_job, .peer = what, .host = &hosts[i], .left = each};
		hosts[i].peer = &peer;
		hosts[i].receiver = (struct receiver){.wake.context = &clients[i], .handles = 1};
		start_host(&hosts[i], -1);
	}
	end_hosts(hosts, (int)count);
	used_ns += process_used_ns();
	for (long i = 0; i < count; i++) {
		check(clients[i].left == 0, "jobs are missing");
		start_ns =
			hosts[i].effort.start_ns < start_ns ? hosts[i].effort.start_ns : start_ns;
		end_ns = hosts[i].effort.end_ns > end_ns ? hosts[i].effort.end_ns : end_ns;
	}
	values[0] = (double)(end_ns - start_ns) / (double)(each * count) / 1000;
	values[1] = (double)used_ns / (double)(each * count) / 1000;
}

static struct {
	struct host host;
	struct item gate; /* its callback blocks the loop while messages are sent */
	_Atomic uint32_t is_in_gate, is_open, is_done;
	long left;
	bool is_last;
	int64_t start_ns, used_ns;
} queue;

/* Release: pairs with the acquire in wait_for. */
static void set(_Atomic uint32_t *word)
{
	atomic_store_explicit(word, 1, memory_order_release);
	futex_wake(word);
}

static void wait_for(_Atomic uint32_t *word)
{
	while (atomic_load_explicit(word, memory_order_acquire) == 0)
		futex_wait(word, 0);
	/* Relaxed: only this thread waits, and the next set follows its next message. */
	atomic_store_explicit(word, 0, memory_order_relaxed);
}

static void on_message(struct ringwake_msg *msg)
{
	if (msg == &queue.gate.msg) {
		set(&queue.is_in_gate);
		wait_for(&queue.is_open);
		queue.start_ns = now_ns();
	} else if (--queue.left == 0) {
		queue.used_ns += now_ns() - queue.start_ns;
		if (queue.is_last)
			stop_host(&queue.host);
		set(&queue.is_done);
	}
}

static void run_queued(const void *peer, long count, double *values)
{
	long cycles = (amount(100000) + count - 1) / count;
	int64_t sending_ns = 0;
	struct item *items = allocate((size_t)count, sizeof items[0]);
	cycles = cycles > 1000 ? 1000 : cycles;
	memset(&queue, 0, sizeof queue);
	queue.host.peer = peer;
	queue.host.receiver = (struct receiver){.deliver = on_message, .handles = 1};
	start_host(&queue.host, 1);
	pin(0);
	for (long cycle = 0; cycle < cycles; cycle++) {
		queue.is_last = cycle == cycles - 1;
		queue.left = count;
		send_to(&queue.host, &queue.gate);
		wait_for(&queue.is_in_gate);
		sending_ns -= now_ns();
		for (long i = 0; i < count; i++)
			send_to(&queue.host, &items[i]);
		sending_ns += now_ns();
		set(&queue.is_open);
		wait_for(&queue.is_done);
	}
	end_hosts(&queue.host, 1);
	free(items);
	values[0] = (double)queue.used_ns / (double)(count * cycles);
	values[1] = (double)sending_ns / (double)(count * cycles);
}

static const struct variant loop_variants[] = {
	{.name = "ringwake_uv_queue_work, attached", .what = &peer_uv_attached, BOTH_PATHS},
	{.name = "ringwake_uv_queue_work, on the ring", .what = &peer_uv_ring, BOTH_PATHS},
	{.name = "uv_queue_work", .what = &peer_uv}};
static const struct metric loop_metrics[] = {
	{"time", "us/job", false}, {"processor time", "us/job", false}};
static const long loops[] = {1, 2, 4, 8, 16, 32, 64};

const struct question question_loops = {.name = "N1",
	.title = "Scale: loops with one pool",
	.how = "all threads on two cores; each loop has one empty job under way",
	.placement = FREE,
	.point = "loops",
	.points = ALL(loops),
	.metrics = ALL(loop_metrics),
	.variants = ALL(loop_variants),
	.run = run_loops};

static const struct variant queue_variants[] = {
	{.name = "ringwake", .what = &peer_ringwake, BOTH_PATHS},
	{.name = "ringwake, libuv attached", .what = &peer_uv_attached_messages, BOTH_PATHS},
	{.name = "ringwake, libuv on the ring", .what = &peer_uv_ring_messages, BOTH_PATHS},
	{.name = "uv_async + mutex + queue", .what = &peer_uv_queue},
	{.name = "liburcu wfcqueue + eventfd", URCU_PEER(peer_urcu)},
	{.name = "GAsyncQueue + g_main_context_wakeup", GLIB_PEER(peer_glib)}};
static const struct metric queue_metrics[] = {
	{"receiving", "ns/message", false}, {"sending", "ns/message", false}};
static const long queued[] = {1, 10, 100, 1000, 10000, 100000};

const struct question question_queued = {.name = "N2",
	.title = "Scale: messages in one queue",
	.how = "a callback blocks the loop while they are sent; sender and loop on two cores",
	.placement = FREE,
	.point = "messages",
	.points = ALL(queued),
	.metrics = ALL(queue_metrics),
	.variants = ALL(queue_variants),
	.run = run_queued};
