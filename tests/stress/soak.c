/* SPDX-License-Identifier: MIT */
/*
 * Many senders send many messages to several targets. The program checks the sums and the order.
 * The loops alternate between waits without a timeout, short waits and polls. The senders pause at
 * random, so that sends find loops awake, blocked and in between.
 *
 * Usage: soak [--messages N] [--senders N] [--targets N] [--path msg_ring|eventfd]
 *             [--seconds LIMIT]
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <ringwake/ringwake.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_SENDERS = 256, MAX_TARGETS = 16, IN_FLIGHT = 64 };

static uint64_t message_count = 1000000;
static unsigned sender_count = 64, target_count = 4, seconds_limit = 120;
static enum ringwake_path path;

struct parcel {
	struct ringwake_msg msg;
	unsigned sender, target;
	uint64_t number;
	_Atomic bool in_use;
};

struct loop {
	struct ringwake *target;
	unsigned index;
	uint64_t expected[MAX_SENDERS]; /* the next number of each sender */
	uint64_t received, sum, disorder;
	pthread_t thread;
};
static struct loop loops[MAX_TARGETS];

struct sender {
	unsigned index;
	uint64_t count, sum;
	uint64_t next[MAX_TARGETS];
	struct parcel parcels[MAX_TARGETS][IN_FLIGHT];
	pthread_t thread;
};

static _Atomic bool all_sent;

static void on_parcel(struct ringwake_msg *msg)
{
	struct parcel *parcel = (struct parcel *)msg;
	struct loop *loop = &loops[parcel->target];
	if (loop->expected[parcel->sender]++ != parcel->number)
		loop->disorder++;
	loop->received++;
	loop->sum += parcel->number * (parcel->sender + 1);
	/* Release: pairs with the acquire of the sender that reuses the message. */
	atomic_store_explicit(&parcel->in_use, false, memory_order_release);
}

static void *run_loop(void *argument)
{
	struct loop *loop = argument;
	static const int64_t timeouts[] = {-1, 1000, 0, -1, 100000};
	unsigned waits = 0;
	for (;;) {
		bool last = atomic_load_explicit(&all_sent, memory_order_acquire);
		int result = ringwake_wait(loop->target, last ? 0 : timeouts[waits++ % 5]);
		if (result < 0 && result != -ETIME)
			abort();
		if (last && result == -ETIME)
			return NULL;
	}
}

static void send_one(struct sender *sender, unsigned t)
{
	uint64_t number = sender->next[t]++;
	struct parcel *parcel = &sender->parcels[t][number % IN_FLIGHT];
	while (atomic_load_explicit(&parcel->in_use, memory_order_acquire))
		sched_yield();
	parcel->msg.fn = on_parcel;
	parcel->sender = sender->index;
	parcel->target = t;
	parcel->number = number;
	atomic_store_explicit(&parcel->in_use, true, memory_order_relaxed);
	sender->sum += number * (sender->index + 1);
	if (ringwake_send(loops[t].target, &parcel->msg) != 0)
		abort();
}

static void *run_sender(void *argument)
{
	struct sender *sender = argument;
	unsigned random = sender->index * 2654435761u + 1;
	for (uint64_t i = 0; i < sender->count; i++) {
		random = random * 1664525u + 1013904223u;
		send_one(sender, (random >> 16) % target_count);
		if (random >> 22 == 0)
			sched_yield();
	}
	return NULL;
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {{"messages", 1, NULL, 'm'},
		{"senders", 1, NULL, 's'}, {"targets", 1, NULL, 't'}, {"path", 1, NULL, 'p'},
		{"seconds", 1, NULL, 'l'}, {0}};
	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		unsigned long number = optarg ? strtoul(optarg, NULL, 10) : 0;
		if (option == 'm')
			message_count = number;
		else if (option == 's' && number >= 1 && number <= MAX_SENDERS)
			sender_count = (unsigned)number;
		else if (option == 't' && number >= 1 && number <= MAX_TARGETS)
			target_count = (unsigned)number;
		else if (option == 'l')
			seconds_limit = (unsigned)number;
		else if (option == 'p')
			path = strcmp(optarg, "eventfd") == 0 ? RINGWAKE_PATH_EVENTFD
							      : RINGWAKE_PATH_MSG_RING;
		else
			exit(2);
	}
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	alarm(seconds_limit); /* ends the run if a lost wake makes it hang */
	for (unsigned t = 0; t < target_count; t++) {
		struct ringwake_params params = {.path = path,
			.spin_ns = t % 2 ? RINGWAKE_SPIN_OFF : RINGWAKE_SPIN_ADAPTIVE};
		loops[t].index = t;
		int error = ringwake_open(&loops[t].target, NULL, &params);
		if (error < 0) {
			printf("1..0 # SKIP %s\n", strerror(-error));
			return 0;
		}
		pthread_create(&loops[t].thread, NULL, run_loop, &loops[t]);
	}
	struct sender *senders = calloc(sender_count, sizeof *senders);
	for (unsigned s = 0; s < sender_count; s++) {
		senders[s].index = s;
		senders[s].count = message_count / sender_count;
		pthread_create(&senders[s].thread, NULL, run_sender, &senders[s]);
	}
	uint64_t sent = 0, sent_sum = 0, received = 0, sum = 0, disorder = 0, doorbells = 0;
	for (unsigned s = 0; s < sender_count; s++) {
		pthread_join(senders[s].thread, NULL);
		sent += senders[s].count;
		sent_sum += senders[s].sum;
	}
	atomic_store_explicit(&all_sent, true, memory_order_release);
	for (unsigned t = 0; t < target_count; t++) {
		struct ringwake_stats stats;
		ringwake_wake(loops[t].target);
		pthread_join(loops[t].thread, NULL);
		ringwake_get_stats(loops[t].target, &stats, sizeof stats);
		doorbells += stats.doorbells;
		received += loops[t].received;
		sum += loops[t].sum;
		disorder += loops[t].disorder;
		ringwake_close(loops[t].target);
	}
	free(senders);
	printf("1..3\n# %llu messages from %u senders to %u targets, %llu doorbells\n",
		(unsigned long long)sent, sender_count, target_count,
		(unsigned long long)doorbells);
	printf("%sok 1 - every message arrived once: %llu\n", received == sent ? "" : "not ",
		(unsigned long long)received);
	printf("%sok 2 - the sums are equal\n", sum == sent_sum ? "" : "not ");
	printf("%sok 3 - each sender's messages arrived in order\n", disorder == 0 ? "" : "not ");
	return received == sent && sum == sent_sum && disorder == 0 ? 0 : 1;
}
