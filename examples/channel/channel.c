/* SPDX-License-Identifier: MIT */
/*
 * Two threads send measurements to a loop through a channel for 16 of them. A thread that is faster
 * than the loop blocks, so memory stays bounded, and nothing is lost.
 */
#include <pthread.h>
#include <ringwake/channel.h>
#include <stdio.h>
#include <string.h>

enum { SENDERS = 2, COUNT = 1000 };

struct measurement {
	int value;
};

static int received, sum;
static int finished;

/* Runs on the loop's thread, once for each item. */
static void on_measurement(void *context, void *item, int status)
{
	(void)context;
	(void)status; /* -ECANCELED only after an abort */
	sum += ((struct measurement *)item)->value;
	received++;
}

/* Runs last, when all senders have released the channel. */
static void on_end(void *context)
{
	(void)context;
	finished = 1;
}

static void *measure(void *channel)
{
	for (int i = 0; i < COUNT; i++) {
		struct measurement measurement = {.value = i};
		ringwake_channel_send(channel, &measurement, -1);
	}
	ringwake_channel_release(channel);
	return NULL;
}

int main(void)
{
	struct ringwake *target;
	struct ringwake_channel *channel;
	int error = ringwake_open(&target, NULL, NULL);
	if (error == 0)
		error = ringwake_channel_open(&channel, target,
			&(struct ringwake_channel_params){.item_size = sizeof(struct measurement),
				.capacity = 16,
				.handles = SENDERS,
				.receive = on_measurement,
				.finalize = on_end});
	if (error < 0) {
		fprintf(stderr, "cannot open the channel: %s\n", strerror(-error));
		return 1;
	}

	pthread_t threads[SENDERS];
	for (int i = 0; i < SENDERS; i++) {
		if (pthread_create(&threads[i], NULL, measure, channel) != 0)
			return 1;
	}
	while (!finished)
		ringwake_wait(target, -1);
	for (int i = 0; i < SENDERS; i++)
		pthread_join(threads[i], NULL);

	printf("%d measurements, sum %d\n", received, sum);
	ringwake_close(target);
	return received == SENDERS * COUNT ? 0 : 1;
}
