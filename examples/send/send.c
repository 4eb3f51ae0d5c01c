/* SPDX-License-Identifier: MIT */
/* A thread without a ring sends messages to a loop that is blocked. */
#include <pthread.h>
#include <ringwake/ringwake.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct greeting {
	struct ringwake_msg msg; /* first, so a pointer to it is a pointer to the whole */
	int number;
};

static int received;

/* Runs on the loop's thread. The memory belongs to the callback from here on. */
static void on_greeting(struct ringwake_msg *msg)
{
	struct greeting *greeting = (struct greeting *)msg;
	printf("greeting %d\n", greeting->number);
	free(greeting);
	received++;
}

static void *greet(void *target)
{
	for (int i = 1; i <= 3; i++) {
		struct greeting *greeting = malloc(sizeof *greeting);
		if (greeting == NULL)
			abort();
		*greeting = (struct greeting){.msg.fn = on_greeting, .number = i};
		ringwake_send(target, &greeting->msg);
	}
	return NULL;
}

int main(void)
{
	struct ringwake *target;
	int error = ringwake_open(&target, NULL, NULL);
	if (error < 0) {
		fprintf(stderr, "ringwake_open: %s\n", strerror(-error));
		return 1;
	}

	pthread_t thread;
	if (pthread_create(&thread, NULL, greet, target) != 0)
		return 1;
	while (received < 3)
		ringwake_wait(target, -1);
	pthread_join(thread, NULL);

	struct ringwake_stats stats;
	ringwake_get_stats(target, &stats, sizeof stats);
	printf("%d messages, %d doorbells, path %s\n", (int)stats.messages, (int)stats.doorbells,
		ringwake_get_path(target) == RINGWAKE_PATH_MSG_RING ? "msg_ring" : "eventfd");
	ringwake_close(target);
	return 0;
}
